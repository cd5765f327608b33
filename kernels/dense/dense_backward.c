/* The reverse of dense layers on the CPU: what stands around the chains of reverse.h. */
#include "kernels/dense/reverse.h"

static int64_t rows_of(int64_t n, const int32_t *count) {
  return count && *count < n ? *count : n;
}

static mote_status run(mote_stream *stream, const mote_reverse_job *job, int64_t n, const int32_t *count,
                       mote_buffer *scratch) {
  size_t floats = (size_t)mote_reverse_memory(stream, job, n);
  MOTE_TRY(mote_buffer_reserve(scratch, stream->device, floats * sizeof(float)));
  mote_reverse_run(stream, job, rows_of(n, count), scratch->data);
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
  mote_tile_fill(j->a, first, used, 0, memory + v->raw, stride);
  if (j->b.width) mote_tile_fill(j->b, first, used, j->a.width, memory + v->raw, stride);
  mote_reverse_forward(v, used, memory, 0, 0);
  mote_reverse_fill(j->d_out, first, used, memory + v->gradient[0]);
  const float *d = mote_reverse_back(v, used, memory, g, j->d_a.data || j->d_b.data).input;
  if (!d) return;
  mote_reverse_add(j->d_a, j->a.width, first, used, d, stride);
  mote_reverse_add(j->d_b, j->b.width, first, used, d + j->a.width, stride);
}

mote_status mote_cpu_mlp_backward(mote_stream *stream, int64_t n, const int32_t *count, const mote_mlp *mlp,
                                  const mote_arena *arena, mote_rows a, mote_rows b, mote_rows d_out,
                                  mote_sink d_a, mote_sink d_b, mote_buffer *scratch) {
  mlp_job job = {mote_reverse_plan(mlp, arena, 0), a, b, d_out, d_a, d_b};
  job.d_out.width = mlp->layer[mlp->layers - 1].out;
  mote_reverse_job work = {.arena = arena,
                           .chains = 1,
                           .chain = {mlp},
                           .tile_floats = job.chain.floats,
                           .tile = mlp_tile,
                           .context = &job};
  return run(stream, &work, n, count, scratch);
}
