/* Constitutive laws on the GPU: a thread a particle, the scalar form of law.h. Rows are read as they lie; a
   warp's particles are neighbours in memory, so every cache line that is fetched is used. */
#include "kernels/constitutive/backward.h"

#include "cuda/launch.h"

#define THREADS 128 /* a law holds about 60 floats: few threads a block, many blocks */

static __device__ int64_t particle() {
  return (int64_t)blockIdx.x * blockDim.x + threadIdx.x;
}

template <int DIM> static __device__ void load(float *to, const float *rows, int64_t i) {
  for (int k = 0; k < DIM * DIM; k++) to[k] = rows[i * DIM * DIM + k];
}
template <int DIM> static __device__ void store(float *rows, const float *from, int64_t i) {
  for (int k = 0; k < DIM * DIM; k++) rows[i * DIM * DIM + k] = from[k];
}

template <int DIM>
static __global__ void step_kernel(int64_t n, const mote_law *laws, const int32_t *material, float dt,
                                   const float *C, float *F, float *history, float *tau) {
  int64_t i = particle();
  if (i >= n) return;
  float c[DIM * DIM], f[DIM * DIM], t[DIM * DIM], h = history[i];
  mote_law law = laws[material[i]];
  load<DIM>(c, C, i);
  load<DIM>(f, F, i);
  if (DIM == 3)
    mote_law_step3(&law, dt, c, f, &h, t);
  else
    mote_law_step2(&law, dt, c, f, &h, t);
  store<DIM>(F, f, i);
  store<DIM>(tau, t, i);
  history[i] = h;
}

template <int DIM>
static __global__ void stress_kernel(int64_t n, const mote_law *laws, const int32_t *material, const float *C,
                                     const float *F, const float *history, float *tau) {
  int64_t i = particle();
  if (i >= n) return;
  float c[DIM * DIM], f[DIM * DIM], t[DIM * DIM];
  mote_law law = laws[material[i]];
  load<DIM>(c, C, i);
  load<DIM>(f, F, i);
  if (DIM == 3)
    mote_law_stress3(&law, c, f, history[i], t);
  else
    mote_law_stress2(&law, c, f, history[i], t);
  store<DIM>(tau, t, i);
}

template <int DIM>
static __global__ void energy_kernel(int64_t n, const mote_law *laws, const int32_t *material, const float *F,
                                     const float *history, float *energy) {
  int64_t i = particle();
  if (i >= n) return;
  float f[DIM * DIM];
  mote_law law = laws[material[i]];
  load<DIM>(f, F, i);
  energy[i] =
      (float)(DIM == 3 ? mote_law_energy3(&law, f, history[i]) : mote_law_energy2(&law, f, history[i]));
}

template <int DIM>
static __global__ void svd_kernel(int64_t n, const float *F, float *U, float *s, float *V) {
  int64_t i = particle();
  if (i >= n) return;
  float f[DIM * DIM], u[DIM * DIM], v[DIM * DIM], values[DIM];
  load<DIM>(f, F, i);
  if (DIM == 3)
    mote_svd3(f, u, values, v);
  else
    mote_svd2(f, u, values, v);
  store<DIM>(U, u, i);
  store<DIM>(V, v, i);
  for (int k = 0; k < DIM; k++) s[i * DIM + k] = values[k];
}

static mote_status step(mote_stream *stream, int dim, int64_t n, const mote_law *laws,
                        const int32_t *material, float dt, const float *C, float *F, float *history,
                        float *tau) {
  auto grid = mote_grid(n, THREADS);
  if (dim == 3)
    return MOTE_LAUNCH(step_kernel<3>, grid, THREADS, 0, stream, n, laws, material, dt, C, F, history, tau);
  return MOTE_LAUNCH(step_kernel<2>, grid, THREADS, 0, stream, n, laws, material, dt, C, F, history, tau);
}

static mote_status stress(mote_stream *stream, int dim, int64_t n, const mote_law *laws,
                          const int32_t *material, const float *C, const float *F, const float *history,
                          float *tau) {
  auto grid = mote_grid(n, THREADS);
  if (dim == 3)
    return MOTE_LAUNCH(stress_kernel<3>, grid, THREADS, 0, stream, n, laws, material, C, F, history, tau);
  return MOTE_LAUNCH(stress_kernel<2>, grid, THREADS, 0, stream, n, laws, material, C, F, history, tau);
}

static mote_status energy(mote_stream *stream, int dim, int64_t n, const mote_law *laws,
                          const int32_t *material, const float *F, const float *history, float *result) {
  auto grid = mote_grid(n, THREADS);
  if (dim == 3)
    return MOTE_LAUNCH(energy_kernel<3>, grid, THREADS, 0, stream, n, laws, material, F, history, result);
  return MOTE_LAUNCH(energy_kernel<2>, grid, THREADS, 0, stream, n, laws, material, F, history, result);
}

static mote_status svd(mote_stream *stream, int dim, int64_t n, const float *F, float *U, float *s,
                       float *V) {
  auto grid = mote_grid(n, THREADS);
  if (dim == 3) return MOTE_LAUNCH(svd_kernel<3>, grid, THREADS, 0, stream, n, F, U, s, V);
  return MOTE_LAUNCH(svd_kernel<2>, grid, THREADS, 0, stream, n, F, U, s, V);
}

extern "C" const struct mote_constitutive_kernels mote_constitutive_gpu = {
    step, stress, energy, svd, mote_gpu_stress_backward, mote_gpu_return_backward};
