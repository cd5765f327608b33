/* Graphs on points: who is within a radius of whom, exact and without a cap on the number of neighbours.

   A graph is in compressed rows by receiver: the senders of receiver i are
   senders[row_offsets[i] .. row_offsets[i+1]), in ascending order. A pair is an edge when the float32 value
   of dx*dx + dy*dy + dz*dz (fused, in that order) is below the float32 radius*radius; every device evaluates
   the same operations, and so all devices give the same graph, bit for bit, on any number of threads. */
#ifndef MOTE_GRAPH_H
#define MOTE_GRAPH_H

#include <stdint.h>

#include <mote/device.h>
#include <mote/status.h>

#ifdef __cplusplus
extern "C" {
#endif

typedef struct mote_graph mote_graph;

typedef struct mote_graph_options {
  int dim;        /* 2 or 3 */
  float radius;   /* in the unit of the positions, 1e-18 to 1e18 */
  int self_loops; /* radius graph: is a point its own neighbour? 0 or 1 */
  int inclusive;  /* 0: |x_i - x_j| < radius; 1: <= radius */
  int receivers;  /* 1: also an array that names the receiver of every edge */
} mote_graph_options;

/* An empty graph on `device`, which must outlive it. Options out of range: MOTE_ERROR_ARGUMENT. */
mote_status mote_graph_create(mote_device *device, const mote_graph_options *options, mote_graph **graph);
void mote_graph_destroy(mote_graph *graph); /* NULL is allowed */

/* Another radius for the next builds. */
mote_status mote_graph_set_radius(mote_graph *graph, float radius);

/* The radius graph of `positions` (n, dim) in host memory: senders and receivers are the points. n may be 0;
   points may coincide, cluster, and lie anywhere. A coordinate that is not finite is MOTE_ERROR_NUMERIC, more
   than 2^31-1 edges MOTE_ERROR_ARGUMENT; the graph is then empty. O(n + edges). Builds of a size that was
   built before allocate nothing. */
mote_status mote_graph_build(mote_graph *graph, const float *positions, int64_t n);

/* The points (n, dim) within the radius of each query (m, dim): senders are the points, receivers the
   queries. Both in host memory. `self_loops` plays no part. */
mote_status mote_graph_search(mote_graph *graph, const float *points, int64_t n, const float *queries,
                              int64_t m);

/* Of the last build. */
int64_t mote_graph_receiver_count(const mote_graph *graph);
int64_t mote_graph_edge_count(const mote_graph *graph);

/* Copies the last build to host memory: row_offsets (receivers + 1), senders (edges), receivers (edges); any
   of them may be NULL. Asking for receivers that the options did not ask for is MOTE_ERROR_ARGUMENT. */
mote_status mote_graph_download(mote_graph *graph, int32_t *row_offsets, int32_t *senders,
                                int32_t *receivers);

#ifdef __cplusplus
}
#endif
#endif
