/* Plugcast plugin contract, core: strings, status codes, handles, the two tables that meet.
 *
 * This header set is the contract; the Rust mirror (plugin-api/src/abi) follows it. Include <plugcast/plugcast.h>.
 *
 * Rules that hold for every function of every interface:
 *   - Threads. Each function is tagged. [control]: one at a time per instance, may block, has a deadline.
 *     [io]: on the host's workers, must not block; callbacks for one handle are ordered and never concurrent.
 *     [any]: every thread that the host made or that is inside a callback. The host holds no lock while it calls a plugin.
 *   - Ownership. Pointers that are arguments are lent for the call. `retain` a pc_mem to keep bytes. Who allocates frees.
 *   - Registrations pass {table, ctx}. After close(handle), or when the instance stops, the table's `drop(ctx)` is called
 *     exactly once, after the last callback has returned. A call that takes {table, ctx} and fails has called `drop` when it
 *     returns. Tables must stay valid for the life of the process.
 *   - Errors. A negative status is an error; its text is set on the calling thread and read with last_error before the
 *     next host call on that thread. Plugins give their own texts with set_error before they return an error.
 *   - Sized structs begin with struct_size (set it to sizeof) and travel by pointer; 0 in a later field means "not set".
 *     Frozen structs never change and are marked so.
 *   - After the instance was told to stop, every call returns PC_E_CANCELLED, except close, release and log.
 */
#ifndef PLUGCAST_CORE_H
#define PLUGCAST_CORE_H

#include <stddef.h>
#include <stdint.h>

#ifdef __cplusplus
extern "C" {
#endif

#if defined(_WIN32)
#define PC_EXPORT __declspec(dllexport)
#elif defined(__GNUC__)
#define PC_EXPORT __attribute__((visibility("default")))
#else
#define PC_EXPORT
#endif

/* The revision of the core tables below; both sides state theirs in `abi_minor`. */
#define PC_ABI_MAJOR 0u
#define PC_ABI_MINOR 1u

/* UTF-8 text, not terminated. Frozen. */
typedef struct pc_str {
  const char *data;
  size_t len;
} pc_str;

/* 0 ok, > 0 information, < 0 error. Receivers accept values they don't know by sign. */
typedef int32_t pc_status;
#define PC_OK 0
#define PC_PENDING 1          /* the waker will be woken; ask again then */
#define PC_END 2              /* orderly end: of the bytes, the stream, the task */
#define PC_DROPPED 3          /* accepted, and discarded on purpose */
#define PC_E_INVALID (-1)     /* an argument is wrong; the caller must change */
#define PC_E_HANDLE (-2)      /* stale, foreign, or of another kind */
#define PC_E_UNSUPPORTED (-3) /* not offered by this host, format or codec */
#define PC_E_LIMIT (-4)       /* a named limit was reached */
#define PC_E_STATE (-5)       /* not now: wrong order, or already closed */
#define PC_E_IO (-6)          /* the operating system said no */
#define PC_E_TIMEOUT (-7)
#define PC_E_CANCELLED (-8)   /* the instance or the task is being stopped */
#define PC_E_DENIED (-9)      /* an auth rule said no */
#define PC_E_NO_MEMORY (-10)  /* the server's memory limit */
#define PC_E_PANIC (-11)      /* a guarded callback panicked */
#define PC_E_INTERNAL (-12)
#define PC_E_NOT_FOUND (-13)
#define PC_E_CONFLICT (-14)   /* somebody else holds it: the stream key, the port */

/* Slot, generation and owner. 0 is no handle. A stale or foreign one is PC_E_HANDLE, never undefined behaviour. */
typedef uint64_t pc_handle;

/* Nanoseconds. Deadlines are of the host's monotonic clock (pc.exec now). */
typedef int64_t pc_ns;

/* Key and value of a log line or a task's attribute. Frozen. */
typedef struct pc_field {
  pc_str key;
  pc_str value;
} pc_field;

/* Reference counted by its first word; clone is one atomic increment. Frozen. */
typedef struct pc_waker pc_waker;
typedef struct pc_waker_vtable {
  void (*retain)(pc_waker *waker);  /* [any] */
  void (*release)(pc_waker *waker); /* [any] */
  void (*wake)(pc_waker *waker);    /* [any] keeps the reference */
} pc_waker_vtable;
struct pc_waker {
  const pc_waker_vtable *vtable;
};

/* The table of a future. `poll` returns PC_PENDING, PC_OK when it is done, or an error. */
typedef struct pc_future_vtable {
  uint32_t struct_size, revision;
  pc_status (*poll)(void *ctx, pc_waker *waker); /* [io] never again after anything but PC_PENDING */
  void (*drop)(void *ctx);                       /* [io] once, never during a poll, by the thread that would poll */
} pc_future_vtable;

/* Frozen. */
typedef struct pc_future {
  const pc_future_vtable *vtable;
  void *ctx;
} pc_future;

/* What the host gives to one plugin instance. Valid until destroy returns. */
typedef struct pc_host pc_host;
struct pc_host {
  uint32_t struct_size, abi_minor;
  void *ctx; /* the host's; identifies the instance */
  pc_str server_name, server_version;
  /* [any] A table that begins with struct_size and revision, valid for the life of the process; NULL: not offered, or
   * offered only in an older revision. Ids are pc.<name>/<generation>. */
  const void *(*get_interface)(const pc_host *host, pc_str id, uint32_t min_revision);
  /* [any] The text for the error that the plugin is about to return. Copied, cut at 1024 bytes. */
  void (*set_error)(const pc_host *host, pc_status code, pc_str message);
  /* [any] Code and text of the last error on this thread; the text is valid until the next host call on it. */
  pc_status (*last_error)(const pc_host *host, pc_str *message);
  /* [any] Closes any handle and cancels what it stands for. PC_E_HANDLE if it was closed before. */
  pc_status (*close)(const pc_host *host, pc_handle handle);
};

/* What a plugin gives to the host: static, returned by its one entry function, which is pure. */
typedef struct pc_plugin {
  uint32_t struct_size, abi_minor;
  pc_str id, version; /* must equal the manifest */
  /* [control] Checks the config and makes the instance's state. No listeners yet. `host` stays valid until destroy. */
  pc_status (*create)(const pc_host *host, pc_str instance, pc_str config_json, void **self);
  /* [control] Registers listeners and packagers, spawns tasks. */
  pc_status (*activate)(void *self);
  /* [control] Ends in an orderly way within the deadline (a duration), while the plugin's tasks still run. */
  pc_status (*deactivate)(void *self, uint64_t deadline_ns);
  /* [control] Last call; no task, thread or registration of the instance is left. */
  void (*destroy)(void *self);
  /* [any] What the plugin offers to the host beyond this table. `self` may be NULL before create. May be NULL. */
  const void *(*get_interface)(void *self, pc_str id, uint32_t min_revision);
} pc_plugin;

/* The entry symbol while the contract is v0: host and plugin must have the same PC_HEADER_HASH in the manifest. */
#define PC_ENTRY_SYMBOL "plugcast_plugin_v0"
#define PC_MANIFEST_SYMBOL "PLUGCAST_MANIFEST"
typedef const pc_plugin *(*pc_entry)(void);

/* The manifest is data, read from the file before any code of the plugin runs: this head, then `length` bytes of JSON:
 *
 *   { "id": "rtmp", "name": "RTMP", "version": "0.1.0", "vendor": "…", "licence": "MIT",
 *     "abi": {"major": 0, "minor": 1, "header_hash": PC_HEADER_HASH}, "target": "x86_64-linux-gnu",
 *     "panic": "unwind" | "abort" | "none", "requires": ["pc.net/1"], "optional": [],
 *     "provides": {"protocols": ["rtmp"], "schemes": ["rtmp"], "formats": ["rtmp"], "codecs": []},
 *     "config_schema": { … JSON Schema … }, "build": {"profile": "release"} }
 *
 * In C: PC_EXPORT const struct { pc_manifest_head head; char json[sizeof JSON]; } PLUGCAST_MANIFEST =
 *         { PC_MANIFEST_HEAD(sizeof JSON - 1), JSON };
 */
typedef struct pc_manifest_head {
  char magic[8];     /* "PLUGCAST" */
  uint32_t format;   /* 1 */
  uint32_t length;   /* of the JSON that follows, at most PC_MANIFEST_MAX */
  uint32_t crc;      /* CRC-32 (IEEE) of the JSON; 0: not computed (C has no compile time loop to do it) */
  uint32_t reserved; /* 0 */
} pc_manifest_head;
#define PC_MANIFEST_MAX 1048576u
#define PC_MANIFEST_HEAD(json_length) \
  { {'P', 'L', 'U', 'G', 'C', 'A', 'S', 'T'}, 1u, (uint32_t)(json_length), 0u, 0u }

#ifdef __cplusplus
}
#endif
#endif
