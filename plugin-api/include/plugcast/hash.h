#define PC_HEADER_HASH "957a017fde9e0e7b"
