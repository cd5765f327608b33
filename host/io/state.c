/* A frame of a trajectory as starting particles. What the file holds is taken by its name; what it lacks is a
   body at rest. */
#include <mote/trajectory.h>

#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "host/core/error.h"

#define WATER_DENSITY 1000.0f

typedef struct source {
  mote_trajectory_reader *reader;
  int index;
  int64_t frame;
  mote_trajectory_info info;
} source;

/* The field's frame, or its constant; *found tells whether the file has either. */
static mote_status read_field(source s, const char *name, int width, float *values, int *found) {
  int has = mote_trajectory_field_width(s.reader, s.index, name);
  *found = has == width;
  if (*found) return mote_trajectory_read_frames(s.reader, s.index, name, s.frame, 1, values);
  if (has)
    return mote_fail(MOTE_ERROR_FORMAT, "field '%s' has %d values a particle; expected %d", name, has, width);
  for (int k = 0; width == 1; k++) {
    const char *constant = mote_trajectory_constant_name(s.reader, s.index, k);
    if (!constant) break;
    *found = strcmp(constant, name) == 0;
    if (*found) return mote_trajectory_read_constant(s.reader, s.index, name, values);
  }
  return MOTE_OK;
}

static mote_status read_labels(source s, const char *name, int32_t *values) {
  if (!mote_trajectory_has_labels(s.reader, s.index, name)) return MOTE_OK;
  return mote_trajectory_read_labels(s.reader, s.index, name, values);
}

/* Velocity as the difference of two neighbouring frames, the shorter way round a periodic domain. */
static mote_status difference(source s, const mote_metadata *metadata, float *velocity) {
  if (s.info.frames < 2) return MOTE_OK;
  int64_t first = s.frame > 0 ? s.frame - 1 : 0, floats = s.info.particles * s.info.dim;
  double times[2];
  MOTE_TRY(mote_trajectory_read_times(s.reader, s.index, first, 2, times));
  if (!(times[1] > times[0])) return mote_fail(MOTE_ERROR_FORMAT, "the times of its frames do not grow");
  float *pair = malloc(2 * (size_t)floats * sizeof *pair);
  if (!pair)
    return mote_fail(MOTE_ERROR_MEMORY, "out of memory for %lld particles", (long long)s.info.particles);
  mote_status status = mote_trajectory_read_frames(s.reader, s.index, "position", first, 2, pair);
  for (int64_t k = 0; status == MOTE_OK && k < floats; k++) {
    int d = (int)(k % s.info.dim);
    double step = (double)pair[floats + k] - (double)pair[k];
    double period = metadata && metadata->periodic[d] ? metadata->bounds[d][1] - metadata->bounds[d][0] : 0;
    if (period > 0) step -= period * nearbyint(step / period);
    velocity[k] = (float)(step / (times[1] - times[0]));
  }
  free(pair);
  return status;
}

static mote_status fill(source s, mote_particles *p) {
  int dim = s.info.dim, found;
  mote_metadata metadata;
  int known = mote_trajectory_read_metadata(s.reader, &metadata) == MOTE_OK && metadata.dim == dim;
  MOTE_TRY(read_field(s, "position", dim, p->position, &found));
  MOTE_TRY(read_field(s, "velocity", dim, p->velocity, &found));
  if (!found) MOTE_TRY(difference(s, known ? &metadata : NULL, p->velocity));
  MOTE_TRY(read_field(s, "deformation_gradient", dim * dim, p->deformation_gradient, &found));
  MOTE_TRY(read_field(s, "affine_velocity", dim * dim, p->affine_velocity, &found));
  MOTE_TRY(read_field(s, "history", 1, p->history, &found));
  MOTE_TRY(read_field(s, "volume", 1, p->volume, &found));
  double cell = known ? pow(metadata.dx, dim) : 0;
  for (int64_t i = 0; !found && i < p->count; i++) p->volume[i] = (float)cell;
  MOTE_TRY(read_field(s, "density", 1, p->density, &found));
  for (int64_t i = 0; !found && i < p->count; i++) p->density[i] = WATER_DENSITY;
  MOTE_TRY(read_labels(s, "material", p->material));
  MOTE_TRY(read_labels(s, "body", p->body));
  return read_labels(s, "particle_type", p->particle_type);
}

mote_status mote_state_read(const char *path, int index, int64_t frame, mote_particles *particles) {
  source s = {.index = index};
  *particles = (mote_particles){0};
  MOTE_TRY(mote_trajectory_open(path, &s.reader));
  mote_status status = mote_trajectory_get_info(s.reader, index, &s.info);
  s.frame = frame < 0 ? frame + s.info.frames : frame;
  if (status == MOTE_OK && (s.frame < 0 || s.frame >= s.info.frames))
    status = mote_fail(MOTE_ERROR_ARGUMENT, "%s has frames 0 to %lld, not %lld", path,
                       (long long)s.info.frames - 1, (long long)frame);
  if (status == MOTE_OK) status = mote_particles_create(s.info.particles, s.info.dim, particles);
  if (status == MOTE_OK) status = fill(s, particles);
  mote_trajectory_close(s.reader);
  if (status == MOTE_OK) return MOTE_OK;
  mote_particles_destroy(particles);
  return mote_fail_within(status, "state of %s", path);
}
