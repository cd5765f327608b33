/* The reverse of chains on the CPU: chunks of rows over threads (reverse.h). Each chunk's gradients are
   summed by one thread, in a copy of its own where there are several, and the copies are added in the order
   of the chunks: OpenMP's ordered region, which the chunks reach one after the other as they are done. */
#include <omp.h>

#include "kernels/dense/reverse.h"

static int64_t whole_panels(int64_t floats) {
  return (floats + MOTE_PANEL - 1) / MOTE_PANEL * MOTE_PANEL;
}

/* The gradients of `value` in the arena or, if there is one, in the copy, which is then used up so far. */
static void place(mote_gradients *g, int which, const mote_arena *arena, const float *value, int64_t floats,
                  float **copy) {
  g->floats[which] = floats;
  g->at[which] = *copy ? *copy : mote_gradient_of(arena, value);
  if (*copy) *copy += whole_panels(floats);
}

static void place_norm(mote_gradients *g, int which, const mote_arena *arena, mote_norm norm, int width,
                       float **copy) {
  if (!norm.weight) return;
  place(g, which, arena, norm.weight, width, copy);
  place(g, which + 1, arena, norm.bias, width, copy);
}

static void place_all(const mote_reverse_job *job, float *copy, mote_gradients *g) {
  for (int i = 0; i < job->chains; i++) {
    const mote_mlp *mlp = job->chain[i];
    memset(&g[i], 0, sizeof g[i]);
    for (int l = 0; l < mlp->layers; l++) {
      const mote_linear *layer = &mlp->layer[l];
      place(&g[i], 2 * l, job->arena, layer->weight, mote_linear_floats(layer->in, layer->out), &copy);
      if (l || !job->without_bias)
        place(&g[i], 2 * l + 1, job->arena, layer->bias, mote_tile_stride(layer->out), &copy);
    }
    place_norm(&g[i], MOTE_OF_BEFORE, job->arena, mlp->before, mlp->layer[0].in, &copy);
    place_norm(&g[i], MOTE_OF_BEHIND, job->arena, mlp->behind, mlp->layer[mlp->layers - 1].out, &copy);
  }
  memset(&g[job->chains], 0, sizeof *g);
  place_norm(&g[job->chains], MOTE_OF_BEHIND, job->arena, job->norm, job->norm_width, &copy);
}

static int64_t copy_floats(const mote_reverse_job *job) {
  mote_gradients g[MOTE_MOST_GATED + 1];
  int64_t floats = 0;
  place_all(job, NULL, g);
  for (int i = 0; i <= job->chains; i++)
    for (int k = 0; k < MOTE_GRADIENTS; k++) floats += whole_panels(g[i].floats[k]);
  return floats;
}

static void add_copy(const mote_reverse_job *job, const mote_gradients *copy) {
  mote_gradients g[MOTE_MOST_GATED + 1];
  place_all(job, NULL, g);
  for (int i = 0; i <= job->chains; i++)
    for (int k = 0; k < MOTE_GRADIENTS; k++) {
      float *to = g[i].at[k];
      const float *from = copy[i].at[k];
      for (int64_t c = 0; c < g[i].floats[k]; c++) to[c] += from[c];
    }
}

/* Few rows make smaller chunks, so that two or four threads have as much each: by n alone. */
enum { LEAST_ROWS = 5 * MOTE_REVERSE_ROWS };
static int64_t rows_of_chunk(int64_t n) {
  const int64_t quarter = ((n + 3) / 4 + MOTE_TILE_BLOCK - 1) / MOTE_TILE_BLOCK * MOTE_TILE_BLOCK;
  return quarter > MOTE_GRADIENT_ROWS ? MOTE_GRADIENT_ROWS : quarter < LEAST_ROWS ? LEAST_ROWS : quarter;
}
static int64_t chunks_of(int64_t n) {
  const int64_t rows = rows_of_chunk(n);
  return (n + rows - 1) / rows;
}
static int threads_for(const mote_stream *stream, int64_t chunks) {
  int threads = mote_stream_threads(stream);
  return chunks < 1 ? 1 : chunks < threads ? (int)chunks : threads;
}

int64_t mote_reverse_memory(const mote_stream *stream, const mote_reverse_job *job, int64_t most) {
  const int64_t chunks = chunks_of(most), copy = chunks > 1 ? copy_floats(job) : 0;
  return threads_for(stream, chunks) * (job->tile_floats + copy);
}

static void run_chunk(const mote_reverse_job *job, int64_t chunk, int64_t n, float *memory,
                      const mote_gradients *g) {
  const int64_t rows = rows_of_chunk(n), begin = chunk * rows;
  int64_t end = begin + rows;
  if (end > n) end = n;
  for (int64_t first = begin; first < end; first += MOTE_REVERSE_ROWS) {
    int used = end - first < MOTE_REVERSE_ROWS ? (int)(end - first) : MOTE_REVERSE_ROWS;
    job->tile(job->context, first, used, memory, g);
  }
}

void mote_reverse_run(const mote_stream *stream, const mote_reverse_job *job, int64_t n, float *memory) {
  const int64_t chunks = chunks_of(n), copy = chunks > 1 ? copy_floats(job) : 0;
  const int64_t floats = job->tile_floats + copy;
  mote_gradients direct[MOTE_MOST_GATED + 1];
  if (chunks == 1) {
    place_all(job, NULL, direct);
    run_chunk(job, 0, n, memory, direct);
    return;
  }
#pragma omp parallel for num_threads(threads_for(stream, chunks)) schedule(dynamic, 1) ordered
  for (int64_t chunk = 0; chunk < chunks; chunk++) {
    float *own = memory + omp_get_thread_num() * floats;
    mote_gradients g[MOTE_MOST_GATED + 1];
    memset(own + job->tile_floats, 0, (size_t)copy * sizeof(float));
    place_all(job, own + job->tile_floats, g);
    run_chunk(job, chunk, n, own, g);
#pragma omp ordered
    add_copy(job, g);
  }
}
