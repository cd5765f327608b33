/* A model's weights, from model.safetensors into device memory, in the layout that kernels read. The trick:
   each tensor is asked for by name and shape, and marked; what nobody asked for at the end does not belong to
   the model that config.json describes, and is an error as well as what is missing. */
#ifndef MOTE_NN_PARAMETERS_H
#define MOTE_NN_PARAMETERS_H

#include "host/core/device.h"
#include "host/io/safetensors.h"
#include "kernels/dense/dense.h"

#ifdef __cplusplus
extern "C" {
#endif

typedef struct mote_parameters {
  mote_device *device;
  mote_stream *stream;
  mote_safetensors *file; /* NULL: random weights */
  uint64_t seed;
  const char *path; /* for messages; not owned */
  mote_buffer *buffer;
  int count, room;
  unsigned char *used; /* by the tensor's place in the file */
  int64_t floats;      /* of the tensors read so far */
} mote_parameters;

/* Opens a file; `stream` and `path` must outlive the reading. */
mote_status mote_parameters_open(mote_parameters *p, mote_stream *stream, const char *path);

/* Weights and biases uniform within 1 / sqrt(inputs), tables normal, norms 1 and 0; by seed and name. */
void mote_parameters_invent(mote_parameters *p, mote_stream *stream, uint64_t seed);

/* All has been read: MOTE_ERROR_FORMAT names a tensor that is left over. Closes the file; the weights stay.
 */
mote_status mote_parameters_finish(mote_parameters *p);
void mote_parameters_free(mote_parameters *p);

/* A printed name. */
typedef struct mote_name {
  char text[128];
} mote_name;
mote_name mote_name_of(const char *format, ...) __attribute__((format(printf, 1, 2)));

/* Rows of a tensor; `invented` where there is no file, -1 when it is missing. */
int64_t mote_parameters_rows(const mote_parameters *p, const char *name, int invented);

/* rows x columns floats as they are (trailing extents of 1 in the file are passed over; columns 0: a vector).
 */
mote_status mote_parameters_table(mote_parameters *p, const char *name, int rows, int columns,
                                  const float **table);

/* NAME.weight and NAME.bias. */
mote_status mote_parameters_linear(mote_parameters *p, const char *name, int in, int out,
                                   mote_activation activation, mote_linear *layer);
mote_status mote_parameters_norm(mote_parameters *p, const char *name, int width, mote_norm *norm);

/* One layer made of several with the same input, one behind the other: columns [first, first + in) of each
   weight, times `scale`; its bias where `bias` is set, else 0. */
typedef struct mote_layer_part {
  mote_name name;
  int out, columns, first, bias;
  float scale;
} mote_layer_part;
mote_status mote_parameters_stack(mote_parameters *p, int parts, const mote_layer_part *part, int in,
                                  mote_activation activation, mote_linear *layer);

/* How many of PREFIX0SUFFIX, PREFIX1SUFFIX, ... there are; `invented` where there is no file. */
int mote_parameters_series(const mote_parameters *p, const char *prefix, const char *suffix, int invented);

#ifdef __cplusplus
}
#endif
#endif
