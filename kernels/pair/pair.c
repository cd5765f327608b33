/* Forces between pairs on the CPU: a thread takes nodes with all their edges. */
#include "kernels/pair/pair.h"

static mote_status accelerate(mote_stream *stream, int64_t n, const mote_pair_forces *forces,
                              const mote_edges *edges, const float *position, const float *wall,
                              const float *pair, float *acceleration) {
  const mote_pair_forces f = *forces;
  const mote_edges g = *edges;
#pragma omp parallel for num_threads(mote_stream_threads(stream)) schedule(static) if (n > 128)
  for (int64_t i = 0; i < n; i++) {
    float sum[3] = {0};
    for (int32_t e = g.row_offsets[i]; e < mote_pair_row_end(&g, (int32_t)i); e++)
      mote_pair_add(f.dim, &g, (int32_t)i, e, pair, sum);
    mote_pair_finish(&f, position + i * f.dim, wall + i * f.dim, sum, acceleration + i * f.dim);
  }
  return MOTE_OK;
}

static mote_status accelerate_backward(mote_stream *stream, int64_t n, const mote_pair_forces *forces,
                                       const mote_edges *edges, const float *position, const float *wall,
                                       const float *d_acceleration, float *d_wall, float *d_pair,
                                       float *d_position) {
  const mote_pair_forces f = *forces;
  const mote_edges g = *edges;
#pragma omp parallel for num_threads(mote_stream_threads(stream)) schedule(static) if (n > 128)
  for (int64_t i = 0; i < n; i++) {
    const int64_t at = i * f.dim;
    for (int32_t e = g.row_offsets[i]; e < mote_pair_row_end(&g, (int32_t)i); e++)
      mote_pair_reversed(f.dim, &g, (int32_t)i, e, d_acceleration, d_pair);
    mote_pair_wall_reversed(&f, position + at, wall + at, d_acceleration + at, d_wall + at,
                            d_position ? d_position + at : NULL);
  }
  return MOTE_OK;
}

const struct mote_pair_kernels mote_pair_cpu = {.accelerate = accelerate,
                                                .accelerate_backward = accelerate_backward};
