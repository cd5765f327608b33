/* A model's weights, from model.safetensors into device memory, in the layout that kernels read. Each tensor
   is asked for by name and shape, and marked; what nobody asked for at the end does not belong to the model
   that config.json describes, and is an error as well as what is missing.

   The trick: a model asks twice. The first time only the map is made, which value of which tensor stands
   where in the packed arena; then the arena is filled and uploaded at once; the second time the same
   questions are answered by pointers into it. Training packs new weights by the same map and brings gradients
   back by its inverse. */
#ifndef MOTE_NN_PARAMETERS_H
#define MOTE_NN_PARAMETERS_H

#include "host/core/device.h"
#include "host/io/safetensors.h"
#include "host/nn/terms.h"
#include "kernels/dense/dense.h"

#ifdef __cplusplus
extern "C" {
#endif

/* A printed name. */
typedef struct mote_name {
  char text[128];
} mote_name;
mote_name mote_name_of(const char *format, ...) __attribute__((format(printf, 1, 2)));

/* A tensor of the file, or of the file to be. */
typedef struct mote_parameter {
  mote_name name;
  int rank;
  int64_t shape[MOTE_TENSOR_MOST_RANK];
  int64_t first, count; /* its values among all, in the order in which they were asked for */
  int64_t slot;         /* of a table, in the arena; -1: a layer's weight, which may stand there in parts */
  int decays;           /* a weight, which weight decay applies to; not a bias or a norm */
} mote_parameter;

/* Where the values of what is asked for come from. */
typedef enum mote_parameter_source {
  MOTE_FROM_FILE, /* or from chance, where there is no file */
  MOTE_NEW_STILL, /* as in a new model, but that norms give 0: a chain in front of one adds nothing yet */
  MOTE_ZERO
} mote_parameter_source;

typedef struct mote_parameters {
  mote_device *device;
  mote_stream *stream;
  mote_safetensors *file; /* NULL: random weights */
  uint64_t seed;
  const char *path; /* for messages; not owned */
  int tensors, tensor_room;
  mote_parameter *tensor;
  int64_t floats, float_room;      /* of all tensors */
  float *value;                    /* (floats) */
  int64_t slots, slot_room;        /* floats of the arena */
  int32_t *index;                  /* (slots) which value stands there, -1: none, 0 */
  int32_t *transposed;             /* (slots) the same with the transpose of each linear layer */
  float *scale, *transposed_scale; /* (slots) what the value is multiplied by there */
  int placing;                     /* the second time */
  mote_parameter_source source;    /* of what is asked for from now on */
  mote_buffer arena;
  mote_buffer terms_room;
  mote_terms terms; /* of the arena, in that room */
} mote_parameters;

/* Opens a file; `stream` and `path` must outlive the reading. */
mote_status mote_parameters_open(mote_parameters *p, mote_stream *stream, const char *path);

/* Weights and biases uniform within 1 / sqrt(inputs), tables normal, norms 1 and 0; by seed and name. */
void mote_parameters_invent(mote_parameters *p, mote_stream *stream, uint64_t seed);

/* All has been asked for once: MOTE_ERROR_FORMAT names a tensor that is left over. Closes the file, fills the
   arena; the same questions now get their pointers. */
mote_status mote_parameters_place(mote_parameters *p);

/* The arena has changed: its terms, where there are such. */
mote_status mote_parameters_make_terms(const mote_parameters *p);

/* Keeps the arena and the number of floats alone. */
void mote_parameters_forget(mote_parameters *p);
void mote_parameters_free(mote_parameters *p);

/* Rows of a tensor; `invented` where there is no file, -1 when it is missing. */
int64_t mote_parameters_rows(const mote_parameters *p, const char *name, int invented);

/* rows x columns floats as they are (trailing extents of 1 in the file are passed over). The same table may
   be asked for again, as may a norm. */
mote_status mote_parameters_table(mote_parameters *p, const char *name, int rows, int columns,
                                  const float **table);

/* The bias of a layer of `in` inputs, on its own. */
mote_status mote_parameters_bias(mote_parameters *p, const char *name, int out, int in, const float **bias);

/* NAME.weight and NAME.bias. */
mote_status mote_parameters_linear(mote_parameters *p, const char *name, int in, int out,
                                   mote_activation activation, mote_linear *layer);
mote_status mote_parameters_norm(mote_parameters *p, const char *name, int width, mote_norm *norm);

/* One layer made of several with the same input, one behind the other: columns [first, first + in) of each
   weight, times `scale`; its bias where `bias` is set, else 0. Each column of a weight may stand in one
   layer.
 */
typedef struct mote_layer_part {
  mote_name name;
  int out, columns, first, bias;
  float scale;
} mote_layer_part;
mote_status mote_parameters_stack(mote_parameters *p, int parts, const mote_layer_part *part, int in,
                                  mote_activation activation, mote_linear *layer);

/* How many of PREFIX0SUFFIX, PREFIX1SUFFIX, ... there are; `invented` where there is no file. */
int mote_parameters_series(const mote_parameters *p, const char *prefix, const char *suffix, int invented);

/* Writes `value` (floats, the order of p->value) under the tensors' names. Before mote_parameters_forget().
 */
mote_status mote_parameters_write(const mote_parameters *p, const float *value, const char *path);

#ifdef __cplusplus
}
#endif
#endif
