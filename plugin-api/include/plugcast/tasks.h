/* pc.tasks/1: the task tree as the operator sees it. Everything that runs is a task: server, instance, listener, session. */
#ifndef PLUGCAST_TASKS_H
#define PLUGCAST_TASKS_H
#include "core.h"
#ifdef __cplusplus
extern "C" {
#endif

/* When an attempt ends with an error. All 0: never retried. */
typedef struct pc_retry {
  uint32_t struct_size;
  uint32_t count;       /* retries; UINT32_MAX: endless */
  pc_ns interval;       /* before the first retry; each further wait doubles, with ±20 % jitter */
  pc_ns interval_max;   /* where the doubling stops; 0: no doubling */
  pc_ns steady;         /* an attempt that ran this long resets the counter; 0: never */
} pc_retry;

/* Makes the attempts of a task that can be retried. */
typedef struct pc_task_vtable {
  uint32_t struct_size, revision;
  /* [io] A new attempt. An error counts as a failed attempt. The attempt's end is its future's end; its clean-up is the
   * future's drop, which comes before the next attempt. */
  pc_status (*attempt)(void *ctx, pc_future *future);
  void (*drop)(void *ctx);
} pc_task_vtable;

#define PC_TASKS_ID "pc.tasks/1"
typedef struct pc_tasks_api {
  uint32_t struct_size, revision; /* 1 */
  /* [any] A job: a task that only has children. It stays until closed; closing it stops the children first. */
  pc_status (*job)(const pc_host *host, pc_handle parent, pc_str kind, pc_str name, pc_handle *job);
  /* [any] A task with attempts. `name` is unique among the parent's children if not empty, else PC_E_CONFLICT. */
  pc_status (*run)(const pc_host *host, pc_handle parent, pc_str kind, pc_str name, const pc_retry *retry,
                   const pc_task_vtable *vtable, void *ctx, pc_handle *task);
  /* [any] Sets attributes, by key, at most 32 a task. Task 0: the one being polled on this thread. */
  pc_status (*describe)(const pc_host *host, pc_handle task, const pc_field *fields, size_t n);
  /* [any] Done of total, in any unit; total 0: unknown. Task 0: the one being polled on this thread. */
  pc_status (*progress)(const pc_host *host, pc_handle task, uint64_t done, uint64_t total);
} pc_tasks_api;

#ifdef __cplusplus
}
#endif
#endif
