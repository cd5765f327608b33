/* The reverse of the laws on the GPU: a thread a particle. A block keeps the gradients by parameters of its
   particles in shared memory and sums them law by law; a second kernel adds the blocks' sums, both in a fixed
   order. */
#include "kernels/constitutive/backward.h"

#include "cuda/launch.h"

#define THREADS 128

typedef struct backward_job {
  int64_t n;
  int law_count;
  const mote_law *laws;
  const int32_t *material;
  float dt;
  const float *C, *F, *history, *d_tau; /* d_tau is null in the reverse of the return */
  float *d_F, *d_C, *d_history;
  double *sums; /* (blocks, laws, parameters), or null */
} backward_job;

template <int DIM> static __device__ void load(float *to, const float *rows, int64_t i) {
  for (int k = 0; k < DIM * DIM; k++) to[k] = rows[i * DIM * DIM + k];
}
template <int DIM> static __device__ void store(float *rows, const float *from, int64_t i) {
  for (int k = 0; k < DIM * DIM; k++) rows[i * DIM * DIM + k] = from[k];
}

template <int DIM, bool STRESS>
static __device__ void particle(const backward_job &j, int64_t i, float *d_law) {
  float c[DIM * DIM], f[DIM * DIM], d_tau[DIM * DIM], d_f[DIM * DIM], d_c[DIM * DIM];
  float history = j.history[i], d_history = j.d_history[i];
  mote_law law = j.laws[j.material[i]];
  load<DIM>(c, j.C, i);
  load<DIM>(f, j.F, i);
  load<DIM>(d_f, j.d_F, i);
  load<DIM>(d_c, j.d_C, i);
  if (STRESS) {
    load<DIM>(d_tau, j.d_tau, i);
    mote_law_stress_backward(DIM, &law, c, f, history, d_tau, d_f, d_c, &d_history, d_law);
  } else {
    mote_law_return_backward(DIM, &law, j.dt, c, f, history, d_f, d_c, &d_history, d_law);
  }
  store<DIM>(j.d_F, d_f, i);
  store<DIM>(j.d_C, d_c, i);
  j.d_history[i] = d_history;
}

template <int DIM, bool STRESS> static __global__ void reverse_kernel(backward_job j) {
  __shared__ float shared[MOTE_LAW_PARAMETERS][THREADS + 1]; /* threads that sum stand in different banks */
  __shared__ int32_t material[THREADS];
  const int64_t i = static_cast<int64_t>(blockIdx.x) * blockDim.x + threadIdx.x;
  float d_law[MOTE_LAW_PARAMETERS];
  for (int p = 0; p < MOTE_LAW_PARAMETERS; p++) d_law[p] = 0;
  if (i < j.n) particle<DIM, STRESS>(j, i, d_law);
  if (!j.sums) return;
  for (int p = 0; p < MOTE_LAW_PARAMETERS; p++) shared[p][threadIdx.x] = d_law[p];
  material[threadIdx.x] = i < j.n ? j.material[i] : -1;
  __syncthreads();
  const int numbers = j.law_count * MOTE_LAW_PARAMETERS;
  for (int k = static_cast<int>(threadIdx.x); k < numbers; k += THREADS) {
    const int law = k / MOTE_LAW_PARAMETERS, p = k % MOTE_LAW_PARAMETERS;
    double sum = 0;
    for (int t = 0; t < THREADS; t++)
      if (material[t] == law) sum += static_cast<double>(shared[p][t]);
    j.sums[static_cast<int64_t>(blockIdx.x) * numbers + k] = sum;
  }
}

/* A block a number: each thread adds every 128th of the blocks' sums, the first thread what they have. */
static __global__ void add_blocks_kernel(int64_t blocks, int numbers, const double *sums, double *total) {
  __shared__ double part[THREADS];
  const int k = static_cast<int>(blockIdx.x);
  double sum = 0;
  for (int64_t b = threadIdx.x; b < blocks; b += THREADS) sum += sums[b * numbers + k];
  part[threadIdx.x] = sum;
  __syncthreads();
  if (threadIdx.x) return;
  sum = 0;
  for (int t = 0; t < THREADS; t++) sum += part[t];
  total[k] += sum;
}

template <bool STRESS>
static mote_status reverse(mote_stream *stream, int dim, backward_job job, double *d_laws,
                           mote_buffer *scratch) {
  const int numbers = job.law_count * MOTE_LAW_PARAMETERS;
  const unsigned blocks = mote_grid(job.n, THREADS);
  if (d_laws && blocks) {
    MOTE_TRY(
        mote_buffer_reserve(scratch, stream->device,
                            static_cast<size_t>(blocks) * static_cast<size_t>(numbers) * sizeof(double)));
    job.sums = static_cast<double *>(scratch->data);
  }
  if (dim == 3)
    MOTE_TRY(MOTE_LAUNCH(MOTE_KERNEL(reverse_kernel<3, STRESS>), blocks, THREADS, 0, stream, job));
  else
    MOTE_TRY(MOTE_LAUNCH(MOTE_KERNEL(reverse_kernel<2, STRESS>), blocks, THREADS, 0, stream, job));
  if (!job.sums) return MOTE_OK;
  return MOTE_LAUNCH(add_blocks_kernel, static_cast<unsigned>(numbers), THREADS, 0, stream,
                     static_cast<int64_t>(blocks), numbers, job.sums, d_laws);
}

MOTE_STRESS_BACKWARD(mote_gpu_stress_backward) {
  const backward_job job = {n,       law_count, laws, material, 0,         C,      F,
                            history, d_tau,     d_F,  d_C,      d_history, nullptr};
  return reverse<true>(stream, dim, job, d_laws, scratch);
}

MOTE_RETURN_BACKWARD(mote_gpu_return_backward) {
  const backward_job job = {n,       law_count, laws, material, dt,        C,      F,
                            history, nullptr,   d_F,  d_C,      d_history, nullptr};
  return reverse<false>(stream, dim, job, d_laws, scratch);
}
