/* The reduced-order operator: all particles from the motion of a sparse set. Increments of the sparse
   particles, frame to frame, are fitted by affine maps at the nodes of nested lattices in the current
   configuration (moving least squares) and evaluated at the dense points. Any affine motion is reproduced
   exactly. What the fits miss at the sparse particles is followed up by tracers and made good, there and at
   the points that started beside them, so that it does not add up over the frames. */
#ifndef MOTE_OPERATOR_H
#define MOTE_OPERATOR_H

#include <stdint.h>
#include <mote/device.h>

#ifdef __cplusplus
extern "C" {
#endif

typedef enum mote_frame_of_reference {
  MOTE_CURRENT_FRAME,  /* increments between frames, splatted where the particles are: for all matter */
  MOTE_REFERENCE_FRAME /* displacements since the first frame, splatted where the particles were: for matter
                          whose neighbours stay neighbours; errors do not add up */
} mote_frame_of_reference;

/* The numbers of the operator that do not come from training. Lengths are in sparse spacings
   s = (volume of the matter / sparse particles)^(1/dim). */
typedef struct mote_operator_settings {
  int levels;          /* nested lattices, each twice as coarse: 1 to 6 */
  float node_spacing;  /* of the finest lattice, in s */
  float radius;        /* of a node's neighbourhood on the finest lattice, in s */
  float ridge, shrink; /* regularisation of a node's gradient and value, in weights of one particle */
  float flight_reach;  /* weight of the sparse particles around a point, all levels together, below which it
                          goes  on in free flight; 0: never */
  float drift_gain;    /* part of the drift that a frame makes good, current frame only: each sparse particle
                          has a tracer that the fitted field moves as it moves the dense points, so how far
                          the two have come apart tells what the fit has been missing there; 0: none, below 2 */
  float kin_gain; /* the same for a dense point and its kin, the sparse particles that it started among: the
                     part of their tracers' drift that a frame makes good at the point (what is read has
                     all of it); current frame only; 0: no kin, at most 1 */
  mote_frame_of_reference frame;
} mote_operator_settings;
void mote_operator_defaults(mote_operator_settings *settings);

/* An operator as it is saved: settings and, when it has been trained, a network for each kind of matter that
   it has seen ("experts"). A folder with config.json and model.safetensors; the tensors are laid out as in
   PyTorch's Linear, (out, in). */
typedef struct mote_operator mote_operator;
mote_status mote_operator_load(const char *folder, mote_operator **learned);
mote_status mote_operator_save(const mote_operator *learned, const char *folder);
void mote_operator_destroy(mote_operator *learned); /* NULL is allowed */
const mote_operator_settings *mote_operator_get_settings(const mote_operator *learned);
/* The expert for a kind of material ("newtonian", ...), -1 when it has none: such matter is not corrected. */
int mote_operator_expert(const mote_operator *learned, const char *kind);

/* One scene's reconstruction: its sparse and dense particles at their first frame. */
typedef struct mote_reconstruction mote_reconstruction;

typedef struct mote_reconstruction_options {
  int dim;
  int64_t sparse_count, dense_count;
  const float *sparse;  /* (sparse_count, dim) m, positions at the first frame */
  const float *dense;   /* (dense_count, dim) m, positions at the same time */
  double dense_spacing; /* m, of the dense particles: metadata dx */
  double bounds[3][2];  /* m: what is reconstructed stays inside */
  double stop[3][2];    /* m: and inside these where they are given (lower < upper), when the bounds are
                           wider than matter gets so that fits beside the walls see beyond them */
  const mote_operator *learned; /* NULL: no learned correction; copied. Current frame only */
  const int32_t *expert;        /* (sparse_count), which expert corrects around each particle, -1: none; NULL:
                                   the first one, everywhere */
  double gravity[3];            /* m per frame squared: what free flight adds to an increment */
} mote_reconstruction_options;

mote_status mote_reconstruction_create(mote_device *device, const mote_operator_settings *settings,
                                       const mote_reconstruction_options *options,
                                       mote_reconstruction **reconstruction);
void mote_reconstruction_destroy(mote_reconstruction *reconstruction);

/* Advances one frame: `sparse` (sparse_count, dim) are the sparse particles' next positions, host memory. */
mote_status mote_reconstruction_advance(mote_reconstruction *reconstruction, const float *sparse);

/* The dense particles now, (dense_count, dim), to host memory; `reach` (dense_count), optional: how strongly
   sparse particles surround each, 0 for a point on its own. */
mote_status mote_reconstruction_read(mote_reconstruction *reconstruction, float *dense, float *reach);

#ifdef __cplusplus
}
#endif
#endif
