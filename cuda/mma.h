/* Products on tensor cores: C += A B of a warp's tile, C of 16 x 8 sums in float32, A of 16 rows and B of 8
   columns, of 16 inputs each (bfloat16) or 8 (tf32). Lane = 4 g + t, with g of 0..7 and t of 0..3, holds (PTX
   ISA, fragments of mma.m16n8k16 and mma.m16n8k8)

     C      rows g, g, g + 8, g + 8, columns 2t, 2t + 1, 2t, 2t + 1
     A bf16 rows g, g + 8, g, g + 8, of the inputs 2t, 2t + 1 (two words), 2t + 8, 2t + 9 (two words)
     B bf16 column g, of the inputs 2t, 2t + 1 and 2t + 8, 2t + 9; of a pair the first is the lower half
     A tf32 rows g, g + 8, g, g + 8, of the inputs t, t, t + 4, t + 4;  B tf32 column g, inputs t and t + 4

   The order of the inputs is the caller's, as long as A and B agree.

   The emulated device has a plain twin, which works out a whole warp's tile when its last lane has come. It
   cuts sums off where the hardware's rounding is not specified, the worst that it may be. */
#ifndef MOTE_CUDA_MMA_H
#define MOTE_CUDA_MMA_H

#include <cuda_runtime.h>
#include <stdint.h>

#ifdef MOTE_EMULATOR
namespace mote_mma_twin {

/* Lanes' registers are no memory of the kernel's: the checked build does not watch who reads them here. */
#define MOTE_MMA_UNWATCHED __attribute__((no_sanitize("thread")))

struct lane {
  float *c;
  const uint32_t *a, *b;
};

/* Towards zero, as fits a float. */
inline float cut(double x) {
  float near = static_cast<float>(x);
  return __builtin_fabs(static_cast<double>(near)) > __builtin_fabs(x) ? __builtin_nextafterf(near, 0) : near;
}

inline float bfloat16(uint32_t half) {
  return __uint_as_float(half << 16);
}
inline float tf32(uint32_t word) {
  return __uint_as_float(word & 0xffffe000u); /* what tensor cores read of it */
}

template <int DEPTH>
MOTE_MMA_UNWATCHED void multiply(void *const *lanes, const float (&a)[16][DEPTH],
                                 const float (&b)[DEPTH][8]) {
  for (int l = 0; l < 32; l++)
    for (int i = 0; i < 4; i++) {
      const int row = l / 4 + i / 2 * 8, column = l % 4 * 2 + i % 2;
      float *c = static_cast<lane *>(lanes[l])->c + i;
      double sum = *c;
      for (int k = 0; k < DEPTH; k++) sum += static_cast<double>(a[row][k]) * b[k][column];
      *c = cut(sum);
    }
}

MOTE_MMA_UNWATCHED inline void warp_bf16(void *const *lanes) {
  float a[16][16], b[16][8];
  for (int l = 0; l < 32; l++) {
    const lane *own = static_cast<lane *>(lanes[l]);
    const int g = l / 4, t = l % 4;
    for (int half = 0; half < 2; half++) {
      const int shift = 16 * half;
      for (int i = 0; i < 4; i++)
        a[g + i % 2 * 8][2 * t + i / 2 * 8 + half] = bfloat16(own->a[i] >> shift & 0xffffu);
      for (int i = 0; i < 2; i++) b[2 * t + i * 8 + half][g] = bfloat16(own->b[i] >> shift & 0xffffu);
    }
  }
  multiply(lanes, a, b);
}

MOTE_MMA_UNWATCHED inline void warp_tf32(void *const *lanes) {
  float a[16][8], b[8][8];
  for (int l = 0; l < 32; l++) {
    const lane *own = static_cast<lane *>(lanes[l]);
    const int g = l / 4, t = l % 4;
    for (int i = 0; i < 4; i++) a[g + i % 2 * 8][t + i / 2 * 4] = tf32(own->a[i]);
    for (int i = 0; i < 2; i++) b[t + i * 4][g] = tf32(own->b[i]);
  }
  multiply(lanes, a, b);
}

/* Upper half of a word: half to even; what is not a number stays none. */
inline uint32_t nearest_bfloat16(float x) {
  const uint32_t word = __float_as_uint(x);
  return x != x ? 0x7fffu : (word + 0x7fffu + (word >> 16 & 1u)) >> 16;
}

#undef MOTE_MMA_UNWATCHED
} // namespace mote_mma_twin
#endif

/* Two bfloat16, the nearest to two floats. */
static __device__ inline uint32_t mote_bfloat16_pair(float lower, float upper) {
#ifdef MOTE_EMULATOR
  return mote_mma_twin::nearest_bfloat16(lower) | mote_mma_twin::nearest_bfloat16(upper) << 16;
#else
  uint32_t pair;
  asm("cvt.rn.bf16x2.f32 %0, %1, %2;" : "=r"(pair) : "f"(upper), "f"(lower));
  return pair;
#endif
}

/* The same, and what is left of the two. */
static __device__ inline uint32_t mote_bfloat16_term(float *lower, float *upper) {
  const uint32_t pair = mote_bfloat16_pair(*lower, *upper);
  *lower -= __uint_as_float(pair << 16);
  *upper -= __uint_as_float(pair & 0xffff0000u);
  return pair;
}

/* The nearest tf32, 11 bits of significand; half away from zero. */
static __device__ inline uint32_t mote_tf32(float x) {
#ifdef MOTE_EMULATOR
  return x != x ? 0x7fffffffu : (__float_as_uint(x) + 0x1000u) & 0xffffe000u;
#else
  uint32_t word;
  asm("cvt.rna.tf32.f32 %0, %1;" : "=r"(word) : "f"(x));
  return word;
#endif
}

/* c += a b; all lanes of a warp. */
static __device__ inline void mote_mma_bf16(float (&c)[4], const uint32_t (&a)[4], const uint32_t (&b)[2]) {
#ifdef MOTE_EMULATOR
  mote_mma_twin::lane own = {c, a, b};
  mote_emulator::warp_collect(mote_mma_twin::warp_bf16, &own);
#else
  asm("mma.sync.aligned.m16n8k16.row.col.f32.bf16.bf16.f32 {%0,%1,%2,%3}, {%4,%5,%6,%7}, {%8,%9}, "
      "{%0,%1,%2,%3};"
      : "+f"(c[0]), "+f"(c[1]), "+f"(c[2]), "+f"(c[3])
      : "r"(a[0]), "r"(a[1]), "r"(a[2]), "r"(a[3]), "r"(b[0]), "r"(b[1]));
#endif
}

static __device__ inline void mote_mma_tf32(float (&c)[4], const uint32_t (&a)[4], const uint32_t (&b)[2]) {
#ifdef MOTE_EMULATOR
  mote_mma_twin::lane own = {c, a, b};
  mote_emulator::warp_collect(mote_mma_twin::warp_tf32, &own);
#else
  asm("mma.sync.aligned.m16n8k8.row.col.f32.tf32.tf32.f32 {%0,%1,%2,%3}, {%4,%5,%6,%7}, {%8,%9}, "
      "{%0,%1,%2,%3};"
      : "+f"(c[0]), "+f"(c[1]), "+f"(c[2]), "+f"(c[3])
      : "r"(a[0]), "r"(a[1]), "r"(a[2]), "r"(a[3]), "r"(b[0]), "r"(b[1]));
#endif
}

#endif
