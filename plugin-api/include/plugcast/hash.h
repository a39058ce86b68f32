#define PC_HEADER_HASH "2261df3ce1625cde"
