/* The reverse of chains on the CPU: chunks of rows over threads (reverse.h). Each chunk's gradients are
   summed by one thread, in a copy of its own where there are several, and the copies are added in the order
   of the chunks: OpenMP's ordered region, which the chunks reach one after the other as they are done. Or the
   arena has a place for each chunk, where calls leave their sums until all of them are through. */
#include "kernels/dense/reverse.h"
#include "kernels/shares.h"

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

static void place_all(const mote_reverse_job *job, const mote_arena *arena, float *copy, mote_gradients *g) {
  for (int i = 0; i < job->chains; i++) {
    const mote_mlp *mlp = job->chain[i];
    memset(&g[i], 0, sizeof g[i]);
    for (int l = 0; l < mlp->layers; l++) {
      const mote_linear *layer = &mlp->layer[l];
      place(&g[i], 2 * l, arena, layer->weight, mote_linear_floats(layer->in, layer->out), &copy);
      if (l || !job->without_bias)
        place(&g[i], 2 * l + 1, arena, layer->bias, mote_tile_stride(layer->out), &copy);
    }
    place_norm(&g[i], MOTE_OF_BEFORE, arena, mlp->before, mlp->layer[0].in, &copy);
    place_norm(&g[i], MOTE_OF_BEHIND, arena, mlp->behind, mlp->layer[mlp->layers - 1].out, &copy);
  }
  memset(&g[job->chains], 0, sizeof *g);
  place_norm(&g[job->chains], MOTE_OF_BEHIND, arena, job->norm, job->norm_width, &copy);
}

static int64_t copy_floats(const mote_reverse_job *job) {
  mote_gradients g[MOTE_MOST_GATED + 1];
  int64_t floats = 0;
  place_all(job, job->arena, NULL, g);
  for (int i = 0; i <= job->chains; i++)
    for (int k = 0; k < MOTE_GRADIENTS; k++) floats += whole_panels(g[i].floats[k]);
  return floats;
}

static void add_copy(const mote_reverse_job *job, const mote_gradients *copy) {
  mote_gradients g[MOTE_MOST_GATED + 1];
  place_all(job, job->arena, NULL, g);
  for (int i = 0; i <= job->chains; i++)
    for (int k = 0; k < MOTE_GRADIENTS; k++) {
      float *to = g[i].at[k];
      const float *from = copy[i].at[k];
      for (int64_t c = 0; c < g[i].floats[k]; c++) to[c] += from[c];
    }
}

/* Few rows make smaller chunks, so that two or four threads have as much each: by n alone. */
enum { LEAST_ROWS = 240 };
static int64_t rows_of_part(int64_t n, int parts, int64_t least) {
  const int64_t rows = ((n + parts - 1) / parts + MOTE_TILE_BLOCK - 1) / MOTE_TILE_BLOCK * MOTE_TILE_BLOCK;
  return rows > MOTE_GRADIENT_ROWS ? MOTE_GRADIENT_ROWS : rows < least ? least : rows;
}
static int64_t rows_of_chunk(int64_t n) {
  return rows_of_part(n, 4, LEAST_ROWS);
}
static int64_t chunks_of(int64_t n) {
  const int64_t rows = rows_of_chunk(n);
  return (n + rows - 1) / rows;
}

/* Of those that are kept apart, which cost nothing: smaller, so that threads can take them from each other.
   Where they would be many, none are. */
enum { APART = 8, LEAST_APART = 120 };
static int64_t rows_apart(int64_t n) {
  return rows_of_part(n, APART, LEAST_APART);
}
int64_t mote_reverse_chunks_apart(int64_t n) {
  const int64_t chunks = n > 0 ? (n + rows_apart(n) - 1) / rows_apart(n) : 0;
  return chunks > 1 && chunks <= APART ? chunks : 0;
}
static int threads_for(const mote_stream *stream, int64_t chunks) {
  int threads = mote_stream_threads(stream);
  return chunks < 1 ? 1 : chunks < threads ? (int)chunks : threads;
}

static int keeps_apart(const mote_arena *arena, int64_t n) {
  const int64_t chunks = mote_reverse_chunks_apart(n);
  return chunks > 0 && chunks <= arena->chunks;
}

int64_t mote_reverse_memory(const mote_stream *stream, const mote_reverse_job *job, int64_t most) {
  if (keeps_apart(job->arena, most)) return mote_stream_threads(stream) * job->tile_floats;
  const int64_t chunks = chunks_of(most), copy = chunks > 1 ? copy_floats(job) : 0;
  return threads_for(stream, chunks) * (job->tile_floats + copy);
}

static void run_chunk(const mote_reverse_job *job, int64_t chunk, int64_t rows, int64_t n, float *memory,
                      const mote_gradients *g) {
  const int64_t begin = chunk * rows;
  int64_t end = begin + rows;
  if (end > n) end = n;
  for (int64_t first = begin; first < end; first += MOTE_REVERSE_ROWS) {
    int used = end - first < MOTE_REVERSE_ROWS ? (int)(end - first) : MOTE_REVERSE_ROWS;
    job->tile(job->context, first, used, memory, g);
  }
}

static void run_apart(const mote_stream *stream, const mote_reverse_job *job, int64_t n, float *memory) {
  const int64_t chunks = mote_reverse_chunks_apart(n), rows = rows_apart(n);
  const int threads = threads_for(stream, chunks);
  mote_shares shares;
  mote_shares_begin(&shares, chunks, threads);
#pragma omp parallel num_threads(threads)
  for (int64_t chunk; (chunk = mote_shares_take(&shares)) >= 0;) {
    mote_arena own = *job->arena;
    mote_gradients g[MOTE_MOST_GATED + 1];
    own.gradient = own.chunk + chunk * own.floats;
    place_all(job, &own, NULL, g);
    run_chunk(job, chunk, rows, n, memory + omp_get_thread_num() * job->tile_floats, g);
  }
}

void mote_reverse_run(const mote_stream *stream, const mote_reverse_job *job, int64_t n, float *memory) {
  if (keeps_apart(job->arena, n)) {
    run_apart(stream, job, n, memory);
    return;
  }
  const int64_t chunks = chunks_of(n), copy = chunks > 1 ? copy_floats(job) : 0;
  const int64_t floats = job->tile_floats + copy;
  mote_gradients direct[MOTE_MOST_GATED + 1];
  if (chunks == 1) {
    place_all(job, job->arena, NULL, direct);
    run_chunk(job, 0, n, n, memory, direct);
    return;
  }
#pragma omp parallel for num_threads(threads_for(stream, chunks)) schedule(dynamic, 1) ordered
  for (int64_t chunk = 0; chunk < chunks; chunk++) {
    float *own = memory + omp_get_thread_num() * floats;
    mote_gradients g[MOTE_MOST_GATED + 1];
    memset(own + job->tile_floats, 0, (size_t)copy * sizeof(float));
    place_all(job, job->arena, own + job->tile_floats, g);
    run_chunk(job, chunk, rows_of_chunk(n), n, own, g);
#pragma omp ordered
    add_copy(job, g);
  }
}

mote_status mote_reverse_add_chunks(mote_stream *stream, const mote_arena *arena) {
#pragma omp parallel for num_threads(mote_stream_threads(stream)) schedule(static)
  for (int64_t k = 0; k < arena->floats; k++)
    for (int64_t c = 0; c < arena->chunks; c++) arena->gradient[k] += arena->chunk[c * arena->floats + k];
  return MOTE_OK;
}
