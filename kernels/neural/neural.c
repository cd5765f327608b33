/* Neural laws on the CPU. The trick: in this file a mote_real is a vector, so that the per-element math takes
   as many particles at once as a register holds; rows are turned to components and back. */
#define MOTE_REAL_LANES
#include "kernels/neural/neural.h"

#define SERIAL 512 /* particles that are not worth waking threads for */

typedef mote_real component;

/* Which rows a group has: `count` of them from `first`, and whether each counts. */
typedef struct group {
  int64_t first;
  int count;
  mote_mask counts;
} group;

static inline group group_at(const mote_neural_rows *rows, int64_t first) {
  int64_t left = rows->n - first;
  group g = {.first = first, .count = left < MOTE_REAL_WIDTH ? (int)left : MOTE_REAL_WIDTH};
  for (int l = 0; l < MOTE_REAL_WIDTH; l++) {
    int counts = l < g.count;
    if (counts && rows->material) counts = rows->material[(first + l) * rows->material_stride] == rows->which;
    g.counts[l] = counts ? -1 : 0;
  }
  return g;
}

/* Lanes behind the last row repeat it, so that they hold numbers. */
MOTE_INLINE void load(const group *g, const float *rows, int64_t stride, int values, component *to) {
  _Alignas(64) float part[MOTE_REAL_WIDTH];
  for (int k = 0; k < values; k++) {
    for (int l = 0; l < MOTE_REAL_WIDTH; l++)
      part[l] = rows[(g->first + (l < g->count ? l : g->count - 1)) * stride + k];
    memcpy(&to[k], part, sizeof part);
  }
}

MOTE_INLINE void store(const group *g, float *rows, int64_t stride, int values, const component *from) {
  for (int l = 0; l < g->count; l++) {
    if (!g->counts[l]) continue;
    for (int k = 0; k < values; k++) rows[(g->first + l) * stride + k] = from[k][l];
  }
}

/* clang-format off */
#define PARALLEL \
  _Pragma("omp parallel for num_threads(mote_stream_threads(stream)) schedule(static) if (rows->n > SERIAL)")
/* clang-format on */

/* Calls BODY for each group, with the dimension a constant. */
#define FOR_GROUPS_THAT(WANTED, BODY)                                                                        \
  PARALLEL                                                                                                   \
  for (int64_t first = 0; first < rows->n; first += MOTE_REAL_WIDTH) {                                       \
    const group g = group_at(rows, first);                                                                   \
    if (!(WANTED)) continue;                                                                                 \
    if (rows->dim == 3)                                                                                      \
      BODY(3);                                                                                               \
    else                                                                                                     \
      BODY(2);                                                                                               \
  }                                                                                                          \
  return MOTE_OK
#define FOR_ALL_GROUPS(BODY) FOR_GROUPS_THAT(1, BODY)
#define FOR_GROUPS(BODY) FOR_GROUPS_THAT(mote_any(g.counts), BODY) /* those with a row that counts */

MOTE_INLINE void deform_of(int D, const group *g, float dt, const float *C, const float *F, float *out) {
  component c[9], f[9];
  load(g, C, D * D, D * D, c);
  load(g, F, D * D, D * D, f);
  mote_deform(D, dt, c, f);
  store(g, out, D * D, D * D, f);
}
static mote_status deform(mote_stream *stream, const mote_neural_rows *rows, float dt, const float *C,
                          const float *F, float *out) {
#define BODY(D) deform_of(D, &g, dt, C, F, out)
  FOR_GROUPS(BODY);
#undef BODY
}

MOTE_INLINE void deform_reversed(int D, const group *g, float dt, const float *C, const float *F, float *d_F,
                                 float *d_C) {
  component c[9], f[9], df[9], dc[9];
  load(g, C, D * D, D * D, c);
  load(g, F, D * D, D * D, f);
  load(g, d_F, D * D, D * D, df);
  load(g, d_C, D * D, D * D, dc);
  mote_deform_backward(D, dt, c, f, df, dc);
  store(g, d_F, D * D, D * D, df);
  store(g, d_C, D * D, D * D, dc);
}
static mote_status deform_backward(mote_stream *stream, const mote_neural_rows *rows, float dt,
                                   const float *C, const float *F, float *d_F, float *d_C) {
#define BODY(D) deform_reversed(D, &g, dt, C, F, d_F, d_C)
  FOR_GROUPS(BODY);
#undef BODY
}

MOTE_INLINE void features_of(int D, const mote_neural_rows *rows, const group *g, const float *F, int stride,
                             float *frame, float *x) {
  const int inputs = mote_neural_inputs(rows);
  component f[9], a[21], in[13] = {{0}};
  load(g, F, stride, D * D, f);
  mote_neural_features(D, f, rows->strain, a, in);
  store(g, frame, MOTE_NEURAL_FRAME(D), MOTE_NEURAL_FRAME(D), a);
  for (int k = 0; k < inputs; k++) in[k] = mote_select(g->counts, in[k], mote_splat(0));
  group all = *g;
  for (int l = 0; l < g->count; l++) all.counts[l] = -1;
  store(&all, x, inputs, inputs, in);
}
static mote_status features(mote_stream *stream, const mote_neural_rows *rows, const float *F, int stride,
                            float *frame, float *x) {
#define BODY(D) features_of(D, rows, &g, F, stride, frame, x)
  FOR_ALL_GROUPS(BODY);
#undef BODY
}

MOTE_INLINE void stress_of(int D, const mote_neural_rows *rows, const group *g, const float *F, int stride,
                           const float *frame, const float *y, float scale, float *tau) {
  const int answers = mote_neural_answers(rows);
  component f[9], a[21], answer[9], t[9];
  load(g, F, stride, D * D, f);
  load(g, frame, MOTE_NEURAL_FRAME(D), MOTE_NEURAL_FRAME(D), a);
  load(g, y, answers, answers, answer);
  mote_neural_stress(D, f, a, rows->strain, answer, scale, t);
  store(g, tau, D * D, D * D, t);
}
static mote_status stress(mote_stream *stream, const mote_neural_rows *rows, const float *F, int stride,
                          const float *frame, const float *y, float scale, float *tau) {
#define BODY(D) stress_of(D, rows, &g, F, stride, frame, y, scale, tau)
  FOR_GROUPS(BODY);
#undef BODY
}

MOTE_INLINE void flow_of(int D, const mote_neural_rows *rows, const group *g, const float *frame,
                         const float *y, float scale, float *F, int stride) {
  const int answers = mote_neural_answers(rows);
  component f[9], a[21], answer[9];
  load(g, F, stride, D * D, f);
  load(g, frame, MOTE_NEURAL_FRAME(D), MOTE_NEURAL_FRAME(D), a);
  load(g, y, answers, answers, answer);
  mote_neural_flow(D, a, rows->strain, answer, scale, f);
  store(g, F, stride, D * D, f);
}
static mote_status flow(mote_stream *stream, const mote_neural_rows *rows, const float *frame, const float *y,
                        float scale, float *F, int stride) {
#define BODY(D) flow_of(D, rows, &g, frame, y, scale, F, stride)
  FOR_GROUPS(BODY);
#undef BODY
}

MOTE_INLINE void stress_reversed(int D, const mote_neural_rows *rows, const group *g, const float *F,
                                 int stride, const float *frame, const float *y, float scale,
                                 const float *d_tau, float *d_y, float *d_R, float *d_F) {
  const int answers = mote_neural_answers(rows);
  component f[9], a[21], answer[9], dt[9], dy[9], dr[9], df[9];
  load(g, F, stride, D * D, f);
  load(g, frame, MOTE_NEURAL_FRAME(D), MOTE_NEURAL_FRAME(D), a);
  load(g, y, answers, answers, answer);
  load(g, d_tau, D * D, D * D, dt);
  load(g, d_F, D * D, D * D, df);
  mote_neural_stress_backward(D, f, a, rows->strain, answer, scale, dt, dy, dr, df);
  store(g, d_y, answers, answers, dy);
  store(g, d_R, D * D, D * D, dr);
  store(g, d_F, D * D, D * D, df);
}
static mote_status stress_backward(mote_stream *stream, const mote_neural_rows *rows, const float *F,
                                   int stride, const float *frame, const float *y, float scale,
                                   const float *d_tau, float *d_y, float *d_R, float *d_F) {
#define BODY(D) stress_reversed(D, rows, &g, F, stride, frame, y, scale, d_tau, d_y, d_R, d_F)
  FOR_GROUPS(BODY);
#undef BODY
}

MOTE_INLINE void flow_reversed(int D, const mote_neural_rows *rows, const group *g, const float *frame,
                               const float *y, float scale, float *d_y, float *d_R, float *d_F) {
  const int answers = mote_neural_answers(rows);
  component a[21], answer[9], dy[9], dr[9], df[9];
  load(g, frame, MOTE_NEURAL_FRAME(D), MOTE_NEURAL_FRAME(D), a);
  load(g, y, answers, answers, answer);
  load(g, d_F, D * D, D * D, df);
  mote_neural_flow_backward(D, a, rows->strain, answer, scale, dy, dr, df);
  store(g, d_y, answers, answers, dy);
  store(g, d_R, D * D, D * D, dr);
  if (rows->strain > 0) store(g, d_F, D * D, D * D, df);
}
static mote_status flow_backward(mote_stream *stream, const mote_neural_rows *rows, const float *frame,
                                 const float *y, float scale, float *d_y, float *d_R, float *d_F) {
#define BODY(D) flow_reversed(D, rows, &g, frame, y, scale, d_y, d_R, d_F)
  FOR_GROUPS(BODY);
#undef BODY
}

MOTE_INLINE void features_reversed(int D, const mote_neural_rows *rows, const group *g, const float *F,
                                   int stride, const float *frame, const float *d_x, const float *d_R,
                                   float *d_F) {
  const int inputs = mote_neural_inputs(rows);
  component f[9], a[21], dx[13], dr[9], df[9];
  load(g, F, stride, D * D, f);
  load(g, frame, MOTE_NEURAL_FRAME(D), MOTE_NEURAL_FRAME(D), a);
  load(g, d_x, inputs, inputs, dx);
  load(g, d_R, D * D, D * D, dr);
  load(g, d_F, D * D, D * D, df);
  mote_neural_features_backward(D, f, a, rows->strain, dx, dr, df);
  store(g, d_F, D * D, D * D, df);
}
static mote_status features_backward(mote_stream *stream, const mote_neural_rows *rows, const float *F,
                                     int stride, const float *frame, const float *d_x, const float *d_R,
                                     float *d_F) {
#define BODY(D) features_reversed(D, rows, &g, F, stride, frame, d_x, d_R, d_F)
  FOR_GROUPS(BODY);
#undef BODY
}

const struct mote_neural_kernels mote_neural_cpu = {.deform = deform,
                                                    .deform_backward = deform_backward,
                                                    .features = features,
                                                    .stress = stress,
                                                    .flow = flow,
                                                    .stress_backward = stress_backward,
                                                    .flow_backward = flow_backward,
                                                    .features_backward = features_backward};
