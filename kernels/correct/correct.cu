/* The learned correction on the GPU: eight lanes sum over the particles around a node, a warp evaluates its
   network, a lane a hidden value; a thread a point; weight gradients by a block a chunk of nodes, whose
   threads each own some of the parameters, so that no sum is atomic and bits repeat. */
#include "kernels/correct/correct.h"

#include "cuda/launch.h"
#include "kernels/correct/basis.h"
#include "kernels/reconstruct/gpu.h"

static __global__ void pack_errors_kernel(int dim, int64_t n, const int32_t *order, const float *increment,
                                          const float *fitted, const float *now, const float *tracer,
                                          float limit, const int32_t *expert, float *rows, int64_t stride) {
  int64_t i = (int64_t)blockIdx.x * blockDim.x + threadIdx.x;
  if (i >= stride) return;
  float residual[3] = {0, 0, 0}, drift[3] = {0, 0, 0};
  if (i < n) {
    int64_t p = (int64_t)order[i] * dim;
    mote_particle_errors(dim, increment + p, fitted + p, now + p, tracer + p, limit, residual, drift);
  }
  for (int a = 0; a < 3; a++) {
    rows[a * stride + i] = residual[a];
    rows[(3 + a) * stride + i] = drift[a];
  }
  rows[6 * stride + i] = i < n && expert ? (float)expert[order[i]] : 0;
}

static mote_status pack_errors(mote_stream *stream, int dim, int64_t n, const int32_t *order,
                               const float *increment, const float *fitted, const float *now,
                               const float *tracer, float limit, const int32_t *expert, float *rows,
                               int64_t stride) {
  return MOTE_LAUNCH(pack_errors_kernel, mote_grid(stride, THREADS), THREADS, 0, stream, dim, n, order,
                     increment, fitted, now, tracer, limit, expert, rows, stride);
}

/* ---- nodes ---- */

static __device__ void sum_particle(const mote_packed *packed, const float *errors, int32_t i,
                                    const float x[3], float inverse_unit, float wide, float *sum) {
  float d[3], d2 = 0;
  for (int a = 0; a < 3; a++) {
    d[a] = (packed->rows[a * packed->stride + i] - x[a]) * inverse_unit;
    d2 += d[a] * d[a];
  }
  float q = 1 - d2 * wide, p = 1 - d2 * (wide / (MOTE_NARROW * MOTE_NARROW));
  if (!(q > 0)) return;
  if (!(p > 0)) p = 0;
  float w = q * q * q, n = p * p * p;
  sum[MOTE_SUM_N] += n;
  sum[MOTE_SUM_NDD] += n * d2;
  for (int c = 0; c < 3; c++) {
    float r = errors[c * packed->stride + i], t = errors[(3 + c) * packed->stride + i];
    sum[MOTE_SUM_ND + c] += n * d[c];
    sum[MOTE_SUM_NR + c] += n * r;
    sum[MOTE_SUM_NT + c] += n * t;
    sum[MOTE_SUM_WT + c] += w * t;
    sum[MOTE_SUM_RR] += w * r * r;
    sum[MOTE_SUM_TT] += w * t * t;
    for (int a = 0; a < 3; a++) {
      sum[MOTE_SUM_NRD + 3 * c + a] += n * r * d[a];
      sum[MOTE_SUM_NTD + 3 * c + a] += n * t * d[a];
    }
  }
  float expert = errors[6 * packed->stride + i];
  for (int e = 0; e < MOTE_EXPERTS; e++) sum[MOTE_SUM_EXPERT + e] += expert == (float)e ? w : 0;
}

static __global__ void describe_kernel(mote_correct_view view, mote_bins bins, mote_packed packed,
                                       const float *errors, const mote_global_fit *fit, float *feature,
                                       float *basis, float *share) {
  const mote_lattice *l = &view.lattice[0];
  mote_node_range active[3];
  int at[3], lo[3], hi[3];
  const int64_t node = own_group();
  active[0] = mote_active_nodes(l, fit, view.radius, 0);
  if (!mote_lattice_node_at(l, &active[0], node, at) ||
      !(view.moments[node * MOTE_MOMENT_STRIDE] > MOTE_LEAST_WEIGHT))
    return;
  for (int level = 1; level < 3 && level < view.levels; level++)
    active[level] = mote_active_nodes(&view.lattice[level], fit, view.radius, level);
  float x[3], sum[MOTE_ERROR_SUMS], inverse_unit = 1 / l->unit, reach = view.radius * inverse_unit;
  for (int k = 0; k < MOTE_ERROR_SUMS; k++) sum[k] = 0;
  mote_node_position(l, at, x);
  for (int a = 0; a < 3; a++) mote_bins_around(&bins, a, x[a], &lo[a], &hi[a]);
  for (int i = lo[0]; i <= hi[0]; i++)
    for (int j = lo[1]; j <= hi[1]; j++) {
      int64_t row = ((int64_t)i * bins.count[1] + j) * bins.count[2];
      int32_t end = packed.bin_start[row + hi[2] + 1];
      for (int32_t p = packed.bin_start[row + lo[2]] + own_member(); p < end; p += GROUP)
        sum_particle(&packed, errors, p, x, inverse_unit, 1 / (reach * reach), sum);
    }
  sum_group(MOTE_ERROR_SUMS, sum);
  if (own_member()) return;
  mote_describe_node(&view, active, fit, at, node, sum, feature + node * MOTE_FEATURES,
                     basis + node * MOTE_BASIS_STRIDE, share + node * MOTE_EXPERTS);
}

static mote_status describe(mote_stream *stream, const mote_correct_view *view, const mote_bins *bins,
                            const mote_packed *packed, const float *errors, const mote_global_fit *fit,
                            float *feature, float *basis, float *share) {
  return MOTE_LAUNCH(describe_kernel, mote_grid(mote_lattice_size(&view->lattice[0]) * GROUP, THREADS),
                     THREADS, 0, stream, *view, *bins, *packed, errors, fit, feature, basis, share);
}

/* A layer of at most 32 inputs and outputs, a lane each; sums in the order of the inputs. */
static __device__ float layer_by_warp(int in, int out, const float *weights, float x, int lane) {
  const int own = lane < out ? lane : 0;
  float sum = weights[in * out + own];
  for (int i = 0; i < in; i++) sum += __shfl_sync(ALL_LANES, x, i) * weights[i * out + own];
  return sum;
}

/* The bounded output of a lane. */
static __device__ float network_by_warp(const float *p, const float *norm, const float *feature, int lane) {
  static_assert(MOTE_FEATURES == 32 && MOTE_HIDDEN == 32 && MOTE_OUTPUTS <= 32, "a lane a value");
  float x = mote_normalise(norm, feature, lane);
  x = mote_silu(layer_by_warp(MOTE_FEATURES, MOTE_HIDDEN, p, x, lane));
  x = mote_silu(layer_by_warp(MOTE_HIDDEN, MOTE_HIDDEN, p + MOTE_WEIGHTS_2, x, lane));
  return mote_bounded(layer_by_warp(MOTE_HIDDEN, MOTE_OUTPUTS, p + MOTE_WEIGHTS_3, x, lane));
}

/* A warp a node; lane i < MOTE_AFFINE adds entry i of the bases' sum. */
static __global__ void __launch_bounds__(THREADS, 5)
    evaluate_kernel(mote_correct_view view, mote_experts experts, const mote_global_fit *fit,
                    const float *feature, const float *basis, const float *share, float *field) {
  const mote_lattice *l = &view.lattice[0];
  int at[3];
  const int64_t node = ((int64_t)blockIdx.x * blockDim.x + threadIdx.x) / WARP;
  const int lane = (int)threadIdx.x % WARP, entry = lane < MOTE_AFFINE ? lane : 0;
  mote_node_range range = mote_active_nodes(l, fit, view.radius, 0);
  if (!mote_lattice_node_at(l, &range, node, at) ||
      !(view.moments[node * MOTE_MOMENT_STRIDE] > MOTE_LEAST_WEIGHT))
    return; /* whole warps */
  float weight = 0, sum = 0;
  for (int e = 0; e < experts.count; e++) {
    const float part = share[node * MOTE_EXPERTS + e];
    if (part > 0)
      weight +=
          part * network_by_warp(experts.parameters + e * MOTE_PARAMETERS,
                                 experts.norm + e * 2 * MOTE_FEATURES, feature + node * MOTE_FEATURES, lane);
  }
  for (int k = 0; k < MOTE_BASES; k++)
    sum += __shfl_sync(ALL_LANES, weight, k) * basis[node * MOTE_BASIS_STRIDE + k * MOTE_AFFINE + entry];
  if (lane < MOTE_AFFINE) field[node * MOTE_FIELD_STRIDE + mote_field_entry(lane)] += sum;
}

static mote_status evaluate(mote_stream *stream, const mote_correct_view *view, const mote_experts *experts,
                            const mote_global_fit *fit, const float *feature, const float *basis,
                            const float *share, float *field) {
  return MOTE_LAUNCH(evaluate_kernel, mote_grid(mote_lattice_size(&view->lattice[0]) * WARP, THREADS),
                     THREADS, 0, stream, *view, *experts, fit, feature, basis, share, field);
}

/* ---- backward ---- */

static __global__ void locate_kernel(mote_lattice lattice, const mote_global_fit *fit, float radius,
                                     int64_t n, const float *point, uint32_t *keys, int32_t *values) {
  int64_t p = (int64_t)blockIdx.x * blockDim.x + threadIdx.x;
  if (p >= n) return;
  mote_node_range active = mote_active_nodes(&lattice, fit, radius, 0);
  float x[3] = {0, 0, 0}, fraction[3];
  int base[3];
  for (int a = 0; a < lattice.dim; a++) x[a] = point[p * lattice.dim + a];
  int inside = mote_locate(&lattice, &active, x, base, fraction);
  keys[p] = (uint32_t)(inside ? ((int64_t)base[0] * lattice.nodes[1] + base[1]) * lattice.nodes[2] + base[2]
                              : mote_lattice_size(&lattice));
  values[p] = (int32_t)p;
}

static mote_status locate(mote_stream *stream, const mote_lattice *lattice, const mote_global_fit *fit,
                          float radius, int64_t n, const float *point, uint32_t *keys, int32_t *values) {
  return MOTE_LAUNCH(locate_kernel, mote_grid(n, THREADS), THREADS, 0, stream, *lattice, fit, radius, n,
                     point, keys, values);
}

static __global__ void adjoint_kernel(mote_lattice lattice, const mote_global_fit *fit, float radius,
                                      const float *field, int64_t n, const float *point, const float *error,
                                      float scale, float clip, float flight_reach, float *gradient,
                                      float *increment_gradient) {
  int64_t p = (int64_t)blockIdx.x * blockDim.x + threadIdx.x;
  if (p >= n) return;
  mote_node_range active = mote_active_nodes(&lattice, fit, radius, 0);
  int dim = lattice.dim;
  mote_adjoint_point(&lattice, &active, fit, field, point + p * dim, error ? error + p * dim : NULL, scale,
                     clip, flight_reach, gradient + p * dim, increment_gradient + p * dim);
}

static mote_status adjoint(mote_stream *stream, const mote_lattice *lattice, const mote_global_fit *fit,
                           float radius, const float *field, int64_t n, const float *point,
                           const float *error, float scale, float clip, float flight_reach, float *gradient,
                           float *increment_gradient) {
  return MOTE_LAUNCH(adjoint_kernel, mote_grid(n, THREADS), THREADS, 0, stream, *lattice, fit, radius, field,
                     n, point, error, scale, clip, flight_reach, gradient, increment_gradient);
}

static __global__ void gather_backward_kernel(mote_lattice lattice, const mote_global_fit *fit, float radius,
                                              int64_t n, const uint32_t *keys, const int32_t *order,
                                              const float *point, const float *increment_gradient,
                                              float *field_gradient) {
  int at[3];
  int64_t node = (int64_t)blockIdx.x * blockDim.x + threadIdx.x;
  mote_node_range range = mote_active_nodes(&lattice, fit, radius, 0);
  if (mote_lattice_node_at(&lattice, &range, node, at))
    mote_gather_node_backward(&lattice, &range, at, n, keys, order, point, increment_gradient,
                              field_gradient + node * MOTE_AFFINE);
}

static mote_status gather_backward(mote_stream *stream, const mote_lattice *lattice,
                                   const mote_global_fit *fit, float radius, int64_t n, const uint32_t *keys,
                                   const int32_t *order, const float *point, const float *increment_gradient,
                                   float *field_gradient) {
  return MOTE_LAUNCH(gather_backward_kernel, mote_grid(mote_lattice_size(lattice), THREADS), THREADS, 0,
                     stream, *lattice, fit, radius, n, keys, order, point, increment_gradient,
                     field_gradient);
}

/* Block c takes the rows (i, j) of active nodes c, c + chunks, ... as the CPU does. Thread 0 computes a
   node's activations; then each thread adds to its own parameters. */
static __global__ void evaluate_backward_kernel(mote_correct_view view, mote_experts experts,
                                                const mote_global_fit *fit, const float *feature,
                                                const float *basis, const float *share,
                                                const float *field_gradient, float *partial) {
  __shared__ mote_activations t;
  __shared__ float d1[MOTE_HIDDEN], d2[MOTE_HIDDEN], d3[MOTE_OUTPUTS];
  const mote_lattice *l = &view.lattice[0];
  mote_node_range range = mote_active_nodes(l, fit, view.radius, 0);
  float *sum = partial + (int64_t)blockIdx.x * experts.count * MOTE_PARAMETERS;
  for (int k = (int)threadIdx.x; k < experts.count * MOTE_PARAMETERS; k += THREADS) sum[k] = 0;
  for (int row = (int)blockIdx.x; row < range.count[0] * range.count[1]; row += MOTE_CHUNKS)
    for (int z = range.first[2]; z < range.first[2] + range.count[2]; z++) {
      int64_t i = range.first[0] + row / range.count[1], j = range.first[1] + row % range.count[1];
      int64_t node = (i * l->nodes[1] + j) * l->nodes[2] + z;
      if (!(view.moments[node * MOTE_MOMENT_STRIDE] > MOTE_LEAST_WEIGHT)) continue;
      for (int e = 0; e < experts.count; e++) {
        float part = share[node * MOTE_EXPERTS + e];
        const float *p = experts.parameters + e * MOTE_PARAMETERS;
        if (!(part > 0)) continue;
        __syncthreads();
        if (threadIdx.x == 0) {
          mote_network_forward(p, experts.norm + e * 2 * MOTE_FEATURES, feature + node * MOTE_FEATURES, &t);
          mote_output_gradient(basis + node * MOTE_BASIS_STRIDE, field_gradient + node * MOTE_AFFINE, part,
                               t.output, d3);
          mote_network_backward(p, &t, d3, d2, d1);
        }
        __syncthreads();
        for (int k = (int)threadIdx.x; k < MOTE_PARAMETERS; k += THREADS)
          sum[e * MOTE_PARAMETERS + k] += mote_parameter_gradient(&t, d1, d2, d3, k);
      }
    }
}

static __global__ void add_chunks_kernel(int64_t n, const float *partial, float *gradient) {
  int64_t k = (int64_t)blockIdx.x * blockDim.x + threadIdx.x;
  if (k >= n) return;
  float sum = gradient[k];
  for (int chunk = 0; chunk < MOTE_CHUNKS; chunk++) sum += partial[chunk * n + k];
  gradient[k] = sum;
}

static mote_status evaluate_backward(mote_stream *stream, const mote_correct_view *view,
                                     const mote_experts *experts, const mote_global_fit *fit,
                                     const float *feature, const float *basis, const float *share,
                                     const float *field_gradient, float *partial, float *gradient) {
  int64_t size = (int64_t)experts->count * MOTE_PARAMETERS;
  MOTE_TRY(MOTE_LAUNCH(evaluate_backward_kernel, MOTE_CHUNKS, THREADS, 0, stream, *view, *experts, fit,
                       feature, basis, share, field_gradient, partial));
  return MOTE_LAUNCH(add_chunks_kernel, mote_grid(size, THREADS), THREADS, 0, stream, size, partial,
                     gradient);
}

static __global__ void adam_kernel(int64_t n, const float *gradient, float scale, float rate, float bias1,
                                   float bias2, float decay, float *parameter, float *first, float *second,
                                   float *average) {
  int64_t i = (int64_t)blockIdx.x * blockDim.x + threadIdx.x;
  if (i < n)
    mote_adam_step(scale * gradient[i], rate, bias1, bias2, decay, parameter + i, first + i, second + i,
                   average + i);
}

static mote_status adam(mote_stream *stream, int64_t n, const float *gradient, float scale, float rate,
                        int64_t step, float decay, float *parameter, float *first, float *second,
                        float *average) {
  float bias1 = 1 - powf(0.9f, (float)step), bias2 = 1 - powf(0.999f, (float)step);
  return MOTE_LAUNCH(adam_kernel, mote_grid(n, THREADS), THREADS, 0, stream, n, gradient, scale, rate, bias1,
                     bias2, decay, parameter, first, second, average);
}

extern "C" const struct mote_correct_kernels mote_correct_gpu = {
    pack_errors, describe, evaluate, locate, adjoint, gather_backward, evaluate_backward, adam};
