/* Devices: where arrays live and kernels run. "cpu" is always there; "cuda:N" is a shared object opened when
   asked for, so one build serves machines with and without an NVIDIA driver; "emu" runs the CUDA kernels on
   the host under a checker and exists in test builds. */
#ifndef MOTE_DEVICE_H
#define MOTE_DEVICE_H

#include <stddef.h>
#include <mote/status.h>

#ifdef __cplusplus
extern "C" {
#endif

typedef struct mote_device mote_device;

/* How dense layers multiply. Sums are of float32 whichever. GPUs know all of them; CPUs with AMX the first
   three, of which they compute the first as the third. */
typedef enum mote_precision {
  MOTE_PRECISION_FLOAT32,
  MOTE_PRECISION_BFLOAT16X2, /* values as sums of two bfloat16, 16 bits of significand */
  MOTE_PRECISION_BFLOAT16X3, /* of three: all 24 bits; products below 2^-21 of the largest are left out */
  MOTE_PRECISION_BFLOAT16,   /* 8 bits */
  MOTE_PRECISION_TF32,       /* 11 bits */
  MOTE_PRECISION_COUNT
} mote_precision;

typedef struct mote_device_options {
  int threads; /* CPU threads; 0: OMP_NUM_THREADS, else all cores of the affinity mask */
  mote_precision precision;
} mote_device_options;

/* Opens `name`: "cpu", "cuda", "cuda:N", "emu", or "auto" (the first CUDA device that works, else the CPU).
   NULL options mean the defaults. MOTE_ERROR_DEVICE names what is missing: the shared object, the driver,
   the device. MOTE_ERROR_ARGUMENT: an option out of range; MOTE_ERROR_UNSUPPORTED: it has no such precision.
 */
mote_status mote_device_open(const char *name, const mote_device_options *options, mote_device **device);

/* Closes the device; every buffer and object made on it must be gone. NULL is allowed. */
void mote_device_close(mote_device *device);

/* "cpu", "cuda:0", "emu". */
const char *mote_device_name(const mote_device *device);

/* What the hardware calls itself, with the memory and the number of cores or multiprocessors. */
const char *mote_device_description(const mote_device *device);

/* CPU threads its kernels use; 1 for devices that are not the CPU. */
int mote_device_threads(const mote_device *device);

/* "float32", "bfloat16x2", "bfloat16x3", "bfloat16" or "tf32", and back: MOTE_ERROR_ARGUMENT. */
const char *mote_precision_name(mote_precision precision);
mote_status mote_precision_parse(const char *name, mote_precision *precision);

/* Bytes of device memory that this object holds now, the most it ever held, and how many allocations it
   made: a loop that is in its steady state does not change the last one. */
typedef struct mote_memory_use {
  size_t bytes_now;
  size_t bytes_peak;
  size_t allocations;
} mote_memory_use;
mote_memory_use mote_device_memory_use(const mote_device *device);

/* How many CUDA devices this machine offers. 0 with `reason` (optional, a static or thread-local string)
   saying why: built without CUDA, no driver, no device. */
int mote_cuda_device_count(const char **reason);

#ifdef __cplusplus
}
#endif
#endif
