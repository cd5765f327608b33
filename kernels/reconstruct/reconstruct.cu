/* The reduced-order operator on the GPU: eight lanes gather the particles around a node, in bin order, so
   nothing is added atomically and bits repeat; a thread a node for what follows, a thread a point, and one
   block for the global fit and for the sorting of few particles. */
#include "kernels/reconstruct/reconstruct.h"

#include <float.h>

#include "cuda/few.h"
#include "kernels/array/array.h"
#include "kernels/reconstruct/backward.h"
#include "kernels/reconstruct/gpu.h"

#define ARRANGING 1024   /* threads of the one block that sorts few particles */
#define FEW 4096         /* particles */
#define MANY_BINS 262144 /* more take longer to be found by one block than launches */

/* ---- the global fit ---- */

/* The box in one pass, the moments about its center in a second. */
static __global__ void fit_kernel(int dim, int64_t n, const float *position, const float *increment,
                                  mote_global_fit *fit) {
  __shared__ double shared[FIT_THREADS / WARP];
  __shared__ float center[3];
  for (int a = 0; a < 3; a++) {
    double sum = 0, lower = FLT_MAX, upper = -FLT_MAX;
    for (int64_t i = threadIdx.x; i < n && a < dim; i += FIT_THREADS) {
      double x = position[i * dim + a];
      sum += x;
      lower = fmin(lower, x);
      upper = fmax(upper, x);
    }
    sum = reduce(shared, sum, 0);
    lower = reduce(shared, lower, -1);
    upper = reduce(shared, upper, 1);
    if (threadIdx.x) continue;
    center[a] = fit->center[a] = n > 0 ? (float)(sum / (double)n) : 0;
    fit->lower[a] = a < dim ? (float)lower : 0;
    fit->upper[a] = a < dim ? (float)upper : 0;
  }
  __syncthreads();
  double m[MOTE_MOMENTS];
  for (int k = 0; k < MOTE_MOMENTS; k++) m[k] = 0;
  for (int64_t i = threadIdx.x; i < n; i += FIT_THREADS) {
    double d[3] = {0, 0, 0}, u[3] = {0, 0, 0};
    for (int a = 0; a < dim; a++) {
      d[a] = position[i * dim + a] - center[a];
      u[a] = increment[i * dim + a];
    }
    mote_add_to_global(d, u, m);
  }
  for (int k = 0; k < MOTE_MOMENTS; k++) m[k] = reduce(shared, m[k], 0);
  if (threadIdx.x == 0) mote_solve_global(m, fit);
}

static mote_status fit_globally(mote_stream *stream, int dim, int64_t n, const float *position,
                                const float *increment, mote_global_fit *fit) {
  return MOTE_LAUNCH(fit_kernel, 1, FIT_THREADS, 0, stream, dim, n, position, increment, fit);
}

/* ---- bins ---- */

static __global__ void bin_kernel(int dim, int64_t n, const float *position, mote_bins bins, uint32_t *keys,
                                  int32_t *values) {
  int64_t i = (int64_t)blockIdx.x * blockDim.x + threadIdx.x;
  if (i >= n) return;
  keys[i] = mote_bin_of(&bins, dim, position + i * dim);
  values[i] = (int32_t)i;
}

/* Bin b begins at the first sorted key that is not below b. */
static __global__ void starts_kernel(int64_t n, int64_t bins, const uint32_t *keys, int32_t *bin_start) {
  int64_t b = (int64_t)blockIdx.x * blockDim.x + threadIdx.x;
  if (b <= bins) bin_start[b] = mote_key_from(keys, n, b);
}

/* Where i < stride is a place among the particles in their order. */
static __device__ void pack_row(int dim, int64_t n, int64_t i, int64_t particle, const float *position,
                                const float *increment, float *rows, int64_t stride) {
  for (int a = 0; a < 3; a++) {
    int real = i < n && a < dim;
    rows[a * stride + i] = real ? position[particle * dim + a] : 0;
    rows[(3 + a) * stride + i] = real ? increment[particle * dim + a] : 0;
  }
}

static __global__ void pack_kernel(int dim, int64_t n, const int32_t *order, const float *position,
                                   const float *increment, float *rows, int64_t stride) {
  int64_t i = (int64_t)blockIdx.x * blockDim.x + threadIdx.x;
  if (i < stride) pack_row(dim, n, i, i < n ? order[i] : 0, position, increment, rows, stride);
}

/* All of it by one block, for few particles. */
static __global__ void __launch_bounds__(ARRANGING)
    arrange_few_kernel(int dim, int n, int room, const float *position, const float *increment,
                       mote_bins bins, int bin_count, int32_t *order, int32_t *bin_start, float *rows,
                       int64_t stride) {
  MOTE_SHARED_DYNAMIC(unsigned long long, pairs);
  for (int i = (int)threadIdx.x; i < room; i += ARRANGING)
    pairs[i] = i < n ? mote_pair_of(mote_bin_of(&bins, dim, position + (int64_t)i * dim), i) : ~0ull;
  mote_block_sort(pairs, room);
  for (int i = (int)threadIdx.x; i < (int)stride; i += ARRANGING) {
    const int32_t particle = i < n ? mote_pair_index(pairs[i]) : 0;
    if (i < n) order[i] = particle;
    pack_row(dim, n, i, particle, position, increment, rows, stride);
  }
  for (int b = (int)threadIdx.x; b <= bin_count; b += ARRANGING) bin_start[b] = mote_pair_from(pairs, n, b);
}

static mote_status arrange(mote_stream *stream, int dim, int64_t n, const float *position,
                           const float *increment, const mote_bins *bins, int key_bits, uint32_t *keys,
                           int32_t *order, int32_t *bin_start, float *rows, int64_t stride,
                           mote_buffer *scratch) {
  int64_t count = (int64_t)bins->count[0] * bins->count[1] * bins->count[2];
  if (n <= FEW && count <= MANY_BINS) {
    const int room = mote_pair_room(n);
    return MOTE_LAUNCH(arrange_few_kernel, 1, ARRANGING, sizeof(unsigned long long) * (size_t)room, stream,
                       dim, (int)n, room, position, increment, *bins, (int)count, order, bin_start, rows,
                       stride);
  }
  MOTE_TRY(MOTE_LAUNCH(bin_kernel, mote_grid(n, THREADS), THREADS, 0, stream, dim, n, position, *bins, keys,
                       order));
  MOTE_TRY(stream->device->array->sort_pairs_u32(stream, keys, order, n, key_bits, scratch));
  MOTE_TRY(MOTE_LAUNCH(starts_kernel, mote_grid(count + 1, THREADS), THREADS, 0, stream, n, count, keys,
                       bin_start));
  return MOTE_LAUNCH(pack_kernel, mote_grid(stride, THREADS), THREADS, 0, stream, dim, n, order, position,
                     increment, rows, stride);
}

/* ---- nodes ---- */

static __device__ void splat_particle(const mote_packed *packed, int32_t i, const float x[3],
                                      float inverse_unit, float inverse_reach2, float m[MOTE_MOMENTS]) {
  float d[3], q = 1;
  for (int a = 0; a < 3; a++) {
    d[a] = (packed->rows[a * packed->stride + i] - x[a]) * inverse_unit;
    q -= d[a] * d[a] * inverse_reach2;
  }
  if (!(q > 0)) return;
  float w = q * q * q;
  m[0] += w;
  for (int a = 0, at = 4; a < 3; a++) {
    m[1 + a] += w * d[a];
    for (int b = a; b < 3; b++, at++) m[at] += w * d[a] * d[b];
  }
  for (int c = 0; c < 3; c++) {
    float u = w * packed->rows[(3 + c) * packed->stride + i];
    m[10 + c] += u;
    for (int a = 0; a < 3; a++) m[13 + 3 * c + a] += u * d[a];
  }
}

static __global__ void splat_kernel(mote_lattice lattice, mote_bins bins, mote_packed packed,
                                    const mote_global_fit *fit, float radius, float *moments) {
  mote_node_range range = mote_active_nodes(&lattice, fit, radius, 0);
  int at[3], lo[3], hi[3];
  const int64_t node = own_group();
  if (!mote_lattice_node_at(&lattice, &range, node, at)) return; /* whole groups */
  float x[3], m[MOTE_MOMENTS], reach = radius / lattice.unit;
  mote_node_position(&lattice, at, x);
  for (int k = 0; k < MOTE_MOMENTS; k++) m[k] = 0;
  for (int a = 0; a < 3; a++) mote_bins_around(&bins, a, x[a], &lo[a], &hi[a]);
  for (int i = lo[0]; i <= hi[0]; i++)
    for (int j = lo[1]; j <= hi[1]; j++) {
      int64_t row = ((int64_t)i * bins.count[1] + j) * bins.count[2];
      int32_t end = packed.bin_start[row + hi[2] + 1];
      for (int32_t p = packed.bin_start[row + lo[2]] + own_member(); p < end; p += GROUP)
        splat_particle(&packed, p, x, 1 / lattice.unit, 1 / (reach * reach), m);
    }
  sum_group(MOTE_MOMENTS, m);
  if (own_member()) return;
  float *out = moments + node * MOTE_MOMENT_STRIDE;
  for (int k = 0; k < MOTE_MOMENT_STRIDE; k++) out[k] = k < MOTE_MOMENTS ? m[k] : 0;
}

static mote_status splat(mote_stream *stream, const mote_lattice *lattice, const mote_bins *bins,
                         const mote_packed *packed, const mote_global_fit *fit, float radius,
                         float *moments) {
  return MOTE_LAUNCH(splat_kernel, mote_grid(mote_lattice_size(lattice) * GROUP, THREADS), THREADS, 0, stream,
                     *lattice, *bins, *packed, fit, radius, moments);
}

static __global__ void restrict_kernel(mote_lattice fine, mote_lattice coarse, const mote_global_fit *fit,
                                       float radius, int level, const float *fine_moments,
                                       float *coarse_moments) {
  mote_node_range range = mote_active_nodes(&coarse, fit, radius, level);
  mote_node_range source = mote_active_nodes(&fine, fit, radius, level - 1);
  int at[3];
  int64_t node;
  if (!own_node(&coarse, &range, at, &node)) return;
  mote_restrict_node(&fine, &source, at, fine_moments, coarse_moments + node * MOTE_MOMENT_STRIDE);
}

static mote_status restrict_moments(mote_stream *stream, const mote_lattice *fine, const mote_lattice *coarse,
                                    const mote_global_fit *fit, float radius, int level,
                                    const float *fine_moments, float *coarse_moments) {
  return MOTE_LAUNCH(restrict_kernel, mote_grid(mote_lattice_size(coarse), THREADS), THREADS, 0, stream,
                     *fine, *coarse, fit, radius, level, fine_moments, coarse_moments);
}

static __global__ void fit_nodes_kernel(mote_lattice lattice, mote_lattice coarse, const mote_global_fit *fit,
                                        float radius, int level, const float *moments,
                                        const float *coarse_field, float ridge, float shrink, float *field) {
  mote_node_range range = mote_active_nodes(&lattice, fit, radius, level);
  mote_node_range outer = mote_active_nodes(&coarse, fit, radius, level + 1);
  int at[3];
  int64_t node;
  float x[3];
  if (!own_node(&lattice, &range, at, &node)) return;
  mote_node_position(&lattice, at, x);
  mote_fit_at(&coarse, coarse_field, &outer, fit, x, moments + node * MOTE_MOMENT_STRIDE, lattice.unit, ridge,
              shrink, field + node * MOTE_FIELD_STRIDE);
}

static mote_status fit_nodes(mote_stream *stream, const mote_lattice *lattice, const mote_lattice *coarse,
                             const mote_global_fit *fit, float radius, int level, const float *moments,
                             const float *coarse_field, float ridge, float shrink, float *field) {
  return MOTE_LAUNCH(fit_nodes_kernel, mote_grid(mote_lattice_size(lattice), THREADS), THREADS, 0, stream,
                     *lattice, coarse ? *coarse : *lattice, fit, radius, level, moments, coarse_field, ridge,
                     shrink, field);
}

/* ---- points ---- */

static __global__ void gather_kernel(mote_lattice lattice, const mote_global_fit *fit, float radius,
                                     const float *field, int64_t n, const float *point, float *increment,
                                     float *reach) {
  int64_t p = (int64_t)blockIdx.x * blockDim.x + threadIdx.x;
  if (p >= n) return;
  mote_node_range active = mote_active_nodes(&lattice, fit, radius, 0);
  float x[3] = {0, 0, 0}, fraction[3], out[MOTE_FIELD_STRIDE];
  int base[3];
  for (int a = 0; a < lattice.dim; a++) x[a] = point[p * lattice.dim + a];
  if (mote_locate(&lattice, &active, x, base, fraction))
    mote_blend(&lattice, field, base, fraction, out);
  else
    mote_global_field(fit, x, out);
  for (int a = 0; a < lattice.dim; a++) increment[p * lattice.dim + a] = out[a];
  if (reach) reach[p] = out[3];
}

static mote_status gather(mote_stream *stream, const mote_lattice *lattice, const mote_global_fit *fit,
                          float radius, const float *field, int64_t n, const float *point, float *increment,
                          float *reach) {
  return MOTE_LAUNCH(gather_kernel, mote_grid(n, THREADS), THREADS, 0, stream, *lattice, fit, radius, field,
                     n, point, increment, reach);
}

static __global__ void difference_kernel(int64_t n, const float *to, const float *from, float *out) {
  int64_t i = (int64_t)blockIdx.x * blockDim.x + threadIdx.x;
  if (i < n) out[i] = to[i] - from[i];
}

static mote_status difference(mote_stream *stream, int64_t n, const float *to, const float *from,
                              float *out) {
  return MOTE_LAUNCH(difference_kernel, mote_grid(n, THREADS), THREADS, 0, stream, n, to, from, out);
}

static __global__ void pursue_kernel(int dim, int64_t n, const float *next, const float *now,
                                     const float *tracer, float gain, float limit, float *increment) {
  int64_t i = (int64_t)blockIdx.x * blockDim.x + threadIdx.x;
  if (i >= n) return;
  mote_pursue_particle(dim, next + i * dim, now + i * dim, tracer + i * dim, gain, limit,
                       increment + i * dim);
}

static mote_status pursue(mote_stream *stream, int dim, int64_t n, const float *next, const float *now,
                          const float *tracer, float gain, float limit, float *increment) {
  return MOTE_LAUNCH(pursue_kernel, mote_grid(n, THREADS), THREADS, 0, stream, dim, n, next, now, tracer,
                     gain, limit, increment);
}

static __global__ void advance_kernel(int dim, int64_t n, const float *base, const float *increment,
                                      const float *reach, mote_flight flight, float *last, float *position) {
  int64_t i = (int64_t)blockIdx.x * blockDim.x + threadIdx.x;
  if (i >= n) return;
  mote_advance_point(dim, &flight, base + i * dim, increment + i * dim, reach ? reach + i : NULL,
                     last + i * dim, position + i * dim);
}

static mote_status advance(mote_stream *stream, int dim, int64_t n, const float *base, const float *increment,
                           const float *reach, const mote_flight *flight, float *last, float *position) {
  return MOTE_LAUNCH(advance_kernel, mote_grid(n, THREADS), THREADS, 0, stream, dim, n, base, increment,
                     reach, *flight, last, position);
}

extern "C" const struct mote_reconstruct_kernels mote_reconstruct_gpu = {
    fit_globally,
    arrange,
    splat,
    restrict_moments,
    fit_nodes,
    gather,
    difference,
    pursue,
    advance,
    mote_gpu_fit_nodes_backward,
    mote_gpu_blend_backward,
    mote_gpu_restrict_backward,
    mote_gpu_global_backward,
    mote_gpu_splat_backward,
    mote_gpu_pursue_backward,
};
