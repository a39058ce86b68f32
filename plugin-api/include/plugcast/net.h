/* pc.net/1: sockets, owned by the host. TCP for now. One poll at a time per handle and direction; a buffer is lent for one
 * call only, so dropping a future that polls leaves nothing in flight. */
#ifndef PLUGCAST_NET_H
#define PLUGCAST_NET_H
#include "mem.h"
#ifdef __cplusplus
extern "C" {
#endif

/* IPv4 is given as IPv4, never as mapped IPv6. Frozen. */
typedef struct pc_addr {
  uint8_t ip[16];   /* IPv4: the first 4 */
  uint32_t scope;   /* IPv6 scope id */
  uint16_t port;    /* host byte order */
  uint16_t family;  /* 4, 6; 0: none */
} pc_addr;

typedef struct pc_tcp_listen {
  uint32_t struct_size;
  uint32_t flags;      /* 0 */
  pc_str address;      /* "[::]:1935" (dual stack, IPv4 only where IPv6 is off), "0.0.0.0:1935", ":1935"; port 0: any free */
  pc_str protocol;     /* short word for lists and logs: "rtmp" */
  /* For the start banner and the stream list: "rtmp://{host}/{key}"; {host} holds the port unless it is default_port. */
  pc_str publish_url;
  pc_str play_url;
  uint32_t default_port;
  /* PC_PROXY_*: whether connections begin with a PROXY header (version 1 or 2), of which the host takes the peer's address.
   * Only peers in limits.trusted_proxies may send one. */
  uint32_t proxy_protocol;
  pc_str tls;          /* a certificate profile of the config: connections speak TLS, and reads and writes are plain. Empty: none */
} pc_tcp_listen;
#define PC_PROXY_OFF 0u
#define PC_PROXY_OPTIONAL 1u /* those of trusted peers may */
#define PC_PROXY_REQUIRED 2u /* others are closed */

typedef struct pc_conn_info {
  uint32_t struct_size;
  uint32_t flags;      /* PC_CONN_* */
  uint64_t id;         /* the same number in log, API and metrics */
  pc_addr peer, local;
  uint64_t bytes_in, bytes_out;
} pc_conn_info;
#define PC_CONN_TLS 1u

#define PC_NET_ID "pc.net/1"
typedef struct pc_net_api {
  uint32_t struct_size, revision; /* 1 */
  /* [any] PC_E_CONFLICT when the port is taken; the text names the address, and the holder when it can be read.
   * PC_E_NOT_FOUND when there is no such certificate profile. */
  pc_status (*tcp_listen)(const pc_host *host, const pc_tcp_listen *options, pc_handle *listener);
  /* [any] The bound address. */
  pc_status (*listener_addr)(const pc_host *host, pc_handle listener, pc_addr *local);
  /* [any] Running out of descriptors is not an error: it is logged, and accepting goes on when there are some. Until it
   * publishes, or asks to play, a connection counts against limits.max_handshaking_per_address. */
  pc_status (*poll_accept)(const pc_host *host, pc_handle listener, pc_waker *waker, pc_handle *conn);
  /* [any] "host:port". The handle is a connection once poll_connect has given PC_OK; close it to give up. */
  pc_status (*tcp_connect)(const pc_host *host, pc_str address, pc_handle *conn);
  pc_status (*poll_connect)(const pc_host *host, pc_handle conn, pc_waker *waker);
  /* [any] PC_OK with *n > 0, or PC_END when the peer has closed its half. */
  pc_status (*poll_read)(const pc_host *host, pc_handle conn, pc_waker *waker, uint8_t *data, size_t len, size_t *n);
  /* [any] PC_OK with *n > 0 bytes taken from the parts, in order. PC_E_STATE while the write half is lent to a feed. */
  pc_status (*poll_write)(const pc_host *host, pc_handle conn, pc_waker *waker, const pc_buf *parts, size_t n_parts,
                          size_t *n);
  /* [any] Closes the write half, so that the peer reads to the end. */
  pc_status (*poll_shutdown)(const pc_host *host, pc_handle conn, pc_waker *waker);
  /* [any] */
  pc_status (*conn_info)(const pc_host *host, pc_handle conn, pc_conn_info *info);
} pc_net_api;

#ifdef __cplusplus
}
#endif
#endif
