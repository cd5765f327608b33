/* The CPU's walk over the receivers of a range of the order, cell by cell. See search.c. */
#ifndef MOTE_KERNELS_NEIGHBOR_SEARCH_H
#define MOTE_KERNELS_NEIGHBOR_SEARCH_H

#include "kernels/array/array.h"
#include "kernels/neighbor/neighbor.h"

typedef struct mote_search {
  const mote_cells_state *state;
  const int32_t *start, *point_index, *query_index;
  const float *px, *py, *pz, *qx, *qy, *qz;
  double inverse_width;
  float radius2;
  int dim, table_bits, inclusive, exclude_self;
} mote_search;

mote_search mote_search_of(const mote_cells *cells, const mote_cell_order *queries, int flags);

/* Both handle the receivers at places begin..end of the order; count returns the sum of its counts. */
int64_t mote_search_count(const mote_search *search, int64_t begin, int64_t end, int32_t *counts);
void mote_search_fill(const mote_search *search, int64_t begin, int64_t end, const int32_t *row_offsets,
                      int32_t *senders, int32_t *receivers);

#endif
