/* pc.config/1: the instance's merged config. */
#ifndef PLUGCAST_CONFIG_H
#define PLUGCAST_CONFIG_H
#include "core.h"
#ifdef __cplusplus
extern "C" {
#endif

#define PC_CONFIG_ID "pc.config/1"
typedef struct pc_config_api {
  uint32_t struct_size, revision; /* 1 */
  /* [any] The same JSON object that create was given, valid until destroy returns. */
  pc_status (*get)(const pc_host *host, pc_str *json);
} pc_config_api;

#ifdef __cplusplus
}
#endif
#endif
