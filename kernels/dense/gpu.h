/* A tile of rows through a chain of layers on the GPU, the twin of tile.h: a block of 256 threads takes 64,
   32 or 16 rows. Activations go to and fro between two buffers in shared memory; weights stream through a
   ring of three slices beside them, of 16 inputs and up to 8 panels each.

   The trick: the slices of a whole chain are one stream, whose copies run ahead across layers (and experts),
   so that no layer begins by waiting for its weights. A thread holds `ROWS` rows x 8 columns (fewer columns
   in a narrow layer) of sums in registers. Each is one chain of fused multiply-adds over the inputs in their
   order, so a row's result does not depend on the tile it is in. */
#ifndef MOTE_KERNELS_DENSE_GPU_H
#define MOTE_KERNELS_DENSE_GPU_H

#include "cuda/async.h"
#include "cuda/launch.h"
#include "kernels/dense/dense.h"

#define MOTE_CHAIN_THREADS 256
#define MOTE_CHAIN_WARPS 8
#define MOTE_THREAD_ROWS 16 /* threads along a tile's rows, and along its columns */
#define MOTE_SLICE 16       /* inputs between two barriers */
#define MOTE_PASS 8         /* panels that one pass over the inputs makes, at most */
#define MOTE_STAGES 3       /* slices in the ring */
/* A panel's slice and half the banks: two neighbouring panels are read without a conflict. */
#define MOTE_PANEL_PITCH (MOTE_SLICE * MOTE_PANEL + MOTE_PANEL)
#define MOTE_STAGE_FLOATS (MOTE_PASS * MOTE_PANEL_PITCH)
#define MOTE_RING_FLOATS (MOTE_STAGES * MOTE_STAGE_FLOATS)
#define MOTE_CHAIN_STATIC 1024 /* bytes that kernels have beside the plan's */

/* Floats from row to row of a tile: whole panels, of which those behind the width are 0, and 4 more, with
   which four rows are read without a conflict. */
static inline MOTE_HD int mote_pitch(int width) {
  return mote_panels(width) * MOTE_PANEL + 4;
}

/* ---- How a chain lies in shared memory; by the host ---- */

typedef struct mote_chain_plan {
  int rows;   /* of a tile */
  int second; /* where the second buffer begins, and the room behind it, in floats */
  int behind;
  size_t bytes;
} mote_chain_plan;

/* Bytes of shared memory that a chain's tile may have. */
static inline size_t mote_chain_room(const mote_device *device) {
  return static_cast<size_t>(mote_cuda_block_shared(device)) - MOTE_CHAIN_STATIC;
}

/* `extra`: floats a row that the caller wants behind the buffers. As many rows as fit, but so few that about
   `n` of them keep each multiprocessor busy. */
static inline mote_chain_plan mote_plan_chain(const mote_device *device, const mote_mlp *mlp, int extra,
                                              int64_t n) {
  int wide[2] = {0, 0};
  for (int l = 0; l < mlp->layers; l++) {
    int from = mote_pitch(mlp->layer[l].in), to = mote_pitch(mlp->layer[l].out);
    if (from > wide[l % 2]) wide[l % 2] = from;
    if (to > wide[1 - l % 2]) wide[1 - l % 2] = to;
  }
  const size_t room = mote_chain_room(device);
  const int64_t blocks = mote_cuda_multiprocessors(device);
  mote_chain_plan plan;
  for (plan.rows = 64;; plan.rows /= 2) {
    plan.second = MOTE_RING_FLOATS + plan.rows * wide[0];
    plan.behind = plan.second + plan.rows * wide[1];
    plan.bytes = sizeof(float) * static_cast<size_t>(plan.behind + plan.rows * extra);
    if ((plan.bytes <= room && n > plan.rows / 2 * blocks) || plan.rows == 16) return plan;
  }
}

/* What a launch would fail of: weights are copied 16 bytes at a time, and the tile has to fit. */
static inline mote_status mote_check_chain(const mote_device *device, const mote_mlp *mlp,
                                           const mote_chain_plan *plan) {
  for (int l = 0; l < mlp->layers; l++)
    if (reinterpret_cast<uintptr_t>(mlp->layer[l].weight) % 16)
      return mote_fail(MOTE_ERROR_INTERNAL, "the weights of layer %d do not begin at a multiple of 16 bytes",
                       l);
  if (plan->bytes <= mote_chain_room(device)) return MOTE_OK;
  return mote_fail(MOTE_ERROR_DEVICE,
                   "layers too wide for %s: %zu bytes of shared memory wanted a block, %zu there",
                   device->name, plan->bytes, mote_chain_room(device));
}

/* ---- The stream of weights ---- */

typedef struct mote_weights {
  const mote_mlp *chain; /* the one to copy from next; `chains` are left */
  int chains, layer, panel, k;
  float *ring;
  int to, from; /* stages to fill and to read next */
} mote_weights;

/* Starts the copy of the next slice, if there is one. */
static __device__ inline void mote_weights_fetch(mote_weights *w) {
  if (w->chains > 0) {
    const mote_linear *l = &w->chain->layer[w->layer];
    int in = l->in, all = mote_panels(l->out), panels = min(all - w->panel, MOTE_PASS);
    const int quads = MOTE_SLICE * MOTE_PANEL / 4; /* of a panel */
    float *stage = w->ring + w->to * MOTE_STAGE_FLOATS;
    for (int i = static_cast<int>(threadIdx.x); i < panels * quads; i += MOTE_CHAIN_THREADS) {
      int panel = i / quads, quad = i % quads, k = w->k + quad / (MOTE_PANEL / 4);
      const float *from = l->weight + (static_cast<int64_t>(w->panel + panel) * in + w->k) * MOTE_PANEL;
      mote_copy_async(stage + panel * MOTE_PANEL_PITCH + quad * 4, k < in ? from + quad * 4 : l->weight,
                      k < in);
    }
    w->k += MOTE_SLICE;
    if (w->k >= in) {
      w->k = 0;
      w->panel += MOTE_PASS;
    }
    if (w->panel >= all) {
      w->panel = 0;
      w->layer++;
    }
    if (w->layer == w->chain->layers) {
      w->layer = 0;
      w->chain++;
      w->chains--;
    }
  }
  mote_copy_commit();
  w->to = w->to + 1 < MOTE_STAGES ? w->to + 1 : 0;
}

static __device__ inline mote_weights mote_weights_begin(const mote_mlp *chain, int chains, float *ring) {
  mote_weights w = {chain, chains, 0, 0, 0, ring, 0, 0};
  for (int stage = 1; stage < MOTE_STAGES; stage++) mote_weights_fetch(&w);
  return w;
}

/* The next slice, a barrier: whatever threads wrote to shared memory before is there as well, and nobody
   reads the slice before any more, whose place the next copy takes. */
static __device__ inline const float *mote_weights_next(mote_weights *w) {
  mote_copy_wait<MOTE_STAGES - 2>();
  __syncthreads();
  const float *slice = w->ring + w->from * MOTE_STAGE_FLOATS;
  w->from = w->from + 1 < MOTE_STAGES ? w->from + 1 : 0;
  mote_weights_fetch(w);
  return slice;
}

/* ---- Layers ---- */

/* Floats that are moved as one. */
template <int count> struct alignas(4 * count) mote_floats { float at[count]; };
template <int count> static __device__ inline mote_floats<count> mote_floats_at(const float *p) {
  return *reinterpret_cast<const mote_floats<count> *>(p);
}
template <int count> static __device__ inline void mote_floats_put(float *p, const mote_floats<count> &x) {
  *reinterpret_cast<mote_floats<count> *>(p) = x;
}

/* The panels [panel, panel + panels) of a layer's outputs, y, from x; `started`: y holds what is added to, in
   place of the bias. A thread has 16 columns a panel it makes: COLUMNS of each 16 * COLUMNS, in groups of at
   most four. */
template <int ROWS, int COLUMNS>
static __device__ inline void mote_chain_pass(const mote_linear *l, bool started, int panel, int panels,
                                              const float *x, float *y, mote_weights *weights) {
  constexpr int wide = COLUMNS < 4 ? COLUMNS : 4, groups = COLUMNS / wide;
  const int lane = static_cast<int>(threadIdx.x % 32), warp = static_cast<int>(threadIdx.x / 32);
  /* A warp covers 4 rows, 16 apart from a thread's next, and 8 units of columns. */
  const int row = warp / 2 * 4 + lane / 8, unit = warp % 2 * 8 + lane % 8;
  const int in = l->in, x_pitch = mote_pitch(in), y_pitch = mote_pitch(l->out);
  const mote_activation activation = l->activation;
  mote_floats<wide> sum[ROWS][groups];
  int column[groups], at[groups]; /* of the pass; and in a slice: threads without a panel read the last one */
  x += row * x_pitch;
  y += row * y_pitch + panel * MOTE_PANEL;
#pragma unroll
  for (int g = 0; g < groups; g++) {
    column[g] = (g * MOTE_THREAD_ROWS + unit) * wide;
    at[g] = min(column[g] / MOTE_PANEL, panels - 1) * MOTE_PANEL_PITCH + column[g] % MOTE_PANEL;
    bool there = column[g] < panels * MOTE_PANEL;
#pragma unroll
    for (int r = 0; r < ROWS; r++)
#pragma unroll
      for (int c = 0; c < wide; c++)
        sum[r][g].at[c] = !there    ? 0
                          : started ? y[r * MOTE_THREAD_ROWS * y_pitch + column[g] + c]
                                    : l->bias[panel * MOTE_PANEL + column[g] + c];
  }
  for (int first = 0; first < in; first += MOTE_SLICE) {
    const float *slice = mote_weights_next(weights);
    int end = min(in - first, MOTE_SLICE);
#pragma unroll 1
    for (int k = 0; k < end; k += 4) { /* behind the last input are zeros on both sides */
      mote_floats<4> a[ROWS];
#pragma unroll
      for (int r = 0; r < ROWS; r++) a[r] = mote_floats_at<4>(x + r * MOTE_THREAD_ROWS * x_pitch + first + k);
#pragma unroll
      for (int j = 0; j < 4; j++)
#pragma unroll
        for (int g = 0; g < groups; g++) {
          mote_floats<wide> b = mote_floats_at<wide>(slice + at[g] + (k + j) * MOTE_PANEL);
#pragma unroll
          for (int r = 0; r < ROWS; r++)
#pragma unroll
            for (int c = 0; c < wide; c++) sum[r][g].at[c] += a[r].at[j] * b.at[c];
        }
    }
  }
#pragma unroll
  for (int g = 0; g < groups; g++)
#pragma unroll
    for (int r = 0; r < ROWS; r++) {
#pragma unroll
      for (int c = 0; c < wide; c++)
        if (activation == MOTE_RELU) sum[r][g].at[c] = mote_activate(sum[r][g].at[c], MOTE_RELU);
      if (column[g] < panels * MOTE_PANEL)
        mote_floats_put<wide>(y + r * MOTE_THREAD_ROWS * y_pitch + column[g], sum[r][g]);
    }
  if (activation != MOTE_GELU && !l->residual) return;
    /* A loop over what this thread wrote: as part of the above, the function's code would be there 32 times.
     */
#pragma unroll 1
  for (int i = 0; i < ROWS * groups; i++) {
    int r = i / groups, c = (i % groups * MOTE_THREAD_ROWS + unit) * wide;
    if (c >= panels * MOTE_PANEL) continue;
    float *to = y + r * MOTE_THREAD_ROWS * y_pitch + c;
    const float *add = x + r * MOTE_THREAD_ROWS * x_pitch + panel * MOTE_PANEL + c;
#pragma unroll
    for (int j = 0; j < wide; j++) {
      float value = activation == MOTE_GELU ? mote_activate(to[j], MOTE_GELU) : to[j];
      to[j] = l->residual ? value + add[j] : value;
    }
  }
}

/* All layers, on what buffer 0 holds; which buffer then holds the result. Takes a barrier from the caller
   before that is read. `started`: buffer 1 holds what the first layer's sums start from, visible to all. */
template <int ROWS>
static __device__ inline int mote_chain_layers(const mote_mlp *mlp, bool started, float *first, float *second,
                                               mote_weights *weights) {
  int layers = mlp->layers;
  for (int i = 0; i < layers; i++) {
    const mote_linear *l = &mlp->layer[i];
    const float *x = i % 2 ? second : first;
    float *y = i % 2 ? first : second;
    bool begun = started && i == 0;
    int all = mote_panels(l->out);
    for (int panel = 0; panel < all; panel += MOTE_PASS) {
      int panels = min(all - panel, MOTE_PASS);
      if (panels > 4)
        mote_chain_pass<ROWS, 8>(l, begun, panel, panels, x, y, weights);
      else if (panels > 2)
        mote_chain_pass<ROWS, 4>(l, begun, panel, panels, x, y, weights);
      else if (panels > 1)
        mote_chain_pass<ROWS, 2>(l, begun, panel, panels, x, y, weights);
      else
        mote_chain_pass<ROWS, 1>(l, begun, panel, panels, x, y, weights);
    }
  }
  return layers % 2;
}

/* ---- Rows: a warp a row, neighbouring lanes at neighbouring columns ---- */

static __device__ inline int mote_own_warp() {
  return static_cast<int>(threadIdx.x / 32);
}
static __device__ inline int mote_own_lane() {
  return static_cast<int>(threadIdx.x % 32);
}

/* The same bits in each lane: a step adds the same two numbers in both of a pair. */
static __device__ inline float mote_warp_sum(float x) {
  for (int distance = 16; distance > 0; distance /= 2) x += __shfl_xor_sync(0xffffffffu, x, distance);
  return x;
}
static __device__ inline float mote_warp_max(float x) {
  for (int distance = 16; distance > 0; distance /= 2)
    x = fmaxf(x, __shfl_xor_sync(0xffffffffu, x, distance));
  return x;
}

/* Rows of [a, b] into a tile, zeros behind them and in rows that are not used. */
static __device__ inline void mote_chain_fill(mote_rows a, mote_rows b, int64_t first, int used, int rows,
                                              float *x, int pitch) {
  for (int r = mote_own_warp(); r < rows; r += MOTE_CHAIN_WARPS) {
    const float *from = a.data + (first + r) * a.stride;
    const float *other = b.data ? b.data + (first + r) * b.stride - a.width : nullptr;
    for (int c = mote_own_lane(); c < pitch - 4; c += 32)
      x[r * pitch + c] = r >= used ? 0 : c < a.width ? from[c] : c < a.width + b.width ? other[c] : 0;
  }
}

/* LayerNorm of a row in place; each lane then holds its own columns. */
static __device__ inline void mote_warp_norm(mote_norm norm, int width, float *x) {
  if (!norm.weight) return;
  const int lane = mote_own_lane();
  float sum = 0, square = 0, size = static_cast<float>(width);
  for (int c = lane; c < width; c += 32) sum += x[c];
  float mean = mote_warp_sum(sum) / size;
  for (int c = lane; c < width; c += 32) square += (x[c] - mean) * (x[c] - mean);
  float scale = 1 / sqrtf(mote_warp_sum(square) / size + MOTE_NORM_EPSILON);
  for (int c = lane; c < width; c += 32) x[c] = (x[c] - mean) * scale * norm.weight[c] + norm.bias[c];
}

/* out = residual + norm(x) */
static __device__ inline void mote_chain_write(mote_norm norm, mote_rows residual, int64_t first, int used,
                                               int width, float *x, float *out, int out_stride) {
  const int pitch = mote_pitch(width);
  for (int r = mote_own_warp(); r < used; r += MOTE_CHAIN_WARPS) {
    float *row = x + r * pitch, *to = out + (first + r) * out_stride;
    const float *add = residual.data ? residual.data + (first + r) * residual.stride : nullptr;
    mote_warp_norm(norm, width, row);
    for (int c = mote_own_lane(); c < width; c += 32) to[c] = add ? add[c] + row[c] : row[c];
  }
}

/* softmax(logits)[e] */
static __device__ inline float mote_gate(int experts, const float *logits, int e) {
  float most = logits[0], sum = 0;
  for (int k = 1; k < experts; k++) most = fmaxf(most, logits[k]);
  for (int k = 0; k < experts; k++) sum += expf(logits[k] - most);
  return expf(logits[e] - most) / sum;
}

#endif
