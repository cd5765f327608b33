/* The reverse of neural laws on the CPU: a tile of rows goes all the way back, through what became of the
   network's answers, the network (kernels/dense/reverse.h) and what it saw of the deformation. */
#define MOTE_REAL_LANES
#include "kernels/neural/cpu.h"

typedef struct reverse_job {
  const mote_neural_call *call;
  mote_reverse chain;
  const float *d_tau; /* NULL: of the flow */
  float *d_F, *d_C;
} reverse_job;

/* A tile's groups, as lanes, on both sides of the network. */
typedef struct group_lanes {
  mote_component F[9], frame[21], d_R[9], d_F[9];
} group_lanes;

/* Of both sides' tiles, x and d_y, this group's rows. */
typedef struct tile_rows {
  float *x, *d_y;
  int x_stride, d_y_stride;
} tile_rows;

MOTE_INLINE void in_front(int D, const reverse_job *j, const mote_group *g, int64_t row, group_lanes *v,
                          const tile_rows *to) {
  const mote_neural_call *c = j->call;
  const int answers = mote_neural_answers(&c->rows);
  const mote_group in_tile = mote_group_in(g, row);
  mote_component answer[9], dt[9], dy[9], x[13];
  mote_cpu_neural_load(D, c, g, v->F);
  mote_group_load(g, c->frame, MOTE_NEURAL_FRAME(D), MOTE_NEURAL_FRAME(D), v->frame);
  mote_group_load(g, c->y, answers, answers, answer);
  mote_group_load(g, j->d_F, D * D, D * D, v->d_F);
  if (j->d_tau) {
    mote_group_load(g, j->d_tau, D * D, D * D, dt);
    mote_neural_stress_backward(D, v->F, v->frame, c->rows.strain, answer, c->scale, dt, dy, v->d_R, v->d_F);
  } else {
    mote_neural_flow_backward(D, v->frame, c->rows.strain, answer, c->scale, dy, v->d_R, v->d_F);
  }
  mote_group_store(&in_tile, to->d_y, to->d_y_stride, answers, dy);
  mote_neural_features(D, v->F, c->rows.strain, v->frame, x);
  mote_group_store(&in_tile, to->x, to->x_stride, mote_neural_inputs(&c->rows), x);
}

MOTE_INLINE void behind(int D, const reverse_job *j, const mote_group *g, int64_t row, group_lanes *v,
                        const float *d_x, int stride) {
  const mote_group in_tile = mote_group_in(g, row);
  mote_component dx[13];
  mote_group_load(&in_tile, d_x, stride, mote_neural_inputs(&j->call->rows), dx);
  mote_neural_features_backward(D, v->F, v->frame, j->call->rows.strain, dx, v->d_R, v->d_F);
  if (j->call->C) mote_cpu_neural_deform_back(D, j->call, g, v->d_F, j->d_C);
  mote_group_store(g, j->d_F, D * D, D * D, v->d_F);
}

MOTE_INLINE void tile_of(int D, const reverse_job *j, int64_t first, int used, float *memory,
                         const mote_gradients *g) {
  const mote_neural_rows *rows = &j->call->rows;
  const mote_reverse *v = &j->chain;
  const tile_rows to = {memory + v->raw, memory + v->gradient[0], mote_tile_stride(mote_neural_inputs(rows)),
                        mote_tile_stride(mote_neural_answers(rows))};
  const size_t bytes = (size_t)mote_tile_blocks(used) * sizeof(float);
  group_lanes lanes[MOTE_NEURAL_GROUPS];
  memset(to.x, 0, bytes * (size_t)to.x_stride);
  memset(to.d_y, 0, bytes * (size_t)to.d_y_stride);
  for (int k = 0; k * MOTE_REAL_WIDTH < used; k++) {
    const mote_group group = mote_group_at(rows, first + k * MOTE_REAL_WIDTH, first + used);
    in_front(D, j, &group, k * MOTE_REAL_WIDTH, &lanes[k], &to);
  }
  mote_reverse_forward(v, used, memory, NULL, 0, 0);
  const float *d_x = mote_reverse_back(v, first, used, memory, NULL, g, 1).input;
  for (int k = 0; k * MOTE_REAL_WIDTH < used; k++) {
    const mote_group group = mote_group_at(rows, first + k * MOTE_REAL_WIDTH, first + used);
    behind(D, j, &group, k * MOTE_REAL_WIDTH, &lanes[k], d_x, to.x_stride);
  }
}

/* One law, or both of a step, of which a tile goes back through the first before the second. */
typedef struct reverse_jobs {
  int count;
  reverse_job of[2];
} reverse_jobs;

static void tile(const void *context, int64_t first, int used, float *memory, const mote_gradients *g) {
  const reverse_jobs *jobs = context;
  for (int k = 0; k < jobs->count; k++) {
    if (jobs->of[k].call->rows.dim == 3)
      tile_of(3, &jobs->of[k], first, used, memory, &g[k]);
    else
      tile_of(2, &jobs->of[k], first, used, memory, &g[k]);
  }
}

static mote_status run(mote_stream *stream, const mote_arena *arena, const reverse_jobs *jobs,
                       mote_neural_room *room) {
  const int64_t n = jobs->of[0].call->rows.n;
  mote_reverse_job work = {.arena = arena, .chains = jobs->count, .tile = tile, .context = jobs};
  for (int k = 0; k < jobs->count; k++) {
    const mote_reverse *chain = &jobs->of[k].chain;
    work.chain[k] = chain->mlp;
    if (chain->floats > work.tile_floats) work.tile_floats = chain->floats;
  }
  const size_t floats = (size_t)mote_reverse_memory(stream, &work, n);
  MOTE_TRY(mote_buffer_reserve(&room->scratch, stream->device, floats * sizeof(float)));
  mote_reverse_run(stream, &work, n, room->scratch.data);
  return MOTE_OK;
}

static reverse_job job_of(const mote_neural_call *call, const mote_arena *arena, const float *d_tau,
                          float *d_F, float *d_C) {
  return (reverse_job){call, mote_reverse_plan(call->mlp, arena, 0, 0), d_tau, d_F, d_C};
}

mote_status mote_cpu_neural_stress_backward(mote_stream *stream, const mote_neural_call *call,
                                            const mote_arena *arena, const float *d_tau, float *d_F,
                                            mote_neural_room *room) {
  if (!call->answered) MOTE_TRY(mote_cpu_neural_answer(stream, call));
  return run(stream, arena, &(reverse_jobs){1, {job_of(call, arena, d_tau, d_F, NULL)}}, room);
}
mote_status mote_cpu_neural_flow_backward(mote_stream *stream, const mote_neural_call *call,
                                          const mote_arena *arena, float *d_F, float *d_C,
                                          mote_neural_room *room) {
  if (!call->answered) MOTE_TRY(mote_cpu_neural_answer(stream, call));
  return run(stream, arena, &(reverse_jobs){1, {job_of(call, arena, NULL, d_F, d_C)}}, room);
}
mote_status mote_cpu_neural_step_backward(mote_stream *stream, const mote_neural_call *stress,
                                          const mote_neural_call *flow, const mote_arena *arena,
                                          const float *d_tau, float *d_F, float *d_C,
                                          mote_neural_room *room) {
  const reverse_jobs both = {2,
                             {job_of(stress, arena, d_tau, d_F, NULL), job_of(flow, arena, NULL, d_F, d_C)}};
  return run(stream, arena, &both, room);
}
