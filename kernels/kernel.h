/* What every kernel family's header needs: the qualifier for per-element math that both compilers take, and
   the types that a kernel's prototype mentions. */
#ifndef MOTE_KERNELS_KERNEL_H
#define MOTE_KERNELS_KERNEL_H

#include <stddef.h>
#include <stdint.h>

#include "host/core/device.h"
#include "host/core/error.h"

#if defined(__CUDACC__) || defined(MOTE_EMULATOR)
#define MOTE_HD __host__ __device__
#else
#define MOTE_HD
#endif

#endif
