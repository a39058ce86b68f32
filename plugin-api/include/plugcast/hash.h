#define PC_HEADER_HASH "76de4f2489ead15b"
