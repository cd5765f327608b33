/* A neural constitutive law (NCLaw, Ma et al. 2023): two chains of dense layers without biases, elasticity
   and plasticity, around the kernels of kernels/neural. A folder of config.json and model.safetensors:

     {"architectures": ["NeuralConstitutiveLaw"], "dim": 3, "hidden_size": 64, "hidden_layers": 2,
      "elasticity_scale": 1, "plasticity_scale": 0.001, "strain_scale": 1}

   with the weights elasticity.layers.K.weight and plasticity.layers.K.weight (out, in), inputs and GELU as in
   neural.h. Without "plasticity_scale", or with 0, there is no plasticity and there are no weights for it.
   The first two scales are what S is multiplied by: Pa for elasticity, of a strain for plasticity; the third
   is what inputs are divided by (1 where it is absent): a law that yields bends at small strains, and a
   network without biases bends where its inputs are about 1. With "form": "invariants" the law is isotropic
   by its form (kernels/neural/invariants.h), its strains divided by strain_scale. */
#ifndef MOTE_MODELS_NEURAL_LAW_H
#define MOTE_MODELS_NEURAL_LAW_H

#include "host/nn/parameters.h"
#include "kernels/neural/neural.h"

#ifdef __cplusplus
extern "C" {
#endif

typedef struct mote_neural_config {
  int dim, width, hidden; /* `hidden` layers of `width` values */
  float elasticity_scale; /* Pa */
  float plasticity_scale; /* 0: none */
  float strain_scale;     /* what the networks' inputs, or invariants' strains, are divided by; 0: 1 */
  int invariants;         /* the form of invariants.h, not that of neural.h */
} mote_neural_config;

/* What the forms are called, by `invariants`; NULL behind them. */
extern const char *const mote_neural_forms[];

typedef struct mote_neural_law {
  mote_neural_config config;
  mote_stream *stream; /* owned */
  mote_parameters parameters;
  mote_mlp elasticity, plasticity;
} mote_neural_law;

mote_status mote_neural_law_open(mote_device *device, const char *folder, mote_neural_law **law);

/* One with weights by chance. */
mote_status mote_neural_law_create(mote_device *device, const mote_neural_config *config, uint64_t seed,
                                   mote_neural_law **law);

/* What only training needs of the parameters is kept until then. */
void mote_neural_law_forget(mote_neural_law *law);
void mote_neural_law_destroy(mote_neural_law *law);

/* config.json and model.safetensors into an existing folder; `value`: as parameters.value. */
mote_status mote_neural_law_save(const mote_neural_law *law, const float *value, const char *folder);

/* Buffers that the calls below share (kernels/neural). */
void mote_neural_room_free(mote_neural_room *room);

/* What a network saw of rows and answered: floats in device memory, for whom wants to keep them for the way
   back. Where a call below is given none (NULL), they are in the room until its next call. */
int64_t mote_neural_law_seen(const mote_neural_law *law, const mote_neural_rows *rows);

/* tau (n, dim^2) of the rows that count; F as in kernels/neural. */
mote_status mote_neural_law_stress(const mote_neural_law *law, mote_stream *stream,
                                   const mote_neural_rows *rows, const float *F, int stride,
                                   mote_neural_room *room, float *seen, float *tau);

/* F <- F + R S of those rows. */
mote_status mote_neural_law_flow(const mote_neural_law *law, mote_stream *stream,
                                 const mote_neural_rows *rows, float *F, int stride, mote_neural_room *room,
                                 float *seen);

/* Both: F flows, then tau is its stress. */
mote_status mote_neural_law_step(const mote_neural_law *law, mote_stream *stream,
                                 const mote_neural_rows *rows, float *F, int stride, mote_neural_room *room,
                                 float *seen_flowing, float *seen, float *tau);

/* Their reverses, F (n, dim^2) the deformation before: weights' gradients are added to the arena's.
   `answered`: `seen` is as the call left it, and no network is asked again. Of stress: what d_tau brings is
   added to d_F. Of flow: d_F by the new F becomes that by the old one; where C (n, dim^2) is there, of
   (I + dt C) F that then flows, and d_C is added to. */
mote_status mote_neural_law_stress_backward(const mote_neural_law *law, mote_stream *stream,
                                            const mote_arena *arena, const mote_neural_rows *rows,
                                            const float *F, int answered, mote_neural_room *room, float *seen,
                                            const float *d_tau, float *d_F);
mote_status mote_neural_law_flow_backward(const mote_neural_law *law, mote_stream *stream,
                                          const mote_arena *arena, const mote_neural_rows *rows, float dt,
                                          const float *C, const float *F, int answered,
                                          mote_neural_room *room, float *seen, float *d_F, float *d_C);

/* What a step was: (I + dt C) F flowed and left `flowed`, whose stress it was then; and what both saw and
   answered. */
typedef struct mote_neural_past {
  const float *F, *C, *flowed; /* (n, dim^2) */
  float dt;
  float *seen_flowing, *seen;
} mote_neural_past;

/* The reverse of both: of the stress, by d_tau, then of the flow. */
mote_status mote_neural_law_step_backward(const mote_neural_law *law, mote_stream *stream,
                                          const mote_arena *arena, const mote_neural_rows *rows,
                                          const mote_neural_past *past, mote_neural_room *room,
                                          const float *d_tau, float *d_F, float *d_C);

#ifdef __cplusplus
}
#endif
#endif
