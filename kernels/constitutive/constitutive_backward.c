/* The reverse of the laws on the CPU: groups of particles, as in constitutive.c. Gradients by parameters are
   summed over chunks of one size, each in its own place, and then over the chunks. */
#include "kernels/constitutive/backward.h"
#include "kernels/constitutive/lanes.h"

#define CHUNK 512   /* particles, a multiple of MOTE_LANES */
#define SERIAL 2048 /* particles that are not worth waking threads for */

#define INLINE static inline __attribute__((always_inline)) /* dim is a constant then */

typedef float lane[MOTE_LANES];

typedef struct backward_job {
  int dim;
  int64_t n;
  const mote_law *laws;
  const int32_t *material;
  float dt;
  const float *C, *F, *history, *d_tau; /* d_tau is NULL in the reverse of the return */
  float *d_F, *d_C, *d_history;
} backward_job;

INLINE void rows_load(const float *rows, int size, int count, lane *components) {
  for (int i = 0; i < MOTE_LANES; i++) {
    const float *row = rows + (int64_t)(i < count ? i : count - 1) * size;
    for (int k = 0; k < size; k++) components[k][i] = row[k];
  }
}

INLINE void rows_store(float *rows, int size, int count, lane *components) {
  for (int i = 0; i < count; i++)
    for (int k = 0; k < size; k++) rows[i * size + k] = components[k][i];
}

/* The last group is filled up with copies of its last particle. */
INLINE void reverse_group(const backward_job *j, int dim, int64_t first, double *sums) {
  const int size = dim * dim, count = j->n - first < MOTE_LANES ? (int)(j->n - first) : MOTE_LANES;
  const int64_t at = first * size;
  mote_law_group g;
  rows_load(j->C + at, size, count, g.C);
  rows_load(j->F + at, size, count, g.F);
  rows_load(j->d_F + at, size, count, g.d_F);
  rows_load(j->d_C + at, size, count, g.d_C);
  rows_load(j->history + first, 1, count, &g.history);
  rows_load(j->d_history + first, 1, count, &g.d_history);
  for (int i = 0; i < MOTE_LANES; i++) g.material[i] = j->material[first + (i < count ? i : count - 1)];
  if (j->d_tau) {
    rows_load(j->d_tau + at, size, count, g.d_tau);
    mote_laws_stress_backward_lanes(dim, j->laws, count, &g, sums);
  } else {
    mote_laws_return_backward_lanes(dim, j->laws, j->dt, count, &g, sums);
  }
  rows_store(j->d_F + at, size, count, g.d_F);
  rows_store(j->d_C + at, size, count, g.d_C);
  rows_store(j->d_history + first, 1, count, &g.d_history);
}

static mote_status reverse(mote_stream *stream, const backward_job *j, int law_count, double *d_laws,
                           mote_buffer *scratch) {
  const int64_t chunks = (j->n + CHUNK - 1) / CHUNK, numbers = (int64_t)law_count * MOTE_LAW_PARAMETERS;
  double *sums = NULL;
  if (d_laws && j->n > 0) {
    MOTE_TRY(mote_buffer_reserve(scratch, stream->device, (size_t)(chunks * numbers) * sizeof(double)));
    sums = scratch->data;
  }
#pragma omp parallel for num_threads(mote_stream_threads(stream)) schedule(static) if (j->n > SERIAL)
  for (int64_t c = 0; c < chunks; c++) {
    const int64_t begin = c * CHUNK, end = begin + CHUNK < j->n ? begin + CHUNK : j->n;
    double *own = sums ? sums + c * numbers : NULL;
    if (own) memset(own, 0, (size_t)numbers * sizeof(double));
    for (int64_t first = begin; first < end; first += MOTE_LANES) {
      if (j->dim == 3)
        reverse_group(j, 3, first, own);
      else
        reverse_group(j, 2, first, own);
    }
  }
  for (int64_t c = 0; sums && c < chunks; c++)
    for (int64_t k = 0; k < numbers; k++) d_laws[k] += sums[c * numbers + k];
  return MOTE_OK;
}

MOTE_STRESS_BACKWARD(mote_cpu_stress_backward) {
  const backward_job job = {dim, n, laws, material, 0, C, F, history, d_tau, d_F, d_C, d_history};
  return reverse(stream, &job, law_count, d_laws, scratch);
}

MOTE_RETURN_BACKWARD(mote_cpu_return_backward) {
  const backward_job job = {dim, n, laws, material, dt, C, F, history, NULL, d_F, d_C, d_history};
  return reverse(stream, &job, law_count, d_laws, scratch);
}
