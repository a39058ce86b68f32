/* pc.metrics/1: registered once, then used by id. Shown at /api/metrics as plugcast_<name>{instance="…"}. */
#ifndef PLUGCAST_METRICS_H
#define PLUGCAST_METRICS_H
#include "core.h"
#ifdef __cplusplus
extern "C" {
#endif

#define PC_METRIC_COUNTER 1u
#define PC_METRIC_GAUGE 2u
#define PC_METRIC_HISTOGRAM 3u

#define PC_METRICS_ID "pc.metrics/1"
typedef struct pc_metrics_api {
  uint32_t struct_size, revision; /* 1 */
  /* [any] `name` matches [a-z][a-z0-9_]*; `bounds` ascending, for histograms only. Registering a name again with the same
   * kind gives the same id. At most PC_METRICS_MAX an instance, then PC_E_LIMIT. */
  pc_status (*add)(const pc_host *host, uint32_t kind, pc_str name, pc_str help, const double *bounds, size_t n_bounds,
                   uint32_t *id);
  /* [any] Counter: adds value (not negative). Gauge: sets. Histogram: observes. Unknown ids are ignored. */
  void (*record)(const pc_host *host, uint32_t id, double value);
} pc_metrics_api;
#define PC_METRICS_MAX 256u

#ifdef __cplusplus
}
#endif
#endif
