#define PC_HEADER_HASH "d16bcb3f2d8cc3dd"
