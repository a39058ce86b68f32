/* pc.log/1: the host's log. Test the level first; fields are text. Never pass secrets that are not in URLs or named key,
 * token, secret, password: those are masked, others can't be. */
#ifndef PLUGCAST_LOG_H
#define PLUGCAST_LOG_H
#include "core.h"
#ifdef __cplusplus
extern "C" {
#endif

#define PC_LOG_ERROR 1u
#define PC_LOG_WARN 2u
#define PC_LOG_INFO 3u
#define PC_LOG_DEBUG 4u
#define PC_LOG_TRACE 5u

#define PC_LOG_ID "pc.log/1"
typedef struct pc_log_api {
  uint32_t struct_size, revision; /* 1 */
  /* [any] 1 if a line of this level would be kept, else 0. Target: empty for the instance's name. */
  uint32_t (*enabled)(const pc_host *host, uint32_t level, pc_str target);
  /* [any] Works during and after stop. Message and values are cut at 4096 bytes, fields at 32. */
  void (*write)(const pc_host *host, uint32_t level, pc_str target, pc_str message, const pc_field *fields, size_t n);
} pc_log_api;

#ifdef __cplusplus
}
#endif
#endif
