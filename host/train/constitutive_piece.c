/* Pieces of a trajectory, there and back. */
#include <math.h>
#include <string.h>

#include <mote/random.h>

#include "host/core/error.h"
#include "host/train/constitutive.h"

/* ---- which ones ---- */

/* The last fifth of the epochs has the full length. Unknowns are searched for in stages of one length each,
   so that a stage is of one function. */
int64_t mote_constitutive_length(const mote_constitutive *t, int64_t epoch) {
  const double pi = 3.14159265358979323846, all = (double)(t->truth.frames - 1);
  const double from = log(fmax(1, fmin(all, t->run.restart_from / (double)t->truth.every))),
               to = log(fmax(1, fmin(all, t->run.restart_to / (double)t->truth.every)));
  double progress = fmin(1, (double)epoch / fmax(1, 0.8 * (double)(t->run.epochs - 1)));
  if (!t->run.finds_law) {
    const double stages = 1 + ceil(fabs(to - from) / log(2));
    progress = stages > 1 ? fmin(1, floor(progress * stages) / (stages - 1)) : 1;
  }
  const double part = t->run.finds_law ? 0.5 * (1 - cos(pi * progress)) : progress;
  return (int64_t)llround(fmin(all, exp(from + (to - from) * part)));
}

int64_t mote_constitutive_pieces(const mote_constitutive *t, int64_t epoch, mote_piece *pieces) {
  const int64_t last = t->truth.frames - 1, length = mote_constitutive_length(t, epoch);
  const uint64_t seed = (uint64_t)t->run.seed, draw = t->run.finds_law ? (uint64_t)epoch : 0;
  int64_t count = 0;
  if (!t->truth.has_states) {
    pieces[0] = (mote_piece){0, length};
    return 1;
  }
  /* ends move from epoch to epoch, so that every frame is once the first and once the last */
  int64_t end = length < last ? 1 + (int64_t)mote_random_below(seed, 71, draw, (uint64_t)length) : last;
  for (int64_t begin = 0; begin < last; begin = end, end = end + length < last ? end + length : last)
    pieces[count++] = (mote_piece){begin, end};
  for (int64_t k = count - 1; k > 0; k--) {
    const int64_t other = (int64_t)mote_random_below(seed, 72 + draw, (uint64_t)k, (uint64_t)k + 1);
    const mote_piece swapped = pieces[k];
    pieces[k] = pieces[other];
    pieces[other] = swapped;
  }
  return count;
}

/* ---- the loss ---- */

typedef struct comparison {
  mote_constitutive *t;
  int64_t first;             /* frame of slot 0 */
  double position, velocity; /* weights of a frame's sums, in SI */
  mote_unrolled_state last;  /* that was compared, on the way there */
  int64_t last_frame;
} comparison;

/* A frame's loss by a field, into its slot; adds the gradient. */
static mote_status compare(const comparison *c, int64_t frame, const float *value, const mote_buffer *truth,
                           double weight, int slot, float *gradient) {
  mote_constitutive *t = c->t;
  const struct mote_optimize_kernels *k = t->stream->device->optimize;
  const int64_t floats = t->truth.n * t->truth.dim;
  double *loss = (double *)t->losses.data + 2 * (frame - c->first) + slot;
  float *d = gradient ? t->scratch.data : NULL;
  MOTE_TRY(k->loss(t->stream, t->truth.n, t->truth.dim, NULL, value, mote_truth_rows(&t->truth, truth, frame),
                   0, (float)weight, loss, d, &t->unrolled.room.scratch));
  return gradient ? k->combine(t->stream, floats, 1, d, 1, gradient) : MOTE_OK;
}

static mote_status compare_state(const comparison *c, int64_t step, const mote_unrolled_state *s,
                                 const mote_unrolled_state *g) {
  const mote_truth *truth = &c->t->truth;
  if (step % truth->every) return MOTE_OK;
  const int64_t frame = step / truth->every;
  if (c->position > 0)
    MOTE_TRY(compare(c, frame, s->position, &truth->position, c->position, 0, g ? g->position : NULL));
  if (c->velocity > 0)
    MOTE_TRY(compare(c, frame, s->velocity, &truth->velocity, c->velocity, 1, g ? g->velocity : NULL));
  return MOTE_OK;
}

static mote_status on_the_way(void *user, int64_t step, const mote_unrolled_state *s) {
  comparison *c = user;
  MOTE_TRY(compare_state(c, step, s, NULL));
  if (step % c->t->truth.every) return MOTE_OK;
  c->last = *s;
  c->last_frame = step / c->t->truth.every;
  return MOTE_OK;
}
static mote_status on_the_way_back(void *user, int64_t step, const mote_unrolled_state *s,
                                   const mote_unrolled_state *g) {
  return compare_state(user, step, s, g);
}

/* The sum over the slots of the frames behind `first`, up to `last`. */
static mote_status sum_up(mote_constitutive *t, int64_t first, int64_t last, double *sum) {
  const int64_t frames = last - first + 1;
  MOTE_TRY(mote_download(t->stream, t->loss, t->losses.data, (size_t)(2 * frames) * sizeof *t->loss));
  *sum = 0;
  for (int64_t k = 2; k < 2 * frames; k++) *sum += t->loss[k];
  return MOTE_OK;
}

static mote_status begin_sums(mote_constitutive *t, int64_t frames) {
  return mote_fill_bytes(t->stream, t->losses.data, 0, (size_t)(2 * frames) * sizeof(double));
}

/* ---- there and back ---- */

/* A turn by chance: of a uniform quaternion (Shoemake 1992), in 2-D of a uniform angle. */
static void draw_turn(uint64_t seed, uint64_t counter, int dim, float *Q) {
  const float a = mote_random_normal(seed, 73, 2 * counter, 0),
              b = mote_random_normal(seed, 73, 2 * counter, 1);
  if (dim == 2) {
    const float size = sqrtf(a * a + b * b) + 1e-20f;
    const float turn[] = {a / size, -b / size, b / size, a / size};
    memcpy(Q, turn, sizeof turn);
    return;
  }
  const float c = mote_random_normal(seed, 73, 2 * counter + 1, 0),
              d = mote_random_normal(seed, 73, 2 * counter + 1, 1);
  const float s = 2 / (a * a + b * b + c * c + d * d + 1e-20f);
  const float turn[] = {1 - s * (c * c + d * d), s * (b * c - a * d),     s * (b * d + a * c),
                        s * (b * c + a * d),     1 - s * (b * b + d * d), s * (c * d - a * b),
                        s * (b * d - a * c),     s * (c * d + a * b),     1 - s * (b * b + c * c)};
  memcpy(Q, turn, sizeof turn);
}

/* F <- F Q: the same state of matter that has no direction of its own, but not for a law that believes in
   one. All particles by the same Q: turned each by its own, they would hide such a belief from each other. */
static mote_status turn_matter(mote_constitutive *t, int64_t frame, float *deformation) {
  const int dim = t->truth.dim, square = dim * dim;
  const size_t bytes = (size_t)(t->truth.n * square) * sizeof(float);
  float Q[9], old[9];
  draw_turn((uint64_t)t->run.seed, (uint64_t)(t->epoch * t->truth.frames + frame), dim, Q);
  MOTE_TRY(mote_download(t->stream, t->turned, deformation, bytes));
  for (int64_t i = 0; i < t->truth.n; i++) {
    float *F = t->turned + i * square;
    memcpy(old, F, (size_t)square * sizeof *F);
    for (int r = 0; r < dim; r++)
      for (int c = 0; c < dim; c++) {
        F[r * dim + c] = 0;
        for (int k = 0; k < dim; k++) F[r * dim + c] += old[r * dim + k] * Q[k * dim + c];
      }
  }
  MOTE_TRY(mote_upload(t->stream, deformation, t->turned, bytes));
  return mote_stream_synchronize(t->stream);
}

/* The state that a run begins with: the truth at a frame, or, where there are no states, the scene's. */
static mote_status set_start(mote_constitutive *t, int64_t frame, int turns,
                             const mote_unrolled_state *start) {
  const mote_particles *p = &t->run.scene.particles;
  const size_t bytes = (size_t)(p->count * p->dim * p->dim) * sizeof(float);
  if (t->truth.has_states)
    MOTE_TRY(mote_truth_state(&t->truth, t->stream, frame, start));
  else if (t->run.isotropic)
    MOTE_TRY(mote_upload(t->stream, start->deformation_gradient, p->deformation_gradient, bytes));
  return turns ? turn_matter(t, frame, start->deformation_gradient) : MOTE_OK;
}

static mote_status run_from(mote_constitutive *t, int64_t frame, int64_t steps, mote_unrolled_seen *seen,
                            void *user) {
  const mote_unrolled_state start = mote_unrolled_state_in(&t->unrolled, &t->start, 0);
  return mote_unrolled_run(&t->unrolled, frame * t->truth.every, steps, &start, seen, user);
}

/* A law that cannot be simulated to the piece's end is learned from as far as it got. */
static mote_status run_piece(mote_constitutive *t, mote_piece *piece) {
  const int64_t every = t->truth.every;
  comparison c = {.t = t, .last_frame = piece->begin}; /* which notes how far, without weights */
  const mote_unrolled_state start = mote_unrolled_state_in(&t->unrolled, &t->start, 0);
  MOTE_TRY(set_start(t, piece->begin, t->run.finds_law && t->run.isotropic, &start));
  mote_status status = run_from(t, piece->begin, (piece->end - piece->begin) * every, on_the_way, &c);
  const int64_t reached = c.last_frame - piece->begin;
  if (status != MOTE_ERROR_NUMERIC || reached < 1 || !t->run.finds_law) return status;
  piece->end = piece->begin + reached;
  return run_from(t, piece->begin, reached * every, NULL, NULL);
}

mote_status mote_constitutive_piece(mote_constitutive *t, mote_piece *piece, double weight, double *loss) {
  *loss = NAN;
  MOTE_TRY(run_piece(t, piece));
  const double frames = (double)(piece->end - piece->begin), h = (double)t->run.scene.grid_spacing,
               v = t->truth.speed, dim = t->truth.dim;
  comparison c = {.t = t, .first = piece->begin};
  /* the kernel's mean is over axes too */
  c.position = weight * t->run.position_weight * dim / (frames * h * h);
  c.velocity = t->run.velocity_weight > 0 ? weight * t->run.velocity_weight * dim / (frames * v * v) : 0;
  mote_unrolled_state start;
  const mote_arena arena =
      t->run.finds_law ? mote_trained_weights_arena(&t->weights, t->gradient.data) : (mote_arena){0};
  const int64_t steps = (piece->end - piece->begin) * t->truth.every;
  MOTE_TRY(begin_sums(t, piece->end - piece->begin + 1));
  MOTE_TRY(mote_unrolled_backward(&t->unrolled, &arena, on_the_way_back, &c, &start));
  if (!t->run.finds_law) MOTE_TRY(mote_unknowns_gather(t, &start));
  t->steps += steps;
  MOTE_TRY(sum_up(t, piece->begin, piece->end, loss));
  *loss /= weight;
  return MOTE_OK;
}

/* What cannot be simulated to its end stays where it was last: an error that an explosion would exceed. */
static mote_status hold(const comparison *c, int64_t last) {
  const mote_truth *truth = &c->t->truth;
  for (int64_t frame = c->last_frame + 1; frame <= last; frame++)
    MOTE_TRY(compare(c, frame, c->last.position, &truth->position, c->position, 0, NULL));
  return MOTE_OK;
}

static mote_status validate(mote_constitutive *t, double *squared, int *whole) {
  const int64_t last = t->truth.frames - 1;
  comparison c = {.t = t, .position = t->truth.dim};
  c.last = mote_unrolled_state_in(&t->unrolled, &t->start, 0);
  MOTE_TRY(begin_sums(t, last + 1));
  MOTE_TRY(set_start(t, 0, 0, &c.last));
  mote_status status = run_from(t, 0, last * t->truth.every, on_the_way, &c);
  *whole = status == MOTE_OK;
  if (status != MOTE_OK && status != MOTE_ERROR_NUMERIC) return status;
  MOTE_TRY(hold(&c, last));
  MOTE_TRY(sum_up(t, 0, last, squared));
  *squared /= (double)last;
  return MOTE_OK;
}

mote_status mote_constitutive_validate(mote_constitutive *t, double *squared, int *whole) {
  if (!t->run.finds_law) {
    MOTE_TRY(mote_unknowns_apply(t, t->search.x));
    return validate(t, squared, whole);
  }
  MOTE_TRY(mote_trained_weights_pack_average(&t->weights));
  t->unrolled.law = t->average;
  mote_status status = validate(t, squared, whole);
  t->unrolled.law = t->law;
  return status;
}
