/* Neighbour search on the GPU. A thread a receiver, in the order of the cells, so that the threads of a warp
   read the same candidates; then a warp a row puts the senders in ascending order by a bitonic network. All
   that the host would want to know (bounds, number of edges, overflow) stays in the state on the device. Few
   points or receivers have kernels of their own (few.cu). */
#include "cuda/few.h"
#include "kernels/neighbor/gpu.h"

#include "kernels/array/array.h"

#define BLOCK 256
#define REDUCING_BLOCKS 256

/* ---- Sorting into cells ---- */

static __global__ void start_state_kernel(mote_cells_state *state, int dim) {
  start_state(state, dim);
}

static __global__ void box_kernel(const float *points, int64_t n, int dim, double inverse_width,
                                  mote_cells_state *state) {
  widen_box(points, n, dim, inverse_width, state);
}

static __global__ void decide_kernel(mote_cells_state *state, int table_bits) {
  state->dense = mote_cells_fit(state, table_bits);
}

static __global__ void keys_kernel(const float *points, int64_t n, int dim, double inverse_width,
                                   int table_bits, const mote_cells_state *state, int32_t *bad,
                                   uint32_t *keys, int32_t *order) {
  int64_t i = own_element();
  if (i >= n) return;
  keys[i] = bucket_of(state, points + i * dim, static_cast<int32_t>(i), dim, inverse_width, table_bits, bad);
  order[i] = static_cast<int32_t>(i);
}

static __global__ void gather_kernel(const float *points, const int32_t *order, int64_t n, int64_t stride,
                                     int dim, float *sorted) {
  int64_t i = own_element();
  if (i >= n) return;
  const float *p = points + static_cast<int64_t>(order[i]) * dim;
  sorted[i] = p[0];
  sorted[stride + i] = p[1];
  sorted[2 * stride + i] = dim == 3 ? p[2] : 0.f;
}

/* start[b] = the first place with a key of at least b. */
static __global__ void starts_kernel(const uint32_t *keys, int64_t n, int table_bits, int32_t *start) {
  int64_t bucket = own_element();
  if (bucket > static_cast<int64_t>(1) << table_bits) return;
  start[bucket] = mote_key_from(keys, n, bucket);
}

static mote_status sort_order(mote_stream *stream, mote_cells *cells, mote_cell_order *order,
                              const float *points, int32_t *bad) {
  int64_t n = order->count;
  auto *state = static_cast<const mote_cells_state *>(cells->state.data);
  auto *keys = static_cast<uint32_t *>(order->keys.data);
  auto *index = static_cast<int32_t *>(order->order.data);
  MOTE_TRY(MOTE_LAUNCH(keys_kernel, mote_grid(n, BLOCK), BLOCK, 0, stream, points, n, cells->dim,
                       mote_cells_inverse_width(cells->radius), cells->table_bits, state, bad, keys, index));
  MOTE_TRY(stream->device->array->sort_pairs_u32(stream, keys, index, n, cells->table_bits, &cells->scratch));
  return MOTE_LAUNCH(gather_kernel, mote_grid(n, BLOCK), BLOCK, 0, stream, points, index, n, order->stride,
                     cells->dim, static_cast<float *>(order->sorted.data));
}

static mote_status build(mote_stream *stream, mote_cells *cells, const float *points) {
  if (mote_neighbor_is_few(cells, &cells->points)) return mote_neighbor_build_few(stream, cells, points);
  int64_t n = cells->points.count, buckets = static_cast<int64_t>(1) << cells->table_bits;
  auto *state = static_cast<mote_cells_state *>(cells->state.data);
  unsigned blocks = mote_grid(n, BLOCK);
  MOTE_TRY(MOTE_LAUNCH(start_state_kernel, 1, 1, 0, stream, state, cells->dim));
  MOTE_TRY(MOTE_LAUNCH(box_kernel, blocks < REDUCING_BLOCKS ? blocks : REDUCING_BLOCKS, BLOCK, 0, stream,
                       points, n, cells->dim, mote_cells_inverse_width(cells->radius), state));
  MOTE_TRY(MOTE_LAUNCH(decide_kernel, 1, 1, 0, stream, state, cells->table_bits));
  MOTE_TRY(sort_order(stream, cells, &cells->points, points, &state->bad_point));
  return MOTE_LAUNCH(starts_kernel, mote_grid(buckets + 1, BLOCK), BLOCK, 0, stream,
                     static_cast<const uint32_t *>(cells->points.keys.data), n, cells->table_bits,
                     static_cast<int32_t *>(cells->start.data));
}

static __global__ void start_queries_kernel(mote_cells_state *state) {
  state->bad_query = INT32_MAX;
  state->edges = 0;
}

static mote_status sort_queries(mote_stream *stream, mote_cells *cells, mote_cell_order *queries,
                                const float *positions) {
  auto *state = static_cast<mote_cells_state *>(cells->state.data);
  if (mote_neighbor_is_few(cells, queries)) return mote_neighbor_sort_few(stream, cells, queries, positions);
  MOTE_TRY(MOTE_LAUNCH(start_queries_kernel, 1, 1, 0, stream, state));
  return sort_order(stream, cells, queries, positions, &state->bad_query);
}

/* ---- Searching them ---- */

/* Visits the neighbours of the receiver at a place; `to` NULL: only counts. */
static __device__ int32_t visit(const search_view &v, int64_t place, int32_t *to) {
  float x = v.qx[place], y = v.qy[place], z = v.qz[place];
  int32_t self = v.exclude_self ? v.query_index[place] : -1;
  int32_t begin[27], end[27], found = 0;
  int ranges = ranges_around(v, x, y, z, begin, end);
  for (int r = 0; r < ranges; r++)
    for (int32_t i = begin[r]; i < end[r]; i++) {
      if (!mote_neighbor_hit(mote_distance2(v.px[i] - x, v.py[i] - y, v.pz[i] - z), v.radius2, v.inclusive))
        continue;
      int32_t index = v.point_index[i];
      if (index == self) continue;
      if (to) to[found] = index;
      found++;
    }
  return found;
}

static __global__ void count_kernel(search_view v, mote_cells_state *state, int32_t *counts) {
  int64_t place = own_element();
  int32_t found = 0;
  if (place < v.queries) {
    found = visit(v, place, nullptr);
    counts[v.query_index[place]] = found;
  }
  unsigned long long sum = static_cast<unsigned long long>(found);
  for (int step = WARP / 2; step; step /= 2) sum += __shfl_down_sync(ALL_LANES, sum, step);
  if (threadIdx.x % WARP == 0) atomicAdd(reinterpret_cast<unsigned long long *>(&state->edges), sum);
}

static mote_status count(mote_stream *stream, mote_cells *cells, const mote_cell_order *queries, int flags,
                         int32_t *counts) {
  auto *state = static_cast<mote_cells_state *>(cells->state.data);
  if (mote_neighbor_is_few(cells, queries))
    return mote_neighbor_count_few(stream, cells, queries, flags, counts);
  return MOTE_LAUNCH(count_kernel, mote_grid(queries->count, BLOCK), BLOCK, 0, stream,
                     view_of(cells, queries, flags), state, counts);
}

static __global__ void fill_kernel(search_view v, mote_cells_state *state, int32_t *row_offsets,
                                   int64_t capacity, int32_t *senders) {
  int64_t place = own_element();
  if (place >= v.queries) return;
  bool room = fits(state, capacity);
  int32_t *row_offset = row_offsets + v.query_index[place];
  if (place == 0) state->overflow = !room;
  if (room) {
    visit(v, place, senders + *row_offset);
    return;
  }
  *row_offset = 0;
  if (place == 0) row_offsets[v.queries] = 0;
}

static __global__ void sort_rows_kernel(const mote_cells_state *state, const int32_t *row_offsets,
                                        int64_t rows, int64_t capacity, int32_t *senders,
                                        int32_t *receivers) {
  int64_t row = own_element() / WARP;
  int lane = static_cast<int>(threadIdx.x) % WARP;
  if (row >= rows || !fits(state, capacity)) return; /* whole warps leave */
  int32_t begin = row_offsets[row], count = row_offsets[row + 1] - begin;
  if (receivers)
    for (int32_t i = lane; i < count; i += WARP) receivers[begin + i] = static_cast<int32_t>(row);
  if (count > WARP) {
    sort_in_memory(senders + begin, count, lane);
    return;
  }
  int32_t value = sort_lanes(lane < count ? senders[begin + lane] : INT32_MAX, lane);
  if (lane < count) senders[begin + lane] = value;
}

static mote_status fill(mote_stream *stream, mote_cells *cells, const mote_cell_order *queries, int flags,
                        int32_t *row_offsets, int64_t capacity, int32_t *senders, int32_t *receivers) {
  auto *state = static_cast<mote_cells_state *>(cells->state.data);
  int64_t m = queries->count;
  if (mote_neighbor_is_few(cells, queries))
    return mote_neighbor_fill_few(stream, cells, queries, flags, row_offsets, capacity, senders, receivers);
  MOTE_TRY(MOTE_LAUNCH(fill_kernel, mote_grid(m, BLOCK), BLOCK, 0, stream, view_of(cells, queries, flags),
                       state, row_offsets, capacity, senders));
  return MOTE_LAUNCH(sort_rows_kernel, mote_grid(m * WARP, BLOCK), BLOCK, 0, stream,
                     static_cast<const mote_cells_state *>(state), static_cast<const int32_t *>(row_offsets),
                     m, capacity, senders, receivers);
}

extern "C" const struct mote_neighbor_kernels mote_neighbor_gpu = {build, sort_queries, count, fill};
