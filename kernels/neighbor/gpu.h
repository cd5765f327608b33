/* What the searches of many and of few receivers share on the GPU. */
#ifndef MOTE_KERNELS_NEIGHBOR_GPU_H
#define MOTE_KERNELS_NEIGHBOR_GPU_H

#include "cuda/launch.h"
#include "kernels/neighbor/neighbor.h"

#define WARP 32
#define ALL_LANES 0xffffffffu

static __device__ inline int64_t own_element() {
  return static_cast<int64_t>(blockIdx.x) * blockDim.x + threadIdx.x;
}

/* Of nothing yet. */
static __device__ inline void start_state(mote_cells_state *state, int dim) {
  for (int a = 0; a < 3; a++) {
    state->low[a] = a < dim ? INT32_MAX : 0;
    state->high[a] = a < dim ? INT32_MIN : 0;
  }
  state->bad_point = state->bad_query = INT32_MAX;
  state->overflow = 0;
  state->edges = 0;
  state->dense = 0;
}

/* The state's box takes up points, of which each thread of the grid takes some. Every thread of every warp
   takes part in the reduction, with or without points. */
static __device__ inline void widen_box(const float *points, int64_t n, int dim, double inverse_width,
                                        mote_cells_state *state) {
  for (int a = 0; a < dim; a++) {
    int32_t low = INT32_MAX, high = INT32_MIN;
    for (int64_t i = own_element(); i < n; i += static_cast<int64_t>(gridDim.x) * blockDim.x) {
      const int32_t c = mote_cell_coordinate(points[i * dim + a], inverse_width);
      low = min(low, c);
      high = max(high, c);
    }
    low = __reduce_min_sync(ALL_LANES, low);
    high = __reduce_max_sync(ALL_LANES, high);
    if (threadIdx.x % WARP == 0) {
      atomicMin(&state->low[a], low);
      atomicMax(&state->high[a], high);
    }
  }
}

/* Of point i; where it is not finite, *bad becomes i if that is less. */
static __device__ inline uint32_t bucket_of(const mote_cells_state *state, const float *point, int32_t i,
                                            int dim, double inverse_width, int table_bits, int32_t *bad) {
  int32_t cell[3] = {0, 0, 0};
  bool finite = true;
  for (int a = 0; a < dim; a++) {
    cell[a] = mote_cells_locate(state, a, point[a], inverse_width);
    finite = finite && mote_is_finite_bits(point[a]);
  }
  if (!finite) atomicMin(bad, i);
  return mote_cells_bucket(state, table_bits, cell);
}

/* A search as its kernels see it. */
struct search_view {
  const mote_cells_state *state;
  const int32_t *start, *point_index, *query_index;
  const float *px, *py, *pz, *qx, *qy, *qz;
  double inverse_width;
  float radius2;
  int32_t dim, table_bits, inclusive, exclude_self, queries; /* no padding: its bytes are an argument */
};

static inline search_view view_of(const mote_cells *cells, const mote_cell_order *queries, int flags) {
  search_view v;
  v.state = static_cast<const mote_cells_state *>(cells->state.data);
  v.start = static_cast<const int32_t *>(cells->start.data);
  v.point_index = static_cast<const int32_t *>(cells->points.order.data);
  v.query_index = static_cast<const int32_t *>(queries->order.data);
  v.px = static_cast<const float *>(cells->points.sorted.data);
  v.py = v.px + cells->points.stride;
  v.pz = v.py + cells->points.stride;
  v.qx = static_cast<const float *>(queries->sorted.data);
  v.qy = v.qx + queries->stride;
  v.qz = v.qy + queries->stride;
  v.inverse_width = mote_cells_inverse_width(cells->radius);
  v.radius2 = cells->radius * cells->radius;
  v.dim = cells->dim;
  v.table_bits = cells->table_bits;
  v.inclusive = !!(flags & MOTE_NEIGHBOR_INCLUSIVE);
  v.exclude_self = !!(flags & MOTE_NEIGHBOR_EXCLUDE_SELF);
  v.queries = static_cast<int32_t>(queries->count);
  return v;
}

/* The ranges of candidates around a receiver at (x, y, z), and how many there are. */
static __device__ inline int ranges_around(const search_view &v, float x, float y, float z, int32_t begin[27],
                                           int32_t end[27]) {
  const int32_t cell[3] = {mote_cells_locate(v.state, 0, x, v.inverse_width),
                           mote_cells_locate(v.state, 1, y, v.inverse_width),
                           v.dim == 3 ? mote_cells_locate(v.state, 2, z, v.inverse_width) : 0};
  return mote_cells_around(v.state, v.table_bits, v.dim, v.start, cell, 1, begin, end);
}

static __device__ inline bool fits(const mote_cells_state *state, int64_t capacity) {
  return state->edges <= static_cast<uint64_t>(capacity);
}

/* One lane a sender: 15 steps of the network by shuffles. */
static __device__ inline int32_t sort_lanes(int32_t value, int lane) {
  for (int width = 2; width <= WARP; width *= 2)
    for (int distance = width / 2; distance; distance /= 2) {
      /* The first step of a width mirrors, so that all comparisons ascend. */
      int partner = distance == width / 2 ? lane ^ (width - 1) : lane ^ distance;
      int32_t other = __shfl_sync(ALL_LANES, value, partner);
      value = lane < partner ? (other < value ? other : value) : (other > value ? other : value);
    }
  return value;
}

/* The same network in memory. A partner past the end stands for infinity, which stays where it is. */
static __device__ inline void sort_in_memory(int32_t *row, int64_t count, int lane) {
  for (int64_t width = 2; width < 2 * count; width *= 2)
    for (int64_t distance = width / 2; distance; distance /= 2) {
      for (int64_t pair = lane; pair < (count + width) / 2; pair += WARP) {
        int64_t low = pair / distance * 2 * distance + pair % distance;
        int64_t high =
            distance == width / 2 ? (low / width * width) + width - 1 - low % width : low + distance;
        if (high >= count) continue;
        int32_t a = row[low], b = row[high];
        if (a > b) {
          row[low] = b;
          row[high] = a;
        }
      }
      __syncwarp();
    }
}

/* Of few points, queries and receivers (few.cu). */
#define MOTE_NEIGHBOR_FEW 4096
static inline bool mote_neighbor_is_few(const mote_cells *cells, const mote_cell_order *order) {
  return order->count <= MOTE_NEIGHBOR_FEW && !cells->takes_many;
}
mote_status mote_neighbor_build_few(mote_stream *stream, mote_cells *cells, const float *points);
mote_status mote_neighbor_sort_few(mote_stream *stream, mote_cells *cells, mote_cell_order *queries,
                                   const float *positions);
mote_status mote_neighbor_count_few(mote_stream *stream, mote_cells *cells, const mote_cell_order *queries,
                                    int flags, int32_t *counts);
mote_status mote_neighbor_fill_few(mote_stream *stream, mote_cells *cells, const mote_cell_order *queries,
                                   int flags, int32_t *row_offsets, int64_t capacity, int32_t *senders,
                                   int32_t *receivers);

#endif
