/* pc.feeds/1: package once, fan out in the host.
 *
 * A plugin registers a packager for a format. The host opens it when the first viewer of (stream, format, variant) comes, at the
 * newest start point, and copies the packets it writes into the feed. A session does the handshake of its connection,
 * prepares (where to begin), and attaches: the connection's write half is lent to the host until `detached` is polled.
 */
#ifndef PLUGCAST_FEEDS_H
#define PLUGCAST_FEEDS_H
#include "streams.h"
#ifdef __cplusplus
extern "C" {
#endif

#define PC_PACKET_START_POINT 1u /* a viewer may begin or resume here */
#define PC_PACKET_DROPPABLE 2u

/* Self-contained: it does not depend on bytes that other packets carried on the connection. */
typedef struct pc_packet {
  uint32_t struct_size, flags;
  pc_ns dts;
  uint32_t head; /* number of the head in force, from set_head */
  uint32_t n_parts;
  const pc_buf *parts;
} pc_packet;
#define PC_PACKET_BYTES_MAX 33554432u /* 32 MiB */
#define PC_HEAD_BYTES_MAX 1048576u    /* 1 MiB, preamble and config together */

/* Given to a packager's calls; valid during the call. */
typedef struct pc_feed_out {
  uint32_t struct_size, revision; /* 1 */
  /* The head for viewers that begin from here on: `preamble` is sent once per connection, `config` whenever a viewer begins or
   * resumes under a head that it has not had. Viewers that read straight through get nothing of it: write the change as
   * packets too. */
  pc_status (*set_head)(void *out, const pc_buf *preamble, size_t n_preamble, const pc_buf *config, size_t n_config,
                        uint32_t *head);
  pc_status (*write)(void *out, const pc_packet *const *packets, size_t n);
} pc_feed_out;

/* Plain calls, [io], ordered per feed, no blocking, calling nothing of the host but `out`, set_error and the log. A call that fails
 * or panics ends the packager; the host opens a new one at the next start point, and after three failures in ten
 * seconds detaches its viewers. */
typedef struct pc_packager_vtable {
  uint32_t struct_size, revision;
  /* PC_E_UNSUPPORTED when the shape can't be carried in this format. Must set a head. */
  pc_status (*open)(void *ctx, const pc_shape *shape, pc_str variant, const pc_feed_out *table, void *out, void **packager);
  pc_status (*on_shape)(void *packager, const pc_shape *shape, const pc_feed_out *table, void *out);
  pc_status (*on_frames)(void *packager, const pc_frame *const *frames, size_t n, const pc_feed_out *table, void *out);
  void (*close)(void *packager);
  void (*drop)(void *ctx); /* of the registration */
} pc_packager_vtable;

typedef struct pc_prepare {
  uint32_t struct_size;
  uint32_t flags;    /* 0 */
  pc_str url;        /* as in pc_publish */
  pc_str format;     /* "rtmp" */
  pc_str variant;    /* options that change the feed's bytes; at most PC_VARIANT_MAX bytes */
  pc_handle conn;    /* the connection or HTTP request that will be attached */
  pc_str agent;
  pc_ns wait;        /* as in pc_subscribe */
} pc_prepare;
#define PC_VARIANT_MAX 64u

typedef struct pc_detached {
  uint32_t struct_size;
  uint32_t reason;   /* PC_REASON_* */
  uint64_t bytes;    /* sent as a viewer */
  uint64_t skipped;  /* packets skipped because it lagged */
} pc_detached;

#define PC_FEEDS_ID "pc.feeds/1"
typedef struct pc_feeds_api {
  uint32_t struct_size, revision; /* 1 */
  /* [any] One packager a format in the server, else PC_E_CONFLICT. Closing the handle detaches all viewers of the format. */
  pc_status (*register_packager)(const pc_host *host, pc_str format, const pc_packager_vtable *vtable, void *ctx,
                                 pc_handle *packager);
  /* [any] Waits for the stream and opens the feed. PC_OK: the place to begin is fixed and held for PC_PREPARED_SECONDS.
   * Refusals as for poll_subscribe, and PC_E_UNSUPPORTED with the reason when the packager can't carry the stream. */
  pc_status (*prepare)(const pc_host *host, const pc_prepare *options, pc_handle *prepared);
  pc_status (*poll_prepared)(const pc_host *host, pc_handle prepared, pc_waker *waker);
  /* [any] Lends conn's write half: sends `first` (the plugin's last own bytes), then head and packets. Takes `prepared`.
   * Nothing may be left unsent from earlier poll_write calls of the plugin. */
  pc_status (*attach)(const pc_host *host, pc_handle conn, pc_handle prepared, const pc_buf *first, size_t n_first,
                      pc_handle *viewer);
  /* [any] Puts a whole small message between two packets. PC_E_LIMIT above PC_INJECT_BYTES_MAX waiting, PC_END once detach was called or
   * the viewer has ended: then the rest goes out when the write half is back. */
  pc_status (*inject)(const pc_host *host, pc_handle viewer, const pc_buf *parts, size_t n_parts);
  /* [any] Asks to stop at the next packet boundary. */
  pc_status (*detach)(const pc_host *host, pc_handle viewer);
  /* [any] PC_OK once the write half is back: the connection can be written again unless the reason says that it is dead.
   * Close the viewer handle afterwards. Closing it before closes the connection. */
  pc_status (*poll_detached)(const pc_host *host, pc_handle viewer, pc_waker *waker, pc_detached *detached);
} pc_feeds_api;
#define PC_INJECT_BYTES_MAX 65536u
#define PC_PREPARED_SECONDS 10u

#ifdef __cplusplus
}
#endif
#endif
