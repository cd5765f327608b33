/* Weights that are trained: the flat parameters with an optimiser's state, and the packed arrays that kernels
   read. A step packs the parameters anew, sums the examples' gradients in their order, and updates. */
#ifndef MOTE_TRAIN_WEIGHTS_H
#define MOTE_TRAIN_WEIGHTS_H

#include "host/models/network.h"
#include "host/train/soap.h"

#ifdef __cplusplus
extern "C" {
#endif

typedef struct mote_trained_weights {
  mote_model *model;   /* owned: the weights of the step; NULL: they are of something else than a network */
  mote_model *average; /* owned: the running mean of the weights */
  const mote_parameters *of, *of_average; /* of both; not owned */
  mote_stream *stream;                    /* the model's */
  int64_t floats, slots, shared;          /* parameters; of the arena; see mote_latent_shared_floats() */
  mote_buffer index, scale, transposed_index, transposed_scale, inverse, inverse_scale, decays;
  mote_buffer value, mean, first, second, gradient; /* (floats) */
  mote_buffer transposed, packed_gradient;          /* (slots) */
  mote_buffer terms_room;
  mote_terms transposed_terms; /* in that room */
  mote_buffer shared_gradient, norm, scratch;
  mote_latent_reverse reverse;
  mote_soap soap; /* without matrices: not asked for */
} mote_trained_weights;

/* Takes both models over, which were made alike, to be trained; on failure too. */
mote_status mote_trained_weights_create(mote_model *model, mote_model *average,
                                        mote_trained_weights *weights);

/* The same for parameters of anything else, which were made alike and outlive the training. */
mote_status mote_trained_weights_of(mote_stream *stream, const mote_parameters *parameters,
                                    const mote_parameters *average, mote_trained_weights *weights);

/* Steps are SOAP's from now on, of all parameters at once, whatever the optimizer's kind. */
mote_status mote_trained_weights_precondition(mote_trained_weights *weights);
void mote_trained_weights_free(mote_trained_weights *weights);

/* The packed arrays and what depends on the weights alone, after value (or mean) was changed. */
mote_status mote_trained_weights_pack(mote_trained_weights *weights);
mote_status mote_trained_weights_pack_average(mote_trained_weights *weights);

/* The arena of an example, whose gradients go to `gradient` (slots). */
mote_arena mote_trained_weights_arena(const mote_trained_weights *weights, float *gradient);

/* The gradient of a batch: the sum of `count` examples' (slots) and shared gradients in their order. */
mote_status mote_trained_weights_gather(mote_trained_weights *weights, int count, float *const *gradient,
                                        float *const *shared);

/* Clips to `limit` (0: not) and steps; then mean = decay * mean + (1 - decay) * value. `norm`: of the
   gradient before it was clipped. */
mote_status mote_trained_weights_update(mote_trained_weights *weights, const mote_optimizer *optimizer,
                                        double limit, double decay, double *norm);

/* The same of the parameters [first, first + count) alone, where parts have rates and limits of their own.
   MOTE_ERROR_UNSUPPORTED: a part, with SOAP. */
mote_status mote_trained_weights_update_part(mote_trained_weights *weights, int64_t first, int64_t count,
                                             const mote_optimizer *optimizer, double limit, double decay,
                                             double *norm);

#ifdef __cplusplus
}
#endif
#endif
