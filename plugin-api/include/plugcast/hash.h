#define PC_HEADER_HASH "06edbea969a2fe8e"
