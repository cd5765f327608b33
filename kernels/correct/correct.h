/* The learned correction of the reduced-order operator: at each node of the finest lattice a small network
   weighs vector fields that the fits leave on the table (coarser levels, what the fit misses nearby, the
   drift of the tracers, walls), and their sum is added to the node's fit.

   The trick is what is learned: not motion, but bounded weights of affine fields that vanish where the motion
   is affine and no tracer drifts. So rigid motion stays exact whatever the weights are, inputs are invariant
   under rotations, and the network runs at nodes, which are far fewer than the points. */
#ifndef MOTE_KERNELS_CORRECT_H
#define MOTE_KERNELS_CORRECT_H

#include "kernels/reconstruct/reconstruct.h"

#ifdef __cplusplus
extern "C" {
#endif

#define MOTE_FEATURES 32
#define MOTE_HIDDEN 32
#define MOTE_BASES 12
#define MOTE_OUTPUTS 16 /* MOTE_BASES, padded */
#define MOTE_EXPERTS 6  /* kinds of matter with a network of their own */
#define MOTE_BASIS_STRIDE (MOTE_BASES * MOTE_AFFINE)
#define MOTE_ERROR_ROWS 7                   /* packed: residual xyz, drift xyz, expert */
#define MOTE_ERROR_SUMS (34 + MOTE_EXPERTS) /* see basis.h */
#define MOTE_CHUNKS 32 /* parts in which weight gradients are summed, always the same ones */

/* A node whose particles weigh less keeps its fit: it lies about two thirds of the radius away from matter,
   where no point is but one that flies. Most nodes that particles reach are of that kind. */
#define MOTE_LEAST_WEIGHT 0.1f

/* The parameters of an expert, one behind the other: weights (in, out), then bias, of the three layers. */
#define MOTE_WEIGHTS_2 (MOTE_FEATURES * MOTE_HIDDEN + MOTE_HIDDEN)
#define MOTE_WEIGHTS_3 (MOTE_WEIGHTS_2 + MOTE_HIDDEN * MOTE_HIDDEN + MOTE_HIDDEN)
#define MOTE_PARAMETERS (MOTE_WEIGHTS_3 + MOTE_HIDDEN * MOTE_OUTPUTS + MOTE_OUTPUTS)

/* Networks in device memory. `norm` holds for each expert mean and inverse deviation of the features. */
typedef struct mote_experts {
  int count;
  const float *parameters; /* (count, MOTE_PARAMETERS) */
  const float *norm;       /* (count, 2, MOTE_FEATURES) */
} mote_experts;

/* What the nodes of the finest lattice are described from; pointers are device memory. */
typedef struct mote_correct_view {
  mote_lattice lattice[3]; /* the finest, and two coarser ones; levels < 3: the last ones are not there */
  int levels;
  float radius; /* m, of the finest level's neighbourhood */
  float wall_lower[3], wall_upper[3], gravity[3];
  const float *moments;  /* of the finest level */
  const float *field[3]; /* fits of the levels before any correction */
} mote_correct_view;

/* Per node of the finest lattice, where it is active and has MOTE_LEAST_WEIGHT of particles (other rows are
   neither written nor read): feature (nodes, MOTE_FEATURES), basis (nodes, MOTE_BASES, MOTE_AFFINE) m, share
   (nodes, MOTE_EXPERTS), the part of the particles around that each expert speaks for. */
struct mote_correct_kernels {
  /* rows (MOTE_ERROR_ROWS, stride) in packed order: increment - fitted, drift as in pursue, expert.
     `expert` NULL: all 0. */
  mote_status (*pack_errors)(mote_stream *stream, int dim, int64_t n, const int32_t *order,
                             const float *increment, const float *fitted, const float *now,
                             const float *tracer, float limit, const int32_t *expert, float *rows,
                             int64_t stride);

  mote_status (*describe)(mote_stream *stream, const mote_correct_view *view, const mote_bins *bins,
                          const mote_packed *packed, const float *errors, const mote_global_fit *fit,
                          float *feature, float *basis, float *share);

  /* out = fit of the finest level + sum over bases of weight * basis; weight = sum over experts of share * 2
     tanh(o / 2), o the expert's outputs. `field` (nodes, MOTE_FIELD_STRIDE) is changed in place. */
  mote_status (*evaluate)(mote_stream *stream, const mote_correct_view *view, const mote_experts *experts,
                          const mote_global_fit *fit, const float *feature, const float *basis,
                          const float *share, float *field);

  /* ---- backward ---- */

  /* keys[i] = the first node of point i's cell, or the number of nodes when it lies outside; values[i] = i.
   */
  mote_status (*locate)(mote_stream *stream, const mote_lattice *lattice, const mote_global_fit *fit,
                        float radius, int64_t n, const float *point, uint32_t *keys, int32_t *values);

  /* One step back along the points' paths, x' = x + gate * u(x): gradient += scale * error, cut to a length
     of at most `clip`; increment_gradient = gate * gradient; gradient += (du/dx)^T increment_gradient, with
     du/dx the blended gradient of the nodes' maps. gate falls from 1 to 0 with the reach below flight_reach,
     as in advance. error (NULL: 0), gradient, increment_gradient: (n, dim). */
  mote_status (*adjoint)(mote_stream *stream, const mote_lattice *lattice, const mote_global_fit *fit,
                         float radius, const float *field, int64_t n, const float *point, const float *error,
                         float scale, float clip, float flight_reach, float *gradient,
                         float *increment_gradient);

  /* The adjoint of gather: field_gradient (nodes, MOTE_AFFINE) of the active nodes, from the gradient at the
     points, which are sorted by key. */
  mote_status (*gather_backward)(mote_stream *stream, const mote_lattice *lattice, const mote_global_fit *fit,
                                 float radius, int64_t n, const uint32_t *keys, const int32_t *order,
                                 const float *point, const float *increment_gradient, float *field_gradient);

  /* gradient (experts, MOTE_PARAMETERS) += that of the experts' parameters. `partial` is scratch: MOTE_CHUNKS
     times as large. Sums run in a fixed order. */
  mote_status (*evaluate_backward)(mote_stream *stream, const mote_correct_view *view,
                                   const mote_experts *experts, const mote_global_fit *fit,
                                   const float *feature, const float *basis, const float *share,
                                   const float *field_gradient, float *partial, float *gradient);

  /* Adam (Kingma and Ba 2015) on `scale` * gradient; `step` counts from 1. average += (1 - decay) *
     (parameter - average). */
  mote_status (*adam)(mote_stream *stream, int64_t n, const float *gradient, float scale, float rate,
                      int64_t step, float decay, float *parameter, float *first, float *second,
                      float *average);
};

#ifdef __cplusplus
}
#endif
#endif
