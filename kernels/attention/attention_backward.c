/* The reverse of linear attention on the CPU. With k = softmax(key) of one row and head, C = context,

     summarize:  d_value += w k dC,  dk = w (dC v + ds),  d_key += k (dk - k . dk)
     attend, u = C g, g = d_out, N = q . s:  dN = -(q . u) / N^2,  dq = g + u / N + s dN,
                 d_query += q (dq - q . dq),  dC += q^T g / N,  ds += q dN

   The trick: q C, the numerator of the forward pass, is only needed times g, and (q C) . g = q . (C g): one
   product with the context does for both. A task is a few chunks, whose rows stay in the cache
   while one head after the other reads them; tiles have rows of whole vectors, zeros behind the width.
 */
#include "kernels/attention/cpu.h"

#include <string.h>

#define ROWS MOTE_ATTENTION_CHUNK
#define BLOCK_ROWS 4 /* of the microkernel */
#define WIDEST (MOTE_HEAD_WIDEST + MOTE_LANES)

typedef float tile[ROWS * WIDEST] __attribute__((aligned(64)));
typedef float square[WIDEST * WIDEST] __attribute__((aligned(64)));

/* Floats from row to row of a tile. Rows of a power of two would meet in the same few sets of the cache. */
static int pitch_of(int width) {
  int span = mote_head_span(width);
  return span > 32 ? span + MOTE_LANES : span;
}

/* Rows [i, i + 4), `vectors` columns from j of a b; a(i, k) = a[i row_step + k inner_step]. */
MOTE_VECTOR void block(int vectors, int inner, const float *a, int row_step, int inner_step, const float *b,
                       int pitch, float *out) {
  mote_v sum[BLOCK_ROWS][3];
  for (int i = 0; i < BLOCK_ROWS; i++)
    for (int v = 0; v < vectors; v++) sum[i][v] = mote_v_set(0);
  for (int k = 0; k < inner; k++) {
    mote_v x[3];
    for (int v = 0; v < vectors; v++) x[v] = mote_v_load(b + k * pitch + v * MOTE_LANES);
    for (int i = 0; i < BLOCK_ROWS; i++) {
      mote_v y = mote_v_set(a[i * row_step + k * inner_step]);
      for (int v = 0; v < vectors; v++) sum[i][v] += y * x[v];
    }
  }
  for (int i = 0; i < BLOCK_ROWS; i++)
    for (int v = 0; v < vectors; v++) mote_v_store(out + i * pitch + v * MOTE_LANES, sum[i][v]);
}

/* out = a b over the span of the width; rows are rounded up to whole blocks. Sums run along `inner`. */
MOTE_VECTOR void product(int rows, int inner, int width, const float *a, int row_step, int inner_step,
                         const float *b, float *out) {
  const int pitch = pitch_of(width), span = mote_head_span(width);
  for (int j = 0; j < span;) {
    int left = (span - j) / MOTE_LANES, vectors = left == 4 || left == 2 ? 2 : left > 2 ? 3 : 1;
    for (int i = 0; i < rows; i += BLOCK_ROWS) {
      const float *from = a + i * row_step;
      float *to = out + i * pitch + j;
      if (vectors == 3) block(3, inner, from, row_step, inner_step, b + j, pitch, to);
      if (vectors == 2) block(2, inner, from, row_step, inner_step, b + j, pitch, to);
      if (vectors == 1) block(1, inner, from, row_step, inner_step, b + j, pitch, to);
    }
    j += vectors * MOTE_LANES;
  }
}

static void multiply(int rows, int width, const float *a, const float *b, float *out) {
  product(rows, width, width, a, pitch_of(width), 1, b, out);
}

/* The same of a^T, over `used` rows of a and b. */
static void multiply_transposed(int width, int used, const float *a, const float *b, float *out) {
  product(width, used, width, a, 1, pitch_of(width), b, out);
}

static float dot(int span, const float *a, const float *b) {
  mote_v sum = mote_v_set(0);
  for (int c = 0; c < span; c += MOTE_LANES) sum += mote_v_load(a + c) * mote_v_load(b + c);
  return mote_v_sum(sum);
}

/* ---- Tiles of a head ---- */

/* Rows of one head, softmaxed or as they are; zeros behind the width and in the rows that fill up a block. */
static void load(mote_rows from, int first_column, int width, int64_t first, int used, int softmaxed,
                 float *to) {
  const int pitch = pitch_of(width), span = mote_head_span(width);
  for (int r = 0; r < used; r++) {
    const float *row = from.data + (first + r) * from.stride + first_column;
    float *x = to + r * pitch;
    if (softmaxed) {
      mote_head_softmax(width, row, x);
      continue;
    }
    for (int c = 0; c < width; c++) x[c] = row[c];
    for (int c = width; c < span; c++) x[c] = 0;
  }
  for (int r = used; r % BLOCK_ROWS; r++) memset(to + r * pitch, 0, (size_t)pitch * sizeof(float));
}

/* A head's context into rows of `pitch`, transposed or not; zeros behind. */
static void spread(int width, const float *context, int transposed, float *to) {
  const int pitch = pitch_of(width);
  for (int a = 0; a < width; a++)
    for (int b = 0; b < width; b++) to[a * pitch + b] = context[transposed ? b * width + a : a * width + b];
  for (int a = 0; a < width; a++)
    for (int b = width; b < mote_head_span(width); b++) to[a * pitch + b] = 0;
}

/* s of a head, zeros behind. */
static void spread_total(mote_heads h, int head, const float *context, float *to) {
  const float *s = context + (h.count * h.width + head) * h.width;
  memcpy(to, s, (size_t)h.width * sizeof(float));
  for (int c = h.width; c < mote_head_span(h.width); c++) to[c] = 0;
}

/* Through the softmax x = softmax(z): d_z += x (d_x - x . d_x). */
static void add_through_softmax(int width, const float *x, const float *d_x, float *d_z) {
  float mean = dot(mote_head_span(width), x, d_x);
  for (int c = 0; c < width; c++) d_z[c] += x[c] * (d_x[c] - mean);
}

/* Rows of a task: the wider a head, the more does it cost to lay its context out. */
static int64_t task_rows(mote_heads h) {
  return h.width < 64 ? ROWS : 4 * ROWS;
}

/* ---- summarize ---- */

typedef struct summary {
  mote_heads heads;
  mote_rows key, value;
  const float *weight, *d_context;
  mote_sink d_key, d_value;
} summary;

static void summarize_rows(const summary *j, int head, int64_t first, int used, const float *context,
                           const float *transposed, const float *total) {
  const int width = j->heads.width, pitch = pitch_of(width), span = mote_head_span(width);
  const int column = head * width;
  tile k, v, u;
  load(j->key, column, width, first, used, 1, k);
  if (j->d_key.data) {
    load(j->value, column, width, first, used, 0, v);
    multiply(used, width, v, transposed, u);
    for (int r = 0; r < used; r++) {
      float w = j->weight ? j->weight[first + r] : 1, *x = u + r * pitch;
      for (int c = 0; c < span; c++) x[c] = w * (x[c] + total[c]);
      add_through_softmax(width, k + r * pitch, x, j->d_key.data + (first + r) * j->d_key.stride + column);
    }
  }
  if (!j->d_value.data) return;
  multiply(used, width, k, context, u);
  for (int r = 0; r < used; r++) {
    float w = j->weight ? j->weight[first + r] : 1, *to = j->d_value.data + (first + r) * j->d_value.stride;
    for (int c = 0; c < width; c++) to[column + c] += w * u[r * pitch + c];
  }
}

static void summarize_group(const summary *j, int head, int64_t first, int64_t end) {
  const int width = j->heads.width;
  const float *own = j->d_context + head * width * width;
  square context, transposed;
  float total[WIDEST];
  if (j->d_value.data) spread(width, own, 0, context);
  if (j->d_key.data) spread(width, own, 1, transposed);
  spread_total(j->heads, head, j->d_context, total);
  for (; first < end; first += ROWS)
    summarize_rows(j, head, first, end - first < ROWS ? (int)(end - first) : ROWS, context, transposed,
                   total);
}

mote_status mote_summarize_backward_cpu(mote_stream *stream, int64_t n, const int32_t *count,
                                        mote_heads heads, mote_rows key, mote_rows value, const float *weight,
                                        const float *d_context, mote_sink d_key, mote_sink d_value) {
  n = mote_row_count(n, count);
  const int64_t step = task_rows(heads), tasks = (n + step - 1) / step;
  const summary job = {heads, key, value, weight, d_context, d_key, d_value};
#pragma omp parallel for num_threads(mote_stream_threads(stream)) schedule(dynamic, 1) if (tasks > 1)
  for (int64_t task = 0; task < tasks; task++) {
    int64_t first = task * step, end = first + step < n ? first + step : n;
    for (int head = 0; head < heads.count; head++) summarize_group(&job, head, first, end);
  }
  return MOTE_OK;
}

/* ---- attend ---- */

typedef struct attention {
  mote_heads heads;
  mote_rows query, d_out;
  const float *context;
  mote_sink d_query;
  float *parts; /* of each chunk, then head: dC (width rounded up to blocks, pitch), ds (pitch) */
} attention;

static int part_rows(int width) { /* behind which ds lies */
  return (width + BLOCK_ROWS - 1) / BLOCK_ROWS * BLOCK_ROWS;
}
static int64_t part_floats(int width) {
  return (int64_t)(part_rows(width) + 1) * pitch_of(width);
}

/* On the way g becomes g / N. */
static void attend_rows(const attention *j, int head, int64_t first, int used, const float *transposed,
                        const float *total, float *part) {
  const int width = j->heads.width, pitch = pitch_of(width), span = mote_head_span(width);
  const int column = head * width;
  float *d_total = part + part_rows(width) * pitch;
  tile q, g, u;
  load(j->query, column, width, first, used, 1, q);
  load(j->d_out, column, width, first, used, 0, g);
  multiply(used, width, g, transposed, u);
  memset(d_total, 0, (size_t)span * sizeof(float));
  for (int r = 0; r < used; r++) {
    float *x = q + r * pitch, *y = g + r * pitch, *z = u + r * pitch;
    float scale = 1 / dot(span, x, total), d_norm = -dot(span, x, z) * scale * scale;
    for (int c = 0; c < span; c++) {
      z[c] = y[c] + scale * z[c] + d_norm * total[c];
      y[c] *= scale;
      d_total[c] += d_norm * x[c];
    }
    if (j->d_query.data)
      add_through_softmax(width, x, z, j->d_query.data + (first + r) * j->d_query.stride + column);
  }
  multiply_transposed(width, used, q, g, part);
}

static void attend_group(const attention *j, int head, int64_t first, int64_t end) {
  const int width = j->heads.width;
  square transposed;
  float total[WIDEST];
  spread(width, j->context + head * width * width, 1, transposed);
  spread_total(j->heads, head, j->context, total);
  for (; first < end; first += ROWS)
    attend_rows(j, head, first, end - first < ROWS ? (int)(end - first) : ROWS, transposed, total,
                j->parts + (first / ROWS * j->heads.count + head) * part_floats(width));
}

/* Rows of dC, and ds as the last one, from the chunks in their order. */
static void add_parts(const attention *j, int64_t chunks, int64_t row, float *d_context) {
  const int width = j->heads.width, pitch = pitch_of(width), heads = j->heads.count;
  const int head = (int)(row / (width + 1)), a = (int)(row % (width + 1));
  const float *from = j->parts + head * part_floats(width) + (a < width ? a : part_rows(width)) * pitch;
  float *to = d_context + (a < width ? (head * width + a) * width : (heads * width + head) * width);
  float sum[WIDEST] = {0};
  for (int64_t chunk = 0; chunk < chunks; chunk++)
    for (int c = 0; c < width; c++) sum[c] += from[chunk * heads * part_floats(width) + c];
  for (int c = 0; c < width; c++) to[c] += sum[c];
}

mote_status mote_attend_backward_cpu(mote_stream *stream, int64_t n, const int32_t *count, mote_heads heads,
                                     mote_rows query, const float *context, mote_rows d_out,
                                     mote_sink d_query, float *d_context, mote_buffer *scratch) {
  const int64_t most = (n + ROWS - 1) / ROWS * heads.count * part_floats(heads.width);
  MOTE_TRY(mote_buffer_reserve(scratch, stream->device, (size_t)most * sizeof(float)));
  n = mote_row_count(n, count);
  const int64_t step = task_rows(heads), tasks = (n + step - 1) / step, chunks = (n + ROWS - 1) / ROWS;
  const attention job = {heads, query, d_out, context, d_query, scratch->data};
#pragma omp parallel num_threads(mote_stream_threads(stream)) if (tasks > 1)
  {
#pragma omp for schedule(dynamic, 1)
    for (int64_t task = 0; task < tasks; task++) {
      int64_t first = task * step, end = first + step < n ? first + step : n;
      for (int head = 0; head < heads.count; head++) attend_group(&job, head, first, end);
    }
#pragma omp for schedule(static)
    for (int64_t row = 0; row < heads.count * (heads.width + 1); row++)
      add_parts(&job, chunks, row, d_context);
  }
  return MOTE_OK;
}
