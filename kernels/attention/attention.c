/* Linear attention on the CPU: chunks of rows, a thread a chunk. */
#include "kernels/attention/cpu.h"

#include <string.h>

static void add_row(mote_heads h, const float *key, const float *value, float weight, float *context) {
  float k[MOTE_HEAD_WIDEST];
  int d = h.width;
  for (int head = 0; head < h.count; head++) {
    float *c = context + head * d * d, *s = context + h.count * d * d + head * d;
    const float *v = value + head * d;
    mote_head_softmax(d, key + head * d, k);
    for (int a = 0; a < d; a++) {
      float wk = weight * k[a];
      s[a] += wk;
      for (int b = 0; b < d; b++) c[a * d + b] += wk * v[b];
    }
  }
}

static mote_status summarize(mote_stream *stream, int64_t n, const int32_t *count, mote_heads heads,
                             mote_rows key, mote_rows value, const float *weight, float *context,
                             mote_buffer *scratch) {
  int64_t floats = mote_context_floats(heads), most = (n + MOTE_ATTENTION_CHUNK - 1) / MOTE_ATTENTION_CHUNK;
  MOTE_TRY(mote_buffer_reserve(scratch, stream->device, (size_t)(most * floats) * sizeof(float)));
  n = mote_row_count(n, count);
  int64_t chunks = (n + MOTE_ATTENTION_CHUNK - 1) / MOTE_ATTENTION_CHUNK;
  float *parts = scratch->data;
#pragma omp parallel num_threads(mote_stream_threads(stream)) if (chunks > 1)
  {
#pragma omp for schedule(dynamic, 1)
    for (int64_t chunk = 0; chunk < chunks; chunk++) {
      int64_t first = chunk * MOTE_ATTENTION_CHUNK, end = first + MOTE_ATTENTION_CHUNK;
      float *part = parts + chunk * floats;
      memset(part, 0, (size_t)floats * sizeof(float));
      for (int64_t r = first; r < end && r < n; r++)
        add_row(heads, key.data + r * key.stride, value.data + r * value.stride, weight ? weight[r] : 1,
                part);
    }
#pragma omp for schedule(static)
    for (int64_t i = 0; i < floats; i++) {
      float sum = 0;
      for (int64_t chunk = 0; chunk < chunks; chunk++) sum += parts[chunk * floats + i];
      context[i] = sum;
    }
  }
  return MOTE_OK;
}

static void attend_row(mote_heads h, const float *query, const float *context, float *out) {
  float q[MOTE_HEAD_WIDEST], sum[MOTE_HEAD_WIDEST];
  int d = h.width;
  for (int head = 0; head < h.count; head++) {
    const float *c = context + head * d * d, *s = context + h.count * d * d + head * d;
    float norm = 0;
    mote_head_softmax(d, query + head * d, q);
    for (int b = 0; b < d; b++) sum[b] = 0;
    for (int a = 0; a < d; a++) {
      norm += q[a] * s[a];
      for (int b = 0; b < d; b++) sum[b] += q[a] * c[a * d + b];
    }
    for (int b = 0; b < d; b++) out[head * d + b] = q[b] + sum[b] / norm;
  }
}

static mote_status attend(mote_stream *stream, int64_t n, const int32_t *count, mote_heads heads,
                          mote_rows query, const float *context, float *out, int out_stride) {
  n = mote_row_count(n, count);
#pragma omp parallel for num_threads(mote_stream_threads(stream)) schedule(static) if (n > 32)
  for (int64_t r = 0; r < n; r++)
    attend_row(heads, query.data + r * query.stride, context, out + r * out_stride);
  return MOTE_OK;
}

const struct mote_attention_kernels mote_attention_cpu = {
    .summarize = summarize,
    .attend = attend,
    .summarize_backward = mote_summarize_backward_cpu,
    .attend_backward = mote_attend_backward_cpu,
};
