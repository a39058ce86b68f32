/* pc.mem/1: host memory, counted and reference counted.
 *
 * Payload in a ring or a feed is host memory. Gather or read straight into a block from `alloc` and it is never copied;
 * bytes with any other `mem`, or none, are copied when they are pushed.
 */
#ifndef PLUGCAST_MEM_H
#define PLUGCAST_MEM_H
#include "core.h"
#ifdef __cplusplus
extern "C" {
#endif

/* A reference counted block; its table is its first word. Frozen. */
typedef struct pc_mem pc_mem;
typedef struct pc_mem_vtable {
  void (*retain)(pc_mem *mem);  /* [any] */
  void (*release)(pc_mem *mem); /* [any] */
} pc_mem_vtable;
struct pc_mem {
  const pc_mem_vtable *vtable;
};

/* A view of bytes; mem NULL: lent for the call only. Frozen. */
typedef struct pc_buf {
  const uint8_t *data;
  size_t len;
  pc_mem *mem;
} pc_buf;

#define PC_MEM_ID "pc.mem/1"
typedef struct pc_mem_api {
  uint32_t struct_size, revision; /* 1 */
  /* [any] A block of `len` bytes, not initialised, with one reference, which the caller owns. It may be written until it is
   * first shared (pushed, injected, written to a feed). PC_E_NO_MEMORY at the server's limit, PC_E_INVALID above
   * PC_MEM_BLOCK_MAX. */
  pc_status (*alloc)(const pc_host *host, size_t len, uint8_t **data, pc_mem **mem);
} pc_mem_api;
#define PC_MEM_BLOCK_MAX 67108864u /* 64 MiB */

#ifdef __cplusplus
}
#endif
#endif
