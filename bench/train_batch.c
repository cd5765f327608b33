/* Examples to train on: made up, read and written. */
#include <math.h>
#include <stdlib.h>

#include <mote/random.h>

#include "bench/train.h"
#include "host/core/error.h"

#define NEIGHBOURS 30
#define SIDE 0.5 /* m, of the cube that a cloud fills, in a domain of 1 m */
#define VELOCITY 1e-3
#define PI 3.14159265358979

/* A lattice's spacing in radii, where a sphere of one radius holds a point and its neighbours. */
static double spacing_in_radii(int dim) {
  return dim == 2 ? sqrt(PI / (NEIGHBOURS + 1)) : cbrt(4.0 / 3 * PI / (NEIGHBOURS + 1));
}

static int64_t points_a_side(int dim, int64_t particles) {
  return (int64_t)ceil(pow((double)particles, 1.0 / dim) - 1e-9);
}

mote_metadata train_metadata(int dim, int64_t particles) {
  mote_metadata m = {.dim = dim, .dt = 1, .write_every = 1, .has_statistics = 1};
  m.connectivity_radius = SIDE / (double)points_a_side(dim, particles) / spacing_in_radii(dim);
  for (int a = 0; a < dim; a++) {
    m.bounds[a][1] = 1;
    m.velocity_mean[a] = VELOCITY * (a - 1);
    m.velocity_std[a] = VELOCITY;
    m.acceleration_std[a] = sqrt(2.0) * VELOCITY; /* of velocities that know nothing of each other */
  }
  return m;
}

/* ---- memory ---- */

static mote_status allocate(train_batch *b, int count, const mote_network_config *config) {
  *b = (train_batch){.count = count, .dim = config->dim, .frames = config->window + 2};
  b->example = calloc((size_t)count, sizeof *b->example);
  return b->example ? MOTE_OK : mote_fail(MOTE_ERROR_MEMORY, "out of memory for %d examples", count);
}

static mote_status allocate_example(const train_batch *b, int64_t particles, train_example *e) {
  e->particles = particles;
  e->frames = malloc((size_t)(b->frames * particles * b->dim + 1) * sizeof *e->frames);
  e->type = malloc((size_t)(particles + 1) * sizeof *e->type);
  return e->frames && e->type
             ? MOTE_OK
             : mote_fail(MOTE_ERROR_MEMORY, "out of memory for %lld particles", (long long)particles);
}

void train_batch_free(train_batch *b) {
  for (int k = 0; b->example && k < b->count; k++) {
    free(b->example[k].frames);
    free(b->example[k].type);
  }
  free(b->example);
  *b = (train_batch){0};
}

/* ---- made up ---- */

static void fill_example(const train_batch *b, const mote_metadata *m, int types, uint64_t seed,
                         train_example *e) {
  int64_t side = points_a_side(b->dim, e->particles);
  double spacing = m->connectivity_radius * spacing_in_radii(b->dim);
  for (int64_t i = 0; i < e->particles; i++) {
    int64_t cell = i;
    e->type[i] = (int32_t)mote_random_below(seed, 1, (uint64_t)i, (uint64_t)types);
    for (int a = 0; a < b->dim; a++, cell /= side) {
      double jitter = 0.8 * (mote_random_uniform(seed, 2, (uint64_t)i, a) - 0.5);
      double x = (m->bounds[a][0] + m->bounds[a][1]) / 2 +
                 spacing * ((double)(cell % side) - 0.5 * (double)(side - 1) + jitter);
      for (int f = 0; f < b->frames; f++) {
        e->frames[((int64_t)f * e->particles + i) * b->dim + a] = (float)x;
        x += m->velocity_mean[a] +
             m->velocity_std[a] * mote_random_normal(seed, 3 + (uint64_t)a,
                                                     (uint64_t)i * (uint64_t)b->frames + (uint64_t)f, 0);
      }
    }
  }
}

mote_status train_batch_invent(const mote_network_config *config, const mote_metadata *metadata,
                               int64_t particles, int count, train_batch *b) {
  mote_status status = allocate(b, count, config);
  if (status == MOTE_OK && !(metadata->connectivity_radius > 0))
    status = mote_fail(MOTE_ERROR_ARGUMENT,
                       "train: the model's metadata.json has no default_connectivity_radius, by which "
                       "particles are made up");
  for (int k = 0; k < count && status == MOTE_OK; k++) {
    status = allocate_example(b, particles, &b->example[k]);
    if (status == MOTE_OK) fill_example(b, metadata, config->types, 100 + (uint64_t)k, &b->example[k]);
  }
  return status;
}

/* ---- files ---- */

static mote_status read_example(mote_trajectory_reader *reader, int k, int types, const train_batch *b,
                                train_example *e) {
  mote_trajectory_info info;
  const char *name = mote_trajectory_name(reader, k);
  MOTE_TRY(mote_trajectory_get_info(reader, k, &info));
  if (info.dim != b->dim)
    return mote_fail(MOTE_ERROR_ARGUMENT, "trajectory %s is %d-D, the model %d-D", name, info.dim, b->dim);
  if (info.frames < b->frames)
    return mote_fail(MOTE_ERROR_ARGUMENT,
                     "trajectory %s has %lld frames: the model looks at %d and learns from one more", name,
                     (long long)info.frames, b->frames - 1);
  MOTE_TRY(allocate_example(b, info.particles, e));
  MOTE_TRY(mote_trajectory_read_frames(reader, k, "position", 0, b->frames, e->frames));
  MOTE_TRY(mote_trajectory_read_labels(reader, k, "particle_type", e->type));
  for (int64_t i = 0; i < info.particles; i++)
    if (e->type[i] < 0 || e->type[i] >= types)
      return mote_fail(MOTE_ERROR_ARGUMENT,
                       "trajectory %s has particles of type %d: the model's types are %d", name, e->type[i],
                       types);
  return MOTE_OK;
}

static mote_status read_batch(mote_trajectory_reader *reader, const mote_network_config *config, int count,
                              train_batch *b) {
  int there = mote_trajectory_count(reader);
  if (count > there)
    return mote_fail(MOTE_ERROR_ARGUMENT, "there are %d trajectories: --batch asks for %d", there, count);
  MOTE_TRY(allocate(b, count ? count : there, config));
  for (int k = 0; k < b->count; k++) MOTE_TRY(read_example(reader, k, config->types, b, &b->example[k]));
  return MOTE_OK;
}

mote_status train_batch_read(const char *path, const mote_network_config *config, int count, train_batch *b) {
  mote_trajectory_reader *reader;
  MOTE_TRY(mote_trajectory_open(path, &reader));
  mote_status status = read_batch(reader, config, count, b);
  mote_trajectory_close(reader);
  return status == MOTE_OK ? MOTE_OK : mote_fail_within(status, "%s", path);
}

static mote_status write_example(mote_trajectory_writer *writer, const train_batch *b,
                                 const train_example *e) {
  for (int f = 0; f < b->frames; f++) {
    const float *values[1] = {e->frames + (int64_t)f * e->particles * b->dim};
    MOTE_TRY(mote_trajectory_append(writer, f, values));
  }
  return MOTE_OK;
}

mote_status train_batch_write(const char *path, const train_batch *b, const mote_metadata *metadata) {
  mote_trajectory_writer *writer = NULL;
  mote_status status = MOTE_OK;
  for (int k = 0; k < b->count && status == MOTE_OK; k++) {
    mote_trajectory_options options = {.particles = b->example[k].particles,
                                       .dim = b->dim,
                                       .particle_type = b->example[k].type,
                                       .metadata = metadata,
                                       .metadata_path = ""};
    status = k ? mote_trajectory_next(writer, &options) : mote_trajectory_create(path, &options, &writer);
    if (status == MOTE_OK) status = write_example(writer, b, &b->example[k]);
  }
  if (status == MOTE_OK && writer) return mote_trajectory_finish(writer);
  mote_trajectory_abort(writer);
  return status;
}
