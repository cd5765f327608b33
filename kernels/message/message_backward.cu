/* The reverse of message passing on the GPU: edges are the rows of a chain (dense/reverse_gpu.h), whose first
   layer starts from what both ends give it. Receivers and senders gather the edges' gradients, a thread a
   value, in the order of their edges. */
#include "cuda/few.h"
#include "cuda/sort.h"
#include "kernels/dense/reverse_gpu.h"
#include "kernels/message/message_backward.h"

#define BLOCK 256

/* ---- Edges by sender ---- */

/* What is behind the last edge is of no sender: it is sorted behind all. */
static __global__ void key_kernel(mote_edges edges, int64_t senders, uint32_t *key, int32_t *edge) {
  const int64_t e = static_cast<int64_t>(blockIdx.x) * BLOCK + threadIdx.x;
  if (e >= edges.capacity) return;
  key[e] = static_cast<uint32_t>(e < edges.row_offsets[edges.receivers] ? edges.senders[e] : senders);
  edge[e] = static_cast<int32_t>(e);
}

/* The first of the sorted keys that is not below s, s <= senders. */
static __global__ void begin_kernel(int64_t capacity, int64_t senders, const uint32_t *key,
                                    int32_t *row_offsets) {
  const int64_t s = static_cast<int64_t>(blockIdx.x) * BLOCK + threadIdx.x;
  if (s > senders) return;
  row_offsets[s] = mote_key_from(key, capacity, s);
}

mote_status mote_gpu_group(mote_stream *stream, const mote_edges *edges, int64_t senders,
                           int32_t *row_offsets, int32_t *edge, mote_buffer *scratch) {
  const int64_t n = edges->capacity;
  const size_t key_bytes = (static_cast<size_t>(n) * sizeof(uint32_t) + 255) / 256 * 256;
  int bits = 1;
  while (bits < 31 && (senders >> bits) > 0) bits++;
  size_t sort_bytes = 0;
  MOTE_TRY(mote_cuda_sort_bytes_u32(stream, n, bits, &sort_bytes));
  MOTE_TRY(mote_buffer_reserve(scratch, stream->device, key_bytes + sort_bytes));
  uint32_t *key = static_cast<uint32_t *>(scratch->data);
  mote_buffer behind = {stream->device, static_cast<char *>(scratch->data) + key_bytes, sort_bytes};
  MOTE_TRY(MOTE_LAUNCH(key_kernel, mote_grid(n, BLOCK), BLOCK, 0, stream, *edges, senders, key, edge));
  MOTE_TRY(mote_cuda_sort_pairs_u32(stream, key, edge, n, bits, &behind));
  return MOTE_LAUNCH(begin_kernel, mote_grid(senders + 1, BLOCK), BLOCK, 0, stream, n, senders, key,
                     row_offsets);
}

/* ---- Edges ---- */

typedef struct edge_job {
  mote_edges edges;
  mote_rows receiver_part, sender_part, sender_factor, d_sum;
  const float *length, *message, *d_state;
  float *d_message, *d_factor, *d_length; /* rows of edges; the last two NULL: not wanted */
  int hidden, width, mean;
} edge_job;

static __device__ int64_t edge_count(const mote_edges *edges) {
  return min(static_cast<int64_t>(edges->row_offsets[edges->receivers]), edges->capacity);
}

/* Both ends' parts, added: what the sums of the first layer start from. */
static __global__ void start_kernel(edge_job job, float *start) {
  const int64_t i = static_cast<int64_t>(blockIdx.x) * BLOCK + threadIdx.x, e = i / job.hidden;
  const int c = static_cast<int>(i % job.hidden);
  if (e >= edge_count(&job.edges)) return;
  start[i] =
      job.receiver_part.data[static_cast<int64_t>(job.edges.receiver[e]) * job.receiver_part.stride + c] +
      job.sender_part.data[static_cast<int64_t>(job.edges.senders[e]) * job.sender_part.stride + c];
}

/* The gradient by an edge's message, from its receiver's sum and from its own state after the pass, and what
   the factor and the length are given: a warp an edge. */
static __global__ void message_kernel(edge_job job) {
  const int64_t e = static_cast<int64_t>(blockIdx.x) * MOTE_CHAIN_WARPS + mote_own_warp();
  if (e >= edge_count(&job.edges)) return;
  const int32_t i = job.edges.receiver[e], *offsets = job.edges.row_offsets;
  const float *d_sum = job.d_sum.data + static_cast<int64_t>(i) * job.d_sum.stride, *factor = nullptr;
  if (job.sender_factor.data)
    factor = job.sender_factor.data + static_cast<int64_t>(job.edges.senders[e]) * job.sender_factor.stride;
  const float weight = job.length ? 1 / (1 + job.length[e]) : 1;
  const float scale = weight * (job.mean ? 1 / static_cast<float>(offsets[i + 1] - offsets[i]) : 1);
  float along = 0;
  for (int c = mote_own_lane(); c < job.width; c += 32) {
    const int64_t at = e * job.width + c;
    float d = scale * d_sum[c];
    if (job.d_factor) job.d_factor[at] = d * job.message[at];
    if (factor) d *= factor[c];
    if (job.d_length) along += d * job.message[at];
    job.d_message[at] = job.d_state ? d + job.d_state[at] : d;
  }
  if (!job.d_length) return;
  along = mote_warp_sum(along); /* of w = 1 / (1 + length), dw = -w^2 */
  if (mote_own_lane() == 0) job.d_length[e] -= weight * along;
}

/* Rows of edges to the rows of the sink that they belong to; `edge` NULL: they stand in order. */
static __global__ void gather_kernel(int64_t n, const int32_t *offsets, const int32_t *edge, int64_t capacity,
                                     int width, const float *from, mote_sink sink) {
  const int64_t k = static_cast<int64_t>(blockIdx.x) * BLOCK + threadIdx.x, i = k / width, c = k % width;
  if (i >= n) return;
  const int64_t end = min(static_cast<int64_t>(offsets[i + 1]), capacity);
  float sum = 0;
  for (int64_t at = offsets[i]; at < end; at++) sum += from[(edge ? edge[at] : at) * width + c];
  sink.data[i * sink.stride + c] += sum;
}

static mote_status gather(mote_stream *stream, int64_t n, const int32_t *offsets, const int32_t *edge,
                          int64_t capacity, int width, const float *from, mote_sink sink) {
  if (!sink.data) return MOTE_OK;
  return MOTE_LAUNCH(gather_kernel, mote_grid(n * width, BLOCK), BLOCK, 0, stream, n, offsets, edge, capacity,
                     width, from, sink);
}

/* The chain's values and, into `message`, what it gives for the edges, where that is wanted. */
static mote_status forward(const mote_reverse_work *work, const mote_reverse_chain *chain,
                           const edge_job &job, const float *state, float *start, float *message) {
  const mote_mlp *mlp = chain->mlp;
  const int in = mlp->layer[0].in;
  const float *output = work->memory + chain->input[mlp->layers];
  MOTE_TRY(mote_gpu_rows_copy(work, {state, in, in}, work->memory + chain->raw, in, 0));
  MOTE_TRY(
      MOTE_LAUNCH(start_kernel, mote_grid(work->n * job.hidden, BLOCK), BLOCK, 0, work->stream, job, start));
  MOTE_TRY(mote_gpu_reverse_forward(work, chain, start, message != nullptr));
  if (!message) return MOTE_OK;
  if (mlp->behind.weight) return mote_gpu_norm(work, mlp->behind, job.width, output, message);
  return mote_gpu_rows_copy(work, {output, job.width, job.width}, message, job.width, 0);
}

mote_status mote_gpu_pass_backward(mote_stream *stream, const mote_edges *edges, const mote_sent *sent,
                                   const mote_message_block *block, const mote_arena *arena,
                                   const float *state, mote_rows receiver_part, mote_rows sender_part,
                                   const float *length, mote_rows sender_factor, mote_rows d_sum,
                                   float *d_state, mote_sink d_receiver_part, mote_sink d_sender_part,
                                   mote_sink d_sender_factor, float *d_length, mote_buffer *scratch) {
  const mote_mlp *mlp = &block->mlp;
  const int in = mlp->layer[0].in, hidden = mlp->layer[0].out, width = mlp->layer[mlp->layers - 1].out;
  const int64_t n = edges->capacity;
  if (!length) d_length = nullptr;
  const bool wanted = d_length || d_sender_factor.data;
  mote_reverse_work work = mote_reverse_begin(stream, arena, n, edges->row_offsets + edges->receivers);
  mote_reverse_chain chain = mote_reverse_add_chain(&work, mlp, 1);
  const int64_t start_at = mote_reverse_take(&work, n * hidden);
  const int64_t message_at = mote_reverse_take(&work, wanted ? n * width : 0);
  const int64_t factor_at = mote_reverse_take(&work, d_sender_factor.data ? n * width : 0);
  MOTE_TRY(mote_reverse_reserve(&work, &chain, 1, scratch));
  float *message = wanted ? work.memory + message_at : nullptr;
  float *factor = d_sender_factor.data ? work.memory + factor_at : nullptr;
  const edge_job job = {*edges,
                        receiver_part,
                        sender_part,
                        sender_factor,
                        d_sum,
                        length,
                        message,
                        block->update ? d_state : nullptr,
                        work.memory + work.gradient[0],
                        factor,
                        d_length,
                        hidden,
                        width,
                        block->mean};
  MOTE_TRY(forward(&work, &chain, job, state, work.memory + start_at, message));
  MOTE_TRY(MOTE_LAUNCH(message_kernel, mote_grid(n, MOTE_CHAIN_WARPS), BLOCK, 0, stream, job));
  mote_gpu_reversed back;
  MOTE_TRY(mote_gpu_reverse_back(&work, &chain, d_state != nullptr, &back));
  if (back.input) MOTE_TRY(mote_gpu_rows_add(&work, {back.input, in, in}, {d_state, in}));
  MOTE_TRY(
      gather(stream, edges->receivers, edges->row_offsets, nullptr, n, hidden, back.first, d_receiver_part));
  if (!sent) return MOTE_OK;
  MOTE_TRY(
      gather(stream, sent->senders, sent->row_offsets, sent->edge, n, hidden, back.first, d_sender_part));
  return gather(stream, sent->senders, sent->row_offsets, sent->edge, n, width, factor, d_sender_factor);
}
