/* Neighbour search on the CPU: sorting into cells here, the search of the cells in search.h.
   The trick: receivers are visited cell by cell; the candidates around a cell are laid out once as aligned
   arrays of x, y, z, and each receiver of the cell goes through them with full vectors. */
#include "kernels/neighbor/search.h"

#define CHUNK 16384
#define RECEIVERS_PER_TASK 1024

/* ---- Sorting into cells ---- */

typedef struct cell_box {
  int32_t low[3], high[3], bad;
} cell_box;

static cell_box cells_box(const float *points, int64_t begin, int64_t end, int dim, double inverse) {
  cell_box box = {{INT32_MAX, INT32_MAX, INT32_MAX}, {INT32_MIN, INT32_MIN, INT32_MIN}, INT32_MAX};
  int32_t low[3] = {INT32_MAX, INT32_MAX, 0}, high[3] = {INT32_MIN, INT32_MIN, 0};
  int finite = 1;
  if (dim == 3) low[2] = INT32_MAX, high[2] = INT32_MIN;
  for (int a = 0; a < dim; a++) {
    int32_t l = low[a], h = high[a];
    for (int64_t i = begin; i < end; i++) {
      float x = points[i * dim + a];
      int32_t c = mote_cell_coordinate(x, inverse);
      l = c < l ? c : l;
      h = c > h ? c : h;
      finite &= mote_is_finite_bits(x);
    }
    low[a] = l, high[a] = h;
  }
  memcpy(box.low, low, sizeof low);
  memcpy(box.high, high, sizeof high);
  for (int64_t i = begin * dim; !finite && i < end * dim; i++)
    if (!mote_is_finite_bits(points[i])) {
      box.bad = (int32_t)(i / dim);
      break;
    }
  return box;
}

static void set_box(mote_stream *stream, mote_cells *cells, const float *points) {
  mote_cells_state *state = cells->state.data;
  int64_t n = cells->points.count;
  int dim = cells->dim;
  double inverse = mote_cells_inverse_width(cells->radius);
  int32_t lx = INT32_MAX, ly = lx, lz = lx, hx = INT32_MIN, hy = hx, hz = hx, bad = INT32_MAX;
#pragma omp parallel for num_threads(mote_stream_threads(stream)) reduction(min                              \
                                                                            : lx, ly, lz, bad)               \
    reduction(max                                                                                            \
              : hx, hy, hz) if (n > CHUNK)
  for (int64_t c = 0; c < n; c += CHUNK) {
    cell_box box = cells_box(points, c, c + CHUNK < n ? c + CHUNK : n, dim, inverse);
    lx = box.low[0] < lx ? box.low[0] : lx, hx = box.high[0] > hx ? box.high[0] : hx;
    ly = box.low[1] < ly ? box.low[1] : ly, hy = box.high[1] > hy ? box.high[1] : hy;
    lz = box.low[2] < lz ? box.low[2] : lz, hz = box.high[2] > hz ? box.high[2] : hz;
    bad = box.bad < bad ? box.bad : bad;
  }
  *state = (mote_cells_state){.low = {lx, ly, lz}, .high = {hx, hy, hz}, .bad_point = bad};
  state->bad_query = INT32_MAX;
  state->dense = mote_cells_fit(state, cells->table_bits);
}

static int bits_below(uint64_t bound) {
  int bits = 0;
  while (bits < 32 && (uint64_t)1 << bits < bound) bits++;
  return bits;
}

/* Number of buckets in use: those of the box, or the whole table. */
static uint32_t bucket_count(const mote_cells *cells) {
  const mote_cells_state *s = cells->state.data;
  if (!s->dense) return 1u << cells->table_bits;
  return (uint32_t)(mote_cells_size(s, 0) * mote_cells_size(s, 1) * mote_cells_size(s, 2));
}

static mote_status sort_order(mote_stream *stream, mote_cells *cells, mote_cell_order *order,
                              const float *points, int32_t *first_bad) {
  const mote_cells_state *state = cells->state.data;
  int64_t n = order->count, stride = order->stride;
  int dim = cells->dim, threads = mote_stream_threads(stream);
  double inverse = mote_cells_inverse_width(cells->radius);
  uint32_t *keys = order->keys.data;
  int32_t *index = order->order.data, bad = INT32_MAX;
#pragma omp parallel for num_threads(threads) reduction(min : bad) if (n > CHUNK)
  for (int64_t i = 0; i < n; i++) {
    int32_t cell[3] = {0, 0, 0};
    int finite = 1;
    for (int a = 0; a < dim; a++) {
      cell[a] = mote_cells_locate(state, a, points[i * dim + a], inverse);
      finite &= mote_is_finite_bits(points[i * dim + a]);
    }
    keys[i] = mote_cells_bucket(state, cells->table_bits, cell);
    index[i] = (int32_t)i;
    if (!finite && i < bad) bad = (int32_t)i;
  }
  *first_bad = bad;
  MOTE_TRY(stream->device->array->sort_pairs_u32(stream, keys, index, n, bits_below(bucket_count(cells)),
                                                 &cells->scratch));
  float *x = order->sorted.data, *y = x + stride, *z = y + stride;
#pragma omp parallel for num_threads(threads) if (n > CHUNK)
  for (int64_t i = 0; i < n; i++) {
    const float *p = points + (int64_t)index[i] * dim;
    x[i] = p[0];
    y[i] = p[1];
    z[i] = dim == 3 ? p[2] : 0;
  }
  return MOTE_OK;
}

/* start[b] = the first place with a key of at least b. */
static void find_starts(mote_stream *stream, mote_cells *cells) {
  const uint32_t *keys = cells->points.keys.data;
  int64_t n = cells->points.count, buckets = bucket_count(cells);
  int32_t *start = cells->start.data;
#pragma omp parallel for num_threads(mote_stream_threads(stream)) if (n > CHUNK)
  for (int64_t c = 0; c <= n; c += CHUNK) {
    int64_t stop = c + CHUNK < n + 1 ? c + CHUNK : n + 1;
    for (int64_t i = c; i < stop; i++) {
      int64_t from = i ? (int64_t)keys[i - 1] + 1 : 0, to = i < n ? (int64_t)keys[i] : buckets;
      for (int64_t b = from; b <= to; b++) start[b] = (int32_t)i;
    }
  }
}

static mote_status build(mote_stream *stream, mote_cells *cells, const float *points) {
  int32_t bad;
  set_box(stream, cells, points);
  MOTE_TRY(sort_order(stream, cells, &cells->points, points, &bad));
  find_starts(stream, cells);
  return MOTE_OK;
}

static mote_status sort_queries(mote_stream *stream, mote_cells *cells, mote_cell_order *queries,
                                const float *positions) {
  mote_cells_state *state = cells->state.data;
  return sort_order(stream, cells, queries, positions, &state->bad_query);
}

/* ---- Searching them ---- */

static mote_status count(mote_stream *stream, mote_cells *cells, const mote_cell_order *queries, int flags,
                         int32_t *counts) {
  mote_cells_state *state = cells->state.data;
  int64_t m = queries->count, total = 0;
  mote_search search = mote_search_of(cells, queries, flags);
#pragma omp parallel for num_threads(mote_stream_threads(stream)) schedule(dynamic) reduction(+ : total)     \
    if (m > RECEIVERS_PER_TASK)
  for (int64_t begin = 0; begin < m; begin += RECEIVERS_PER_TASK) {
    int64_t end = begin + RECEIVERS_PER_TASK < m ? begin + RECEIVERS_PER_TASK : m;
    total += mote_search_count(&search, begin, end, counts);
  }
  state->edges = (uint64_t)total;
  return MOTE_OK;
}

static mote_status fill(mote_stream *stream, mote_cells *cells, const mote_cell_order *queries, int flags,
                        int32_t *row_offsets, int64_t capacity, int32_t *senders, int32_t *receivers) {
  mote_cells_state *state = cells->state.data;
  int64_t m = queries->count;
  state->overflow = state->edges > (uint64_t)capacity;
  if (state->overflow) return stream->device->array->fill_i32(stream, row_offsets, 0, m + 1);
  mote_search search = mote_search_of(cells, queries, flags);
#pragma omp parallel for num_threads(mote_stream_threads(stream))                                            \
    schedule(dynamic) if (m > RECEIVERS_PER_TASK)
  for (int64_t begin = 0; begin < m; begin += RECEIVERS_PER_TASK) {
    int64_t end = begin + RECEIVERS_PER_TASK < m ? begin + RECEIVERS_PER_TASK : m;
    mote_search_fill(&search, begin, end, row_offsets, senders, receivers);
  }
  return MOTE_OK;
}

const struct mote_neighbor_kernels mote_neighbor_cpu = {
    .build = build,
    .sort_queries = sort_queries,
    .count = count,
    .fill = fill,
};
