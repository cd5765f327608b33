/* The reverse of a chain on the CPU (reverse.h). The trick: weight gradients are outer products summed over
   rows, so the microkernel keeps a block of inputs x two vectors of outputs in registers, as the forward one
   keeps rows x outputs, and goes through the tile's rows. A weight's gradient is one chain of fused
   multiply-adds over the rows of its chunk in their order; or, by terms (terms.h), a sum of each tile's in
   the order of the tiles. */
#include "kernels/dense/reverse.h"

_Static_assert(MOTE_REVERSE_ROWS <= MOTE_TERM_ROWS, "a tile's outer products are one call");

static const float zeros[MOTE_DENSE_WIDEST]; /* the bias of transposed layers */

/* ---- Layout ---- */

/* A ReLU's output tells its derivative, unless the layer's input was added to it. */
static int keeps_slope(const mote_linear *l) {
  return l->activation == MOTE_GELU || (l->activation == MOTE_RELU && l->residual);
}

mote_reverse mote_reverse_plan(const mote_mlp *mlp, const mote_arena *arena, int64_t n, int64_t from) {
  mote_reverse v = {.mlp = mlp, .arena = arena, .n = n, .rows = mlp->kept ? n : 0, .floats = from};
  for (int l = 0; l <= mlp->layers && (l == 0 || !v.rows); l++) {
    int width = l < mlp->layers ? mlp->layer[l].in : mlp->layer[mlp->layers - 1].out;
    v.input[l] = v.floats;
    v.floats += (int64_t)MOTE_REVERSE_ROWS * mote_tile_stride(width);
    if (l == 0 && mlp->before.weight) {
      v.raw = v.floats;
      v.floats += (int64_t)MOTE_REVERSE_ROWS * mote_tile_stride(width);
    }
    if (l < mlp->layers && keeps_slope(&mlp->layer[l])) {
      v.slope[l] = v.floats;
      v.floats += (int64_t)MOTE_REVERSE_ROWS * mote_tile_stride(mlp->layer[l].out);
    }
  }
  if (!mlp->before.weight) v.raw = v.input[0];
  for (int k = 0; k < 2; k++) {
    v.gradient[k] = v.floats;
    v.floats += (int64_t)MOTE_REVERSE_ROWS * mote_tile_stride(mote_mlp_widest(mlp));
  }
  return v;
}

/* ---- The chain once more ---- */

static void clear_rest(int used, int stride, float *x) {
  memset(x + used * stride, 0, (size_t)(mote_tile_blocks(used) - used) * (size_t)stride * sizeof(float));
}

/* From sums z to activations y and, in the place of the sums, their derivatives. */
static void activate(const mote_linear *l, int rows, float *z, const float *x, float *y) {
  int64_t floats = (int64_t)rows * mote_tile_stride(l->out);
  mote_v zero = mote_v_set(0), one = mote_v_set(1);
  for (int64_t i = 0; i < floats; i += MOTE_LANES) {
    mote_v sum = mote_v_load(z + i), value, slope;
    if (l->activation == MOTE_GELU) {
      value = mote_v_gelu_slope(sum, &slope);
    } else {
      value = mote_v_max(zero, sum);
      slope = mote_v_select(sum > zero, one, zero);
    }
    mote_v_store(z + i, slope);
    if (l->residual) value += mote_v_load(x + i);
    mote_v_store(y + i, value);
  }
}

void mote_reverse_forward(const mote_reverse *v, int used, float *tile, const float *input, int started,
                          int output) {
  const mote_mlp *mlp = v->mlp;
  const int rows = mote_tile_blocks(used), in = mlp->layer[0].in, stride = mote_tile_stride(in);
  if (v->rows) return;
  if (!input) clear_rest(used, stride, tile + v->raw);
  if (mlp->before.weight) {
    memcpy(tile + v->input[0], tile + v->raw, (size_t)rows * (size_t)stride * sizeof(float));
    mote_tile_norm(mlp->before, in, used, tile + v->input[0], stride);
  }
  for (int l = 0; l < mlp->layers; l++) {
    mote_linear layer = mlp->layer[l];
    const float *x = l == 0 && input ? input : tile + v->input[l];
    float *y = tile + v->input[l + 1], *z = tile + v->slope[l];
    const int from = mote_tile_stride(layer.in), to = mote_tile_stride(layer.out), start = started && l == 0;
    const int linear = layer.activation == MOTE_IDENTITY && !mlp->behind.weight;
    if (l == mlp->layers - 1 && linear && !output) continue;
    if (start) clear_rest(used, to, v->slope[l] ? z : y);
    if (!v->slope[l]) {
      mote_tile_linear(&layer, start, rows, x, from, y, to);
      continue;
    }
    layer.activation = MOTE_IDENTITY;
    layer.residual = 0;
    mote_tile_linear(&layer, start, rows, x, from, z, to);
    activate(&mlp->layer[l], rows, z, x, y);
  }
}

/* ---- Back through one layer ---- */

/* dz = dy times the derivative of the activation, a panel of columns at a time; their sums over rows go to
   the bias. `tells`: the derivative (GELU, or where there is a residual), or the ReLU's output. */
static void through_activation(mote_activation activation, int kept, int rows, int stride, const float *tells,
                               const float *dy, float *dz, float *d_bias) {
  enum { VECTORS = MOTE_PANEL / MOTE_LANES };
  const mote_v zero = mote_v_set(0);
  for (int c = 0; c < stride; c += MOTE_PANEL) {
    mote_v sum[VECTORS];
    for (int k = 0; k < VECTORS; k++) sum[k] = d_bias ? mote_v_load(d_bias + c + k * MOTE_LANES) : zero;
    for (int r = 0; r < rows; r++)
      for (int k = 0; k < VECTORS; k++) {
        int at = r * stride + c + k * MOTE_LANES;
        mote_v d = mote_v_load(dy + at);
        if (kept)
          d *= mote_v_load(tells + at);
        else if (activation == MOTE_RELU)
          d = mote_v_select(mote_v_load(tells + at) > zero, d, zero);
        mote_v_store(dz + at, d);
        sum[k] += d;
      }
    for (int k = 0; k < VECTORS && d_bias; k++) mote_v_store(d_bias + c + k * MOTE_LANES, sum[k]);
  }
}

/* g0[16 k + lane] += sum over rows of x[k] d[lane], for `inputs` k (known when this is compiled) and two
   vectors of outputs. A row's arithmetic leaves time to call for two lines of memory: `next`, inputs of the
   block that follows, which caches do not foresee as they lie rows apart, and what `later` names. */
MOTE_VECTOR void outer_block(int inputs, int rows, const float *x, const float *next, int x_stride,
                             const float *d, int d_stride, int second, const float *later, int later_stride,
                             float *g0, float *g1) {
  mote_v sum[MOTE_TILE_BLOCK][2];
#pragma GCC unroll 12
  for (int k = 0; k < inputs; k++) {
    sum[k][0] = mote_v_load(g0 + k * MOTE_PANEL);
    sum[k][1] = mote_v_load(g1 + k * MOTE_PANEL);
  }
  for (int r = 0; r < rows; r++, x += x_stride, next += x_stride, later += later_stride, d += d_stride) {
    mote_v left = mote_v_load(d), right = mote_v_load(d + second);
    __builtin_prefetch(next, 0, 3);
    __builtin_prefetch(later, 0, 2);
#pragma GCC unroll 12
    for (int k = 0; k < inputs; k++) {
      mote_v a = mote_v_set(x[k]);
      sum[k][0] += a * left;
      sum[k][1] += a * right;
    }
  }
#pragma GCC unroll 12
  for (int k = 0; k < inputs; k++) {
    mote_v_store(g0 + k * MOTE_PANEL, sum[k][0]);
    mote_v_store(g1 + k * MOTE_PANEL, sum[k][1]);
  }
}

/* What whole blocks of inputs leave over: halves of them, down to one input. */
static void outer_rest(int inputs, int rows, const float *x, const float *next, int x_stride, const float *d,
                       int d_stride, int second, float *g0, float *g1) {
#define MOTE_REST(count)                                                                                     \
  if (inputs >= (count)) {                                                                                   \
    outer_block(count, rows, x, next, x_stride, d, d_stride, second, x, 0, g0, g1);                          \
    x += (count), inputs -= (count), g0 += (count)*MOTE_PANEL, g1 += (count)*MOTE_PANEL;                     \
  }
#if MOTE_TILE_BLOCK == 12
  MOTE_REST(8)
#endif
  MOTE_REST(4)
  MOTE_REST(2)
  MOTE_REST(1)
#undef MOTE_REST
}

/* Weight gradients, packed as the weights are. */
static void outer_products(const mote_linear *l, int rows, const float *x, const float *dz, mote_later coming,
                           float *d_weight) {
  const int panels = mote_panels(l->out), step = 2 * MOTE_LANES / MOTE_PANEL, in = l->in;
  const int from = mote_tile_stride(in), to = mote_tile_stride(l->out);
  const int done = mote_terms_suit(l) ? mote_terms_outer(l->terms.count, in, l->out, rows, x, from, dz, to,
                                                         &coming, d_weight)
                                      : 0;
  for (int p = 0; p < panels && done < in; p += step) {
    /* As in mote_tile_linear: of a last panel alone both vectors are the same, and so is what is written. */
    int second = step == 1 ? MOTE_LANES : p + 1 < panels ? MOTE_PANEL : 0;
    float *g0 = d_weight + (int64_t)p * in * MOTE_PANEL;
    float *g1 = step == 1 ? g0 + MOTE_LANES : g0 + (second ? (int64_t)in * MOTE_PANEL : 0);
    const float *d = dz + p * MOTE_PANEL;
    int k = done;
    for (int end; (end = k + MOTE_TILE_BLOCK) <= in; k = end) {
      int stride, next = end + MOTE_TILE_BLOCK <= in ? end + MOTE_TILE_BLOCK - 1 : 0;
      const float *lines = mote_later_take(&coming, rows, x, &stride);
      outer_block(MOTE_TILE_BLOCK, rows, x + k, x + next, from, d, to, second, lines, stride,
                  g0 + k * MOTE_PANEL, g1 + k * MOTE_PANEL);
    }
    outer_rest(in - k, rows, x + k, x, from, d, to, second, g0 + k * MOTE_PANEL, g1 + k * MOTE_PANEL);
  }
}

/* x^ = (x - mean) / deviation: d <- (w d - mean(w d) - x^ mean(w d x^)) / deviation (Ba et al. 2016). */
static void norm_row(const float *weight, int width, const float *x, float *d, float *d_weight,
                     float *d_bias) {
  float unit[MOTE_DENSE_WIDEST];
  const int whole = width / MOTE_LANES * MOTE_LANES;
  const float size = (float)width;
  mote_v total = mote_v_set(0), square = mote_v_set(0), plain = mote_v_set(0), along = mote_v_set(0);
  float rest = 0, rest_square = 0, rest_plain = 0, rest_along = 0;
  for (int c = 0; c < whole; c += MOTE_LANES) total += mote_v_load(x + c);
  for (int c = whole; c < width; c++) rest += x[c];
  const float mean = (mote_v_sum(total) + rest) / size;
  for (int c = 0; c < whole; c += MOTE_LANES) {
    mote_v away = mote_v_load(x + c) - mean;
    square += away * away;
  }
  for (int c = whole; c < width; c++) rest_square += (x[c] - mean) * (x[c] - mean);
  const float scale = 1 / sqrtf((mote_v_sum(square) + rest_square) / size + MOTE_NORM_EPSILON);
  for (int c = 0; c < whole; c += MOTE_LANES) {
    mote_v u = (mote_v_load(x + c) - mean) * scale, dy = mote_v_load(d + c), w = mote_v_load(weight + c) * dy;
    mote_v_store(unit + c, u);
    mote_v_store(d_weight + c, mote_v_load(d_weight + c) + dy * u);
    mote_v_store(d_bias + c, mote_v_load(d_bias + c) + dy);
    mote_v_store(d + c, w);
    plain += w;
    along += w * u;
  }
  for (int c = whole; c < width; c++) {
    unit[c] = (x[c] - mean) * scale;
    d_weight[c] += d[c] * unit[c];
    d_bias[c] += d[c];
    d[c] *= weight[c];
    rest_plain += d[c];
    rest_along += d[c] * unit[c];
  }
  const float shift = (mote_v_sum(plain) + rest_plain) / size, turn = (mote_v_sum(along) + rest_along) / size;
  for (int c = 0; c < whole; c += MOTE_LANES)
    mote_v_store(d + c, (mote_v_load(d + c) - shift - mote_v_load(unit + c) * turn) * scale);
  for (int c = whole; c < width; c++) d[c] = (d[c] - shift - unit[c] * turn) * scale;
}

void mote_reverse_norm(mote_norm norm, int width, int rows, const float *x, float *d, int stride,
                       float *d_weight, float *d_bias) {
  for (int r = 0; r < rows; r++)
    norm_row(norm.weight, width, x + r * stride, d + r * stride, d_weight, d_bias);
}

static void add_later(mote_later *to, int at, const float *rows, int width) {
  if (!rows) return;
  to->from[at] = rows;
  to->lines[at] = (int64_t)MOTE_REVERSE_ROWS * mote_tile_stride(width) / MOTE_PANEL;
}

/* What comes after the products of layer l: the input of the layer before it, or the next tile's last
   layer's, where they were kept. */
static mote_later coming_after(const mote_reverse *v, int64_t first, const float *tile, const float *input,
                               int l) {
  const mote_mlp *mlp = v->mlp;
  const int last = mlp->layers - 1;
  const int64_t next = first + MOTE_REVERSE_ROWS;
  mote_later coming = {0};
  if (!v->rows) {
    if (l == 0 && input && next + MOTE_REVERSE_ROWS <= v->n)
      add_later(&coming, 0, input + MOTE_REVERSE_ROWS * mote_tile_stride(mlp->layer[0].in), mlp->layer[0].in);
    return coming;
  }
  if (l > 0) {
    add_later(&coming, 0, l > 1 ? mote_reverse_output(v, tile, first, l - 2) : input, mlp->layer[l - 1].in);
  } else if (next + MOTE_REVERSE_ROWS <= v->rows) {
    if (mlp->behind.weight)
      add_later(&coming, 0, mote_reverse_output(v, tile, next, last), mlp->layer[last].out);
    if (last > 0) add_later(&coming, 1, mote_reverse_output(v, tile, next, last - 1), mlp->layer[last].in);
  }
  return coming;
}

mote_reversed mote_reverse_back(const mote_reverse *v, int64_t first, int used, float *tile,
                                const float *input, const mote_gradients *g, int wanted) {
  const mote_mlp *mlp = v->mlp;
  const int rows = mote_tile_blocks(used), last = mlp->layers - 1;
  float *dy = tile + v->gradient[0], *other = tile + v->gradient[1];
  mote_reversed result = {0};
  if (mlp->behind.weight)
    mote_reverse_norm(mlp->behind, mlp->layer[last].out, used, mote_reverse_output(v, tile, first, last), dy,
                      mote_tile_stride(mlp->layer[last].out), g->at[MOTE_OF_BEHIND],
                      g->at[MOTE_OF_BEHIND + 1]);
  for (int l = last; l >= 0; l--) {
    const mote_linear *layer = &mlp->layer[l];
    const int from = mote_tile_stride(layer->in), to = mote_tile_stride(layer->out);
    const int needed = l > 0 || wanted || mlp->before.weight;
    const float *x = l ? mote_reverse_output(v, tile, first, l - 1) : input ? input : tile + v->input[0];
    /* With a residual, the gradient by the input starts from dy, in its place. */
    float *dz = layer->residual ? other : dy, *dx = layer->residual ? dy : other;
    through_activation(layer->activation, v->slope[l] != 0, rows, to,
                       v->slope[l] ? tile + v->slope[l] : mote_reverse_output(v, tile, first, l), dy, dz,
                       g->at[2 * l + MOTE_OF_BIAS]);
    outer_products(layer, used, x, dz, coming_after(v, first, tile, input, l), g->at[2 * l + MOTE_OF_WEIGHT]);
    if (l == 0) result.first = dz;
    if (!needed) break;
    mote_linear back = {.in = layer->out,
                        .out = layer->in,
                        .weight = mote_transpose_of(v->arena, layer->weight),
                        .bias = zeros,
                        .terms = mote_terms_at(v->arena->transposed_terms, layer->weight - v->arena->value)};
    mote_tile_linear(&back, layer->residual, rows, dz, to, dx, from);
    if (l == 0) result.input = dx;
    other = dz;
    dy = dx;
  }
  if (mlp->before.weight)
    mote_reverse_norm(mlp->before, mlp->layer[0].in, used, tile + v->raw, result.input,
                      mote_tile_stride(mlp->layer[0].in), g->at[MOTE_OF_BEFORE], g->at[MOTE_OF_BEFORE + 1]);
  if (!wanted) result.input = NULL;
  return result;
}

/* ---- Rows ---- */

void mote_reverse_add(mote_sink sink, int width, int64_t first, int used, const float *from, int stride) {
  if (!sink.data) return;
  for (int r = 0; r < used; r++) {
    float *to = sink.data + (first + r) * sink.stride;
    for (int c = 0; c < width; c++) to[c] += from[r * stride + c];
  }
}

void mote_reverse_fill(mote_rows rows, int64_t first, int used, float *to) {
  const int stride = mote_tile_stride(rows.width);
  for (int r = 0; r < used; r++) {
    memcpy(to + r * stride, rows.data + (first + r) * rows.stride, (size_t)rows.width * sizeof(float));
    memset(to + r * stride + rows.width, 0, (size_t)(stride - rows.width) * sizeof(float));
  }
  clear_rest(used, stride, to);
}
