/* pc.http/1: routes on the server's HTTP port.
 *
 * A plugin registers patterns; the host decides who may call them (by class), reads requests, and gives each as a handle. The
 * plugin answers it whole, in parts, or as a viewer of a feed, at once or later, from any thread, and closes the handle. A
 * handle that is closed without an answer is answered with 500.
 */
#ifndef PLUGCAST_HTTP_H
#define PLUGCAST_HTTP_H
#include "feeds.h"
#include "net.h"
#ifdef __cplusplus
extern "C" {
#endif

/* Bits. HEAD comes with GET: it is given to the plugin as GET, and the host leaves the body out. OPTIONS is the host's. */
#define PC_HTTP_GET 1u
#define PC_HTTP_POST 2u
#define PC_HTTP_PUT 4u
#define PC_HTTP_PATCH 8u
#define PC_HTTP_DELETE 16u

/* Who may call a route. */
#define PC_HTTP_ADMIN 0u /* the operator, by token */
#define PC_HTTP_MEDIA 1u /* everybody, from every web page (CORS *): playing; auth rules are asked by prepare and publish */
#define PC_HTTP_OPEN 2u  /* everybody */

#define PC_HTTP_WEBSOCKET 1u /* of a route: takes WebSockets; of a request: asks for one */

typedef struct pc_http_route {
  uint32_t struct_size;
  uint32_t access;    /* PC_HTTP_ADMIN, PC_HTTP_MEDIA, PC_HTTP_OPEN */
  uint32_t methods;   /* 0: PC_HTTP_GET */
  uint32_t flags;     /* PC_HTTP_WEBSOCKET */
  pc_str pattern;     /* "/flv/{key...}": {name} is one segment, {name...} the rest of the path; neither matches nothing. Below
                       * /api/v1, /api/health, /api/metrics, /preview and /ui only the host answers. */
  pc_str protocol;    /* short word for lists and logs: "http-flv" */
  pc_str play_url;    /* for the start banner and the stream list: "/flv/{key}.flv"; may be empty */
  uint32_t body_max;  /* a longer body of a request is answered with 413; 0: no body is taken. At most PC_HTTP_BODY_MAX */
  uint32_t reserved;  /* 0 */
  pc_ns deadline;     /* for the answer to begin; then it is 503. 0: PC_HTTP_DEADLINE_SECONDS */
} pc_http_route;
#define PC_HTTP_BODY_MAX 16777216u   /* 16 MiB */
#define PC_HTTP_DEADLINE_SECONDS 60u /* longer than subscribe.wait_timeout as shipped */

typedef struct pc_http_route_vtable {
  uint32_t struct_size, revision; /* 1 */
  /* [io] Calls come concurrently. The handle is the plugin's from here on; an error closes it. */
  pc_status (*on_request)(void *ctx, pc_handle request);
  void (*drop)(void *ctx);
} pc_http_route_vtable;

/* Texts are as on the wire (percent-encoded) and valid until the request is closed, as is the body. */
typedef struct pc_http_request {
  uint32_t struct_size;
  uint32_t method;    /* PC_HTTP_* */
  uint32_t flags;     /* PC_HTTP_WEBSOCKET */
  uint32_t reserved;
  uint64_t conn;      /* the connection's number in log, API and metrics */
  pc_addr peer;
  pc_str path;
  pc_str query;       /* without the question mark */
  const uint8_t *body;
  size_t body_len;
} pc_http_request;

/* Framing, connection, date and CORS headers are the host's: naming one is PC_E_INVALID. */
typedef struct pc_http_head {
  uint32_t struct_size;
  uint32_t status;    /* 200 … 599 */
  uint32_t n_headers; /* at most PC_HTTP_HEADERS_MAX */
  uint32_t reserved;  /* 0 */
  const pc_field *headers;
} pc_http_head;
#define PC_HTTP_HEADERS_MAX 64u
#define PC_HTTP_QUEUE_BYTES_MAX 262144u /* 256 KiB of an answer in parts wait for the peer at most */

#define PC_HTTP_ID "pc.http/1"
typedef struct pc_http_api {
  uint32_t struct_size, revision; /* 1 */
  /* [any] PC_E_CONFLICT when another route has the same pattern, PC_E_INVALID for one that can't be read. After close(route)
   * its path is 404; requests that have come are answered as usual. */
  pc_status (*route)(const pc_host *host, const pc_http_route *options, const pc_http_route_vtable *vtable, void *ctx,
                     pc_handle *route);
  /* [any] */
  pc_status (*request)(const pc_host *host, pc_handle request, pc_http_request *info);
  /* [any] What the path has for {name}, as on the wire. PC_E_NOT_FOUND: the pattern has none of that name. */
  pc_status (*param)(const pc_host *host, pc_handle request, pc_str name, pc_str *value);
  /* [any] The first header of the name, which is read without case. PC_E_NOT_FOUND: there is none, or it is not UTF-8. */
  pc_status (*header)(const pc_host *host, pc_handle request, pc_str name, pc_str *value);
  /* [any] PC_PENDING while somebody waits for the answer or its rest, then PC_END: the peer has gone, or the deadline has
   * passed. */
  pc_status (*poll_gone)(const pc_host *host, pc_handle request, pc_waker *waker);
  /* [any] The whole answer. As for the next three: PC_END when nobody waits any more, PC_E_STATE when it was answered. */
  pc_status (*answer)(const pc_host *host, pc_handle request, const pc_http_head *head, const pc_buf *body, size_t n_body);
  /* [any] An error, as the host says it everywhere: NOT_FOUND 404, DENIED 403, INVALID 400, UNSUPPORTED 406, LIMIT, NO_MEMORY,
   * TIMEOUT and CANCELLED 503 with Retry-After, IO 502, others 500. The text is for the peer. */
  pc_status (*refuse)(const pc_host *host, pc_handle request, pc_status error, pc_str text);
  /* [any] Begins an answer in parts: poll_write each (copied as a whole; PC_PENDING while too much waits), then finish. Closing
   * the request before cuts the answer off, which the peer notices. */
  pc_status (*begin)(const pc_host *host, pc_handle request, const pc_http_head *head);
  pc_status (*poll_write)(const pc_host *host, pc_handle request, pc_waker *waker, const pc_buf *parts, size_t n_parts);
  pc_status (*finish)(const pc_host *host, pc_handle request);
  /* [any] The answer is a feed, for as long as it lasts: head, then what was prepared (with the request as pc_prepare.conn), to
   * the end of the connection. A request that asks for a WebSocket gets the upgrade, and each packet as a binary message; pings
   * and the closing handshake are the host's. Takes `prepared`; nothing more is to be done for the viewer. */
  pc_status (*attach)(const pc_host *host, pc_handle request, pc_handle prepared, const pc_http_head *head);
} pc_http_api;

#ifdef __cplusplus
}
#endif
#endif
