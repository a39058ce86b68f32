#define PC_HEADER_HASH "0"
