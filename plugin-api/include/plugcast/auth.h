/* pc.auth/1: may this peer publish or play this stream? publish, subscribe and prepare ask by themselves; a plugin asks here only
 * when it has to know before, for instance to answer with its protocol's own challenge. */
#ifndef PLUGCAST_AUTH_H
#define PLUGCAST_AUTH_H
#include "core.h"
#ifdef __cplusplus
extern "C" {
#endif

#define PC_ACTION_PUBLISH 1u
#define PC_ACTION_PLAY 2u

typedef struct pc_auth_request {
  uint32_t struct_size;
  uint32_t action;   /* PC_ACTION_* */
  pc_str url;        /* as in pc_publish; its `key` argument is the secret */
  pc_handle conn;    /* 0: the plugin itself */
  pc_str protocol;
} pc_auth_request;

#define PC_AUTH_ID "pc.auth/1"
typedef struct pc_auth_api {
  uint32_t struct_size, revision; /* 1 */
  /* [any] PC_OK, PC_E_DENIED with the reason, PC_E_INVALID for a bad key; PC_PENDING once engines exist that have to wait: call
   * again with the same request. */
  pc_status (*poll_check)(const pc_host *host, const pc_auth_request *request, pc_waker *waker);
} pc_auth_api;

#ifdef __cplusplus
}
#endif
#endif
