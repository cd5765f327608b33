/* What one block does with values of its threads, or of a few thousand elements, in a fixed order; and where
   a key begins among sorted ones. */
#ifndef MOTE_CUDA_FEW_H
#define MOTE_CUDA_FEW_H

#include <cuda_runtime.h>
#include <stdint.h>

#define MOTE_SCAN_SHARED 32 /* values that it takes in shared memory: one a warp */

/* The sum of what the threads before this one give, and of all, for the whole warps of a block; a barrier for
   all that stands before and behind it. */
template <typename T> static __device__ inline T mote_block_scan(T value, T *shared, T *total) {
  const unsigned lane = threadIdx.x % 32, warp = threadIdx.x / 32, warps = blockDim.x / 32;
  T sum = value;
  for (unsigned distance = 1; distance < 32; distance *= 2) {
    T other = __shfl_up_sync(0xffffffffu, sum, distance);
    if (lane >= distance) sum += other;
  }
  __syncthreads();
  if (lane == 31) shared[warp] = sum;
  __syncthreads();
  if (warp == 0) {
    T all = lane < warps ? shared[lane] : T(0);
    for (unsigned distance = 1; distance < 32; distance *= 2) {
      T other = __shfl_up_sync(0xffffffffu, all, distance);
      if (lane >= distance) all += other;
    }
    shared[lane] = all;
  }
  __syncthreads();
  *total = shared[warps - 1];
  return sum - value + (warp ? shared[warp - 1] : T(0));
}

/* Pairs of key and index in shared memory, ascending, by all threads of the block: a bitonic network, whose
   comparisons all ascend since the first step of a width mirrors. `room` is a power of two. A barrier for all
   that stands before and behind it. */
static __device__ inline void mote_block_sort(unsigned long long *pairs, int room) {
  for (int width = 2; width <= room; width *= 2)
    for (int distance = width / 2; distance; distance /= 2) {
      __syncthreads();
      for (int k = static_cast<int>(threadIdx.x); k < room / 2; k += static_cast<int>(blockDim.x)) {
        const int low = k / distance * 2 * distance + k % distance;
        const int high =
            distance == width / 2 ? low / width * width + width - 1 - low % width : low + distance;
        const unsigned long long a = pairs[low], b = pairs[high];
        if (a > b) {
          pairs[low] = b;
          pairs[high] = a;
        }
      }
    }
  __syncthreads();
}

static __device__ inline unsigned long long mote_pair_of(uint32_t key, int32_t index) {
  return static_cast<unsigned long long>(key) << 32 | static_cast<uint32_t>(index);
}
static __device__ inline uint32_t mote_pair_key(unsigned long long pair) {
  return static_cast<uint32_t>(pair >> 32);
}
static __device__ inline int32_t mote_pair_index(unsigned long long pair) {
  return static_cast<int32_t>(pair & 0xffffffffu);
}

/* The first place among n sorted keys with one of at least `wanted`; key_at(place) tells them. */
template <typename KeyAt>
static __device__ inline int32_t mote_first_from(int64_t n, int64_t wanted, KeyAt key_at) {
  int64_t low = 0, high = n;
  while (low < high) {
    const int64_t middle = (low + high) / 2;
    if (static_cast<int64_t>(key_at(middle)) < wanted)
      low = middle + 1;
    else
      high = middle;
  }
  return static_cast<int32_t>(low);
}
static __device__ inline int32_t mote_key_from(const uint32_t *keys, int64_t n, int64_t wanted) {
  return mote_first_from(n, wanted, [=](int64_t place) { return keys[place]; });
}
static __device__ inline int32_t mote_pair_from(const unsigned long long *pairs, int64_t n, int64_t wanted) {
  return mote_first_from(n, wanted, [=](int64_t place) { return mote_pair_key(pairs[place]); });
}

/* Room for n pairs: a power of two, at least 2. */
static inline int mote_pair_room(int64_t n) {
  int room = 2;
  while (room < n) room *= 2;
  return room;
}

#endif
