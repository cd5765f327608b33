/* The sources of a movie: reading their frames, and what must hold for the whole movie (domain, colour
 * ranges). */
#include "host/render/film.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "host/core/error.h"

#define SURVEY_FRAMES 48 /* at most so many frames are looked at for the ranges */
#define SURVEY_VALUES 20000

static mote_status open_source(mote_film *film, int index, const mote_render_source *source) {
  mote_film_source *f = &film->sources[index];
  f->source = *source;
  MOTE_TRY(mote_trajectory_get_info(source->reader, source->trajectory, &f->info));
  if (f->info.dim != film->sources[0].info.dim)
    return mote_fail(MOTE_ERROR_ARGUMENT, "cannot draw %d-D and %d-D trajectories side by side",
                     film->sources[0].info.dim, f->info.dim);
  if (f->info.frames < 1)
    return mote_fail(MOTE_ERROR_ARGUMENT, "trajectory %d of panel %d has no frame", source->trajectory,
                     index);
  if (source->color == MOTE_COLOR_ERROR) {
    const mote_render_source *truth = film->options.against;
    mote_trajectory_info info;
    if (!truth)
      return mote_fail(MOTE_ERROR_ARGUMENT,
                       "colour by error needs a trajectory to compare against (--against)");
    MOTE_TRY(mote_trajectory_get_info(truth->reader, truth->trajectory, &info));
    if (info.particles != f->info.particles || info.dim != f->info.dim)
      return mote_fail(MOTE_ERROR_ARGUMENT,
                       "colour by error: %lld particles in %d-D cannot be compared with %lld in %d-D",
                       (long long)f->info.particles, f->info.dim, (long long)info.particles, info.dim);
    film->frames = info.frames < film->frames ? info.frames : film->frames;
  }
  f->has_velocity =
      mote_trajectory_field_width(source->reader, source->trajectory, "velocity") == f->info.dim;
  film->frames = f->info.frames < film->frames ? f->info.frames : film->frames;
  size_t n = (size_t)f->info.particles + 1;
  f->position = malloc(n * (size_t)f->info.dim * sizeof(float));
  f->other = malloc(n * (size_t)f->info.dim * sizeof(float));
  f->value = malloc(n * sizeof(float));
  f->label = malloc(n * sizeof(int32_t));
  if (f->position && f->other && f->value && f->label) return MOTE_OK;
  return mote_fail(MOTE_ERROR_MEMORY, "out of memory for %lld particles", (long long)f->info.particles);
}

void mote_film_close(mote_film *film) {
  for (int s = 0; s < film->count; s++) {
    free(film->sources[s].position);
    free(film->sources[s].other);
    free(film->sources[s].value);
    free(film->sources[s].label);
  }
  *film = (mote_film){0};
}

/* Distances |position - other| times `scale`, or lengths of other with position NULL. */
static void lengths(const float *position, const float *other, int64_t n, int dim, float scale,
                    float *value) {
  for (int64_t i = 0; i < n; i++) {
    double sum = 0;
    for (int k = 0; k < dim; k++) {
      double d = other[i * dim + k] - (position ? (double)position[i * dim + k] : 0);
      sum += d * d;
    }
    value[i] = (float)sqrt(sum) * scale;
  }
}

static mote_status read_speed(mote_film *film, mote_film_source *f, int64_t frame) {
  const mote_render_source *s = &f->source;
  if (f->has_velocity) {
    MOTE_TRY(mote_trajectory_read_frames(s->reader, s->trajectory, "velocity", frame, 1, f->other));
    lengths(NULL, f->other, f->info.particles, f->info.dim, 1, f->value);
    return MOTE_OK;
  }
  int64_t near = frame > 0 ? frame - 1 : f->info.frames > 1 ? frame + 1 : frame;
  MOTE_TRY(mote_trajectory_read_frames(s->reader, s->trajectory, "position", near, 1, f->other));
  lengths(f->position, f->other, f->info.particles, f->info.dim,
          film->frame_time > 0 ? (float)(1 / film->frame_time) : 1, f->value);
  return MOTE_OK;
}

static mote_status read_source(mote_film *film, mote_film_source *f, int64_t frame) {
  const mote_render_source *s = &f->source, *truth = film->options.against;
  MOTE_TRY(mote_trajectory_read_frames(s->reader, s->trajectory, "position", frame, 1, f->position));
  if (s->color == MOTE_COLOR_SPEED) return read_speed(film, f, frame);
  if (s->color != MOTE_COLOR_ERROR) return MOTE_OK;
  MOTE_TRY(mote_trajectory_read_frames(truth->reader, truth->trajectory, "position", frame, 1, f->other));
  lengths(f->position, f->other, f->info.particles, f->info.dim, film->error_scale, f->value);
  return MOTE_OK;
}

static int compare_floats(const void *a, const void *b) {
  float x = *(const float *)a, y = *(const float *)b;
  return (x > y) - (x < y);
}

/* The value that 99.5 % of a sample of the finite ones do not exceed. */
static float high_value(const float *value, int64_t n, float *scratch) {
  int64_t stride = n / SURVEY_VALUES + 1, count = 0;
  for (int64_t i = 0; i < n; i += stride)
    if (isfinite(value[i])) scratch[count++] = value[i];
  if (!count) return 0;
  qsort(scratch, (size_t)count, sizeof *scratch, compare_floats);
  return scratch[(count - 1) * 995 / 1000];
}

static void widen(mote_render_options *o, const mote_film_source *f) {
  for (int64_t i = 0; i < f->info.particles; i++)
    for (int k = 0; k < f->info.dim; k++) {
      double x = f->position[i * f->info.dim + k];
      if (!isfinite(x)) continue;
      o->lower[k] = fmin(o->lower[k], x);
      o->upper[k] = fmax(o->upper[k], x);
    }
}

static void close_domain(mote_render_options *o, int dim) {
  double extent = 0;
  for (int k = 0; k < dim; k++) extent = fmax(extent, o->upper[k] - o->lower[k]);
  if (!(extent > 0 && isfinite(extent))) extent = 1;
  for (int k = 0; k < dim; k++) {
    if (!(o->lower[k] <= o->upper[k])) o->lower[k] = 0, o->upper[k] = 0;
    double margin = fmax(0.02 * extent, (0.05 * extent - (o->upper[k] - o->lower[k])) / 2);
    o->lower[k] -= margin;
    o->upper[k] += margin;
  }
}

/* One pass over a choice of frames, for the ranges of the colours and, without metadata, the domain. */
static mote_status survey(mote_film *film, int find_domain) {
  mote_render_options *o = &film->options.render;
  int64_t stride = film->frames / SURVEY_FRAMES + 1;
  float *scratch = malloc((SURVEY_VALUES + 2) * sizeof *scratch);
  if (!scratch) return mote_fail(MOTE_ERROR_MEMORY, "out of memory while drawing");
  mote_status status = MOTE_OK;
  for (int k = 0; k < 3 && find_domain; k++) o->lower[k] = INFINITY, o->upper[k] = -INFINITY;
  for (int s = 0; s < film->count && status == MOTE_OK; s++) {
    mote_film_source *f = &film->sources[s];
    int colored = f->source.color != MOTE_COLOR_MATERIAL;
    for (int64_t t = 0; t < film->frames && status == MOTE_OK && (colored || find_domain || t == 0);
         t += stride) {
      status = read_source(film, f, t);
      if (status != MOTE_OK) break;
      if (t == 0) f->radius = f->source.radius;
      if (t == 0 && f->radius <= 0)
        f->radius = mote_render_radius(f->position, f->info.particles, f->info.dim);
      if (find_domain) widen(o, f);
      if (!colored) continue;
      float *range = f->source.color == MOTE_COLOR_SPEED ? &film->speed_max : &film->error_max;
      *range = fmaxf(*range, high_value(f->value, f->info.particles, scratch));
    }
  }
  free(scratch);
  if (find_domain) close_domain(o, o->dim);
  return status;
}

/* Many fewer particles than the fullest panel has: they are drawn apart rather than as a closed body. */
static void shrink_sparse(mote_film *film) {
  int64_t most = 0;
  for (int s = 0; s < film->count; s++)
    most = most > film->sources[s].info.particles ? most : film->sources[s].info.particles;
  for (int s = 0; s < film->count; s++)
    if (film->sources[s].source.radius <= 0 && film->sources[s].info.particles * 4 < most)
      film->sources[s].radius *= 0.75f;
}

mote_status mote_film_open(mote_film *film, const mote_render_source *sources, int count,
                           const mote_render_trajectory_options *options) {
  *film = (mote_film){.options = *options, .frames = INT64_MAX, .error_scale = 1};
  if (count < 1 || count > MOTE_RENDER_PANELS)
    return mote_fail(MOTE_ERROR_ARGUMENT, "%d trajectories to draw: expected 1 to %d", count,
                     MOTE_RENDER_PANELS);
  film->count = count;
  for (int s = 0; s < count; s++) MOTE_TRY(open_source(film, s, &sources[s]));
  mote_render_options *o = &film->options.render;
  const mote_metadata *m = options->metadata;
  o->dim = film->sources[0].info.dim;
  for (int k = 0; k < o->dim && m; k++) {
    o->lower[k] = m->bounds[k][0];
    o->upper[k] = m->bounds[k][1];
    if (fabs(m->gravity[k]) > fabs(m->gravity[o->up < o->dim ? o->up : 0])) o->up = k;
  }
  if (o->up >= o->dim) o->up = o->dim - 1;
  if (m) film->frame_time = m->dt * (m->write_every > 0 ? m->write_every : 1);
  MOTE_TRY(survey(film, m == NULL));
  if (film->error_max < 0.01f) {
    film->error_scale = 1000;
    film->error_max *= 1000;
  }
  shrink_sparse(film);
  return mote_film_read_labels(film);
}

mote_status mote_film_read(mote_film *film, int64_t frame, mote_render_panel *panels) {
  for (int s = 0; s < film->count; s++) {
    mote_film_source *f = &film->sources[s];
    MOTE_TRY(read_source(film, f, frame));
    int speed = f->source.color == MOTE_COLOR_SPEED, colored = f->source.color != MOTE_COLOR_MATERIAL;
    panels[s] = (mote_render_panel){.title = f->source.title,
                                    .count = f->info.particles,
                                    .position = f->position,
                                    .radius = f->radius,
                                    .label = f->label,
                                    .value = colored ? f->value : NULL,
                                    .value_max = speed ? film->speed_max : film->error_max};
    if (panels[s].value_max <= 0) panels[s].value_max = 1;
    panels[s].value_label = !speed ? film->error_scale == 1 ? "error (m)" : "error (mm)"
                            : f->has_velocity || film->frame_time > 0 ? "speed (m/s)"
                                                                      : "speed (m a frame)";
  }
  return MOTE_OK;
}
