/* Graphs for library code: points already on the device, and steps that never wait for the host. */
#ifndef MOTE_GRAPH_GRAPH_H
#define MOTE_GRAPH_GRAPH_H

#include <mote/graph.h>

#include "host/core/device.h"

#ifdef __cplusplus
extern "C" {
#endif

/* Builds and waits: knows the number of edges, grows what is too small, reports every error. `queries` NULL:
   the radius graph of the points, m is ignored. Points (n, dim) and queries (m, dim) are device memory. Where
   there are queries, points may be NULL: the n points of the build before, which are not sorted again. */
mote_status mote_graph_build_on(mote_graph *graph, mote_stream *stream, const float *points, int64_t n,
                                const float *queries, int64_t m);

/* The same inside a step: neither waits nor allocates once mote_graph_build_on() has planned for these sizes
   (it leaves room for a quarter more edges than it found). When the edges do not fit, or a coordinate is not
   finite, the device notes it; too many edges leave every row empty. mote_graph_check() tells. */
mote_status mote_graph_enqueue(mote_graph *graph, mote_stream *stream, const float *points, int64_t n,
                               const float *queries, int64_t m);

/* Waits for the last enqueue and reports what went wrong in it. MOTE_ERROR_MEMORY: the edges did not fit;
   mote_graph_build_on() on the same points plans anew. */
mote_status mote_graph_check(mote_graph *graph, mote_stream *stream);

/* Device pointers of the last build; valid until a build that grows. receivers is NULL unless asked for. */
typedef struct mote_graph_arrays {
  int64_t receiver_count;
  int64_t edge_capacity; /* entries that senders and receivers have; row_offsets[receiver_count] are used */
  const int32_t *row_offsets, *senders, *receivers;
} mote_graph_arrays;
mote_graph_arrays mote_graph_arrays_of(const mote_graph *graph);

/* GPUs have kernels of their own for few points (kernels/neighbor/few.cu). For tests: those of many, however
   few there are. */
void mote_graph_take_many(mote_graph *graph, int many);

/* Device memory: not 0 when the edges of the last enqueue did not fit. Valid until a build of another size.
 */
const int32_t *mote_graph_overflow(const mote_graph *graph);

#ifdef __cplusplus
}
#endif
#endif
