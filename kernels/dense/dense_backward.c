/* The reverse of dense layers on the CPU: what stands around the chains of reverse.h. */
#include "kernels/dense/reverse.h"

static mote_status run(mote_stream *stream, const mote_reverse_job *job, int64_t n, const int32_t *count,
                       mote_buffer *scratch) {
  size_t floats = (size_t)mote_reverse_memory(stream, job, n);
  MOTE_TRY(mote_buffer_reserve(scratch, stream->device, floats * sizeof(float)));
  mote_reverse_run(stream, job, mote_row_count(n, count), scratch->data);
  return MOTE_OK;
}

/* ---- A chain ---- */

typedef struct mlp_job {
  mote_reverse chain;
  mote_rows a, b, d_out;
  mote_sink d_a, d_b;
} mlp_job;

static void mlp_tile(const void *context, int64_t first, int used, float *memory, const mote_gradients *g) {
  const mlp_job *j = context;
  const mote_reverse *v = &j->chain;
  const int stride = mote_tile_stride(v->mlp->layer[0].in);
  const float *input = mote_reverse_input(v, j->a, first, used);
  if (!input) mote_tile_fill(j->a, first, used, 0, memory + v->raw, stride);
  if (j->b.width) mote_tile_fill(j->b, first, used, j->a.width, memory + v->raw, stride);
  mote_reverse_forward(v, used, memory, input, 0, 0);
  mote_reverse_fill(j->d_out, first, used, memory + v->gradient[0]);
  const float *d = mote_reverse_back(v, first, used, memory, input, g, j->d_a.data || j->d_b.data).input;
  if (!d) return;
  mote_reverse_add(j->d_a, j->a.width, first, used, d, stride);
  mote_reverse_add(j->d_b, j->b.width, first, used, d + j->a.width, stride);
}

mote_status mote_cpu_mlp_backward(mote_stream *stream, int64_t n, const int32_t *count, const mote_mlp *mlp,
                                  const mote_arena *arena, mote_rows a, mote_rows b, mote_rows d_out,
                                  mote_sink d_a, mote_sink d_b, mote_buffer *scratch) {
  mlp_job job = {mote_reverse_plan(mlp, arena, n, 0), a, b, d_out, d_a, d_b};
  job.d_out.width = mlp->layer[mlp->layers - 1].out;
  mote_reverse_job work = {.arena = arena,
                           .chains = 1,
                           .chain = {mlp},
                           .tile_floats = job.chain.floats,
                           .tile = mlp_tile,
                           .context = &job};
  return run(stream, &work, n, count, scratch);
}

/* ---- Gated experts ---- */

typedef struct gated_job {
  mote_reverse expert[MOTE_MOST_GATED];
  int experts, width;
  mote_rows a, logits, d_out;
  mote_norm norm;
  mote_sink d_a, d_logits;
  int64_t gate, sum, d_sum; /* in a tile's memory: (rows, experts); rows of the width, in whole panels */
} gated_job;

/* The gates of a tile's rows, and the experts' sum, of which the norm is taken. */
static void gated_forward(const gated_job *j, int64_t first, int used, float *memory) {
  const int in = mote_tile_stride(j->a.width), floats = used * mote_tile_stride(j->width);
  float *sum = memory + j->sum, *gate = memory + j->gate;
  for (int r = 0; r < used; r++)
    mote_softmax(j->experts, j->logits.data + (first + r) * j->logits.stride, gate + r * MOTE_MOST_GATED);
  memset(sum, 0, (size_t)floats * sizeof(float));
  for (int e = 0; e < j->experts; e++) {
    const mote_reverse *v = &j->expert[e];
    const float *y = memory + v->input[v->mlp->layers];
    mote_tile_fill(j->a, first, used, 0, memory + v->raw, in);
    mote_reverse_forward(v, used, memory, NULL, 0, 1);
    for (int i = 0, stride = mote_tile_stride(j->width); i < used; i++)
      for (int c = 0; c < stride; c++)
        sum[i * stride + c] += gate[i * MOTE_MOST_GATED + e] * y[i * stride + c];
  }
}

/* To the logits of a row: through the softmax, dl_e = g_e (dg_e - sum_k g_k dg_k) with dg_e = y_e . d_sum. */
static void add_logits(const gated_job *j, int64_t row, int r, const float *memory) {
  const int stride = mote_tile_stride(j->width), whole = j->width / MOTE_LANES * MOTE_LANES;
  const float *gate = memory + j->gate + r * MOTE_MOST_GATED, *d = memory + j->d_sum + r * stride;
  float *to = j->d_logits.data + row * j->d_logits.stride, d_gate[MOTE_MOST_GATED], mean = 0;
  for (int e = 0; e < j->experts; e++) {
    const float *y = memory + j->expert[e].input[j->expert[e].mlp->layers] + r * stride;
    mote_v lanes = mote_v_set(0);
    float rest = 0;
    for (int c = 0; c < whole; c += MOTE_LANES) lanes += mote_v_load(y + c) * mote_v_load(d + c);
    for (int c = whole; c < j->width; c++) rest += y[c] * d[c];
    d_gate[e] = mote_v_sum(lanes) + rest;
    mean += gate[e] * d_gate[e];
  }
  for (int e = 0; e < j->experts; e++) to[e] += gate[e] * (d_gate[e] - mean);
}

static void gated_tile(const void *context, int64_t first, int used, float *memory, const mote_gradients *g) {
  const gated_job *j = context;
  const int stride = mote_tile_stride(j->width), rows = mote_tile_blocks(used);
  float *d_sum = memory + j->d_sum;
  gated_forward(j, first, used, memory);
  mote_reverse_fill(j->d_out, first, used, d_sum);
  if (j->norm.weight)
    mote_reverse_norm(j->norm, j->width, used, memory + j->sum, d_sum, stride,
                      g[j->experts].at[MOTE_OF_BEHIND], g[j->experts].at[MOTE_OF_BEHIND + 1]);
  for (int r = 0; r < used && j->d_logits.data; r++) add_logits(j, first + r, r, memory);
  for (int e = 0; e < j->experts; e++) {
    const mote_reverse *v = &j->expert[e];
    const float *gate = memory + j->gate;
    float *d = memory + v->gradient[0];
    for (int r = 0; r < rows; r++)
      for (int c = 0; c < stride; c++)
        d[r * stride + c] = r < used ? gate[r * MOTE_MOST_GATED + e] * d_sum[r * stride + c] : 0;
    const float *d_a = mote_reverse_back(v, first, used, memory, NULL, &g[e], j->d_a.data != NULL).input;
    if (d_a) mote_reverse_add(j->d_a, j->a.width, first, used, d_a, mote_tile_stride(j->a.width));
  }
}

mote_status mote_cpu_gated_backward(mote_stream *stream, int64_t n, const int32_t *count, int experts,
                                    const mote_mlp *expert, const mote_arena *arena, mote_rows a,
                                    mote_rows logits, mote_norm norm, mote_rows d_out, mote_sink d_a,
                                    mote_sink d_logits, mote_buffer *scratch) {
  const int width = expert->layer[expert->layers - 1].out;
  const int64_t rows = (int64_t)MOTE_REVERSE_ROWS * mote_tile_stride(width);
  gated_job job = {.experts = experts,
                   .width = width,
                   .a = a,
                   .logits = logits,
                   .d_out = d_out,
                   .norm = norm,
                   .d_a = d_a,
                   .d_logits = d_logits,
                   .sum = (int64_t)MOTE_REVERSE_ROWS * MOTE_MOST_GATED};
  job.d_sum = job.sum + rows;
  job.d_out.width = width;
  mote_reverse_job work = {.arena = arena,
                           .chains = experts,
                           .norm = norm,
                           .norm_width = width,
                           .tile_floats = job.d_sum + rows,
                           .tile = gated_tile,
                           .context = &job};
  for (int e = 0; e < experts; e++) {
    job.expert[e] = mote_reverse_plan(&expert[e], arena, 0, work.tile_floats);
    work.tile_floats = job.expert[e].floats;
    work.chain[e] = &expert[e];
  }
  return run(stream, &work, n, count, scratch);
}
