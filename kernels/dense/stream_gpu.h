/* How a chain of layers lies in a block's shared memory, and the stream of its weights: slices of 16 inputs
   and up to 8 panels each, through a ring of three. The trick: the slices of a whole chain are one stream,
   whose copies run ahead across layers (and experts), so that no layer begins by waiting for its weights. */
#ifndef MOTE_KERNELS_DENSE_STREAM_GPU_H
#define MOTE_KERNELS_DENSE_STREAM_GPU_H

#include "cuda/async.h"
#include "cuda/launch.h"
#include "kernels/dense/dense.h"

#define MOTE_CHAIN_THREADS 256
#define MOTE_CHAIN_WARPS 8
#define MOTE_THREAD_ROWS 16    /* threads along a tile's rows, and along its columns */
#define MOTE_SLICE 16          /* inputs between two barriers */
#define MOTE_PASS 8            /* panels that one pass over the inputs makes, at most */
#define MOTE_STAGES 3          /* slices in the ring */
#define MOTE_CHAIN_STATIC 1024 /* bytes that kernels have beside the plan's */

/* How a chain multiplies: by fused multiply-adds (0), or on tensor cores by so many bfloat16 terms of each
   value (1 to 3), or by tf32; layers that do not suit by multiply-adds all the same. */
#define MOTE_BY_FMA 0
#define MOTE_BY_TF32 4

/* How a panel's slice lies in the ring: rows of an input, or of four where tensor cores multiply terms, term
   behind term, of so many words. For tensor cores 8 banks lie between the rows that lanes read at once
   (mma_gpu.h); multiply-adds want half the banks between panels. */
template <int BY> struct mote_slice {
  static constexpr bool terms = BY != MOTE_BY_FMA && BY != MOTE_BY_TF32;
  static constexpr int inputs = terms ? 4 : 1; /* of a row */
  static constexpr int rows = MOTE_SLICE / inputs;
  static constexpr int words = terms ? BY * 2 * MOTE_PANEL : MOTE_PANEL;
  static constexpr int pitch = words + (BY == MOTE_BY_FMA ? 0 : 8);
  static constexpr int floats = rows * pitch + (BY == MOTE_BY_FMA ? MOTE_PANEL : 0);
};
/* Of layers that tensor cores multiply and of those that they do not. */
template <int BY> static inline constexpr MOTE_HD int mote_stage_floats() {
  return MOTE_PASS * (mote_slice<BY>::floats > mote_slice<MOTE_BY_FMA>::floats
                          ? mote_slice<BY>::floats
                          : mote_slice<MOTE_BY_FMA>::floats);
}
/* Whether rows are split into terms ahead of a layer, once for all warps that multiply them; of tiles of 64
   only two warps multiply a row's block, and room is short. */
template <int ROWS, int BY> static inline constexpr MOTE_HD bool mote_splits_ahead() {
  return ROWS <= 2 && mote_slice<BY>::terms;
}

template <int BY> static inline constexpr MOTE_HD int mote_ring_floats() {
  return MOTE_STAGES * mote_stage_floats<BY>();
}

/* Floats from row to row of a tile: whole panels, of which those behind the width are 0, and 4 more, with
   which four rows are read without a conflict. */
static inline MOTE_HD int mote_pitch(int width) {
  return mote_panels(width) * MOTE_PANEL + 4;
}

/* ---- How a chain lies in shared memory; by the host ---- */

typedef struct mote_chain_plan {
  int by;     /* how it multiplies */
  int rows;   /* of a tile */
  int second; /* where the second buffer begins, the room behind it, and the one for split rows, in floats */
  int behind;
  int split;
  size_t bytes;
} mote_chain_plan;

/* Bytes of shared memory that a chain's tile may have. */
static inline size_t mote_chain_room(const mote_device *device) {
  return static_cast<size_t>(mote_cuda_block_shared(device)) - MOTE_CHAIN_STATIC;
}

static inline int mote_chain_by(const mote_device *device, const mote_mlp *mlp) {
  for (int l = 0; l < mlp->layers; l++)
    if (mlp->layer[l].terms.data)
      return device->precision == MOTE_PRECISION_TF32 ? MOTE_BY_TF32 : mlp->layer[l].terms.count;
  return MOTE_BY_FMA;
}

static inline int mote_ring_floats_by(int by) {
  const int floats[] = {mote_ring_floats<0>(), mote_ring_floats<1>(), mote_ring_floats<2>(),
                        mote_ring_floats<3>(), mote_ring_floats<MOTE_BY_TF32>()};
  return floats[by];
}

/* `extra`: floats a row that the caller wants behind the buffers. As many rows as fit, but so few that about
   `n` of them keep each multiprocessor busy. */
static inline mote_chain_plan mote_plan_chain(const mote_device *device, const mote_mlp *mlp, int extra,
                                              int64_t n) {
  int wide[2] = {0, 0}, most = 0;
  for (int l = 0; l < mlp->layers; l++) {
    if (mlp->layer[l].in > most) most = mlp->layer[l].in;
    int from = mote_pitch(mlp->layer[l].in), to = mote_pitch(mlp->layer[l].out);
    if (from > wide[l % 2]) wide[l % 2] = from;
    if (to > wide[1 - l % 2]) wide[1 - l % 2] = to;
  }
  const size_t room = mote_chain_room(device);
  const int64_t blocks = mote_cuda_multiprocessors(device);
  mote_chain_plan plan;
  plan.by = mote_chain_by(device, mlp);
  for (plan.rows = 64;; plan.rows /= 2) {
    plan.second = mote_ring_floats_by(plan.by) + plan.rows * wide[0];
    plan.behind = plan.second + plan.rows * wide[1];
    plan.split = plan.behind + plan.rows * extra;
    const int terms = plan.by != MOTE_BY_TF32 && plan.rows <= 32 ? plan.by : 0; /* half a float each */
    plan.bytes =
        sizeof(float) * static_cast<size_t>(plan.split + plan.rows * (mote_pitch(most) - 4) * terms / 2);
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

/* What is to be copied next: the panels [panel, panel + panels) of a layer's inputs from k on. */
typedef struct mote_weights {
  const mote_mlp *chain; /* of which `chains` are left */
  int chains, layer, panel, panels, k, in;
  const float *source; /* of the first panel; the next one's stands `stride` words behind it */
  int stride;
  bool suits; /* tensor cores multiply the layer */
  float *ring;
  int to, from; /* stages to fill and to read next */
} mote_weights;

/* Whether tensor cores multiply a layer: terms are of four inputs at once, and few do not fill a tile. */
template <int BY> static __device__ inline bool mote_layer_suits(const mote_linear *l) {
  return l->terms.data && l->in >= MOTE_SLICE && (BY == MOTE_BY_TF32 || l->in % 4 == 0);
}

/* At the panels from w->panel on of w->layer; behind the last chain at none. */
template <int BY> static __device__ inline void mote_weights_aim(mote_weights *w) {
  w->k = 0;
  w->panels = 0;
  w->in = MOTE_SLICE;
  if (w->chains <= 0) return;
  const mote_linear *l = &w->chain->layer[w->layer];
  w->in = l->in;
  w->panels = min(mote_panels(l->out) - w->panel, MOTE_PASS);
  w->source = l->weight;
  w->stride = l->in * MOTE_PANEL;
  w->suits = false;
  if constexpr (BY != MOTE_BY_FMA) {
    w->suits = mote_layer_suits<BY>(l);
    if (w->suits) {
      w->source = reinterpret_cast<const float *>(l->terms.data); /* copied as bits */
      w->stride = l->in / mote_slice<BY>::inputs * mote_slice<BY>::words;
    }
  }
  w->source += static_cast<int64_t>(w->panel) * w->stride;
}

/* Behind the last slice of some panels. */
template <int BY> static __device__ inline void mote_weights_turn(mote_weights *w) {
  if (w->chains <= 0) return;
  w->panel += MOTE_PASS;
  if (w->panel >= mote_panels(w->chain->layer[w->layer].out)) {
    w->panel = 0;
    w->layer++;
  }
  if (w->layer == w->chain->layers) {
    w->layer = 0;
    w->chain++;
    w->chains--;
  }
  mote_weights_aim<BY>(w);
}

/* 16 bytes a thread and round, zeros behind the last input. What a thread copies within a slice is always the
   same, so that little has to be worked out between two barriers. */
template <int BY> static __device__ inline void mote_slice_fetch(const mote_weights *w, float *stage) {
  typedef mote_slice<BY> slice;
  constexpr int quads = slice::words / 4, all = slice::rows * quads;
  constexpr int rounds = (MOTE_PASS * all + MOTE_CHAIN_THREADS - 1) / MOTE_CHAIN_THREADS;
#pragma unroll
  for (int round = 0; round < rounds; round++) {
    const int i = static_cast<int>(threadIdx.x) + round * MOTE_CHAIN_THREADS;
    const int panel = i / all, quad = i % all, row = quad / quads;
    if (panel >= w->panels) continue;
    const bool there = w->k + row * slice::inputs < w->in;
    mote_copy_async(stage + panel * slice::floats + row * slice::pitch + quad % quads * 4,
                    w->source + (there ? panel * w->stride + quad * 4 : 0), there);
  }
}

/* Starts the copy of the next slice, if there is one. */
template <int BY> static __device__ inline void mote_weights_fetch(mote_weights *w) {
  float *stage = w->ring + w->to * mote_stage_floats<BY>();
  int words = mote_slice<MOTE_BY_FMA>::rows * mote_slice<MOTE_BY_FMA>::words;
  bool copied = false;
  if constexpr (BY != MOTE_BY_FMA)
    if (w->suits) {
      words = mote_slice<BY>::rows * mote_slice<BY>::words;
      mote_slice_fetch<BY>(w, stage);
      copied = true;
    }
  if (!copied) mote_slice_fetch<MOTE_BY_FMA>(w, stage);
  mote_copy_commit();
  w->k += MOTE_SLICE;
  w->source += words;
  if (w->k >= w->in) mote_weights_turn<BY>(w);
  w->to = w->to + 1 < MOTE_STAGES ? w->to + 1 : 0;
}

template <int BY>
static __device__ inline mote_weights mote_weights_begin(const mote_mlp *chain, int chains, float *ring) {
  mote_weights w = {};
  w.chain = chain;
  w.chains = chains;
  w.ring = ring;
  mote_weights_aim<BY>(&w);
  for (int stage = 1; stage < MOTE_STAGES; stage++) mote_weights_fetch<BY>(&w);
  return w;
}

/* The next slice, a barrier: whatever threads wrote to shared memory before is there as well, and nobody
   reads the slice before any more, whose place the next copy takes. */
template <int BY> static __device__ inline const float *mote_weights_next(mote_weights *w) {
  mote_copy_wait<MOTE_STAGES - 2>();
  __syncthreads();
  const float *slice = w->ring + w->from * mote_stage_floats<BY>();
  w->from = w->from + 1 < MOTE_STAGES ? w->from + 1 : 0;
  mote_weights_fetch<BY>(w);
  return slice;
}

/* Floats that are moved as one. */
template <int count> struct alignas(4 * count) mote_floats { float at[count]; };
template <int count> static __device__ inline mote_floats<count> mote_floats_at(const float *p) {
  return *reinterpret_cast<const mote_floats<count> *>(p);
}
template <int count> static __device__ inline void mote_floats_put(float *p, const mote_floats<count> &x) {
  *reinterpret_cast<mote_floats<count> *>(p) = x;
}

#endif
