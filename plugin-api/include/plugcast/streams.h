/* pc.streams/1: tracks, frames, publishers, subscribers.
 *
 * A frame's bytes have one form in memory per codec (that of ISO BMFF samples): H.264 and H.265 an access unit of NAL units
 * with 4-byte lengths, AAC a raw access unit, and so on; the table is in ARCHITECTURE.md, "Frames have one form".
 * Time stamps are nanoseconds on the stream's timeline, signed, never wrapping; dts strictly increases within a track.
 */
#ifndef PLUGCAST_STREAMS_H
#define PLUGCAST_STREAMS_H
#include "mem.h"
#ifdef __cplusplus
extern "C" {
#endif

#define PC_AUDIO 1u
#define PC_VIDEO 2u
#define PC_DATA 3u

/* FourCC as in ISO BMFF sample entries and Enhanced RTMP, first letter in the high byte: 'avc1', 'hvc1', 'av01', 'vp09', 'mp4a',
 * 'Opus', '.mp3', 'alaw', 'ulaw'. Unknown ones pass through. */
#define PC_FOURCC(a, b, c, d) (((uint32_t)(a) << 24) | ((uint32_t)(b) << 16) | ((uint32_t)(c) << 8) | (uint32_t)(d))

typedef struct pc_track {
  uint32_t struct_size;
  uint32_t id;             /* chosen by the publisher, unique in the stream */
  uint32_t kind;           /* PC_AUDIO, PC_VIDEO, PC_DATA */
  uint32_t codec;
  uint32_t config_number;  /* changes whenever `config` does; frames name it */
  uint32_t width, height;  /* 0: unknown, also below */
  uint32_t frame_rate_num, frame_rate_den;
  uint32_t sample_rate, channels;
  uint32_t reserved;       /* 0 */
  pc_buf config;           /* decoder configuration: avcC, hvcC, av1C, AudioSpecificConfig … */
  pc_str codec_string;     /* RFC 6381, for people and playlists; may be empty */
} pc_track;

/* A set of tracks with their decoder configurations: immutable, numbered per stream by the host. */
typedef struct pc_shape {
  uint32_t struct_size;
  uint32_t number;
  uint32_t n_tracks;       /* at most PC_TRACKS_MAX */
  uint32_t flags;          /* PC_SHAPE_* */
  const pc_track *const *tracks;
} pc_shape;
#define PC_TRACKS_MAX 64u
#define PC_SHAPE_SETTLED 1u       /* the publisher said ready, or settle_timeout has passed */
#define PC_SHAPE_DISCONTINUITY 2u /* another publisher, or the same one back: decoders start anew */

#define PC_FRAME_KEY 1u           /* decodes alone: IDR, CRA, recovery point; every audio frame */
#define PC_FRAME_DISCONTINUITY 2u /* time does not follow from the frame before */
#define PC_FRAME_DROPPABLE 4u     /* no other frame refers to it */
#define PC_FRAME_STICKY 8u        /* data: the newest of the track is kept for new readers */

typedef struct pc_frame {
  uint32_t struct_size;
  uint32_t track;
  uint32_t config;   /* the track's config_number that it needs */
  uint32_t flags;    /* PC_FRAME_* */
  pc_ns dts, pts;
  pc_ns duration;    /* 0: unknown */
  pc_ns captured;    /* wall clock (Unix) of capture; 0: unknown */
  uint32_t n_parts;  /* at most PC_FRAME_PARTS_MAX, together at most PC_FRAME_BYTES_MAX */
  uint32_t reserved; /* 0 */
  const pc_buf *parts;
} pc_frame;
#define PC_FRAME_PARTS_MAX 4096u
#define PC_FRAME_BYTES_MAX 33554432u /* 32 MiB */

typedef struct pc_publish {
  uint32_t struct_size;
  uint32_t flags;    /* 0 */
  pc_str url;        /* what the peer asked for: app/name?arguments, percent-encoded as on the wire; the host makes the key */
  pc_handle conn;    /* the peer's connection; 0: the plugin itself, which auth rules see as no address */
  pc_str protocol;   /* "rtmp" */
  pc_str agent;      /* what the peer calls itself; may be empty */
} pc_publish;

#define PC_NOTICE_FIRST_READER 1u
#define PC_NOTICE_LAST_READER 2u
#define PC_NOTICE_KEYFRAME_WANTED 3u

/* Why a publisher, a subscription or a viewer ended. New values may be added. */
#define PC_REASON_ASKED 1u       /* by its own side: finish, detach, close */
#define PC_REASON_ENDED 2u       /* the stream ended */
#define PC_REASON_REPLACED 3u    /* another publisher took the stream over */
#define PC_REASON_STOPPED 4u     /* by the operator, or the server stops */
#define PC_REASON_TIMEOUT 5u     /* no data for publish.timeout */
#define PC_REASON_LAGGED 6u      /* too slow, and the format can't skip */
#define PC_REASON_STALLED 7u     /* the kernel took nothing for stall_timeout */
#define PC_REASON_PEER_CLOSED 8u
#define PC_REASON_ERROR 9u       /* the text is last_error */
#define PC_REASON_IDLE 10u       /* nobody watched for publish.idle_timeout */
#define PC_REASON_LOST 11u       /* the publisher was lost and did not come back within publish.republish_window */

typedef struct pc_subscribe {
  uint32_t struct_size;
  uint32_t kind;     /* PC_READER_* */
  pc_str url;        /* as in pc_publish */
  pc_handle conn;
  pc_str protocol;
  uint32_t start;    /* PC_START_* */
  uint32_t flags;    /* 0 */
  pc_ns wait;        /* for a publisher; 0: subscribe.wait_timeout; < 0: not at all */
} pc_subscribe;
#define PC_READER_PLAYER 0u /* the only kind that counts as somebody watching */
#define PC_READER_RECORDER 1u
#define PC_READER_PUSHER 2u
#define PC_READER_SNAPSHOT 3u
#define PC_START_NEWEST 0u /* the newest start point: at once */
#define PC_START_LIVE 1u   /* the next start point */
#define PC_START_OLDEST 2u /* the oldest start point that is still held */

/* What one read gives; lent for the callback. A batch never crosses a change of shape. */
typedef struct pc_batch {
  uint32_t struct_size;
  uint32_t n_frames;             /* may be 0 when only the shape changed */
  const pc_shape *shape;         /* not NULL: in force from here on; always set in the first batch */
  const pc_frame *const *frames;
  uint64_t lost;                 /* frames skipped before this batch because the reader was lapped */
} pc_batch;
typedef void (*pc_on_batch)(void *ctx, const pc_batch *batch);

#define PC_STREAMS_ID "pc.streams/1"
typedef struct pc_streams_api {
  uint32_t struct_size, revision; /* 1 */
  /* [any] Asks to publish. Nothing may be pushed before poll_publish has given PC_OK; refusals come from there: PC_E_INVALID
   * (the key), PC_E_DENIED, PC_E_CONFLICT, PC_E_LIMIT. Closing the handle without finish is a lost link. */
  pc_status (*publish)(const pc_host *host, const pc_publish *options, pc_handle *publisher);
  pc_status (*poll_publish)(const pc_host *host, pc_handle publisher, pc_waker *waker);
  /* [any] One call at a time per publisher, as for the next three. The whole set of tracks from here on; equal to the set in
   * force: nothing happens. */
  pc_status (*set_tracks)(const pc_host *host, pc_handle publisher, const pc_track *const *tracks, size_t n);
  /* [any] Appends frames, in decoding order over all tracks. Stamps are the publisher's; the host maps them to the stream's.
   * PC_DROPPED: nothing was kept (memory limit). PC_END: the publisher has ended, poll_notice says why. */
  pc_status (*push)(const pc_host *host, pc_handle publisher, const pc_frame *const *frames, size_t n);
  /* [any] All tracks are there. */
  pc_status (*ready)(const pc_host *host, pc_handle publisher);
  /* [any] Orderly end; the handle still has to be closed. */
  pc_status (*finish)(const pc_host *host, pc_handle publisher);
  /* [any] PC_OK: *value is a PC_NOTICE_*. PC_END: the publisher has ended, *value is a PC_REASON_*. */
  pc_status (*poll_notice)(const pc_host *host, pc_handle publisher, pc_waker *waker, uint32_t *value);
  /* [any] PC_OK when there is a stream to read; PC_E_NOT_FOUND after the wait, PC_E_DENIED, PC_E_LIMIT, PC_E_INVALID. */
  pc_status (*subscribe)(const pc_host *host, const pc_subscribe *options, pc_handle *subscription);
  pc_status (*poll_subscribe)(const pc_host *host, pc_handle subscription, pc_waker *waker);
  /* [any] Calls on_batch at most once, with at most `max` frames, then PC_OK. PC_END: *reason is a PC_REASON_*. */
  pc_status (*poll_read)(const pc_host *host, pc_handle subscription, pc_waker *waker, size_t max, pc_on_batch on_batch,
                         void *ctx, uint32_t *reason);
} pc_streams_api;

#ifdef __cplusplus
}
#endif
#endif
