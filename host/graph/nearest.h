/* Nearest neighbours for library code: points on the device, buffers kept from call to call. */
#ifndef MOTE_GRAPH_NEAREST_H
#define MOTE_GRAPH_NEAREST_H

#include <mote/nearest.h>

#include "kernels/nearest/nearest.h"

#ifdef __cplusplus
extern "C" {
#endif

/* All zero is a valid one. */
typedef struct mote_nearest_search {
  mote_nearest_tree tree;
  mote_buffer points, queries, indices, distances2; /* of the calls that take host memory */
} mote_nearest_search;

/* As mote_nearest(), on device memory; waits, because it reports bad coordinates. */
mote_status mote_nearest_search_on(mote_nearest_search *search, mote_stream *stream, const float *points,
                                   int64_t n, const float *queries, int64_t m, int dim, int k,
                                   int32_t *indices, float *distances2);
void mote_nearest_search_free(mote_nearest_search *search);

#ifdef __cplusplus
}
#endif
#endif
