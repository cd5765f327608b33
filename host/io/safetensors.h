/* safetensors: the file format of model weights (Hugging Face). Eight bytes with the header's length, a JSON
   header
   {"name": {"dtype", "shape", "data_offsets"}}, then the tensors, little-endian and row-major. */
#ifndef MOTE_IO_SAFETENSORS_H
#define MOTE_IO_SAFETENSORS_H

#include <stddef.h>
#include <stdint.h>
#include <mote/status.h>
#include "host/core/file.h"

#ifdef __cplusplus
extern "C" {
#endif

typedef enum mote_dtype {
  MOTE_F64,
  MOTE_F32,
  MOTE_F16,
  MOTE_BF16,
  MOTE_I64,
  MOTE_I32,
  MOTE_I16,
  MOTE_I8,
  MOTE_U64,
  MOTE_U32,
  MOTE_U16,
  MOTE_U8,
  MOTE_BOOL
} mote_dtype;

size_t mote_dtype_size(mote_dtype dtype);
const char *mote_dtype_name(mote_dtype dtype); /* "F32", ... */

#define MOTE_TENSOR_MOST_RANK 8

typedef struct mote_tensor {
  const char *name;
  mote_dtype dtype;
  int rank;
  int64_t shape[MOTE_TENSOR_MOST_RANK];
  int64_t count;    /* elements */
  const void *data; /* for writing; NULL in an open file */
  int64_t offset;   /* in the file's data; set by the reader */
} mote_tensor;

/* ---- Reading ---- */

typedef struct mote_safetensors mote_safetensors;

/* Opens a file and checks its header: the length, each dtype and shape, and that the tensors lie one behind
   the other and fill the file. Values are read only when they are asked for. MOTE_ERROR_IO,
   MOTE_ERROR_FORMAT. */
mote_status mote_safetensors_open(const char *path, mote_safetensors **file);
void mote_safetensors_close(mote_safetensors *file);

/* The tensors in the order of their names; NULL beyond the last. */
const mote_tensor *mote_safetensors_tensor(const mote_safetensors *file, int index);
/* By name; NULL when there is none. */
const mote_tensor *mote_safetensors_find(const mote_safetensors *file, const char *name);
/* A text of the header's "__metadata__"; NULL when it has no such key. */
const char *mote_safetensors_metadata(const mote_safetensors *file, const char *key);

/* The values of a tensor of this shape (an extent of -1 fits any) as float32, converted from any float type.
   Errors name the tensor: missing, another shape, another kind of numbers, a value that is not finite. */
mote_status mote_safetensors_read(const mote_safetensors *file, const char *name, int rank,
                                  const int64_t *shape, float *values);

/* The bytes of a tensor as they are: count * mote_dtype_size(dtype) of them. */
mote_status mote_safetensors_read_raw(const mote_safetensors *file, const mote_tensor *tensor, void *bytes);

/* ---- Writing ---- */

/* Writes tensors (name, dtype, rank, shape and data set) with `pairs` texts (key, value, key, value, ...) of
   metadata, whole or not at all. Same content, same bytes: larger elements first, then by name. */
mote_status mote_safetensors_write(const char *path, const mote_tensor *tensors, int count,
                                   const char *const *metadata, int pairs);

/* The same into an output that the caller commits or discards. */
mote_status mote_safetensors_write_to(mote_output *output, const mote_tensor *tensors, int count,
                                      const char *const *metadata, int pairs);

#ifdef __cplusplus
}
#endif
#endif
