/* Float32 products by bfloat16 tiles (terms.h).

   One kernel does all of them: three tiles of rows times a panel of 16 outputs, 32 inputs a step, twice:
   first all products that are small, then those of first terms on top, and what is added to last. Else small
   ones would be rounded, five times, as large ones are. The outer products are the same with inputs in the
   place of rows and rows in the place of inputs. */
#include "kernels/dense/terms.h"

#include <string.h>

#include "kernels/dense/tile.h"

#if defined __x86_64__ && defined __linux__ && (__GNUC__ >= 11 || __clang_major__ >= 12)
#include <cpuid.h>
#include <immintrin.h>
#include <sys/syscall.h>
#include <unistd.h>

#define TILES __attribute__((target("avx512f,avx512bw,amx-tile,amx-bf16")))
#define TILES_INLINE TILES static inline __attribute__((always_inline))
/* Tile loads and stores are not known to the compiler as uses of memory. */
#define MEMORY_BARRIER() __asm__ volatile("" ::: "memory")

enum {
  TILE = 16,            /* rows or outputs of a tile */
  DEPTH = 32,           /* inputs of a tile */
  BLOCK = 3,            /* tiles of rows that are multiplied at once */
  MOST = 3,             /* terms */
  MOST_DEPTH = 128,     /* inputs whose rows are split at once: what stays in the first-level cache */
  PANELS_AT_ONCE = 8,   /* of an outer product */
  LEAST_OUTER = 64 * 64 /* weights that gain by it, with two terms; with three twice as many */
};

/* ---- Is it there? ---- */

/* The processor has the tiles, and the system lets this process have their state. */
static int ask(void) {
  enum { REQUEST_PERMISSION = 0x1023, TILE_DATA = 18 };
  unsigned a, b, c, d, low, high;
  if (!__get_cpuid_count(7, 0, &a, &b, &c, &d)) return 0;
  const unsigned wide = 1u << 16 | 1u << 30, tiles = 1u << 22 | 1u << 24; /* AVX512F, BW; AMX-BF16, -TILE */
  if ((b & wide) != wide || (d & tiles) != tiles) return 0;
  if (!__get_cpuid(1, &a, &b, &c, &d) || !(c & 1u << 27)) return 0; /* OSXSAVE */
  __asm__ volatile("xgetbv" : "=a"(low), "=d"(high) : "c"(0));
  const unsigned state = 3u << 17 | 7u << 5 | 3u << 1;
  return (low & state) == state && syscall(SYS_arch_prctl, REQUEST_PERMISSION, TILE_DATA) == 0;
}

static int supported(void) {
  static int answer = -1; /* the same whoever asks first */
  int known = __atomic_load_n(&answer, __ATOMIC_RELAXED);
  if (known < 0) __atomic_store_n(&answer, known = ask(), __ATOMIC_RELAXED);
  return known;
}

/* ---- Terms ---- */

static int rounded(int x, int to) {
  return (x + to - 1) / to * to;
}

/* The first term of `count` of x, as the upper half of a float: cut off, so that three terms are all of x; of
   two the first is rounded, so that what is left has the least bits and either sign. */
TILES_INLINE __m512i upper(int count, int term, __m512 x) {
  if (count == MOST || term) return (__m512i)x;
  return _mm512_add_epi32((__m512i)x, _mm512_set1_epi32(0x8000));
}
TILES_INLINE __m512 without(__m512i upper, __m512 x) {
  return _mm512_sub_ps(x, (__m512)_mm512_and_si512(upper, _mm512_set1_epi32((int)0xffff0000u)));
}

/* Two rows of 16 values, in which rows alternate: what a tile takes on its right. */
TILES_INLINE void split_pair(int count, __m512 first, __m512 second, uint16_t *to) {
#pragma GCC unroll 3
  for (int t = 0; t < count; t++) {
    const __m512i a = upper(count, t, first), b = upper(count, t, second);
    _mm512_storeu_si512(to + t * DEPTH, _mm512_mask_mov_epi16(_mm512_srli_epi32(a, 16), 0xaaaaaaaau, b));
    first = without(a, first);
    second = without(b, second);
  }
}

/* Rows as a tile takes them on its left: to[row][term][depth], zeros behind `in`. */
TILES_INLINE void split_rows_by(int count, int in, int rows, const float *x, int stride, int depth,
                                uint16_t *to) {
  const __m512i odd = _mm512_set_epi16(63, 61, 59, 57, 55, 53, 51, 49, 47, 45, 43, 41, 39, 37, 35, 33, 31, 29,
                                       27, 25, 23, 21, 19, 17, 15, 13, 11, 9, 7, 5, 3, 1);
  for (int r = 0; r < rows; r++)
    for (int k = 0; k < depth; k += DEPTH) {
      const uint32_t there = in - k >= DEPTH ? 0xffffffffu : (1u << (in - k)) - 1;
      const float *from = x + (int64_t)r * stride + k;
      __m512 first = _mm512_maskz_loadu_ps((__mmask16)there, from);
      __m512 second = _mm512_maskz_loadu_ps((__mmask16)(there >> 16), from + TILE);
#pragma GCC unroll 3
      for (int t = 0; t < count; t++) {
        const __m512i a = upper(count, t, first), b = upper(count, t, second);
        _mm512_storeu_si512(to + (r * count + t) * depth + k, _mm512_permutex2var_epi16(a, odd, b));
        first = without(a, first);
        second = without(b, second);
      }
    }
}
TILES static void split_rows(int count, int in, int rows, const float *x, int stride, int depth,
                             uint16_t *to) {
  if (count == MOST)
    split_rows_by(MOST, in, rows, x, stride, depth, to);
  else
    split_rows_by(2, in, rows, x, stride, depth, to);
}

int mote_terms_precision(mote_precision precision) {
  if (precision == MOTE_PRECISION_FLOAT32) return 1;
  return supported() && (precision == MOTE_PRECISION_BFLOAT16X2 || precision == MOTE_PRECISION_BFLOAT16X3);
}

int mote_term_count(mote_precision precision) {
  return !supported() ? 0 : precision == MOTE_PRECISION_BFLOAT16X2 ? 2 : MOST;
}

size_t mote_terms_room(int count, int64_t floats) {
  return (size_t)(floats / DEPTH + 1 + TILE) * (size_t)(count * DEPTH) * sizeof(uint16_t);
}

TILES mote_status mote_terms_make(mote_stream *stream, int64_t floats, const float *packed, int count,
                                  uint16_t *terms) {
  const int64_t pairs = floats / DEPTH, pair = (int64_t)count * DEPTH;
#pragma omp parallel for num_threads(mote_stream_threads(stream)) schedule(static) if (pairs > 4096)
  for (int64_t q = 0; q <= pairs; q++) {
    const float *from = packed + q * DEPTH;
    const __m512 none = _mm512_setzero_ps();
    const __m512 first = q * DEPTH < floats ? _mm512_loadu_ps(from) : none;
    const __m512 second = q * DEPTH + TILE < floats ? _mm512_loadu_ps(from + TILE) : none;
    if (count == MOST)
      split_pair(MOST, first, second, terms + q * pair);
    else
      split_pair(2, first, second, terms + q * pair);
  }
  memset(terms + (pairs + 1) * pair, 0,
         mote_terms_room(count, floats) - (size_t)((pairs + 1) * pair) * sizeof *terms);
  return MOTE_OK;
}

/* ---- The product ---- */

typedef struct left {
  const uint16_t *terms; /* [row][term][depth] */
  int count, depth;
} left;

static const struct {
  uint8_t palette, start, reserved[14];
  uint16_t bytes[16];
  uint8_t rows[16];
} shapes = {.palette = 1,
            .bytes = {64, 64, 64, 64, 64, 64, 64, 64},
            .rows = {TILE, TILE, TILE, TILE, TILE, TILE, TILE, TILE}};

/* Tiles 0 to 2 are sums, 3 to 5 the panel's terms, 6 and 7 rows'. */
#define MULTIPLY_SMALL(i)                                                                                    \
  if (tiles > (i)) {                                                                                         \
    const uint16_t *row = a + (i)*TILE * count * x.depth;                                                    \
    _tile_loadd(6, row, a_stride);                                                                           \
    _tile_loadd(7, row + x.depth, a_stride);                                                                 \
    if (count == MOST) {                                                                                     \
      _tile_dpbf16ps(i, 6, 5);                                                                               \
      _tile_dpbf16ps(i, 7, 4);                                                                               \
    }                                                                                                        \
    _tile_dpbf16ps(i, 6, 4);                                                                                 \
    _tile_dpbf16ps(i, 7, 3);                                                                                 \
    if (count == MOST) {                                                                                     \
      _tile_loadd(6, row + 2 * x.depth, a_stride);                                                           \
      _tile_dpbf16ps(i, 6, 3);                                                                               \
    }                                                                                                        \
  }
#define MULTIPLY_LARGE(i)                                                                                    \
  if (tiles > (i)) {                                                                                         \
    _tile_loadd(6, a + (i)*TILE * count * x.depth, a_stride);                                                \
    _tile_dpbf16ps(i, 6, 3);                                                                                 \
  }
TILES_INLINE void multiply(int tiles, int count, left x, const uint16_t *panel, float *sums) {
  const int64_t a_stride = (int64_t)sizeof(uint16_t) * count * x.depth;
  const int64_t b_stride = (int64_t)sizeof(uint16_t) * count * DEPTH, stride = sizeof(float) * MOTE_PANEL;
  const uint16_t *a = x.terms, *b = panel;
  MEMORY_BARRIER();
  _tile_zero(0);
  if (tiles > 1) _tile_zero(1);
  if (tiles > 2) _tile_zero(2);
  for (int k = 0; k < x.depth; k += DEPTH, a += DEPTH, b += TILE * count * DEPTH) {
    _tile_loadd(3, b, b_stride);
    _tile_loadd(4, b + DEPTH, b_stride);
    if (count == MOST) _tile_loadd(5, b + 2 * DEPTH, b_stride);
    MULTIPLY_SMALL(0)
    MULTIPLY_SMALL(1)
    MULTIPLY_SMALL(2)
  }
  a = x.terms, b = panel;
  for (int k = 0; k < x.depth; k += DEPTH, a += DEPTH, b += TILE * count * DEPTH) {
    _tile_loadd(3, b, b_stride);
    MULTIPLY_LARGE(0)
    MULTIPLY_LARGE(1)
    MULTIPLY_LARGE(2)
  }
  _tile_stored(0, sums, stride);
  if (tiles > 1) _tile_stored(1, sums + TILE * MOTE_PANEL, stride);
  if (tiles > 2) _tile_stored(2, sums + 2 * TILE * MOTE_PANEL, stride);
  MEMORY_BARRIER();
}
#undef MULTIPLY_SMALL
#undef MULTIPLY_LARGE

/* Each as a function of its own, as what is a constant there unrolls it. */
#define MULTIPLY(tiles, count)                                                                               \
  TILES static void multiply_##tiles##_##count(left x, const uint16_t *panel, float *sums) {                 \
    multiply(tiles, count, x, panel, sums);                                                                  \
  }
MULTIPLY(1, 2)
MULTIPLY(2, 2)
MULTIPLY(3, 2)
MULTIPLY(1, 3)
MULTIPLY(2, 3)
MULTIPLY(3, 3)
#undef MULTIPLY

/* `tiles` of rows, 1 to BLOCK; sums (tiles, TILE, MOTE_PANEL). */
static void multiply_tiles(int tiles, left x, const uint16_t *panel, float *sums) {
  typedef void product(left, const uint16_t *, float *);
  static product *const products[2][BLOCK] = {{multiply_1_2, multiply_2_2, multiply_3_2},
                                              {multiply_1_3, multiply_2_3, multiply_3_3}};
  products[x.count == MOST][tiles - 1](x, panel, sums);
}

/* ---- A layer ---- */

/* What ends a layer; NULL: not that. */
typedef struct ending {
  const float *bias; /* NULL: y holds what is added to */
  const float *add;  /* the layer's input at these columns */
  int add_stride;
  mote_activation activation;
} ending;

TILES_INLINE void end_rows(mote_activation activation, ending e, int rows, const float *sums, float *y,
                           int64_t stride) {
  for (int r = 0; r < rows; r++)
    for (int c = 0; c < MOTE_PANEL; c += MOTE_LANES) {
      float *to = y + r * stride + c;
      mote_v sum = mote_v_load(sums + r * MOTE_PANEL + c) + mote_v_load(e.bias ? e.bias + c : to);
      sum = mote_v_activate(sum, activation);
      if (e.add) sum += mote_v_load(e.add + (int64_t)r * e.add_stride + c);
      mote_v_store(to, sum);
    }
}
TILES static void end_panel(ending e, int rows, const float *sums, float *y, int64_t stride) {
  if (e.activation == MOTE_GELU)
    end_rows(MOTE_GELU, e, rows, sums, y, stride);
  else if (e.activation == MOTE_RELU)
    end_rows(MOTE_RELU, e, rows, sums, y, stride);
  else
    end_rows(MOTE_IDENTITY, e, rows, sums, y, stride);
}

/* Zeros up to the end of a tile of rows. */
static void clear_rows(int rows, int row, uint16_t *terms) {
  const int whole = rounded(rows, TILE);
  if (whole > rows) memset(terms + rows * row, 0, (size_t)((whole - rows) * row) * sizeof *terms);
}

TILES void mote_terms_linear(const mote_linear *l, int start, int rows, const float *x, int x_stride,
                             float *y, int y_stride) {
  enum { ROWS = BLOCK * TILE };
  _Alignas(64) uint16_t split[MOST * ROWS * MOST_DEPTH];
  _Alignas(64) float sums[ROWS * MOTE_PANEL];
  const int panels = mote_panels(l->out), count = l->terms.count;
  _tile_loadconfig(&shapes);
  for (int r = 0; r < rows; r += ROWS)
    for (int k = 0; k < l->in; k += MOST_DEPTH) {
      const int some = rows - r < ROWS ? rows - r : ROWS,
                in = l->in - k < MOST_DEPTH ? l->in - k : MOST_DEPTH;
      const left a = {split, count, rounded(in, DEPTH)};
      const float *from = x + (int64_t)r * x_stride;
      split_rows(count, in, some, from + k, x_stride, a.depth, split);
      clear_rows(some, count * a.depth, split);
      for (int p = 0; p < panels; p++) {
        const uint16_t *panel = l->terms.data + ((int64_t)p * l->in + k) * count * MOTE_PANEL;
        const int last = k + MOST_DEPTH >= l->in;
        const ending e = {.bias = start || k ? NULL : l->bias + p * MOTE_PANEL,
                          .add = last && l->residual ? from + p * MOTE_PANEL : NULL,
                          .add_stride = x_stride,
                          .activation = last ? l->activation : MOTE_IDENTITY};
        multiply_tiles((some + TILE - 1) / TILE, a, panel, sums);
        end_panel(e, some, sums, y + (int64_t)r * y_stride + p * MOTE_PANEL, y_stride);
      }
    }
  _tile_release();
}

/* ---- Outer products ---- */

/* 16 columns of 16 rows, each as a row; rows from `there` on are 0. */
TILES_INLINE void transpose(const float *x, int stride, int there, float *to, int to_stride) {
  __m512 a[TILE], b[TILE];
#pragma GCC unroll 16
  for (int r = 0; r < TILE; r++)
    a[r] = r < there ? _mm512_loadu_ps(x + (int64_t)r * stride) : _mm512_setzero_ps();
#pragma GCC unroll 8
  for (int r = 0; r < TILE; r += 2) {
    b[r] = _mm512_unpacklo_ps(a[r], a[r + 1]);
    b[r + 1] = _mm512_unpackhi_ps(a[r], a[r + 1]);
  }
#pragma GCC unroll 4
  for (int r = 0; r < TILE; r += 4)
#pragma GCC unroll 2
    for (int k = 0; k < 2; k++) {
      a[r + 2 * k] = (__m512)_mm512_unpacklo_pd((__m512d)b[r + k], (__m512d)b[r + k + 2]);
      a[r + 2 * k + 1] = (__m512)_mm512_unpackhi_pd((__m512d)b[r + k], (__m512d)b[r + k + 2]);
    }
#pragma GCC unroll 4
  for (int k = 0; k < 4; k++) { /* columns k, k + 4, k + 8 and k + 12 of four rows each */
    b[k] = _mm512_shuffle_f32x4(a[k], a[k + 4], 0x88);
    b[k + 4] = _mm512_shuffle_f32x4(a[k], a[k + 4], 0xdd);
    b[k + 8] = _mm512_shuffle_f32x4(a[k + 8], a[k + 12], 0x88);
    b[k + 12] = _mm512_shuffle_f32x4(a[k + 8], a[k + 12], 0xdd);
  }
#pragma GCC unroll 4
  for (int k = 0; k < 4; k++) {
    _mm512_storeu_ps(to + (int64_t)k * to_stride, _mm512_shuffle_f32x4(b[k], b[k + 8], 0x88));
    _mm512_storeu_ps(to + (int64_t)(k + 8) * to_stride, _mm512_shuffle_f32x4(b[k], b[k + 8], 0xdd));
    _mm512_storeu_ps(to + (int64_t)(k + 4) * to_stride, _mm512_shuffle_f32x4(b[k + 4], b[k + 12], 0x88));
    _mm512_storeu_ps(to + (int64_t)(k + 12) * to_stride, _mm512_shuffle_f32x4(b[k + 4], b[k + 12], 0xdd));
  }
}

/* Columns of dz as panels of pairs of rows; zeros behind the last row. */
TILES_INLINE void split_panels_by(int count, int panels, int rows, int depth, const float *dz, int stride,
                                  uint16_t *to) {
  const __m512 none = _mm512_setzero_ps();
  for (int p = 0; p < panels; p++)
    for (int r = 0; r < depth; r += 2, to += count * DEPTH) {
      const float *from = dz + (int64_t)r * stride + p * MOTE_PANEL;
      split_pair(count, r < rows ? _mm512_loadu_ps(from) : none,
                 r + 1 < rows ? _mm512_loadu_ps(from + stride) : none, to);
    }
}
TILES static void split_panels(int count, int panels, int rows, int depth, const float *dz, int stride,
                               uint16_t *to) {
  if (count == MOST)
    split_panels_by(MOST, panels, rows, depth, dz, stride, to);
  else
    split_panels_by(2, panels, rows, depth, dz, stride, to);
}

/* As many lines as come from memory while a panel is multiplied. */
static void call_for(mote_later *later, const float *none) {
  enum { LINES = 48 };
  int stride;
  const float *from = mote_later_take(later, LINES, none, &stride);
  for (int k = 0; k < LINES && stride; k++) __builtin_prefetch(from + k * stride, 0, 2);
}

/* Some panels of outputs. */
TILES static void outer_panels(int count, int in, int panels, int rows, const float *x, int x_stride,
                               const float *dz, int dz_stride, mote_later *later, float *d_weight) {
  _Alignas(64) uint16_t right[PANELS_AT_ONCE * MOTE_TERM_ROWS * MOTE_PANEL * MOST];
  _Alignas(64) uint16_t split[MOST * BLOCK * TILE * MOTE_TERM_ROWS];
  _Alignas(64) float turned[BLOCK * TILE * MOTE_TERM_ROWS], sums[BLOCK * TILE * MOTE_PANEL];
  const int depth = rounded(rows, DEPTH), whole = in / TILE * TILE;
  const left a = {split, count, depth};
  split_panels(count, panels, rows, depth, dz, dz_stride, right);
  for (int k = 0; k < whole; k += BLOCK * TILE) {
    const int some = whole - k < BLOCK * TILE ? whole - k : BLOCK * TILE;
    for (int i = 0; i < some; i += TILE)
      for (int r = 0; r < depth; r += TILE)
        transpose(x + (int64_t)r * x_stride + k + i, x_stride, rows - r, turned + i * depth + r, depth);
    split_rows(count, depth, some, turned, depth, depth, split);
    for (int p = 0; p < panels; p++) {
      float *to = d_weight + ((int64_t)p * in + k) * MOTE_PANEL;
      call_for(later, x);
      multiply_tiles(some / TILE, a, right + (int64_t)p * depth * MOTE_PANEL * count, sums);
      end_panel((ending){.activation = MOTE_IDENTITY}, some, sums, to, MOTE_PANEL);
    }
  }
}

TILES int mote_terms_outer(int count, int in, int out, int rows, const float *x, int x_stride,
                           const float *dz, int dz_stride, mote_later *later, float *d_weight) {
  const int panels = mote_panels(out);
  if (in * out < (count == MOST ? 2 : 1) * LEAST_OUTER) return 0;
  _tile_loadconfig(&shapes);
  for (int p = 0; p < panels; p += PANELS_AT_ONCE)
    outer_panels(count, in, panels - p < PANELS_AT_ONCE ? panels - p : PANELS_AT_ONCE, rows, x, x_stride,
                 dz + p * MOTE_PANEL, dz_stride, later, d_weight + (int64_t)p * in * MOTE_PANEL);
  _tile_release();
  return in / TILE * TILE;
}

#else /* no such tiles, or none that this compiler knows */

int mote_terms_precision(mote_precision precision) {
  return precision == MOTE_PRECISION_FLOAT32;
}

int mote_term_count(mote_precision precision) {
  (void)precision;
  return 0;
}
size_t mote_terms_room(int count, int64_t floats) {
  (void)count, (void)floats;
  return 0;
}
mote_status mote_terms_make(mote_stream *stream, int64_t floats, const float *packed, int count,
                            uint16_t *terms) {
  (void)stream, (void)floats, (void)packed, (void)count, (void)terms;
  return mote_fail(MOTE_ERROR_INTERNAL, "terms of weights, without tiles for them");
}
void mote_terms_linear(const mote_linear *l, int start, int rows, const float *x, int x_stride, float *y,
                       int y_stride) {
  (void)l, (void)start, (void)rows, (void)x, (void)x_stride, (void)y, (void)y_stride;
}
int mote_terms_outer(int count, int in, int out, int rows, const float *x, int x_stride, const float *dz,
                     int dz_stride, mote_later *later, float *d_weight) {
  (void)count, (void)in, (void)out, (void)rows, (void)x, (void)x_stride, (void)dz, (void)dz_stride;
  (void)later, (void)d_weight;
  return 0;
}
#endif
