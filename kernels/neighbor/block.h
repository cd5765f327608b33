/* A block of candidates in aligned arrays, and the vector code that tests it: count the hits, list the hits,
   sort a short row. Twice: with AVX-512, whose compress instruction lists hits and whose registers sort rows
   of up to 64 without a branch, and for eight lanes (AVX2, or plain C). Both use the predicate of neighbor.h.
 */
#ifndef MOTE_KERNELS_NEIGHBOR_BLOCK_H
#define MOTE_KERNELS_NEIGHBOR_BLOCK_H

#include "kernels/neighbor/neighbor.h"

#if defined(__AVX2__) && defined(__FMA__)
#include <immintrin.h>
#endif

#define BLOCK_LANES 16
#define BLOCK_ROOM 2160    /* points a window, shared by at most 27 ranges */
#define BLOCK_UNSORTED 384 /* candidates up to which rows are sorted one by one */

typedef struct mote_block {
  _Alignas(64) float x[BLOCK_ROOM + 2 * BLOCK_LANES];
  _Alignas(64) float y[BLOCK_ROOM + 2 * BLOCK_LANES];
  _Alignas(64) float z[BLOCK_ROOM + 2 * BLOCK_LANES];
  _Alignas(64) int32_t index[BLOCK_ROOM + 2 * BLOCK_LANES];
  int count;
} mote_block;

/* Copies whole vectors: reads and writes past the piece, into padding or what the next piece overwrites. */
static inline void mote_block_append(mote_block *block, const float *x, const float *y, const float *z,
                                     const int32_t *index, int64_t begin, int64_t end) {
  int to = block->count;
  for (int64_t i = begin; i < end; i += BLOCK_LANES, to += BLOCK_LANES) {
    memcpy(block->x + to, x + i, BLOCK_LANES * sizeof *x);
    memcpy(block->y + to, y + i, BLOCK_LANES * sizeof *y);
    memcpy(block->z + to, z + i, BLOCK_LANES * sizeof *z);
    memcpy(block->index + to, index + i, BLOCK_LANES * sizeof *index);
  }
  block->count += (int)(end - begin);
}

/* Fills the last vector with points at infinity, which nothing hits. */
static inline void mote_block_pad(mote_block *block) {
  for (int i = 0; i < BLOCK_LANES; i++) block->x[block->count + i] = INFINITY;
}

/* Puts the block, whose pieces [pieces[k], pieces[k+1]) are in index order, in index order. */
void mote_block_sort(mote_block *block, int *pieces, int piece_count);

/* Sorts row[0..count) into `to`; may leave `row` (with room for a vector more) in disorder. */
void mote_row_sort_long(int32_t *row, int count, int32_t *to);

static inline void mote_row_fill(int32_t *to, int count, int32_t value) {
  for (int i = 0; i < count; i++) to[i] = value;
}

#ifdef __AVX512F__

static inline __mmask16 mote_block_hits(const mote_block *block, int i, __m512 qx, __m512 qy, __m512 qz,
                                        __m512 radius2, int inclusive) {
  __m512 dx = _mm512_sub_ps(_mm512_load_ps(block->x + i), qx);
  __m512 dy = _mm512_sub_ps(_mm512_load_ps(block->y + i), qy);
  __m512 dz = _mm512_sub_ps(_mm512_load_ps(block->z + i), qz);
  __m512 d2 = _mm512_fmadd_ps(dz, dz, _mm512_fmadd_ps(dy, dy, _mm512_mul_ps(dx, dx)));
  return inclusive ? _mm512_cmp_ps_mask(d2, radius2, _CMP_LE_OQ)
                   : _mm512_cmp_ps_mask(d2, radius2, _CMP_LT_OQ);
}

static inline int mote_block_count(const mote_block *block, float x, float y, float z, float radius2,
                                   int inclusive) {
  __m512 qx = _mm512_set1_ps(x), qy = _mm512_set1_ps(y), qz = _mm512_set1_ps(z), r2 = _mm512_set1_ps(radius2);
  int count = 0;
  for (int i = 0; i < block->count; i += BLOCK_LANES)
    count += __builtin_popcount(mote_block_hits(block, i, qx, qy, qz, r2, inclusive));
  return count;
}

static inline int mote_block_emit(const mote_block *block, float x, float y, float z, float radius2,
                                  int inclusive, int32_t exclude, int32_t *row) {
  __m512 qx = _mm512_set1_ps(x), qy = _mm512_set1_ps(y), qz = _mm512_set1_ps(z), r2 = _mm512_set1_ps(radius2);
  __m512i self = _mm512_set1_epi32(exclude);
  int count = 0;
  for (int i = 0; i < block->count; i += BLOCK_LANES) {
    __m512i index = _mm512_load_si512(block->index + i);
    __mmask16 hit = mote_block_hits(block, i, qx, qy, qz, r2, inclusive);
    hit = _mm512_mask_cmpneq_epi32_mask(hit, index, self);
    _mm512_storeu_si512(row + count, _mm512_maskz_compress_epi32(hit, index));
    count += __builtin_popcount(hit);
  }
  return count;
}

/* One step of a bitonic network: lane l meets lane l ^ distance; lanes in `upper` keep the larger. */
#define MOTE_NETWORK_STEP(v, partner, upper)                                                                 \
  do {                                                                                                       \
    __m512i other_ = (partner);                                                                              \
    v = _mm512_mask_max_epi32(_mm512_min_epi32(v, other_), upper, v, other_);                                \
  } while (0)

static inline __m512i mote_vector_reverse(__m512i v) {
  return _mm512_permutexvar_epi32(_mm512_set_epi32(0, 1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11, 12, 13, 14, 15), v);
}

/* Sorts a bitonic vector. */
static inline __m512i mote_vector_merge(__m512i v) {
  MOTE_NETWORK_STEP(v, _mm512_shuffle_i32x4(v, v, 0x4E), 0xFF00);
  MOTE_NETWORK_STEP(v, _mm512_shuffle_i32x4(v, v, 0xB1), 0xF0F0);
  MOTE_NETWORK_STEP(v, _mm512_shuffle_epi32(v, (_MM_PERM_ENUM)0x4E), 0xCCCC);
  MOTE_NETWORK_STEP(v, _mm512_shuffle_epi32(v, (_MM_PERM_ENUM)0xB1), 0xAAAA);
  return v;
}

static inline __m512i mote_vector_sort(__m512i v) {
  const __m512i mirror8 = _mm512_set_epi32(8, 9, 10, 11, 12, 13, 14, 15, 0, 1, 2, 3, 4, 5, 6, 7);
  MOTE_NETWORK_STEP(v, _mm512_shuffle_epi32(v, (_MM_PERM_ENUM)0xB1), 0xAAAA);
  MOTE_NETWORK_STEP(v, _mm512_shuffle_epi32(v, (_MM_PERM_ENUM)0x1B), 0xCCCC);
  MOTE_NETWORK_STEP(v, _mm512_shuffle_epi32(v, (_MM_PERM_ENUM)0xB1), 0xAAAA);
  MOTE_NETWORK_STEP(v, _mm512_permutexvar_epi32(mirror8, v), 0xF0F0);
  MOTE_NETWORK_STEP(v, _mm512_shuffle_epi32(v, (_MM_PERM_ENUM)0x4E), 0xCCCC);
  MOTE_NETWORK_STEP(v, _mm512_shuffle_epi32(v, (_MM_PERM_ENUM)0xB1), 0xAAAA);
  MOTE_NETWORK_STEP(v, mote_vector_reverse(v), 0xFF00);
  MOTE_NETWORK_STEP(v, _mm512_shuffle_i32x4(v, v, 0xB1), 0xF0F0);
  MOTE_NETWORK_STEP(v, _mm512_shuffle_epi32(v, (_MM_PERM_ENUM)0x4E), 0xCCCC);
  MOTE_NETWORK_STEP(v, _mm512_shuffle_epi32(v, (_MM_PERM_ENUM)0xB1), 0xAAAA);
  return v;
}

/* Two sorted vectors to one sorted pair. */
static inline void mote_vector_merge2(__m512i *a, __m512i *b) {
  __m512i mirrored = mote_vector_reverse(*b);
  *b = mote_vector_merge(_mm512_max_epi32(*a, mirrored));
  *a = mote_vector_merge(_mm512_min_epi32(*a, mirrored));
}

static inline __mmask16 mote_lanes_below(int count) {
  return count >= 16 ? 0xFFFF : count <= 0 ? 0 : (__mmask16)((1u << count) - 1);
}

static inline __m512i mote_load_lanes(const int32_t *row, int first, int count) {
  return _mm512_mask_loadu_epi32(_mm512_set1_epi32(INT32_MAX), mote_lanes_below(count - first), row + first);
}

static inline void mote_store_lanes(int32_t *to, int first, int count, __m512i v) {
  _mm512_mask_storeu_epi32(to + first, mote_lanes_below(count - first), v);
}

static inline void mote_row_sort(int32_t *row, int count, int32_t *to) {
  if (count > 64) {
    mote_row_sort_long(row, count, to);
    return;
  }
  __m512i a = mote_vector_sort(mote_load_lanes(row, 0, count));
  if (count > 16) {
    __m512i b = mote_vector_sort(mote_load_lanes(row, 16, count));
    mote_vector_merge2(&a, &b);
    if (count > 32) {
      __m512i c = mote_vector_sort(mote_load_lanes(row, 32, count));
      __m512i d = mote_vector_sort(mote_load_lanes(row, 48, count));
      mote_vector_merge2(&c, &d);
      __m512i d_mirrored = mote_vector_reverse(d), c_mirrored = mote_vector_reverse(c);
      __m512i low_a = _mm512_min_epi32(a, d_mirrored), high_a = _mm512_max_epi32(a, d_mirrored);
      __m512i low_b = _mm512_min_epi32(b, c_mirrored), high_b = _mm512_max_epi32(b, c_mirrored);
      a = mote_vector_merge(_mm512_min_epi32(low_a, low_b));
      b = mote_vector_merge(_mm512_max_epi32(low_a, low_b));
      c = mote_vector_merge(_mm512_min_epi32(high_a, high_b));
      d = mote_vector_merge(_mm512_max_epi32(high_a, high_b));
      mote_store_lanes(to, 32, count, c);
      mote_store_lanes(to, 48, count, d);
    }
    mote_store_lanes(to, 16, count, b);
  }
  mote_store_lanes(to, 0, count, a);
}

#else

static inline int mote_block_count(const mote_block *block, float x, float y, float z, float radius2,
                                   int inclusive) {
  int count = 0;
  for (int i = 0; i < block->count; i++)
    count += mote_neighbor_hit(mote_distance2(block->x[i] - x, block->y[i] - y, block->z[i] - z), radius2,
                               inclusive);
  return count;
}

/* Which of the eight candidates from i are hits, a bit each. */
static inline unsigned mote_block_hits(const mote_block *block, int i, float x, float y, float z,
                                       float radius2, int inclusive, int32_t exclude) {
#if defined(__AVX2__) && defined(__FMA__)
  __m256 dx = _mm256_sub_ps(_mm256_load_ps(block->x + i), _mm256_set1_ps(x));
  __m256 dy = _mm256_sub_ps(_mm256_load_ps(block->y + i), _mm256_set1_ps(y));
  __m256 dz = _mm256_sub_ps(_mm256_load_ps(block->z + i), _mm256_set1_ps(z));
  __m256 d2 = _mm256_fmadd_ps(dz, dz, _mm256_fmadd_ps(dy, dy, _mm256_mul_ps(dx, dx)));
  __m256 r2 = _mm256_set1_ps(radius2);
  __m256 hit = inclusive ? _mm256_cmp_ps(d2, r2, _CMP_LE_OQ) : _mm256_cmp_ps(d2, r2, _CMP_LT_OQ);
  __m256i self =
      _mm256_cmpeq_epi32(_mm256_load_si256((const __m256i *)(block->index + i)), _mm256_set1_epi32(exclude));
  return (unsigned)_mm256_movemask_ps(_mm256_andnot_ps(_mm256_castsi256_ps(self), hit));
#else
  unsigned hits = 0;
  for (int l = 0; l < 8; l++) {
    float d2 = mote_distance2(block->x[i + l] - x, block->y[i + l] - y, block->z[i + l] - z);
    hits |= (unsigned)(mote_neighbor_hit(d2, radius2, inclusive) & (block->index[i + l] != exclude)) << l;
  }
  return hits;
#endif
}

/* Writes the indices that have a bit, one after the other; up to 8 entries are touched. */
static inline void mote_compress(const int32_t *index, unsigned hits, int32_t *to) {
#if defined(__AVX2__) && defined(__FMA__) && defined(__BMI2__)
  uint64_t bytes = _pdep_u64(hits, 0x0101010101010101u) * 0xFF; /* a byte a lane */
  __m128i lanes = _mm_cvtsi64_si128((long long)_pext_u64(0x0706050403020100u, bytes));
  __m256i chosen =
      _mm256_permutevar8x32_epi32(_mm256_load_si256((const __m256i *)index), _mm256_cvtepu8_epi32(lanes));
  _mm256_storeu_si256((__m256i *)to, chosen);
#else
  for (int l = 0; l < 8; l++) {
    *to = index[l];
    to += hits >> l & 1;
  }
#endif
}

static inline int mote_block_emit(const mote_block *block, float x, float y, float z, float radius2,
                                  int inclusive, int32_t exclude, int32_t *row) {
  int count = 0;
  for (int i = 0; i < block->count; i += 8) {
    unsigned hits = mote_block_hits(block, i, x, y, z, radius2, inclusive, exclude);
    mote_compress(block->index + i, hits, row + count);
    count += __builtin_popcount(hits);
  }
  return count;
}

/* An entry's place is the number of smaller ones, which whole vectors count without a branch. */
static inline void mote_row_sort(int32_t *row, int count, int32_t *to) {
  if (count > 64) {
    mote_row_sort_long(row, count, to);
    return;
  }
  int32_t rank[64] = {0};
  int lanes = (count + 7) / 8 * 8;
  for (int i = count; i < lanes; i++) row[i] = INT32_MAX;
  for (int j = 0; j < count; j++)
    for (int i = 0; i < lanes; i++) rank[i] += row[i] > row[j];
  for (int i = 0; i < count; i++) to[rank[i]] = row[i];
}

#endif
#endif
