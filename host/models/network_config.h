/* config.json of a time-stepper: the published GIOROM (Viswanath et al., arXiv 2407.03925), its variants, and
   the dense graph network GNS (Sanchez-Gonzalez et al. 2020). Keys and their defaults:
   scripts/models/README.md. */
#ifndef MOTE_MODELS_NETWORK_CONFIG_H
#define MOTE_MODELS_NETWORK_CONFIG_H

#include <mote/status.h>

#include "kernels/dense/dense.h"

#ifdef __cplusplus
extern "C" {
#endif

typedef enum mote_network_kind { MOTE_GIOROM, MOTE_GNS } mote_network_kind;

typedef enum mote_convolution {
  MOTE_CONVOLUTION_NONE,
  MOTE_CONVOLUTION_DEGENERATE, /* of the published models: propagation by a matrix that is zero */
  MOTE_CONVOLUTION_NORMALIZED  /* by D^-1/2 A D^-1/2 */
} mote_convolution;

typedef enum mote_decoder {
  MOTE_DECODER_NODES, /* a node's answer is its acceleration */
  MOTE_DECODER_PAIRS /* forces between pairs, and of the walls: momentum is conserved (kernels/pair/pair.h) */
} mote_decoder;

#define MOTE_KERNEL_LAYERS MOTE_MLP_LAYERS

/* A kernel network: widths[0] inputs, ..., widths[layers] outputs. */
typedef struct mote_kernel_shape {
  int layers, widths[MOTE_KERNEL_LAYERS + 1];
} mote_kernel_shape;

/* The neural operator on a latent grid between the graph layers of GIOROM. */
typedef struct mote_latent_config {
  mote_kernel_shape kernel_in, kernel_out;
  int kernel_in_takes_pairs, kernel_out_takes_pairs; /* else of one point */
  int occupied_only; /* latent points are those that matter reaches; no cross-attention to the whole grid */
  float radius;      /* m */
  int heads, blocks, space_width, output, grid; /* space_width: columns that the gate sees */
  int projection_layers, projection_width;
  int width, experts, inner; /* of a new model's transformer, and the inner layers of its MLPs; a file's
                                tensors tell their own */
  double limits[3][2];       /* m */
} mote_latent_config;

typedef struct mote_network_config {
  mote_network_kind kind;
  int dim, window; /* velocities that the network sees: window + 1 frames */
  int width, layers_before, layers_after,
      linears;        /* interaction layers around the latent part; Linears of an MLP */
  int trained_layers; /* of each side, those that the file has weights of; 0: all */
  int types, type_width;
  int normalized_velocities;
  mote_convolution convolution;
  float convolution_alpha;
  float noise; /* m a frame, of training: part of the deviations that velocities and accelerations are scaled
                  by */
  float clip;  /* of distances to the bounds, in radii */
  float stop;  /* m beyond the bounds: particles come no farther; infinite: no such limit */
  mote_decoder decoder;
  int rest_lengths; /* edges also see how long they are at rest */
  int edge_doubles; /* GNS checkpoints of an early implementation: e' = 2 e instead of e + m */
  int has_latent;
  mote_latent_config latent;
} mote_network_config;

/* The published sizes: GIOROM's for 3-D data of the unit cube, GNS with 10 layers of width 128. */
void mote_network_config_published(mote_network_kind kind, mote_network_config *config);

mote_status mote_network_config_read(const char *path, mote_network_config *config);

/* A trained model's config for a run that goes on with its weights: what no weight is of is the run's (where
   particles stop, if the run says so; the latent grid, its limits and its radius), and so is the number of
   interaction layers, if it is more: those behind the trained ones of each side change nothing to begin with.
   MOTE_ERROR_ARGUMENT: the run's model is another one; `name` is the trained one's. The latent part's
   `width`, `experts` and `inner` are not looked at. */
mote_status mote_network_config_take(mote_network_config *trained, const mote_network_config *run,
                                     const char *name);

/* Whole or not at all. What is read back is the same, but for the latent part's `width`, `experts` and
   `inner`, and the last bit of its `limits`. */
mote_status mote_network_config_write(const char *path, const mote_network_config *config);

#ifdef __cplusplus
}
#endif
#endif
