/* Constitutive laws on the CPU: groups of MOTE_LANES particles are transposed to component-major, stepped in
   vector registers (lanes.c), and transposed back. The last group is filled up with particles at rest. */
#include "kernels/constitutive/backward.h"

#include "kernels/constitutive/lanes.h"

#define SERIAL 4096 /* particles that are not worth waking threads for */

typedef float lane[MOTE_LANES];
typedef struct group {
  _Alignas(64) lane C[9], F[9], tau[9], history;
  int32_t material[MOTE_LANES];
} group;

static int group_size(int64_t first, int64_t n) {
  return n - first < MOTE_LANES ? (int)(n - first) : MOTE_LANES;
}

static void group_load(group *group, int size, int count, const int32_t *material, const float *C,
                       const float *F, const float *history) {
  for (int i = 0; i < MOTE_LANES; i++) {
    int at = i < count ? i : count - 1;
    for (int k = 0; k < size; k++) {
      group->C[k][i] = C[at * size + k];
      group->F[k][i] = F[at * size + k];
    }
    group->history[i] = history[at];
    group->material[i] = material[at];
  }
}

static void rows_store(float *rows, int size, int count, lane *components) {
  for (int i = 0; i < count; i++)
    for (int k = 0; k < size; k++) rows[i * size + k] = components[k][i];
}

static mote_status step(mote_stream *stream, int dim, int64_t n, const mote_law *laws,
                        const int32_t *material, float dt, const float *C, float *F, float *history,
                        float *tau) {
  int size = dim * dim;
#pragma omp parallel for num_threads(mote_stream_threads(stream)) schedule(static) if (n > SERIAL)
  for (int64_t first = 0; first < n; first += MOTE_LANES) {
    group g;
    int count = group_size(first, n);
    float *F_rows = F + first * size;
    group_load(&g, size, count, material + first, C + first * size, F_rows, history + first);
    if (dim == 3)
      mote_laws_step3_lanes(laws, g.material, dt, g.C, g.F, g.history, g.tau);
    else
      mote_laws_step2_lanes(laws, g.material, dt, g.C, g.F, g.history, g.tau);
    rows_store(F_rows, size, count, g.F);
    rows_store(tau + first * size, size, count, g.tau);
    memcpy(history + first, g.history, (size_t)count * sizeof(float));
  }
  return MOTE_OK;
}

static mote_status stress(mote_stream *stream, int dim, int64_t n, const mote_law *laws,
                          const int32_t *material, const float *C, const float *F, const float *history,
                          float *tau) {
#pragma omp parallel for num_threads(mote_stream_threads(stream)) schedule(static) if (n > SERIAL)
  for (int64_t i = 0; i < n; i++) {
    const mote_law *law = &laws[material[i]];
    if (dim == 3)
      mote_law_stress3(law, C + i * 9, F + i * 9, history[i], tau + i * 9);
    else
      mote_law_stress2(law, C + i * 4, F + i * 4, history[i], tau + i * 4);
  }
  return MOTE_OK;
}

static mote_status energy(mote_stream *stream, int dim, int64_t n, const mote_law *laws,
                          const int32_t *material, const float *F, const float *history, float *result) {
#pragma omp parallel for num_threads(mote_stream_threads(stream)) schedule(static) if (n > SERIAL)
  for (int64_t i = 0; i < n; i++) {
    const mote_law *law = &laws[material[i]];
    result[i] = dim == 3 ? (float)mote_law_energy3(law, F + i * 9, history[i])
                         : (float)mote_law_energy2(law, F + i * 4, history[i]);
  }
  return MOTE_OK;
}

static mote_status svd(mote_stream *stream, int dim, int64_t n, const float *F, float *U, float *s,
                       float *V) {
#pragma omp parallel for num_threads(mote_stream_threads(stream)) schedule(static) if (n > SERIAL)
  for (int64_t i = 0; i < n; i++) {
    if (dim == 3)
      mote_svd3(F + i * 9, U + i * 9, s + i * 3, V + i * 9);
    else
      mote_svd2(F + i * 4, U + i * 4, s + i * 2, V + i * 4);
  }
  return MOTE_OK;
}

const struct mote_constitutive_kernels mote_constitutive_cpu = {
    .step = step,
    .stress = stress,
    .energy = energy,
    .svd = svd,
    .stress_backward = mote_cpu_stress_backward,
    .return_backward = mote_cpu_return_backward,
};
