/* Neighbour search among few points or for few receivers on the GPU, where launches and idle multiprocessors
   would take longer than the work. One block sorts points into cells, from their box to the table of cells; a
   warp looks for the senders of a receiver, and puts them in order when it has written them. */
#include "cuda/few.h"
#include "kernels/neighbor/gpu.h"

#define SORTING 1024 /* threads of the one block */
#define SEARCHING 128

struct order_view {
  const float *points;
  uint32_t *keys;
  int32_t *order;
  float *sorted;
  double inverse_width;
  int64_t stride;
  int32_t n, room, dim, table_bits;
};

static order_view order_of(const mote_cells *cells, const mote_cell_order *order, const float *points) {
  order_view v;
  v.points = points;
  v.keys = static_cast<uint32_t *>(order->keys.data);
  v.order = static_cast<int32_t *>(order->order.data);
  v.sorted = static_cast<float *>(order->sorted.data);
  v.inverse_width = mote_cells_inverse_width(cells->radius);
  v.stride = order->stride;
  v.n = static_cast<int32_t>(order->count);
  v.room = mote_pair_room(v.n);
  v.dim = cells->dim;
  v.table_bits = cells->table_bits;
  return v;
}

/* Sorts by buckets and gathers; leaves the sorted pairs in shared memory. *bad is shared. */
static __device__ void sort_into_cells(const order_view &v, const mote_cells_state *state,
                                       unsigned long long *pairs, int32_t *bad) {
  for (int i = static_cast<int>(threadIdx.x); i < v.room; i += SORTING) {
    if (i >= v.n) {
      pairs[i] = ~0ull; /* behind all */
      continue;
    }
    const float *point = v.points + static_cast<int64_t>(i) * v.dim;
    pairs[i] = mote_pair_of(bucket_of(state, point, i, v.dim, v.inverse_width, v.table_bits, bad), i);
  }
  mote_block_sort(pairs, v.room);
  for (int i = static_cast<int>(threadIdx.x); i < v.n; i += SORTING) {
    const int32_t from = mote_pair_index(pairs[i]);
    const float *point = v.points + static_cast<int64_t>(from) * v.dim;
    v.keys[i] = mote_pair_key(pairs[i]);
    v.order[i] = from;
    for (int a = 0; a < 3; a++) v.sorted[a * v.stride + i] = a < v.dim ? point[a] : 0;
  }
}

/* The box of the occupied cells, in shared memory, by the one block. */
static __device__ void find_box(const order_view &v, mote_cells_state *state) {
  if (threadIdx.x == 0) start_state(state, v.dim);
  __syncthreads();
  widen_box(v.points, v.n, v.dim, v.inverse_width, state);
  __syncthreads();
  if (threadIdx.x == 0) state->dense = mote_cells_fit(state, v.table_bits);
  __syncthreads();
}

static __global__ void __launch_bounds__(SORTING)
    build_few_kernel(order_view v, mote_cells_state *kept, int32_t *start) {
  MOTE_SHARED_DYNAMIC(unsigned long long, pairs);
  __shared__ mote_cells_state state;
  find_box(v, &state);
  sort_into_cells(v, &state, pairs, &state.bad_point);
  const int buckets = 1 << v.table_bits;
  for (int bucket = static_cast<int>(threadIdx.x); bucket <= buckets; bucket += SORTING)
    start[bucket] = mote_pair_from(pairs, v.n, bucket);
  if (threadIdx.x == 0) *kept = state; /* complete since the sort's barriers */
}

static __global__ void __launch_bounds__(SORTING) sort_few_kernel(order_view v, mote_cells_state *state) {
  MOTE_SHARED_DYNAMIC(unsigned long long, pairs);
  __shared__ int32_t bad;
  if (threadIdx.x == 0) bad = INT32_MAX;
  __syncthreads();
  sort_into_cells(v, state, pairs, &bad);
  if (threadIdx.x == 0) {
    state->bad_query = bad;
    state->edges = 0;
  }
}

static size_t room_of(const order_view &v) {
  return sizeof(unsigned long long) * static_cast<size_t>(v.room);
}

mote_status mote_neighbor_build_few(mote_stream *stream, mote_cells *cells, const float *points) {
  const order_view v = order_of(cells, &cells->points, points);
  return MOTE_LAUNCH(build_few_kernel, 1, SORTING, room_of(v), stream, v,
                     static_cast<mote_cells_state *>(cells->state.data),
                     static_cast<int32_t *>(cells->start.data));
}

mote_status mote_neighbor_sort_few(mote_stream *stream, mote_cells *cells, mote_cell_order *queries,
                                   const float *positions) {
  const order_view v = order_of(cells, queries, positions);
  return MOTE_LAUNCH(sort_few_kernel, 1, SORTING, room_of(v), stream, v,
                     static_cast<mote_cells_state *>(cells->state.data));
}

/* ---- Searching ---- */

/* The neighbours of the receiver at a place, a lane a candidate; `to` NULL: only counts. All lanes know how
   many. */
static __device__ int32_t visit_by_warp(const search_view &v, int64_t place, int lane, int32_t *to) {
  const float x = v.qx[place], y = v.qy[place], z = v.qz[place];
  const int32_t self = v.exclude_self ? v.query_index[place] : -1;
  int32_t begin[27], end[27], found = 0;
  const int ranges = ranges_around(v, x, y, z, begin, end);
  for (int r = 0; r < ranges; r++)
    for (int32_t first = begin[r]; first < end[r]; first += WARP) {
      const int32_t i = first + lane;
      int32_t index = self;
      bool hit = false;
      if (i < end[r]) {
        index = v.point_index[i];
        hit = index != self && mote_neighbor_hit(mote_distance2(v.px[i] - x, v.py[i] - y, v.pz[i] - z),
                                                 v.radius2, v.inclusive);
      }
      const unsigned hits = __ballot_sync(ALL_LANES, hit);
      if (to && hit) to[found + __popc(hits & ((1u << lane) - 1))] = index;
      found += __popc(hits);
    }
  return found;
}

static __global__ void count_few_kernel(search_view v, mote_cells_state *state, int32_t *counts) {
  const int64_t place = own_element() / WARP;
  const int lane = static_cast<int>(threadIdx.x) % WARP;
  if (place >= v.queries) return; /* whole warps leave */
  const int32_t found = visit_by_warp(v, place, lane, nullptr);
  if (lane) return;
  counts[v.query_index[place]] = found;
  atomicAdd(reinterpret_cast<unsigned long long *>(&state->edges), static_cast<unsigned long long>(found));
}

mote_status mote_neighbor_count_few(mote_stream *stream, mote_cells *cells, const mote_cell_order *queries,
                                    int flags, int32_t *counts) {
  return MOTE_LAUNCH(count_few_kernel, mote_grid(queries->count * WARP, SEARCHING), SEARCHING, 0, stream,
                     view_of(cells, queries, flags), static_cast<mote_cells_state *>(cells->state.data),
                     counts);
}

static __global__ void fill_few_kernel(search_view v, mote_cells_state *state, int32_t *row_offsets,
                                       int64_t capacity, int32_t *senders, int32_t *receivers) {
  const int64_t place = own_element() / WARP;
  const int lane = static_cast<int>(threadIdx.x) % WARP;
  if (place >= v.queries) return;
  const int32_t receiver = v.query_index[place];
  const bool room = fits(state, capacity);
  if (place == 0 && lane == 0) state->overflow = !room;
  if (!room) {
    if (lane == 0) row_offsets[receiver] = 0;
    if (place == 0 && lane == 0) row_offsets[v.queries] = 0;
    return;
  }
  const int32_t begin = row_offsets[receiver];
  const int32_t count = visit_by_warp(v, place, lane, senders + begin);
  if (receivers)
    for (int32_t i = lane; i < count; i += WARP) receivers[begin + i] = receiver;
  __syncwarp();
  if (count > WARP) {
    sort_in_memory(senders + begin, count, lane);
    return;
  }
  const int32_t value = sort_lanes(lane < count ? senders[begin + lane] : INT32_MAX, lane);
  if (lane < count) senders[begin + lane] = value;
}

mote_status mote_neighbor_fill_few(mote_stream *stream, mote_cells *cells, const mote_cell_order *queries,
                                   int flags, int32_t *row_offsets, int64_t capacity, int32_t *senders,
                                   int32_t *receivers) {
  return MOTE_LAUNCH(fill_few_kernel, mote_grid(queries->count * WARP, SEARCHING), SEARCHING, 0, stream,
                     view_of(cells, queries, flags), static_cast<mote_cells_state *>(cells->state.data),
                     row_offsets, capacity, senders, receivers);
}
