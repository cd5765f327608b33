/* The reverse of a chain on the GPU (reverse_gpu.h): products of inputs and gradients summed over rows, and
   what lies between the layers.

   The trick: rows are cut into chunks, enough of them to fill the device, each of which leaves its sums;
   these are then added in the order of the chunks. So nothing is atomic and nothing depends on the order of
   the blocks. */
#include "kernels/dense/reverse_gpu.h"

#define BLOCK 256
#define CHUNKS 64       /* that rows are cut into, if they are many */
#define SHORT_CHUNK 128 /* rows */
#define TILE 64         /* inputs, and outputs, of a block of the outer products */
#define TILE_THREADS 128
#define TILE_ROWS 16 /* between two barriers */

/* ---- Elements of rows, a thread each ---- */

static __global__ void copy_kernel(int64_t n, const int32_t *count, mote_rows from, float *to, int stride) {
  const int64_t i = static_cast<int64_t>(blockIdx.x) * BLOCK + threadIdx.x;
  const int64_t r = i / from.width, c = i % from.width;
  if (r < mote_row_count(n, count)) to[r * stride + c] = from.data[r * from.stride + c];
}

static __global__ void add_kernel(int64_t n, const int32_t *count, mote_rows from, float *to, int stride) {
  const int64_t i = static_cast<int64_t>(blockIdx.x) * BLOCK + threadIdx.x;
  const int64_t r = i / from.width, c = i % from.width;
  if (r < mote_row_count(n, count)) to[r * stride + c] += from.data[r * from.stride + c];
}

/* From sums z to activations y (+ x), and in the place of the sums their derivatives. */
static __global__ void activate_kernel(int64_t n, const int32_t *count, int width, mote_activation activation,
                                       float *z, const float *x, float *y) {
  const int64_t i = static_cast<int64_t>(blockIdx.x) * BLOCK + threadIdx.x;
  if (i >= mote_row_count(n, count) * width) return;
  const float sum = z[i], value = mote_activate(sum, activation);
  y[i] = x ? value + x[i] : value;
  z[i] = mote_activation_slope(sum, activation);
}

/* dz = dy times the derivative that is kept, or where the ReLU's output is above 0. */
static __global__ void slope_kernel(int64_t n, const int32_t *count, int width, const float *kept,
                                    const float *output, const float *dy, float *dz) {
  const int64_t i = static_cast<int64_t>(blockIdx.x) * BLOCK + threadIdx.x;
  if (i >= mote_row_count(n, count) * width) return;
  dz[i] = kept ? dy[i] * kept[i] : output[i] > 0 ? dy[i] : 0;
}

mote_status mote_gpu_rows_copy(const mote_reverse_work *work, mote_rows from, float *to, int stride,
                               int column) {
  return MOTE_LAUNCH(copy_kernel, mote_grid(work->n * from.width, BLOCK), BLOCK, 0, work->stream, work->n,
                     work->count, from, to + column, stride);
}

mote_status mote_gpu_rows_add(const mote_reverse_work *work, mote_rows from, mote_sink sink) {
  if (!sink.data) return MOTE_OK;
  return MOTE_LAUNCH(add_kernel, mote_grid(work->n * from.width, BLOCK), BLOCK, 0, work->stream, work->n,
                     work->count, from, sink.data, sink.stride);
}

/* ---- LayerNorm, a warp a row ---- */

static __global__ void norm_kernel(int64_t n, const int32_t *count, mote_norm norm, int width, const float *x,
                                   float *y) {
  const int64_t r = static_cast<int64_t>(blockIdx.x) * MOTE_CHAIN_WARPS + mote_own_warp();
  if (r >= mote_row_count(n, count)) return;
  for (int c = mote_own_lane(); c < width; c += 32) y[r * width + c] = x[r * width + c];
  mote_warp_norm(norm, width, y + r * width); /* each lane's columns are its own */
}

/* x^ = (x - mean) / deviation: product = d x^, d <- (w d - mean(w d) - x^ mean(w d x^)) / deviation. */
static __global__ void norm_back_kernel(int64_t n, const int32_t *count, const float *weight, int width,
                                        const float *x, float *d, float *product) {
  const int64_t r = static_cast<int64_t>(blockIdx.x) * MOTE_CHAIN_WARPS + mote_own_warp();
  if (r >= mote_row_count(n, count)) return;
  const int lane = mote_own_lane();
  const float size = static_cast<float>(width);
  float sum = 0, square = 0, plain = 0, along = 0;
  x += r * width, d += r * width, product += r * width;
  for (int c = lane; c < width; c += 32) sum += x[c];
  const float mean = mote_warp_sum(sum) / size;
  for (int c = lane; c < width; c += 32) square += (x[c] - mean) * (x[c] - mean);
  const float scale = 1 / sqrtf(mote_warp_sum(square) / size + MOTE_NORM_EPSILON);
  for (int c = lane; c < width; c += 32) {
    const float unit = (x[c] - mean) * scale, dy = d[c], own = dy * weight[c];
    product[c] = dy * unit;
    plain += own;
    along += own * unit;
  }
  plain = mote_warp_sum(plain) / size;
  along = mote_warp_sum(along) / size;
  for (int c = lane; c < width; c += 32)
    d[c] = (d[c] * weight[c] - plain - (x[c] - mean) * scale * along) * scale;
}

/* ---- Sums over rows ---- */

/* A chunk's sums of columns: a thread a column, blockIdx.y the chunk. */
static __global__ void columns_kernel(int64_t n, const int32_t *count, int64_t chunk, int width,
                                      const float *x, float *partial) {
  const int c = static_cast<int>(blockIdx.x * 32 + threadIdx.x);
  const int64_t first = blockIdx.y * chunk, end = min(first + chunk, mote_row_count(n, count));
  if (c >= width || first >= end) return;
  float sum = 0;
  for (int64_t r = first; r < end; r++) sum += x[r * width + c];
  partial[static_cast<int64_t>(blockIdx.y) * width + c] = sum;
}

/* What the chunks have left, in their order, to the gradients: to a, from `split` on to b, if there is b. */
static __global__ void combine_kernel(int64_t n, const int32_t *count, int64_t chunk, int64_t floats,
                                      int64_t split, const float *partial, float *a, float *b) {
  const int64_t i = static_cast<int64_t>(blockIdx.x) * BLOCK + threadIdx.x;
  const int64_t rows = mote_row_count(n, count);
  if (i >= floats || (i >= split && !b)) return;
  float sum = 0;
  for (int64_t k = 0; k * chunk < rows; k++) sum += partial[k * floats + i];
  if (i < split)
    a[i] += sum;
  else
    b[i - split] += sum;
}

typedef struct outer_slice {
  float x[TILE_ROWS * TILE / TILE_THREADS], d[TILE_ROWS * TILE / TILE_THREADS];
} outer_slice;

/* A thread's part of TILE_ROWS rows: zeros behind the last row and the last column. */
static __device__ inline outer_slice outer_load(int64_t first, int64_t end, int in, int out, int k, int c,
                                                const float *x, const float *d) {
  outer_slice slice;
  constexpr int apart = TILE_THREADS / TILE;
#pragma unroll
  for (int j = 0; j < TILE_ROWS / apart; j++) {
    const int64_t r = first + j * apart + threadIdx.x / TILE;
    slice.x[j] = r < end && k < in ? x[r * in + k] : 0;
    slice.d[j] = r < end && c < out ? d[r * out + c] : 0;
  }
  return slice;
}

/* A chunk's sums of x[k] d[c], packed as weights are, and of d[c] behind them: a block has 64 inputs x 64
   outputs, a thread 8 x 4, and goes through the chunk's rows in order; the next ones are on their way to
   registers meanwhile. */
static __global__ void __launch_bounds__(TILE_THREADS)
    outer_kernel(int64_t n, const int32_t *count, int64_t chunk, int in, int out, const float *x,
                 const float *d, float *partial, int64_t floats) {
  __shared__ __align__(16) float xs[TILE_ROWS][TILE];
  __shared__ __align__(16) float ds[TILE_ROWS][TILE];
  const int thread = static_cast<int>(threadIdx.x), own = thread % TILE, row = thread / TILE;
  const int column = thread % 16 * 4, input = thread / 16 * 8; /* of the tile */
  const int k0 = static_cast<int>(blockIdx.x) * TILE, c0 = static_cast<int>(blockIdx.y) * TILE;
  const int64_t begin = blockIdx.z * chunk, end = min(begin + chunk, mote_row_count(n, count));
  if (begin >= end) return;
  float sum[8][4] = {}, bias = 0;
  outer_slice slice = outer_load(begin, end, in, out, k0 + own, c0 + own, x, d);
  for (int64_t first = begin; first < end; first += TILE_ROWS) {
    constexpr int apart = TILE_THREADS / TILE;
    __syncthreads(); /* the slice before has been read */
#pragma unroll
    for (int j = 0; j < TILE_ROWS / apart; j++) {
      xs[j * apart + row][own] = slice.x[j];
      ds[j * apart + row][own] = slice.d[j];
    }
    __syncthreads();
    if (first + TILE_ROWS < end)
      slice = outer_load(first + TILE_ROWS, end, in, out, k0 + own, c0 + own, x, d);
#pragma unroll 4
    for (int r = 0; r < TILE_ROWS; r++) {
      const mote_floats<4> low = mote_floats_at<4>(&xs[r][input]),
                           high = mote_floats_at<4>(&xs[r][input + 4]);
      const mote_floats<4> right = mote_floats_at<4>(&ds[r][column]);
#pragma unroll
      for (int k = 0; k < 4; k++)
#pragma unroll
        for (int c = 0; c < 4; c++) {
          sum[k][c] += low.at[k] * right.at[c];
          sum[k + 4][c] += high.at[k] * right.at[c];
        }
    }
    if (blockIdx.x == 0 && thread < TILE)
      for (int r = 0; r < TILE_ROWS; r++) bias += ds[r][thread];
  }
  const int panels = mote_panels(out), c = c0 + column;
  partial += blockIdx.z * floats;
  if (c < panels * MOTE_PANEL)
#pragma unroll
    for (int k = 0; k < 8; k++)
      if (k0 + input + k < in)
        mote_floats_put<4>(partial +
                               (static_cast<int64_t>(c / MOTE_PANEL) * in + k0 + input + k) * MOTE_PANEL +
                               c % MOTE_PANEL,
                           {sum[k][0], sum[k][1], sum[k][2], sum[k][3]});
  if (blockIdx.x == 0 && thread < TILE && c0 + thread < panels * MOTE_PANEL)
    partial[static_cast<int64_t>(panels) * MOTE_PANEL * in + c0 + thread] = bias;
}

static mote_status combine(const mote_reverse_work *work, int64_t floats, int64_t split, float *a, float *b) {
  return MOTE_LAUNCH(combine_kernel, mote_grid(floats, BLOCK), BLOCK, 0, work->stream, work->n, work->count,
                     work->chunk, floats, split, work->memory + work->partial, a, b);
}

static int64_t outer_floats(const mote_linear *l) {
  return static_cast<int64_t>(mote_panels(l->out)) * MOTE_PANEL * (l->in + 1);
}

static mote_status outer(const mote_reverse_work *work, const mote_linear *l, bool biased, const float *x,
                         const float *dz) {
  const int64_t floats = outer_floats(l);
  const dim3 grid(mote_grid(l->in, TILE), mote_grid(l->out, TILE), static_cast<unsigned>(work->chunks));
  MOTE_TRY(MOTE_LAUNCH(outer_kernel, grid, TILE_THREADS, 0, work->stream, work->n, work->count, work->chunk,
                       l->in, l->out, x, dz, work->memory + work->partial, floats));
  return combine(work, floats, mote_linear_floats(l->in, l->out), mote_gradient_of(work->arena, l->weight),
                 biased ? mote_gradient_of(work->arena, l->bias) : nullptr);
}

static mote_status columns(const mote_reverse_work *work, int width, const float *x, const float *value) {
  const dim3 grid(mote_grid(width, 32), static_cast<unsigned>(work->chunks));
  MOTE_TRY(MOTE_LAUNCH(columns_kernel, grid, 32, 0, work->stream, work->n, work->count, work->chunk, width, x,
                       work->memory + work->partial));
  return combine(work, width, width, mote_gradient_of(work->arena, value), nullptr);
}

mote_status mote_gpu_norm(const mote_reverse_work *work, mote_norm norm, int width, const float *x,
                          float *y) {
  return MOTE_LAUNCH(norm_kernel, mote_grid(work->n, MOTE_CHAIN_WARPS), BLOCK, 0, work->stream, work->n,
                     work->count, norm, width, x, y);
}

mote_status mote_gpu_reverse_norm(const mote_reverse_work *work, mote_norm norm, int width, const float *x,
                                  float *d, float *product) {
  MOTE_TRY(columns(work, width, d, norm.bias));
  MOTE_TRY(MOTE_LAUNCH(norm_back_kernel, mote_grid(work->n, MOTE_CHAIN_WARPS), BLOCK, 0, work->stream,
                       work->n, work->count, norm.weight, width, x, d, product));
  return columns(work, width, product, norm.weight);
}

/* ---- Plans ---- */

int64_t mote_reverse_take(mote_reverse_work *work, int64_t floats) {
  const int64_t at = work->floats;
  work->floats += (floats + MOTE_PANEL - 1) / MOTE_PANEL * MOTE_PANEL;
  return at;
}

mote_reverse_work mote_reverse_begin(mote_stream *stream, const mote_arena *arena, int64_t n,
                                     const int32_t *count) {
  mote_reverse_work work = {};
  work.stream = stream;
  work.arena = arena;
  work.n = n;
  work.count = count;
  work.chunk = (n + CHUNKS - 1) / CHUNKS;
  if (work.chunk < SHORT_CHUNK) work.chunk = SHORT_CHUNK;
  if (work.chunk > MOTE_GRADIENT_ROWS) work.chunk = MOTE_GRADIENT_ROWS;
  work.chunks = (n + work.chunk - 1) / work.chunk;
  work.zeros = mote_reverse_take(&work, MOTE_DENSE_WIDEST);
  return work;
}

/* Whether sums have to be kept apart from the layer's output. */
static bool keeps_sum(const mote_linear *l, bool started) {
  return l->activation == MOTE_GELU || (l->activation == MOTE_RELU && (l->residual || started));
}

mote_reverse_chain mote_reverse_add_chain(mote_reverse_work *work, const mote_mlp *mlp, int started) {
  mote_reverse_chain chain = {};
  chain.mlp = mlp;
  chain.started = started;
  for (int l = 0; l <= mlp->layers; l++) {
    const int width = l < mlp->layers ? mlp->layer[l].in : mlp->layer[l - 1].out;
    chain.input[l] = mote_reverse_take(work, work->n * width);
    if (l == 0) chain.raw = mlp->before.weight ? mote_reverse_take(work, work->n * width) : chain.input[0];
    if (l < mlp->layers && keeps_sum(&mlp->layer[l], started && l == 0))
      chain.sum[l] = mote_reverse_take(work, work->n * mlp->layer[l].out);
  }
  return chain;
}

mote_status mote_reverse_reserve(mote_reverse_work *work, const mote_reverse_chain *chain, int chains,
                                 mote_buffer *scratch) {
  int64_t widest = 1, largest = MOTE_DENSE_WIDEST;
  for (int i = 0; i < chains; i++)
    for (int l = 0; l < chain[i].mlp->layers; l++) {
      const mote_linear *layer = &chain[i].mlp->layer[l];
      widest = max(widest, static_cast<int64_t>(max(layer->in, layer->out)));
      largest = max(largest, outer_floats(layer));
    }
  work->partial = mote_reverse_take(work, largest * work->chunks);
  for (int k = 0; k < 2; k++) work->gradient[k] = mote_reverse_take(work, work->n * widest);
  MOTE_TRY(
      mote_buffer_reserve(scratch, work->stream->device, static_cast<size_t>(work->floats) * sizeof(float)));
  work->memory = static_cast<float *>(scratch->data);
  return mote_fill_bytes(work->stream, work->memory + work->zeros, 0, MOTE_DENSE_WIDEST * sizeof(float));
}

/* ---- Chains ---- */

/* y = the layer of x, + `add`, which may be y. */
static mote_status linear(const mote_reverse_work *work, const mote_linear &layer, const float *x,
                          const float *add, float *y) {
  mote_mlp one = {};
  one.layers = 1;
  one.layer[0] = layer;
  return work->stream->device->dense->mlp(work->stream, work->n, work->count, &one, {x, layer.in, layer.in},
                                          {}, {add, layer.out, layer.out}, y, layer.out);
}

mote_status mote_gpu_reverse_forward(const mote_reverse_work *work, const mote_reverse_chain *chain,
                                     const float *start, int output) {
  const mote_mlp *mlp = chain->mlp;
  float *memory = work->memory;
  if (mlp->before.weight)
    MOTE_TRY(
        mote_gpu_norm(work, mlp->before, mlp->layer[0].in, memory + chain->raw, memory + chain->input[0]));
  for (int l = 0; l < mlp->layers; l++) {
    mote_linear layer = mlp->layer[l];
    const float *x = memory + chain->input[l], *add = l == 0 ? start : nullptr;
    float *y = memory + chain->input[l + 1], *z = memory + chain->sum[l];
    const bool plain = layer.activation == MOTE_IDENTITY && !mlp->behind.weight;
    if (l == mlp->layers - 1 && plain && !output) break;
    if (add) layer.bias = memory + work->zeros;
    if (!chain->sum[l]) {
      MOTE_TRY(linear(work, layer, x, add, y));
      continue;
    }
    layer.activation = MOTE_IDENTITY;
    layer.residual = 0;
    MOTE_TRY(linear(work, layer, x, add, z));
    MOTE_TRY(MOTE_LAUNCH(activate_kernel, mote_grid(work->n * layer.out, BLOCK), BLOCK, 0, work->stream,
                         work->n, work->count, layer.out, mlp->layer[l].activation, z,
                         mlp->layer[l].residual ? x : nullptr, y));
  }
  return MOTE_OK;
}

/* dz from dy, in another place where the layer has a residual, whose gradient dy is. */
static mote_status through_activation(const mote_reverse_work *work, const mote_reverse_chain *chain, int l,
                                      const float *dy, float *dz) {
  const mote_linear *layer = &chain->mlp->layer[l];
  const float *kept = chain->sum[l] ? work->memory + chain->sum[l] : nullptr;
  if (layer->activation == MOTE_IDENTITY)
    return dy == dz ? MOTE_OK : mote_gpu_rows_copy(work, {dy, layer->out, layer->out}, dz, layer->out, 0);
  return MOTE_LAUNCH(slope_kernel, mote_grid(work->n * layer->out, BLOCK), BLOCK, 0, work->stream, work->n,
                     work->count, layer->out, kept, work->memory + chain->input[l + 1], dy, dz);
}

mote_status mote_gpu_reverse_back(const mote_reverse_work *work, const mote_reverse_chain *chain, int wanted,
                                  mote_gpu_reversed *result) {
  const mote_mlp *mlp = chain->mlp;
  const int last = mlp->layers - 1;
  float *memory = work->memory, *dy = memory + work->gradient[0], *other = memory + work->gradient[1];
  *result = {};
  if (mlp->behind.weight)
    MOTE_TRY(mote_gpu_reverse_norm(work, mlp->behind, mlp->layer[last].out, memory + chain->input[last + 1],
                                   dy, other));
  for (int l = last; l >= 0; l--) {
    const mote_linear *layer = &mlp->layer[l];
    /* With a residual, the gradient by the input starts from dy, in its place. */
    float *dz = layer->residual ? other : dy, *dx = layer->residual ? dy : other;
    MOTE_TRY(through_activation(work, chain, l, dy, dz));
    MOTE_TRY(outer(work, layer, l > 0 || !chain->started, memory + chain->input[l], dz));
    if (l == 0) result->first = dz;
    if (l == 0 && !wanted && !mlp->before.weight) break;
    mote_linear back = {};
    back.in = layer->out;
    back.out = layer->in;
    back.weight = mote_transpose_of(work->arena, layer->weight);
    back.bias = memory + work->zeros;
    back.terms = mote_terms_at(work->arena->transposed_terms, layer->weight - work->arena->value);
    MOTE_TRY(linear(work, back, dz, layer->residual ? dx : nullptr, dx));
    if (l == 0) result->input = dx;
    other = dz;
    dy = dx;
  }
  if (mlp->before.weight)
    MOTE_TRY(mote_gpu_reverse_norm(work, mlp->before, mlp->layer[0].in, memory + chain->raw, result->input,
                                   result->first));
  if (!wanted) result->input = nullptr;
  return MOTE_OK;
}
