#include "host/train/truth.h"

#include <math.h>
#include <stdlib.h>

#include <mote/random.h>
#include <mote/trajectory.h>

#include "host/core/error.h"

typedef struct field {
  const char *name;
  mote_buffer *to;
  int width; /* floats a particle */
  int *has;
} field;

#define FIELDS 5
static void list_fields(mote_truth *t, int *has, field list[FIELDS]) {
  const int d = t->dim;
  const field all[FIELDS] = {{"position", &t->position, d, &has[0]},
                             {"velocity", &t->velocity, d, &has[1]},
                             {"affine_velocity", &t->affine_velocity, d * d, &has[2]},
                             {"deformation_gradient", &t->deformation_gradient, d * d, &has[3]},
                             {"history", &t->history, 1, &has[4]}};
  for (int k = 0; k < FIELDS; k++) list[k] = all[k];
}

void mote_truth_free(mote_truth *t) {
  int has[FIELDS];
  field list[FIELDS];
  list_fields(t, has, list);
  for (int k = 0; k < FIELDS; k++) mote_buffer_free(list[k].to);
  *t = (mote_truth){0};
}

/* Frame by frame, so that the host holds one. */
static mote_status load_field(mote_truth *t, mote_stream *stream, mote_trajectory_reader *reader,
                              const mote_truth_options *o, const field *f) {
  const int noisy = f->to == &t->position && o->noise > 0;
  const size_t row = (size_t)(t->n * f->width);
  float *frame = malloc(row * sizeof *frame);
  double squares = 0;
  if (!frame) return mote_fail(MOTE_ERROR_MEMORY, "out of memory for a frame");
  mote_status status = mote_buffer_reserve(f->to, stream->device, (size_t)t->frames * row * sizeof(float));
  for (int64_t k = 0; k < t->frames && status == MOTE_OK; k++) {
    status = mote_trajectory_read_frames(reader, 0, f->name, k, 1, frame);
    for (size_t i = 0; i < row && noisy; i++)
      frame[i] += (float)o->noise * mote_random_normal(o->seed, 81, (uint64_t)k * row + i, 0);
    for (size_t i = 0; i < row && status == MOTE_OK && f->to == &t->velocity; i++)
      squares += (double)frame[i] * (double)frame[i];
    if (status == MOTE_OK)
      status = mote_upload(stream, (float *)f->to->data + k * (int64_t)row, frame, row * sizeof(float));
    if (status == MOTE_OK) status = mote_stream_synchronize(stream);
  }
  free(frame);
  if (f->to == &t->velocity) t->speed = sqrt(squares / (double)(t->frames * t->n));
  return status;
}

/* Frames must be a whole number of the scene's steps apart, as many each time. */
static mote_status check_times(mote_truth *t, mote_trajectory_reader *reader, double time_step) {
  double *time = malloc((size_t)t->frames * sizeof *time);
  if (!time) return mote_fail(MOTE_ERROR_MEMORY, "out of memory for times");
  mote_status status = mote_trajectory_read_times(reader, 0, 0, t->frames, time);
  if (status == MOTE_OK) {
    const double apart = time[1] - time[0];
    t->every = (int64_t)llround(apart / time_step);
    for (int64_t k = 0; k < t->frames && status == MOTE_OK; k++)
      if (t->every < 1 || fabs(time[k] - time[0] - (double)(k * t->every) * time_step) > 0.05 * time_step)
        status = mote_fail(MOTE_ERROR_ARGUMENT,
                           "frame %lld is of %g s and the first of %g s: expected frames that lie a whole "
                           "number of the scene's steps, %g s, apart, always the same",
                           (long long)k, time[k], time[0], time_step);
  }
  free(time);
  return status;
}

static mote_status load(mote_truth *t, mote_stream *stream, mote_trajectory_reader *reader,
                        const mote_scene *scene, const mote_truth_options *o) {
  mote_trajectory_info info;
  int has[FIELDS];
  field list[FIELDS];
  MOTE_TRY(mote_trajectory_get_info(reader, 0, &info));
  if (info.particles != scene->particles.count || info.dim != scene->dim)
    return mote_fail(MOTE_ERROR_ARGUMENT,
                     "it is of %lld particles in %d-D, and the scene of %lld in %d-D: expected the same ones",
                     (long long)info.particles, info.dim, (long long)scene->particles.count, scene->dim);
  t->n = info.particles;
  t->dim = info.dim;
  t->frames = o->frames > 0 && o->frames < info.frames ? o->frames : info.frames;
  if (t->frames < 2) return mote_fail(MOTE_ERROR_ARGUMENT, "it has one frame: expected two or more");
  MOTE_TRY(check_times(t, reader, o->time_step));
  list_fields(t, has, list);
  t->has_states = !(o->noise > 0);
  for (int k = 0; k < FIELDS; k++) {
    const int width = mote_trajectory_field_width(reader, 0, list[k].name);
    *list[k].has = width == list[k].width;
    if (width && width != list[k].width)
      return mote_fail(MOTE_ERROR_FORMAT, "its \"%s\" has %d numbers a particle: expected %d", list[k].name,
                       width, list[k].width);
    if (!width) t->has_states = 0;
  }
  t->has_velocity = has[1];
  for (int k = 0; k < FIELDS; k++)
    if (k < 2 ? has[k] : t->has_states) MOTE_TRY(load_field(t, stream, reader, o, &list[k]));
  return MOTE_OK;
}

mote_status mote_truth_load(mote_stream *stream, const char *path, const mote_scene *scene,
                            const mote_truth_options *options, mote_truth *t) {
  mote_trajectory_reader *reader;
  *t = (mote_truth){0};
  MOTE_TRY(mote_trajectory_open(path, &reader));
  mote_status status = mote_trajectory_count(reader) > 0
                           ? load(t, stream, reader, scene, options)
                           : mote_fail(MOTE_ERROR_FORMAT, "it has no trajectory");
  mote_trajectory_close(reader);
  return status == MOTE_OK ? MOTE_OK : mote_fail_within(status, "%s", path);
}

mote_status mote_truth_state(const mote_truth *t, mote_stream *stream, int64_t frame,
                             const mote_unrolled_state *to) {
  const struct {
    const mote_buffer *from;
    float *to;
    int64_t width;
  } list[FIELDS] = {{&t->position, to->position, t->dim},
                    {&t->velocity, to->velocity, t->dim},
                    {&t->affine_velocity, to->affine_velocity, t->dim * t->dim},
                    {&t->deformation_gradient, to->deformation_gradient, t->dim * t->dim},
                    {&t->history, to->history, 1}};
  for (int k = 0; k < FIELDS; k++) {
    const int64_t row = t->n * list[k].width;
    MOTE_TRY(mote_copy_on_device(stream, list[k].to, (const float *)list[k].from->data + frame * row,
                                 (size_t)row * sizeof(float)));
  }
  return MOTE_OK;
}
