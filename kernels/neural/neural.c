/* Neural laws on the CPU. The trick: a tile of rows goes all the way, from deformations through the network
   to stresses, in a core's first-level cache; outside the network a mote_real is a vector, and the math of
   neural.h takes a register's width of particles at once. */
#define MOTE_REAL_LANES
#include "kernels/neural/cpu.h"
#include "kernels/shares.h"

#define SERIAL 512 /* particles that are not worth waking threads for */

/* ---- Deformation ---- */

MOTE_INLINE void deform_reversed(int D, const mote_neural_call *c, const mote_group *g, float *d_F,
                                 float *d_C) {
  mote_component df[9];
  mote_group_load(g, d_F, D * D, D * D, df);
  mote_cpu_neural_deform_back(D, c, g, df, d_C);
  mote_group_store(g, d_F, D * D, D * D, df);
}

static mote_status deform_backward(mote_stream *stream, const mote_neural_call *c, float *d_F, float *d_C) {
  const mote_neural_rows *rows = &c->rows;
#pragma omp parallel for num_threads(mote_stream_threads(stream)) schedule(static) if (rows->n > SERIAL)
  for (int64_t first = 0; first < rows->n; first += MOTE_REAL_WIDTH) {
    const mote_group g = mote_group_at(rows, first, rows->n);
    if (!mote_any(g.counts)) continue;
    if (rows->dim == 3)
      deform_reversed(3, c, &g, d_F, d_C);
    else
      deform_reversed(2, c, &g, d_F, d_C);
  }
  return MOTE_OK;
}

/* ---- Laws ---- */

/* A tile's groups, as lanes. */
typedef struct seen_tile {
  mote_component F[MOTE_NEURAL_GROUPS][9], frame[MOTE_NEURAL_GROUPS][21];
} seen_tile;

/* What becomes of a group's answers: stress into `out` or, where that is NULL, flow of F. */
typedef struct law_job {
  const mote_neural_call *call;
  float *F; /* that flows */
  float *tau;
} law_job;

/* A tile's deformations and their frames, two groups' at once. Groups are made where they are used: to keep
   them in memory takes longer. */
MOTE_INLINE void turn_into_frames(int D, const mote_neural_call *c, int64_t first, int used,
                                  seen_tile *seen) {
  const int groups = (used + MOTE_REAL_WIDTH - 1) / MOTE_REAL_WIDTH;
  for (int k = 0; k < groups; k++) {
    const mote_group g = mote_group_at(&c->rows, first + k * MOTE_REAL_WIDTH, first + used);
    mote_cpu_neural_load(D, c, &g, seen->F[k]);
  }
  for (int k = 0; k < groups; k += 2) {
    if (k + 1 < groups)
      mote_neural_two_frames(D, seen->F[k], seen->F[k + 1], seen->frame[k], seen->frame[k + 1]);
    else
      mote_neural_frame(D, seen->F[k], seen->frame[k]);
  }
}

/* From deformations and frames to the network's input, in x, rows of `stride` floats. */
MOTE_INLINE void look(int D, const mote_neural_call *c, const mote_group *g, int64_t row,
                      const mote_component *f, const mote_component *frame, float *x, int stride) {
  const int inputs = mote_neural_inputs(&c->rows);
  const mote_group all = mote_group_of_all(g), in_tile = mote_group_in(&all, row);
  mote_component in[13] = {{0}};
  mote_neural_features(D, f, c->rows.strain, frame, in);
  for (int k = 0; k < inputs; k++) in[k] = mote_select(g->counts, in[k], mote_splat(0));
  mote_group_store(g, c->frame, MOTE_NEURAL_FRAME(D), MOTE_NEURAL_FRAME(D), frame);
  mote_group_store(&in_tile, x, stride, inputs, in);
}

MOTE_INLINE void act(int D, const law_job *j, const mote_group *g, mote_component *f,
                     const mote_component *frame, const mote_component *answer) {
  const mote_neural_call *c = j->call;
  mote_component tau[9];
  if (j->tau) {
    mote_neural_stress(D, f, frame, c->rows.strain, answer, c->scale, tau);
    mote_group_store(g, j->tau, D * D, D * D, tau);
  } else if (j->F) {
    mote_neural_flow(D, frame, c->rows.strain, answer, c->scale, f);
    mote_group_store(g, j->F, c->stride, D * D, f);
  }
}

MOTE_INLINE void tile_of(int D, const law_job *j, int64_t first, int used) {
  const mote_neural_call *c = j->call;
  const int in = mote_neural_inputs(&c->rows), in_stride = mote_tile_stride(in);
  const int out = mote_neural_answers(&c->rows), out_stride = mote_tile_stride(out);
  const int64_t end = first + used;
  mote_component answer[9];
  mote_tile tile;
  seen_tile seen;
  memset(tile.buffer[0], 0, (size_t)(mote_tile_blocks(used) * in_stride) * sizeof(float));
  // cppcheck-suppress uninitvar; it is filled
  turn_into_frames(D, c, first, used, &seen);
  for (int k = 0; k * MOTE_REAL_WIDTH < used; k++) {
    const mote_group g = mote_group_at(&c->rows, first + k * MOTE_REAL_WIDTH, end);
    look(D, c, &g, k * MOTE_REAL_WIDTH, seen.F[k], seen.frame[k], tile.buffer[0], in_stride);
  }
  const int at = mote_tile_layers(c->mlp, 0, (mote_tile_span){0, first, used}, &tile, 0);
  for (int k = 0; k * MOTE_REAL_WIDTH < used; k++) {
    const mote_group g = mote_group_at(&c->rows, first + k * MOTE_REAL_WIDTH, end),
                     in_tile = mote_group_in(&g, k * MOTE_REAL_WIDTH);
    mote_group_load(&in_tile, tile.buffer[at], out_stride, out, answer);
    mote_group_store(&g, c->y, out, out, answer);
    act(D, j, &g, seen.F[k], seen.frame[k], answer);
  }
}

static int any_counts(const mote_neural_rows *rows, int64_t first, int used) {
  for (int64_t i = first; i < first + used; i++)
    if (mote_neural_counts(rows, i)) return 1;
  return 0;
}

static void run_tile(const law_job *j, int64_t first, int used) {
  if (!any_counts(&j->call->rows, first, used)) return;
  if (j->call->rows.dim == 3)
    tile_of(3, j, first, used);
  else
    tile_of(2, j, first, used);
}

/* Of a tile: whole blocks and groups, so few that threads can share them evenly. */
enum { PART = MOTE_LANES == 16 ? 48 : 24 };
static int part_rows(const law_job *j) {
  const int rows = mote_tile_rows(mote_mlp_widest(j->call->mlp));
  return rows < PART ? rows : PART;
}

/* One job, or two of the same rows, of which a tile goes through the first before the second. */
static void run(mote_stream *stream, const law_job *job, int jobs) {
  const int64_t n = job->call->rows.n;
  const int first_rows = part_rows(job), last_rows = part_rows(job + jobs - 1),
            rows = first_rows < last_rows ? first_rows : last_rows,
            threads = n > SERIAL ? mote_stream_threads(stream) : 1;
  mote_shares shares;
  mote_shares_begin(&shares, (n + rows - 1) / rows, threads);
#pragma omp parallel num_threads(threads) if (threads > 1)
  for (int64_t part; (part = mote_shares_take(&shares)) >= 0;) {
    const int64_t first = part * rows, left = n - first;
    for (const law_job *j = job; j < job + jobs; j++) run_tile(j, first, left < rows ? (int)left : rows);
  }
}

mote_status mote_cpu_neural_answer(mote_stream *stream, const mote_neural_call *call) {
  run(stream, &(law_job){.call = call}, 1);
  return MOTE_OK;
}
static mote_status stress(mote_stream *stream, const mote_neural_call *call, float *tau) {
  run(stream, &(law_job){.call = call, .tau = tau}, 1);
  return MOTE_OK;
}
static mote_status flow(mote_stream *stream, const mote_neural_call *call, float *F) {
  run(stream, &(law_job){.call = call, .F = F}, 1);
  return MOTE_OK;
}
static mote_status step(mote_stream *stream, const mote_neural_call *flows, const mote_neural_call *stressed,
                        float *F, float *tau) {
  run(stream, (const law_job[2]){{.call = flows, .F = F}, {.call = stressed, .tau = tau}}, 2);
  return MOTE_OK;
}

const struct mote_neural_kernels mote_neural_cpu = {.stress = stress,
                                                    .flow = flow,
                                                    .stress_backward = mote_cpu_neural_stress_backward,
                                                    .flow_backward = mote_cpu_neural_flow_backward,
                                                    .deform_backward = deform_backward,
                                                    .step = step,
                                                    .step_backward = mote_cpu_neural_step_backward};
