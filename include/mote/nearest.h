/* Exact nearest neighbours of queries in a set of points, at any distance. */
#ifndef MOTE_NEAREST_H
#define MOTE_NEAREST_H

#include <stdint.h>

#include <mote/device.h>
#include <mote/status.h>

#ifdef __cplusplus
extern "C" {
#endif

/* For each of m queries (m, dim) the k nearest of n points (n, dim), all in host memory: indices (m, k) and
   squared distances (m, k, may be NULL), nearest first, among equals the smaller index first; -1 and infinity
   where n < k. dim 2 or 3, k 1 to 16. Distances are float32, fused as in <mote/graph.h>, and the answer is
   that of a comparison of all of them. A coordinate that is not finite is MOTE_ERROR_NUMERIC. O((n + m) log
   n). */
mote_status mote_nearest(mote_device *device, const float *points, int64_t n, const float *queries, int64_t m,
                         int dim, int k, int32_t *indices, float *distances2);

#ifdef __cplusplus
}
#endif
#endif
