/* The emulated CUDA device, included before every .cu file that the host compiler builds for tests.

   A grid runs block by block and a block thread by thread on one core. A thread is a plain call until it
   waits (a barrier, a warp operation); only then does another fiber take over. Kernels are ordinary CUDA.

   Supported:
     - threadIdx & co., static __shared__, MOTE_SHARED_DYNAMIC, __constant__ with an initialiser
     - __syncthreads and its _count/_and/_or forms, __syncwarp, __shfl*_sync, __ballot/any/all_sync,
       __match_any_sync, __reduce_*_sync (warp.h)
     - asynchronous copies through cuda/async.h (copy.h); products of tensor cores through cuda/mma.h, by
       mote_emulator::warp_collect, which runs a function once on what all lanes of a warp leave
     - recordings of several streams, which fork and join by events
     - atomics, __ldg, fences, the usual bit and math intrinsics (intrinsics.h)
     - kernels that are templates (give every template argument); structs and lambdas as arguments
   Not supported:
     - extern __shared__: use MOTE_SHARED_DYNAMIC
     - arrays of device pointers in device memory: pass them in a struct argument
     - cooperative groups, textures, inline PTX, tensor cores, bulk copies: put those behind an inline
   function with a plain twin under #ifdef MOTE_EMULATOR

   What it finds, each as a CUDA error of the launch that names the kernel, and mostly block and thread:
     - an access outside device memory: allocations end at a guard page, to within 16 bytes; the rest is
       filled with a pattern that is checked after each launch
     - a pointer argument that is no device memory, or was freed, also inside struct arguments
     - threads that leave or wait elsewhere while others are at a barrier or a warp operation
     - host code that touches device memory: the process stops with a message, since what host code holds is
       an address that nothing is mapped at; arguments are translated at the launch
     - reads of unwritten shared or fresh device memory show as NaN (0x7ffd7ffd, a large int)

   The order of blocks and threads is shuffled by a seed that changes launch by launch. Environment:
     - MOTE_EMU_SEED=n: another sequence of orders
     - MOTE_EMU_VERIFY=1: runs every launch three times from the same memory, in other orders and with other
       poison, and fails when a bit of the outcome differs: missing barriers, races between blocks, reads of
       unwritten shared memory. A kernel whose result rightly depends on the order (slots taken by atomicAdd)
       fails it. In a test, for a scope: mote_test::Verified guard(device), see control.h.
     - MOTE_EMU_TRACE=FILE: a line a launch: kernel, blocks, threads a block, bytes of dynamic shared memory
     - MOTE_PLUGIN_DIR=build/latest/checked: the checked build, which sees each load and store of the kernels
       and needs no luck with orders or values (access.cc). `make checked` runs all tests on it. */
#ifndef MOTE_EMULATOR_H
#define MOTE_EMULATOR_H

/* Before the toolkit's headers, which define __noinline__ and others that the standard library uses. */
#include <algorithm>
#include <cmath>
#include <cstdint>
#include <cstdio>
#include <cstdlib>
#include <cstring>
#include <functional>
#include <map>
#include <memory>
#include <string>
#include <tuple>
#include <type_traits>
#include <utility>
#include <vector>

#include <cuda_runtime.h>

#undef __global__
#undef __device__
#undef __host__
#undef __shared__
#undef __constant__
#undef __launch_bounds__
#undef __grid_constant__
#define __global__
#define __device__
#define __host__
#define __constant__
#define __grid_constant__
#define __launch_bounds__(...)
/* A block's shared memory is the thread-local block of this shared object: contiguous, so that it can be
   poisoned as a whole, and without the section conflicts of templates. Nothing else here may be thread_local.
 */
#define __shared__ static thread_local

#include "tests/emulator/execution.h"

#define threadIdx (::mote_emulator::position.thread)
#define blockIdx (::mote_emulator::position.block)
#define blockDim (::mote_emulator::position.block_dim)
#define gridDim (::mote_emulator::position.grid_dim)
constexpr int warpSize = 32;

#include "tests/emulator/copy.h"
#include "tests/emulator/intrinsics.h"
#include "tests/emulator/warp.h"

#endif
