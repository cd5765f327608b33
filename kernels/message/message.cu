/* Message passing on the GPU: a block takes a tile of consecutive edges from gather to sum. Edges are sorted
   by receiver, so a tile's messages are sums of runs of rows. A receiver all of whose edges are in one tile
   is written by it; of one that lies across borders each tile leaves its part, and a second kernel adds the
   parts in the order of the tiles. So nothing is atomic and nothing depends on the order of the blocks. */
#include "kernels/dense/gpu.h"
#include "kernels/message/message_backward.h"

#define MOST_ROWS 64

typedef struct pass_job {
  mote_edges edges;
  mote_rows receiver_part, sender_part, sender_factor;
  const float *length;
  const float *state;
  float *updated, *sum;
  float *part; /* (tiles, 2, width): of the receiver that began in an earlier tile, of the one that goes on */
  int sum_stride, state_width, width, update, mean;
} pass_job;

static __device__ int64_t edge_count(const mote_edges *edges) {
  return min(static_cast<int64_t>(edges->row_offsets[edges->receivers]), edges->capacity);
}

static __device__ float scale_of(const pass_job *job, int64_t edges) {
  return job->mean ? 1 / static_cast<float>(edges) : 1;
}

/* States to x; both ends' parts, added, to y. */
static __device__ void gather(const pass_job *job, int hidden, int64_t first, int used, int rows, float *x,
                              float *y) {
  mote_rows state = {job->state, job->state_width, job->state_width};
  mote_chain_fill(state, {}, first, used, rows, x, mote_pitch(job->state_width));
  const int pitch = mote_pitch(hidden);
  for (int r = mote_own_warp(); r < rows; r += MOTE_CHAIN_WARPS) {
    const float *a = nullptr, *b = nullptr;
    if (r < used) {
      a = job->receiver_part.data +
          static_cast<int64_t>(job->edges.receiver[first + r]) * job->receiver_part.stride;
      b = job->sender_part.data +
          static_cast<int64_t>(job->edges.senders[first + r]) * job->sender_part.stride;
    }
    for (int c = mote_own_lane(); c < pitch - 4; c += 32)
      y[r * pitch + c] = a && c < hidden ? a[c] + b[c] : 0;
  }
}

/* Messages from the chain's last values, in place; states take them up. */
static __device__ void finish(const pass_job *job, mote_norm norm, int64_t first, int used, float *message) {
  const int width = job->width, pitch = mote_pitch(width);
  for (int r = mote_own_warp(); r < used; r += MOTE_CHAIN_WARPS) {
    const int64_t e = first + r;
    const float *state = job->state + e * width, *factor = nullptr;
    float *m = message + r * pitch;
    if (job->sender_factor.data)
      factor =
          job->sender_factor.data + static_cast<int64_t>(job->edges.senders[e]) * job->sender_factor.stride;
    float weight = job->length ? 1 / (1 + job->length[e]) : 1;
    mote_warp_norm(norm, width, m);
    for (int c = mote_own_lane(); c < width; c += 32) {
      if (job->update) job->updated[e * width + c] = state[c] + m[c];
      m[c] = weight * (factor ? m[c] * factor[c] : m[c]);
    }
  }
}

/* A warp takes 32 columns of a run of rows of one receiver, of which `r` is the first. */
static __device__ void add_run(const pass_job *job, const int32_t *receiver, int64_t first, int used, int r,
                               int c, const float *message) {
  const int width = job->width, pitch = mote_pitch(width);
  const int32_t i = receiver[r];
  if (c >= width) return;
  float sum = message[r * pitch + c];
  for (int k = r + 1; k < used && receiver[k] == i; k++) sum += message[k * pitch + c];
  const int64_t begin = job->edges.row_offsets[i], end = job->edges.row_offsets[i + 1];
  const int before = begin < first;
  if (before || end > first + used)
    job->part[(blockIdx.x * 2ll + !before) * width + c] = sum;
  else
    job->sum[static_cast<int64_t>(i) * job->sum_stride + c] = sum * scale_of(job, end - begin);
}

template <int ROWS, int BY>
static __global__ void __launch_bounds__(MOTE_CHAIN_THREADS, 2)
    pass_kernel(const __grid_constant__ mote_mlp mlp, const __grid_constant__ pass_job job,
                mote_chain_plan plan) {
  MOTE_SHARED_DYNAMIC(float, shared);
  __shared__ int32_t receiver[MOST_ROWS];
  const int rows = MOTE_THREAD_ROWS * ROWS, thread = static_cast<int>(threadIdx.x);
  const int64_t first = static_cast<int64_t>(blockIdx.x) * rows, edges = edge_count(&job.edges);
  if (first >= edges) return;
  const int used = static_cast<int>(min(edges - first, static_cast<int64_t>(rows)));
  mote_weights weights = mote_weights_begin<BY>(&mlp, 1, shared);
  float *x = shared + mote_ring_floats<BY>(), *y = shared + plan.second;
  if (thread < used) receiver[thread] = job.edges.receiver[first + thread];
  gather(&job, mlp.layer[0].out, first, used, rows, x, y);
  __syncthreads();
  float *message = mote_chain_layers<ROWS, BY>(&mlp, true, x, y, shared + plan.split, &weights) ? y : x;
  __syncthreads();
  finish(&job, mlp.behind, first, used, message);
  __syncthreads();
  const int chunks = (job.width + 31) / 32;
  for (int unit = mote_own_warp(); unit < used * chunks; unit += MOTE_CHAIN_WARPS) {
    int r = unit / chunks;
    if (r == 0 || receiver[r] != receiver[r - 1])
      add_run(&job, receiver, first, used, r, unit % chunks * 32 + mote_own_lane(), message);
  }
}

/* A warp a receiver: zeros where it has no edges, the sum of the tiles' parts where it has several tiles. */
static __global__ void combine_kernel(pass_job job, int rows) {
  const int64_t i = static_cast<int64_t>(blockIdx.x) * MOTE_CHAIN_WARPS + mote_own_warp();
  if (i >= job.edges.receivers) return;
  const int64_t begin = job.edges.row_offsets[i], end = job.edges.row_offsets[i + 1];
  const int64_t from = begin / rows, to = (end - 1) / rows;
  if (end > job.edges.capacity || (end > begin && from == to)) return;
  for (int c = mote_own_lane(); c < job.width; c += 32) {
    float sum = 0;
    if (end > begin) {
      sum = job.part[(from * 2 + 1) * job.width + c];
      for (int64_t tile = from + 1; tile <= to; tile++) sum += job.part[tile * 2 * job.width + c];
      sum *= scale_of(&job, end - begin);
    }
    job.sum[i * job.sum_stride + c] = sum;
  }
}

template <int ROWS, int BY> struct launch_pass {
  static mote_status run(mote_stream *stream, const mote_chain_plan &plan, const mote_mlp *mlp,
                         const pass_job &job) {
    MOTE_TRY(mote_allow_shared(pass_kernel<ROWS, BY>, plan.bytes, stream));
    return MOTE_LAUNCH(MOTE_KERNEL(pass_kernel<ROWS, BY>), mote_grid(job.edges.capacity, plan.rows),
                       MOTE_CHAIN_THREADS, plan.bytes, stream, *mlp, job, plan);
  }
};

static mote_status pass(mote_stream *stream, const mote_edges *edges, const mote_message_block *block,
                        const float *state, float *updated, mote_rows receiver_part, mote_rows sender_part,
                        const float *length, mote_rows sender_factor, float *sum, int sum_stride,
                        mote_buffer *scratch) {
  const mote_mlp *mlp = &block->mlp;
  mote_chain_plan plan = mote_plan_chain(stream->device, mlp, 0, edges->capacity);
  MOTE_TRY(mote_check_chain(stream->device, mlp, &plan));
  const int width = mlp->layer[mlp->layers - 1].out;
  const int64_t tiles = (edges->capacity + plan.rows - 1) / plan.rows;
  MOTE_TRY(
      mote_buffer_reserve(scratch, stream->device, static_cast<size_t>(tiles * 2 * width) * sizeof(float)));
  pass_job job = {*edges,
                  receiver_part,
                  sender_part,
                  sender_factor,
                  length,
                  state,
                  updated,
                  sum,
                  static_cast<float *>(scratch->data),
                  sum_stride,
                  mlp->layer[0].in,
                  width,
                  block->update,
                  block->mean};
  MOTE_TRY(mote_chain_launch<launch_pass>(plan)(stream, plan, mlp, job));
  return MOTE_LAUNCH(combine_kernel, mote_grid(edges->receivers, MOTE_CHAIN_WARPS), MOTE_CHAIN_THREADS, 0,
                     stream, job, plan.rows);
}

extern "C" const struct mote_message_kernels mote_message_gpu = {pass, mote_gpu_group,
                                                                 mote_gpu_pass_backward};
