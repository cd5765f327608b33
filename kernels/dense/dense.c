/* Dense layers on the CPU: tiles of rows, a thread a tile. */
#include "kernels/dense/dense.h"

#include "kernels/dense/reverse.h"

/* Rows behind the tile's last one would be multiplied as well: let them be numbers. */
static void clear_rest(int used, int rows, int stride, float *x) {
  int padded = mote_tile_blocks(used);
  if (padded > rows) padded = rows;
  memset(x + used * stride, 0, (size_t)(padded - used) * (size_t)stride * sizeof(float));
}

static void write_rows(mote_rows residual, int64_t first, int rows, int width, const float *x, int stride,
                       float *out, int out_stride) {
  for (int r = 0; r < rows; r++) {
    float *to = out + (first + r) * out_stride;
    const float *from = x + r * stride,
                *add = residual.data ? residual.data + (first + r) * residual.stride : NULL;
    if (add)
      for (int c = 0; c < width; c++) to[c] = add[c] + from[c];
    else
      memcpy(to, from, (size_t)width * sizeof(float));
  }
}

static void mlp_tile(const mote_mlp *mlp, mote_tile_span span, int rows, mote_rows a, mote_rows b,
                     mote_rows residual, mote_tile *tile, float *out, int out_stride) {
  int in = mote_tile_stride(mlp->layer[0].in), width = mlp->layer[mlp->layers - 1].out, used = span.used;
  const int64_t first = span.first;
  mote_tile_fill(a, first, used, 0, tile->buffer[0], in);
  if (b.width) mote_tile_fill(b, first, used, a.width, tile->buffer[0], in);
  clear_rest(used, rows, in, tile->buffer[0]);
  mote_tile_norm(mlp->before, mlp->layer[0].in, used, tile->buffer[0], in);
  int at = mote_tile_layers(mlp, 0, span, tile, 0);
  mote_tile_norm(mlp->behind, width, used, tile->buffer[at], mote_tile_stride(width));
  write_rows(residual, first, used, width, tile->buffer[at], mote_tile_stride(width), out, out_stride);
}

static mote_status mlp(mote_stream *stream, int64_t most, const int32_t *count, const mote_mlp *chain,
                       mote_rows a, mote_rows b, mote_rows residual, float *out, int out_stride) {
  const int64_t n = mote_row_count(most, count);
  int rows = mote_tile_rows(mote_mlp_widest(chain));
#pragma omp parallel for num_threads(mote_stream_threads(stream)) schedule(dynamic, 1) if (n > rows)
  for (int64_t first = 0; first < n; first += rows) {
    mote_tile tile;
    int used = n - first < rows ? (int)(n - first) : rows;
    mlp_tile(chain, (mote_tile_span){most, first, used}, rows, a, b, residual, &tile, out, out_stride);
  }
  return MOTE_OK;
}

static void gated_tile(int experts, const mote_mlp *expert, int64_t first, int used, int rows, mote_rows a,
                       mote_rows logits, mote_norm norm, mote_rows residual, mote_tile *tile, float *sum,
                       float *out, int out_stride) {
  int in = mote_tile_stride(expert->layer[0].in), width = expert->layer[expert->layers - 1].out;
  int stride = mote_tile_stride(width);
  float gate[MOTE_TILE_ROWS][MOTE_MOST_GATED];
  for (int r = 0; r < used; r++) mote_softmax(experts, logits.data + (first + r) * logits.stride, gate[r]);
  for (int e = 0; e < experts; e++) {
    mote_tile_fill(a, first, used, 0, tile->buffer[0], in);
    clear_rest(used, rows, in, tile->buffer[0]);
    int at = mote_tile_layers(&expert[e], 0, (mote_tile_span){0, first, used}, tile, 0);
    for (int r = 0; r < used; r++)
      for (int c = 0; c < width; c++) {
        float part = gate[r][e] * tile->buffer[at][r * stride + c];
        sum[r * stride + c] = e ? sum[r * stride + c] + part : part;
      }
  }
  mote_tile_norm(norm, width, used, sum, stride);
  write_rows(residual, first, used, width, sum, stride, out, out_stride);
}

static mote_status gated(mote_stream *stream, int64_t n, const int32_t *count, int experts,
                         const mote_mlp *expert, mote_rows a, mote_rows logits, mote_norm norm,
                         mote_rows residual, float *out, int out_stride) {
  n = mote_row_count(n, count);
  int rows = mote_tile_rows(mote_mlp_widest(expert));
#pragma omp parallel for num_threads(mote_stream_threads(stream)) schedule(dynamic, 1) if (n > rows)
  for (int64_t first = 0; first < n; first += rows) {
    mote_tile tile;
    _Alignas(64) float sum[MOTE_TILE_FLOATS];
    int used = n - first < rows ? (int)(n - first) : rows;
    gated_tile(experts, expert, first, used, rows, a, logits, norm, residual, &tile, sum, out, out_stride);
  }
  return MOTE_OK;
}

const struct mote_dense_kernels mote_dense_cpu = {.keeps = 1,
                                                  .mlp = mlp,
                                                  .gated = gated,
                                                  .mlp_backward = mote_cpu_mlp_backward,
                                                  .gated_backward = mote_cpu_gated_backward,
                                                  .chunks = mote_reverse_chunks_apart,
                                                  .add_chunks = mote_reverse_add_chunks,
                                                  .term_count = mote_term_count,
                                                  .multiplies = mote_terms_precision,
                                                  .terms_room = mote_terms_room,
                                                  .make_terms = mote_terms_make};
