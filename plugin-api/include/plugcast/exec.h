/* pc.exec/1: futures as tasks, threads, timers. Plugins bring no runtime: the host polls their futures on its workers. */
#ifndef PLUGCAST_EXEC_H
#define PLUGCAST_EXEC_H
#include "core.h"
#ifdef __cplusplus
extern "C" {
#endif

/* Runs on a thread of its own or of the blocking pool. */
typedef struct pc_thread_vtable {
  uint32_t struct_size, revision;
  pc_status (*run)(void *ctx);
  void (*drop)(void *ctx); /* once, also when run was never called */
} pc_thread_vtable;

#define PC_EXEC_ID "pc.exec/1"
typedef struct pc_exec_api {
  uint32_t struct_size, revision; /* 1 */
  /* [any] Nanoseconds of the host's monotonic clock. */
  pc_ns (*now)(const pc_host *host);
  /* [any] Runs `future` as a task under `parent` (a task or job handle; 0: the instance). The future is taken: it is
   * dropped also when this fails. `kind` is a short word for the task list (session, listener), `name` tells this one from
   * others (a peer's address). With `task` NULL the parent alone owns it; else close(*task) cancels it. */
  pc_status (*spawn)(const pc_host *host, pc_handle parent, pc_str kind, pc_str name, pc_future future, pc_handle *task);
  /* [any] PC_OK when the task has ended well, PC_PENDING before, its error otherwise. */
  pc_status (*poll_task)(const pc_host *host, pc_handle task, pc_waker *waker);
  /* [any] A thread of the plugin's own, named, joined before destroy: `run` must return soon after park or any host call
   * gives PC_E_CANCELLED. At most PC_THREADS_MAX an instance, then PC_E_LIMIT. */
  pc_status (*thread)(const pc_host *host, pc_str name, const pc_thread_vtable *vtable, void *ctx, pc_handle *thread);
  /* [any] The same on the blocking pool, for work that ends. */
  pc_status (*blocking)(const pc_host *host, pc_str name, const pc_thread_vtable *vtable, void *ctx, pc_handle *task);
  /* [any] On a thread from `thread` or `blocking`: its waker (lent until the thread ends), to call poll functions with. NULL on
   * any other thread. */
  pc_waker *(*thread_waker)(const pc_host *host);
  /* [any] On such a thread: sleeps until its waker is woken (PC_OK), the deadline has passed (PC_E_TIMEOUT), or the instance
   * stops (PC_E_CANCELLED). May return PC_OK for no reason. Deadline 0: none. */
  pc_status (*park)(const pc_host *host, pc_ns deadline);
  /* [any] A timer, not yet set. */
  pc_status (*timer)(const pc_host *host, pc_handle *timer);
  /* [any] PC_OK once `deadline` has passed. A new deadline replaces the old one; one poll at a time. */
  pc_status (*poll_timer)(const pc_host *host, pc_handle timer, pc_ns deadline, pc_waker *waker);
} pc_exec_api;
#define PC_THREADS_MAX 64u

/* The blocking twin of any poll function, on a thread from `thread` or `blocking`:
 *   pc_status s; PC_BLOCK_ON(s, host, exec, streams->poll_publish(host, publisher, exec->thread_waker(host))); */
#define PC_BLOCK_ON(status, host, exec, call)                                                \
  do {                                                                                       \
    while (((status) = (call)) == PC_PENDING && ((status) = (exec)->park((host), 0)) == PC_OK) { \
    }                                                                                        \
  } while (0)

#ifdef __cplusplus
}
#endif
#endif
