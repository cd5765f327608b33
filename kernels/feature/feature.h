/* What a time-stepper sees of particles and pairs, and what it makes of its answer: features of nodes from
   their history, walls and kind, features of edges, and the step in time (Sanchez-Gonzalez et al. 2020). */
#ifndef MOTE_KERNELS_FEATURE_H
#define MOTE_KERNELS_FEATURE_H

#include "kernels/message/message.h"

#ifdef __cplusplus
extern "C" {
#endif

#define MOTE_KINEMATIC 3     /* particle_type of particles whose motion is prescribed (GNS) */
#define MOTE_MOST_FRAMES 16  /* of a history */
#define MOTE_FARTHEST_REST 2 /* in radii */

/* Where the parts of a node's features stand and how they are scaled. */
typedef struct mote_node_features {
  int dim, frames;                     /* positions of the history, oldest first: frames - 1 velocities */
  int types, type_width;               /* of the embedding; type_width 0: none */
  int at_type, at_velocity, at_bounds; /* first columns; the width is type_width + dim (frames - 1 + 2) */
  float velocity_mean[3], velocity_scale[3]; /* (v - mean) * scale, v a difference of frames, m */
  float lower[3], upper[3];                  /* bounds, m */
  float per_radius, clip; /* distances to the bounds, times per_radius, cut to [-clip, clip] */
} mote_node_features;

static inline int mote_node_feature_width(const mote_node_features *f) {
  return f->type_width + f->dim * (f->frames + 1);
}

/* From normalised acceleration to the next frame. */
typedef struct mote_integration {
  int dim, frames;
  float mean[3], deviation[3]; /* of accelerations, m a frame^2 */
  float limit;                 /* m: a particle that moves farther in a frame has diverged */
  float lower[3], upper[3];    /* m: a particle that would pass stops there */
} mote_integration;

/* What became of the steps so far, in device memory. */
typedef struct mote_step_state {
  int32_t bad_particle; /* the first that is not finite or moves beyond the limit; INT32_MAX: none */
  int32_t bad_step;     /* in which step, from 1 */
  int32_t step;         /* steps done */
  int32_t blocked;      /* a graph did not fit: no step is done from there on */
} mote_step_state;

/* Flags in device memory (or NULL), any of which that is not 0 blocks the step; and a number there (or NULL)
   that blocks it when it is more than there is `room` for. */
typedef struct mote_step_guard {
  const int32_t *overflow[3], *rows;
  int64_t room;
} mote_step_guard;

struct mote_feature_kernels {
  /* history (frames, n, dim), type (n) in [0, types), embedding (types, type_width), out (n, stride). */
  mote_status (*nodes)(mote_stream *stream, int64_t n, const mote_node_features *features,
                       const float *history, const int32_t *type, const float *embedding, float *out,
                       int stride);

  /* For each edge: (x_sender - x_receiver) * per_radius and the distance times per_length, out (capacity, dim
     + 1); length (capacity), the same distance, may be NULL. `points`: of the senders (n, dim), `queries`: of
     the receivers.
   */
  mote_status (*edges)(mote_stream *stream, int dim, const mote_edges *edges, const float *points,
                       const float *queries, float per_radius, float per_length, float *out, float *length);

  /* For each edge the distance between its ends at rest, times per_length and at most MOTE_FARTHEST_REST, to
     out (capacity): whoever was no neighbour then is told apart by little more than that. rest (n, dim). */
  mote_status (*rest_lengths)(mote_stream *stream, int dim, const mote_edges *edges, const float *rest,
                              float per_length, float *out);

  /* acceleration (n, dim), normalised -> a; v' = v_last + a, x' = x + v', on each axis no farther than
     the integration's bounds; history moves on by a frame. A kinematic particle goes to `prescribed` (n, dim)
     instead, unless that is NULL. `next` (n, dim) becomes x'. The step counts in `state`. A particle that is
     off stays where it was, so that what follows is finite; the first one is kept in `state` until that is
     cleared. Nothing is done in a blocked step. */
  mote_status (*advance)(mote_stream *stream, int64_t n, const mote_integration *integration,
                         const mote_step_guard *guard, const float *acceleration, const int32_t *type,
                         const float *prescribed, float *history, float *next, mote_step_state *state);

  /* The reverse of nodes: adds to d_embedding (types, type_width) and d_history (frames, n, dim), each unless
     NULL. Embeddings: partial sums over chunks of MOTE_GRADIENT_ROWS particles, added in the order of the
     chunks. A distance to a wall that is cut has no gradient. */
  mote_status (*nodes_backward)(mote_stream *stream, int64_t n, const mote_node_features *features,
                                const float *history, const int32_t *type, mote_rows d_out,
                                float *d_embedding, float *d_history, mote_buffer *scratch);

  /* The reverse of edges: from d_out (capacity, dim + 1) and d_length (capacity; NULL: 0) adds to d_points
     (senders, dim) and d_queries (receivers, dim), each unless NULL; without d_points, `sent` may be NULL.
     They may be the same array: the sums of receivers are added first, then those of senders, each over a
     node's own edges in a fixed order. Two points in one place have no direction: their distance has no
     gradient. */
  mote_status (*edges_backward)(mote_stream *stream, int dim, const mote_edges *edges, const mote_sent *sent,
                                const float *points, const float *queries, float per_radius, float per_length,
                                const float *d_out, const float *d_length, float *d_points, float *d_queries);

  /* The reverse of advance: d_history (frames, n, dim), the gradient by the history after the step (with that
     by `next`, its last frame, in it), becomes that by the history before; d_acceleration (n, dim) is that by
     the acceleration, 0 for kinematic particles where `prescribed` (without it, `type` may be NULL). For
     steps in which no particle was off. A particle that was stopped has the gradient of one that was not:
     what would have left is to learn from it. */
  mote_status (*advance_backward)(mote_stream *stream, int64_t n, const mote_integration *integration,
                                  const int32_t *type, int prescribed, float *d_history,
                                  float *d_acceleration);
};

/* ---- Per-element math ---- */

static inline MOTE_HD int mote_step_blocked(const mote_step_state *state, const mote_step_guard *guard) {
  int blocked = state->blocked;
  for (int k = 0; k < 3; k++)
    if (guard->overflow[k] && *guard->overflow[k]) blocked = 1;
  return blocked || (guard->rows && *guard->rows > guard->room);
}

static inline MOTE_HD void mote_node_features_of(int64_t n, int64_t i, const mote_node_features *f,
                                                 const float *history, const int32_t *type,
                                                 const float *embedding, float *row) {
  int dim = f->dim, last = f->frames - 1;
  for (int k = 0; k < last; k++)
    for (int a = 0; a < dim; a++) {
      float before = history[((int64_t)k * n + i) * dim + a],
            now = history[((int64_t)(k + 1) * n + i) * dim + a];
      row[f->at_velocity + k * dim + a] = (now - before - f->velocity_mean[a]) * f->velocity_scale[a];
    }
  for (int a = 0; a < dim; a++) {
    float x = history[((int64_t)last * n + i) * dim + a];
    float lower = (x - f->lower[a]) * f->per_radius, upper = (f->upper[a] - x) * f->per_radius;
    row[f->at_bounds + a] = fminf(fmaxf(lower, -f->clip), f->clip);
    row[f->at_bounds + dim + a] = fminf(fmaxf(upper, -f->clip), f->clip);
  }
  for (int c = 0; c < f->type_width; c++)
    row[f->at_type + c] = embedding[(int64_t)type[i] * f->type_width + c];
}

static inline MOTE_HD void mote_edge_features_of(int dim, int64_t e, const int32_t *senders,
                                                 const int32_t *receiver, const float *points,
                                                 const float *queries, float per_radius, float per_length,
                                                 float *out, float *length) {
  float square = 0;
  for (int a = 0; a < dim; a++) {
    float d = points[(int64_t)senders[e] * dim + a] - queries[(int64_t)receiver[e] * dim + a];
    square += d * d;
    out[e * (dim + 1) + a] = d * per_radius;
  }
  float distance = sqrtf(square);
  out[e * (dim + 1) + dim] = distance * per_length;
  if (length) length[e] = distance * per_length;
}

static inline MOTE_HD float mote_rest_length_of(int dim, int64_t e, const int32_t *senders,
                                                const int32_t *receiver, const float *rest,
                                                float per_length) {
  float square = 0;
  for (int a = 0; a < dim; a++) {
    float d = rest[(int64_t)senders[e] * dim + a] - rest[(int64_t)receiver[e] * dim + a];
    square += d * d;
  }
  return fminf(sqrtf(square) * per_length, MOTE_FARTHEST_REST);
}

/* 1 when the particle is off. */
static inline MOTE_HD int mote_advance_particle(int64_t n, int64_t i, const mote_integration *g,
                                                const float *acceleration, const int32_t *type,
                                                const float *prescribed, float *history, float *next) {
  int dim = g->dim, last = g->frames - 1, off = 0;
  float x[3], to[3], square = 0;
  for (int a = 0; a < dim; a++) {
    x[a] = history[((int64_t)last * n + i) * dim + a];
    float velocity = x[a] - history[((int64_t)(last - 1) * n + i) * dim + a];
    velocity += acceleration[i * dim + a] * g->deviation[a] + g->mean[a];
    to[a] = prescribed && type[i] == MOTE_KINEMATIC ? prescribed[i * dim + a] : x[a] + velocity;
    square += (to[a] - x[a]) * (to[a] - x[a]);
  }
  off = !(square <= g->limit * g->limit); /* NaN too */
  for (int a = 0; a < dim; a++) {
    if (!(prescribed && type[i] == MOTE_KINEMATIC)) to[a] = fminf(fmaxf(to[a], g->lower[a]), g->upper[a]);
    for (int k = 0; k < last; k++)
      history[((int64_t)k * n + i) * dim + a] = history[((int64_t)(k + 1) * n + i) * dim + a];
    next[i * dim + a] = off ? x[a] : to[a];
    history[((int64_t)last * n + i) * dim + a] = next[i * dim + a];
  }
  return off;
}

/* ---- The same, reversed ---- */

/* One axis of a particle's history. Of a velocity, the later frame gets the gradient, the earlier one its
   negative. */
static inline MOTE_HD void mote_node_history_reversed(int64_t n, int64_t i, int a,
                                                      const mote_node_features *f, const float *history,
                                                      const float *row, float *d_history) {
  const int dim = f->dim, last = f->frames - 1;
  const int64_t at = i * dim + a, frame = n * dim;
  const float *velocity = row + f->at_velocity + a, *bounds = row + f->at_bounds + a;
  const float x = history[last * frame + at];
  const float lower = (x - f->lower[a]) * f->per_radius, upper = (f->upper[a] - x) * f->per_radius;
  float later = 0; /* the gradient by x of the velocity that arrives in the frame */
  for (int k = 0; k < last; k++) {
    float d = velocity[k * dim] * f->velocity_scale[a];
    d_history[k * frame + at] += later - d;
    later = d;
  }
  if (fabsf(lower) <= f->clip) later += bounds[0] * f->per_radius;
  if (fabsf(upper) <= f->clip) later -= bounds[dim] * f->per_radius;
  d_history[last * frame + at] += later;
}

/* The gradient by the sender's position, of which the receiver's is the negative, times `sign`, to `sum`. */
static inline MOTE_HD void mote_edge_reversed(int dim, int64_t e, float sign, const float *point,
                                              const float *query, float per_radius, float per_length,
                                              const float *d_out, const float *d_length, float *sum) {
  const float *row = d_out + e * (dim + 1);
  float d[3], square = 0, along = row[dim];
  if (d_length) along += d_length[e];
  for (int a = 0; a < dim; a++) {
    d[a] = point[a] - query[a];
    square += d[a] * d[a];
  }
  along = square > 0 ? along * per_length / sqrtf(square) : 0;
  for (int a = 0; a < dim; a++) sum[a] += sign * (row[a] * per_radius + along * d[a]);
}

/* One axis of a particle's step: x' = 2 x - x_before + deviation a + mean, and frames move on. */
static inline MOTE_HD void mote_advance_reversed(int64_t n, int64_t i, int a, const mote_integration *g,
                                                 int prescribed, float *d_history, float *d_acceleration) {
  const int last = g->frames - 1;
  const int64_t at = i * g->dim + a, frame = n * g->dim;
  const float d = prescribed ? 0 : d_history[last * frame + at];
  for (int k = last; k > 0; k--) d_history[k * frame + at] = d_history[(k - 1) * frame + at];
  d_history[at] = 0;
  d_history[last * frame + at] += 2 * d;
  d_history[(last - 1) * frame + at] -= d;
  d_acceleration[at] = d * g->deviation[a];
}

#ifdef __cplusplus
}
#endif
#endif
