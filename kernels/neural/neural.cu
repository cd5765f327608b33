/* Neural laws on the GPU: a thread a particle, the scalar form of neural.h. */
#include "kernels/neural/neural.h"

#include "cuda/launch.h"

#define THREADS 128

/* The thread's row, -1: none, or one that does not count. */
static __device__ int64_t row_of(const mote_neural_rows &rows) {
  const int64_t i = (int64_t)blockIdx.x * blockDim.x + threadIdx.x;
  if (i >= rows.n) return -1;
  return mote_neural_counts(&rows, i) ? i : -1;
}

static __device__ void load(const float *rows, int64_t i, int stride, int values, float *to) {
  for (int k = 0; k < values; k++) to[k] = rows[i * stride + k];
}
static __device__ void store(float *rows, int64_t i, int stride, int values, const float *from) {
  for (int k = 0; k < values; k++) rows[i * stride + k] = from[k];
}

template <int D>
static __global__ void deform_kernel(mote_neural_rows rows, float dt, const float *C, const float *F,
                                     float *out) {
  const int64_t i = row_of(rows);
  if (i < 0) return;
  float c[D * D], f[D * D];
  load(C, i, D * D, D * D, c);
  load(F, i, D * D, D * D, f);
  mote_deform(D, dt, c, f);
  store(out, i, D * D, D * D, f);
}

template <int D>
static __global__ void deform_backward_kernel(mote_neural_rows rows, float dt, const float *C, const float *F,
                                              float *d_F, float *d_C) {
  const int64_t i = row_of(rows);
  if (i < 0) return;
  float c[D * D], f[D * D], df[D * D], dc[D * D];
  load(C, i, D * D, D * D, c);
  load(F, i, D * D, D * D, f);
  load(d_F, i, D * D, D * D, df);
  load(d_C, i, D * D, D * D, dc);
  mote_deform_backward(D, dt, c, f, df, dc);
  store(d_F, i, D * D, D * D, df);
  store(d_C, i, D * D, D * D, dc);
}

template <int D>
static __global__ void features_kernel(mote_neural_rows rows, const float *F, int stride, float *frame,
                                       float *x) {
  const int64_t i = row_of(rows), at = (int64_t)blockIdx.x * blockDim.x + threadIdx.x;
  const int inputs = mote_neural_inputs(&rows);
  float f[D * D], a[MOTE_NEURAL_FRAME(D)], in[MOTE_NEURAL_INPUTS(D)] = {0};
  if (i < 0 && at < rows.n) store(x, at, inputs, inputs, in);
  if (i < 0) return;
  load(F, i, stride, D * D, f);
  mote_neural_frame(D, f, a);
  mote_neural_features(D, f, rows.strain, a, in);
  store(frame, i, MOTE_NEURAL_FRAME(D), MOTE_NEURAL_FRAME(D), a);
  store(x, i, inputs, inputs, in);
}

template <int D>
static __global__ void stress_kernel(mote_neural_rows rows, const float *F, int stride, const float *frame,
                                     const float *y, float scale, float *tau) {
  const int64_t i = row_of(rows);
  if (i < 0) return;
  const int answers = mote_neural_answers(&rows);
  float f[D * D], a[MOTE_NEURAL_FRAME(D)], answer[D * D], t[D * D];
  load(F, i, stride, D * D, f);
  load(frame, i, MOTE_NEURAL_FRAME(D), MOTE_NEURAL_FRAME(D), a);
  load(y, i, answers, answers, answer);
  mote_neural_stress(D, f, a, rows.strain, answer, scale, t);
  store(tau, i, D * D, D * D, t);
}

template <int D>
static __global__ void flow_kernel(mote_neural_rows rows, const float *frame, const float *y, float scale,
                                   float *F, int stride) {
  const int64_t i = row_of(rows);
  if (i < 0) return;
  const int answers = mote_neural_answers(&rows);
  float f[D * D], a[MOTE_NEURAL_FRAME(D)], answer[D * D];
  load(F, i, stride, D * D, f);
  load(frame, i, MOTE_NEURAL_FRAME(D), MOTE_NEURAL_FRAME(D), a);
  load(y, i, answers, answers, answer);
  mote_neural_flow(D, a, rows.strain, answer, scale, f);
  store(F, i, stride, D * D, f);
}

template <int D>
static __global__ void stress_backward_kernel(mote_neural_rows rows, const float *F, int stride,
                                              const float *frame, const float *y, float scale,
                                              const float *d_tau, float *d_y, float *d_R, float *d_F) {
  const int64_t i = row_of(rows);
  if (i < 0) return;
  const int answers = mote_neural_answers(&rows);
  float f[D * D], a[MOTE_NEURAL_FRAME(D)], answer[D * D], dt[D * D], dy[D * D], dr[D * D], df[D * D];
  load(F, i, stride, D * D, f);
  load(frame, i, MOTE_NEURAL_FRAME(D), MOTE_NEURAL_FRAME(D), a);
  load(y, i, answers, answers, answer);
  load(d_tau, i, D * D, D * D, dt);
  load(d_F, i, D * D, D * D, df);
  mote_neural_stress_backward(D, f, a, rows.strain, answer, scale, dt, dy, dr, df);
  store(d_y, i, answers, answers, dy);
  store(d_R, i, D * D, D * D, dr);
  store(d_F, i, D * D, D * D, df);
}

template <int D>
static __global__ void flow_backward_kernel(mote_neural_rows rows, const float *frame, const float *y,
                                            float scale, float *d_y, float *d_R, float *d_F) {
  const int64_t i = row_of(rows);
  if (i < 0) return;
  const int answers = mote_neural_answers(&rows);
  float a[MOTE_NEURAL_FRAME(D)], answer[D * D], dy[D * D], dr[D * D], df[D * D];
  load(frame, i, MOTE_NEURAL_FRAME(D), MOTE_NEURAL_FRAME(D), a);
  load(y, i, answers, answers, answer);
  load(d_F, i, D * D, D * D, df);
  mote_neural_flow_backward(D, a, rows.strain, answer, scale, dy, dr, df);
  store(d_y, i, answers, answers, dy);
  store(d_R, i, D * D, D * D, dr);
  if (rows.strain > 0) store(d_F, i, D * D, D * D, df);
}

template <int D>
static __global__ void features_backward_kernel(mote_neural_rows rows, const float *F, int stride,
                                                const float *frame, const float *d_x, const float *d_R,
                                                float *d_F) {
  const int64_t i = row_of(rows);
  if (i < 0) return;
  const int inputs = mote_neural_inputs(&rows);
  float f[D * D], a[MOTE_NEURAL_FRAME(D)], dx[MOTE_NEURAL_INPUTS(D)], dr[D * D], df[D * D];
  load(F, i, stride, D * D, f);
  load(frame, i, MOTE_NEURAL_FRAME(D), MOTE_NEURAL_FRAME(D), a);
  load(d_x, i, inputs, inputs, dx);
  load(d_R, i, D * D, D * D, dr);
  load(d_F, i, D * D, D * D, df);
  mote_neural_features_backward(D, f, a, rows.strain, dx, dr, df);
  store(d_F, i, D * D, D * D, df);
}

#define LAUNCH(kernel, ...)                                                                                  \
  (rows->dim == 3                                                                                            \
       ? MOTE_LAUNCH(kernel<3>, mote_grid(rows->n, THREADS), THREADS, 0, stream, *rows, __VA_ARGS__)         \
       : MOTE_LAUNCH(kernel<2>, mote_grid(rows->n, THREADS), THREADS, 0, stream, *rows, __VA_ARGS__))

static mote_rows rows_of(const void *data, int width) {
  mote_rows rows = {};
  rows.data = static_cast<const float *>(data);
  rows.width = rows.stride = width;
  return rows;
}

static mote_status answer(mote_stream *stream, const mote_neural_call *c) {
  const mote_neural_rows *rows = &c->rows;
  MOTE_TRY(LAUNCH(features_kernel, c->F, c->stride, c->frame, c->x));
  return stream->device->dense->mlp(stream, rows->n, NULL, c->mlp, rows_of(c->x, mote_neural_inputs(rows)),
                                    mote_rows{}, mote_rows{}, c->y, mote_neural_answers(rows));
}

static mote_status stress(mote_stream *stream, const mote_neural_call *c, float *tau) {
  const mote_neural_rows *rows = &c->rows;
  MOTE_TRY(answer(stream, c));
  return LAUNCH(stress_kernel, c->F, c->stride, c->frame, c->y, c->scale, tau);
}

static mote_status flow(mote_stream *stream, const mote_neural_call *c, float *F) {
  const mote_neural_rows *rows = &c->rows;
  MOTE_TRY(answer(stream, c));
  return LAUNCH(flow_kernel, c->frame, c->y, c->scale, F, c->stride);
}

/* ---- and back ---- */

/* Rows that do not count must not reach the weights. */
static mote_status begin_reverse(mote_stream *stream, const mote_neural_rows *rows, mote_neural_room *room) {
  const size_t each = (size_t)(rows->n ? rows->n : 1) * sizeof(float),
               inputs = each * (size_t)mote_neural_inputs(rows),
               answers = each * (size_t)mote_neural_answers(rows);
  mote_device *device = stream->device;
  MOTE_TRY(mote_buffer_reserve(&room->d_x, device, inputs));
  MOTE_TRY(mote_buffer_reserve(&room->d_y, device, answers));
  MOTE_TRY(mote_buffer_reserve(&room->d_R, device, each * (size_t)(rows->dim * rows->dim)));
  MOTE_TRY(mote_fill_bytes(stream, room->d_x.data, 0, inputs));
  return rows->material ? mote_fill_bytes(stream, room->d_y.data, 0, answers) : MOTE_OK;
}

/* From room->d_y and room->d_R to the weights and to d_F, which is added to. */
static mote_status answer_backward(mote_stream *stream, const mote_neural_call *c, const mote_arena *arena,
                                   mote_neural_room *room, float *d_F) {
  const mote_neural_rows *rows = &c->rows;
  const int inputs = mote_neural_inputs(rows);
  float *d_x = static_cast<float *>(room->d_x.data);
  const float *d_R = static_cast<const float *>(room->d_R.data);
  MOTE_TRY(stream->device->dense->mlp_backward(stream, rows->n, NULL, c->mlp, arena, rows_of(c->x, inputs),
                                               mote_rows{},
                                               rows_of(room->d_y.data, mote_neural_answers(rows)),
                                               mote_sink{d_x, inputs}, mote_sink{}, &room->scratch));
  return LAUNCH(features_backward_kernel, c->F, c->stride, c->frame, d_x, d_R, d_F);
}

static mote_status stress_backward(mote_stream *stream, const mote_neural_call *c, const mote_arena *arena,
                                   const float *d_tau, float *d_F, mote_neural_room *room) {
  const mote_neural_rows *rows = &c->rows;
  if (!c->answered) MOTE_TRY(answer(stream, c));
  MOTE_TRY(begin_reverse(stream, rows, room));
  MOTE_TRY(LAUNCH(stress_backward_kernel, c->F, c->stride, c->frame, c->y, c->scale, d_tau,
                  static_cast<float *>(room->d_y.data), static_cast<float *>(room->d_R.data), d_F));
  return answer_backward(stream, c, arena, room, d_F);
}

static mote_status deform_backward(mote_stream *stream, const mote_neural_call *c, float *d_F, float *d_C) {
  const mote_neural_rows *rows = &c->rows;
  return LAUNCH(deform_backward_kernel, c->dt, c->C, c->F, d_F, d_C);
}

/* The same call of what is deformed already. */
static mote_status deform(mote_stream *stream, const mote_neural_call *c, mote_neural_room *room,
                          mote_neural_call *to) {
  const mote_neural_rows *rows = &c->rows;
  const size_t square = (size_t)(rows->n ? rows->n : 1) * (size_t)(rows->dim * rows->dim) * sizeof(float);
  MOTE_TRY(mote_buffer_reserve(&room->trial, stream->device, square));
  *to = *c;
  to->F = static_cast<const float *>(room->trial.data);
  to->stride = rows->dim * rows->dim;
  to->C = NULL;
  return LAUNCH(deform_kernel, c->dt, c->C, c->F, static_cast<float *>(room->trial.data));
}

static mote_status undeformed_flow_backward(mote_stream *stream, const mote_neural_call *c,
                                            const mote_arena *arena, float *d_F, mote_neural_room *room) {
  const mote_neural_rows *rows = &c->rows;
  if (!c->answered) MOTE_TRY(answer(stream, c));
  MOTE_TRY(begin_reverse(stream, rows, room));
  MOTE_TRY(LAUNCH(flow_backward_kernel, c->frame, c->y, c->scale, static_cast<float *>(room->d_y.data),
                  static_cast<float *>(room->d_R.data), d_F));
  return answer_backward(stream, c, arena, room, d_F);
}

static mote_status flow_backward(mote_stream *stream, const mote_neural_call *c, const mote_arena *arena,
                                 float *d_F, float *d_C, mote_neural_room *room) {
  mote_neural_call deformed = *c;
  if (c->C) MOTE_TRY(deform(stream, c, room, &deformed));
  MOTE_TRY(undeformed_flow_backward(stream, &deformed, arena, d_F, room));
  return c->C ? deform_backward(stream, c, d_F, d_C) : MOTE_OK;
}

static mote_status step(mote_stream *stream, const mote_neural_call *flows, const mote_neural_call *stressed,
                        float *F, float *tau) {
  MOTE_TRY(flow(stream, flows, F));
  return stress(stream, stressed, tau);
}

static mote_status step_backward(mote_stream *stream, const mote_neural_call *stressed,
                                 const mote_neural_call *flows, const mote_arena *arena, const float *d_tau,
                                 float *d_F, float *d_C, mote_neural_room *room) {
  MOTE_TRY(stress_backward(stream, stressed, arena, d_tau, d_F, room));
  return flow_backward(stream, flows, arena, d_F, d_C, room);
}

extern "C" const struct mote_neural_kernels mote_neural_gpu = {
    1, stress, flow, stress_backward, flow_backward, deform_backward, step, step_backward};
