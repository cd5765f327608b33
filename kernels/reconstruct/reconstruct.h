/* The reduced-order operator's kernels: increments of sparse particles -> affine fits at the nodes of a few
   nested lattices (splat) -> increments of dense points (gather).

   The trick is in the order of the levels. The coarsest fit is one affine map for all particles; every finer
   level fits what the coarser one leaves, pulled towards zero where particles are few. So a globally affine
   motion leaves nothing to fit and is reproduced exactly at every point, whatever the regularisation, and a
   node that no particle reaches inherits the coarser fit. It is moving least squares (Lancaster and
   Salkauskas 1981) at nodes, blended by a partition of unity (Babuska and Melenk 1997). */
#ifndef MOTE_KERNELS_RECONSTRUCT_H
#define MOTE_KERNELS_RECONSTRUCT_H

#include "kernels/kernel.h"

#ifdef __cplusplus
extern "C" {
#endif

#define MOTE_MOMENTS 22       /* sums a node keeps: see moments below */
#define MOTE_MOMENT_STRIDE 24 /* floats a node's moments take */
#define MOTE_FIELD_STRIDE 16  /* floats a node's fit takes */
#define MOTE_AFFINE 12        /* floats of an affine field at a node: value[3], gradient[3 c + a] */

/* A lattice of one level: node (i, j, k) lies at origin + spacing * (i, j, k) and has index
   (i * nodes[1] + j) * nodes[2] + k. In 2-D nodes[2] is 1 and z is 0 throughout. */
typedef struct mote_lattice {
  int dim;
  float origin[3];
  float spacing;
  float unit; /* length in which moments measure offsets: the spacing of the finest level, on all levels */
  int nodes[3];
} mote_lattice;

/* Bins of the sparse particles, for the splat: cubes of side `size` = the radius of the finest level. */
typedef struct mote_bins {
  float origin[3];
  float size;
  int count[3];
} mote_bins;

/* The global affine fit of one frame, in device memory: u(x) = value + gradient (x - center), and the box of
   the sparse particles. */
typedef struct mote_global_fit {
  float center[3], value[3], gradient[9]; /* gradient[3 c + a] = d u_c / d x_a */
  float lower[3], upper[3];
} mote_global_fit;

/* Free flight, and the box that no point leaves. All in m (a frame). */
typedef struct mote_flight {
  float gravity[3]; /* what a frame of free fall adds to an increment */
  float reach;      /* weight of sparse particles below which flight begins to take over; 0: never */
  float lower[3], upper[3];
} mote_flight;

/* Sparse particles sorted by bin, structure of arrays with `stride` floats a row (a multiple of 16, at least
   n + 16; the rows' tails are never used but may be read): x, y, z, then u_x, u_y, u_z. */
typedef struct mote_packed {
  const float *rows;
  const int32_t *bin_start; /* (bins + 1) */
  int64_t stride;
} mote_packed;

static inline MOTE_HD int64_t mote_lattice_size(const mote_lattice *l) {
  return (int64_t)l->nodes[0] * l->nodes[1] * l->nodes[2];
}

/* Moments at a node, offsets d = (y - node) / unit, weights w = (1 - |y - node|^2 / radius^2)^3:
   [0] sum w, [1..3] w d, [4..9] w d d^T (xx xy xz yy yz zz), [10..12] w u, [13 + 3 c + a] w u_c d_a.
   A fit at a node: [0..2] u, [3] the weights of all levels together, [4 (a + 1) + c] d u_c / d x_a; the other
   entries are 0.
 */
struct mote_reconstruct_kernels {
  /* fit = least-squares affine map of increment (n, dim) over position (n, dim), sums in float64, ridge 1e-10
     of the mean second moment; and the box of the positions. */
  mote_status (*fit_globally)(mote_stream *stream, int dim, int64_t n, const float *position,
                              const float *increment, mote_global_fit *fit);

  /* The particles in the order of their bins (clamped to those there are, key_bits bits), of equal bins in
     theirs: order (n), bin_start and the packed rows. `keys` (n): room. `scratch` grows in the first call of
     a size. */
  mote_status (*arrange)(mote_stream *stream, int dim, int64_t n, const float *position,
                         const float *increment, const mote_bins *bins, int key_bits, uint32_t *keys,
                         int32_t *order, int32_t *bin_start, float *rows, int64_t stride,
                         mote_buffer *scratch);

  /* Moments of the finest level. Nodes farther than the radius from the box of `fit` are left as they are and
     are read by nobody: each kernel takes the same box. */
  mote_status (*splat)(mote_stream *stream, const mote_lattice *lattice, const mote_bins *bins,
                       const mote_packed *packed, const mote_global_fit *fit, float radius, float *moments);

  /* Moments of a level from those of the next finer one: the (1 2 1)/4 mean of the 3^dim nodes around, moved
     to the coarse node. Coarse node (i, j, k) is fine node (2 i, 2 j, 2 k). `radius` is the finest level's;
     `level` counts the coarse one (1, 2, ...). */
  mote_status (*restrict_moments)(mote_stream *stream, const mote_lattice *fine, const mote_lattice *coarse,
                                  const mote_global_fit *fit, float radius, int level,
                                  const float *fine_moments, float *coarse_moments);

  /* The affine fits of a level, to what the coarser field leaves; coarse_field NULL: to what the global fit
     leaves. `ridge` holds the gradient back (weight times unit squared), `shrink` the value (weight): a node
     whose particles weigh much more than that follows them, one with less follows the coarser field. */
  mote_status (*fit_nodes)(mote_stream *stream, const mote_lattice *lattice, const mote_lattice *coarse,
                           const mote_global_fit *fit, float radius, int level, const float *moments,
                           const float *coarse_field, float ridge, float shrink, float *field);

  /* out[i] = increment of the field at point i (n, dim), and reach[i] (may be NULL) the weight of the sparse
     particles around it. Points outside of the lattice's active box take the global fit and reach 0. */
  mote_status (*gather)(mote_stream *stream, const mote_lattice *lattice, const mote_global_fit *fit,
                        float radius, const float *field, int64_t n, const float *point, float *increment,
                        float *reach);

  /* out[i] = to[i] - from[i], i < n */
  mote_status (*difference)(mote_stream *stream, int64_t n, const float *to, const float *from, float *out);

  /* What the fit is to follow, (n, dim): increment[i] = next[i] - now[i] + gain * drift, where drift = d / (1
     + |d|^2 / limit^2), d = now[i] - tracer[i]: what is much longer than the limit is an outlier and counts
     for less and less (Geman and McClure 1985). A tracer starts on its particle and is moved by the fitted
     field alone. */
  mote_status (*pursue)(mote_stream *stream, int dim, int64_t n, const float *next, const float *now,
                        const float *tracer, float gain, float limit, float *increment);

  /* position[i] = base[i] + increment[i], kept inside the bounds; last becomes what it moved by. A point that
     sparse particles hardly reach goes on in free flight instead: last + gravity. `reach` NULL: no flight. */
  mote_status (*advance)(mote_stream *stream, int dim, int64_t n, const float *base, const float *increment,
                         const float *reach, const mote_flight *flight, float *last, float *position);

  /* ---- backward: from a level's field to what it was fitted to. Fits, restrictions and blends are linear in
     the increments, given where those are splatted, which is held constant ---- */

  /* From field_slope (nodes, MOTE_AFFINE): moment_slope (nodes, MOTE_AFFINE), along moments 10 to 21, and,
     unless NULL, prior_slope, along the field that the fit begins with; may be field_slope. Of the active
     nodes. */
  mote_status (*fit_nodes_backward)(mote_stream *stream, const mote_lattice *lattice,
                                    const mote_global_fit *fit, float radius, int level, const float *moments,
                                    const float *field_slope, float ridge, float shrink, float *moment_slope,
                                    float *prior_slope);

  /* coarse_slope, along the coarser field, from the prior_slope of the next finer level. `level` counts the
     coarse one. A node at the lattice's very end began with the global fit: no point is near it. */
  mote_status (*blend_backward)(mote_stream *stream, const mote_lattice *fine, const mote_lattice *coarse,
                                const mote_global_fit *fit, float radius, int level, const float *prior_slope,
                                float *coarse_slope);

  /* fine_slope, along the finer moments, gains what goes through restrict_moments. */
  mote_status (*restrict_backward)(mote_stream *stream, const mote_lattice *fine, const mote_lattice *coarse,
                                   const mote_global_fit *fit, float radius, int level,
                                   const float *coarse_slope, float *fine_slope);

  /* increment_slope (n, dim) gains what goes through the global fit, from the prior_slope of the coarsest
     level. `slope`: room in device memory. */
  mote_status (*global_backward)(mote_stream *stream, const mote_lattice *coarsest,
                                 const mote_global_fit *fit, float radius, int level, int64_t n,
                                 const float *position, const float *prior_slope, mote_global_fit *slope,
                                 float *increment_slope);

  /* increment_slope (n, dim) = sum over the nodes around a particle. */
  mote_status (*splat_backward)(mote_stream *stream, const mote_lattice *lattice, const mote_global_fit *fit,
                                float radius, int64_t n, const float *position, const float *moment_slope,
                                float *increment_slope);

  /* tracer_slope (n, dim) gains what the tracer's drift does through pursue; the drift's weight is held
     constant. */
  mote_status (*pursue_backward)(mote_stream *stream, int dim, int64_t n, const float *now,
                                 const float *tracer, float gain, float limit, const float *increment_slope,
                                 float *tracer_slope);
};

#ifdef __cplusplus
}
#endif
#endif
