/* Checkpoints of PyTorch (torch.save since 1.6): a ZIP archive of one folder with data.pkl, a pickle that
   names tensors, and data/0, data/1, ..., the storages they are views of. Nothing of it is executed. */
#ifndef MOTE_IO_TORCH_ARCHIVE_H
#define MOTE_IO_TORCH_ARCHIVE_H

#include <stdint.h>
#include <mote/status.h>
#include "host/io/safetensors.h"

#ifdef __cplusplus
extern "C" {
#endif

typedef struct mote_torch mote_torch;

/* A view of a storage: element (i, j, ...) is the storage's offset + i * stride[0] + j * stride[1] + ... */
typedef struct mote_torch_tensor {
  const char *name;
  mote_dtype dtype;
  int rank;
  int64_t shape[MOTE_TENSOR_MOST_RANK], stride[MOTE_TENSOR_MOST_RANK];
  int64_t offset, count, extent; /* elements: where it begins, how many it has, how many its storage has */
  int storage;                   /* tensors of one number share a storage */
} mote_torch_tensor;

/* Opens a checkpoint and finds its state dict: a dictionary from names to tensors, be it the whole or what
   lies under "state_dict", "model_state_dict" or "model". Where all names begin with "module." (data parallel
   training), they are given without it. Checked for each tensor: that its storage is there and has the size
   it should, that the view lies within it and is no larger than it. MOTE_ERROR_IO, MOTE_ERROR_FORMAT;
   MOTE_ERROR_UNSUPPORTED for files of before PyTorch 1.6, TorchScript, and pickles of anything else. */
mote_status mote_torch_open(const char *path, mote_torch **archive);
void mote_torch_close(mote_torch *archive);
const char *mote_torch_path(const mote_torch *archive);

/* The tensors in the order of their names; NULL beyond the last. */
const mote_torch_tensor *mote_torch_get(const mote_torch *archive, int index);
int mote_torch_count(const mote_torch *archive);
/* By name; NULL when there is none. */
const mote_torch_tensor *mote_torch_find(const mote_torch *archive, const char *name);

/* The `count` values of a tensor as float32, row-major, converted from any float type. Errors name the
   tensor: another kind of numbers, a value that is not finite. The last storage is kept, so reading tensors
   in the order of their storages reads each once. */
mote_status mote_torch_read(mote_torch *archive, const mote_torch_tensor *tensor, float *values);

#ifdef __cplusplus
}
#endif
#endif
