/* Scene to trajectory file. The trick: the writer streams, so memory holds two frames whatever the length. */
#include <mote/record.h>

#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <mote/simulation.h>

#include "host/core/clock.h"
#include "host/core/error.h"
#include "host/core/stdio_output.h"

#define MAX_FIELDS 5

typedef struct recorder {
  const mote_scene *scene;
  const mote_record_options *options;
  mote_simulation *simulation;
  mote_trajectory_writer *writer;
  mote_particles state;
  mote_stdio_output diagnostics;
} recorder;

mote_status mote_scene_metadata(const mote_scene *scene, double time_step, mote_metadata *m) {
  *m = (mote_metadata){.dim = scene->dim, .dt = time_step, .write_every = scene->steps_per_frame};
  double volume = 0;
  const mote_particles *p = &scene->particles;
  for (int64_t i = 0; i < p->count; i++) volume += p->volume[i];
  if (p->count == 0 || volume <= 0)
    return mote_fail(MOTE_ERROR_ARGUMENT, "scene '%s' has no particles", scene->name);
  m->dx = pow(volume / (double)p->count, 1.0 / scene->dim);
  m->connectivity_radius = 1.45 * m->dx;
  double wall = (double)scene->boundary_cells * scene->grid_spacing;
  for (int d = 0; d < scene->dim; d++) {
    m->bounds[d][0] = scene->lower[d] + wall;
    m->bounds[d][1] = scene->lower[d] + (double)scene->cells[d] * scene->grid_spacing - wall;
    m->gravity[d] = scene->gravity[d];
  }
  if (scene->material_count <= MOTE_METADATA_MATERIALS) m->material_count = scene->material_count;
  for (int k = 0; k < m->material_count; k++) {
    snprintf(m->materials[k].name, sizeof m->materials[k].name, "%.31s", scene->materials[k].name);
    snprintf(m->materials[k].kind, sizeof m->materials[k].kind, "%s",
             mote_material_kind_name(scene->materials[k].kind));
  }
  m->sequence_length = scene->frames + 1;
  m->particle_count = p->count;
  return MOTE_OK;
}

/* What is stored, and from where. */
static int list_fields(const recorder *r, mote_trajectory_field field[MAX_FIELDS],
                       const float *values[MAX_FIELDS]) {
  const int dim = r->scene->dim, all = r->options->state;
  const struct {
    int wanted;
    mote_trajectory_field field;
    const float *values;
  } list[MAX_FIELDS] = {{1, {"position", 1, {dim, 0}}, r->state.position},
                        {all || r->options->velocity, {"velocity", 1, {dim, 0}}, r->state.velocity},
                        {all || r->options->deformation_gradient,
                         {"deformation_gradient", 2, {dim, dim}},
                         r->state.deformation_gradient},
                        {all, {"affine_velocity", 2, {dim, dim}}, r->state.affine_velocity},
                        {all, {"history", 0, {0, 0}}, r->state.history}};
  int fields = 0;
  for (int k = 0; k < MAX_FIELDS; k++) {
    if (!list[k].wanted) continue;
    field[fields] = list[k].field;
    values[fields++] = list[k].values;
  }
  return fields;
}

static mote_status start_writer(recorder *r, const char *path) {
  const mote_scene *scene = r->scene;
  const int dim = scene->dim;
  const float *values[MAX_FIELDS];
  mote_trajectory_field field[MAX_FIELDS];
  const int fields = list_fields(r, field, values);
  mote_metadata metadata;
  MOTE_TRY(mote_scene_metadata(scene, mote_simulation_time_step(r->simulation), &metadata));
  mote_trajectory_options options = {.particles = scene->particles.count,
                                     .dim = dim,
                                     .field_count = fields,
                                     .fields = field,
                                     .particle_type = scene->particles.particle_type,
                                     .material = scene->particles.material,
                                     .body = scene->particles.body,
                                     .compression = r->options->compression,
                                     .metadata = &metadata,
                                     .write_xdmf = r->options->write_xdmf};
  return mote_trajectory_create(path, &options, &r->writer);
}

static mote_status start_diagnostics(recorder *r, const char *path) {
  if (!r->options->diagnostics) return MOTE_OK;
  char *csv = mote_path_replace_extension(path, ".diagnostics.csv");
  if (!csv) return mote_fail(MOTE_ERROR_MEMORY, "out of memory writing the diagnostics of %s", path);
  mote_status status = mote_stdio_begin(csv, 1, &r->diagnostics);
  free(csv);
  if (status != MOTE_OK) return status;
  fprintf(r->diagnostics.file,
          "time,mass,momentum_x,momentum_y,momentum_z,angular_x,angular_y,angular_z,kinetic,"
          "elastic,potential,center_x,center_y,center_z,largest_speed\n");
  return MOTE_OK;
}

static mote_status diagnose(recorder *r, double time) {
  if (!r->diagnostics.file) return MOTE_OK;
  mote_diagnostics d;
  MOTE_TRY(mote_simulation_diagnose(r->simulation, &d));
  const double *p = d.linear_momentum, *a = d.angular_momentum, *c = d.center_of_mass;
  fprintf(r->diagnostics.file, "%.9g,%.9g,%.9g,%.9g,%.9g,%.9g,%.9g,%.9g,%.9g,%.9g,%.9g,%.9g,%.9g,%.9g,%.9g\n",
          time, d.mass, p[0], p[1], p[2], a[0], a[1], a[2], d.kinetic_energy, d.elastic_energy,
          d.potential_energy, c[0], c[1], c[2], d.largest_speed);
  return MOTE_OK;
}

static mote_status write_frame(recorder *r) {
  if (r->options->deformation_gradient || r->options->state)
    MOTE_TRY(mote_simulation_read(r->simulation, &r->state));
  else
    MOTE_TRY(mote_simulation_read_motion(r->simulation, r->state.position,
                                         r->options->velocity ? r->state.velocity : NULL));
  double time = mote_simulation_time(r->simulation);
  const float *values[MAX_FIELDS];
  mote_trajectory_field field[MAX_FIELDS];
  list_fields(r, field, values);
  MOTE_TRY(mote_trajectory_append(r->writer, time, values));
  return diagnose(r, time);
}

static int report(const mote_monitor *monitor, int64_t frame, int64_t frames) {
  if (!monitor || !monitor->progress) return 0;
  return monitor->progress(monitor->user, "simulate", "frames", frame, frames);
}

static mote_status run(recorder *r, const mote_monitor *monitor, mote_record_summary *summary) {
  MOTE_TRY(write_frame(r));
  summary->frames = 1;
  int stop = report(monitor, 0, r->scene->frames);
  for (int64_t frame = 1; frame <= r->scene->frames && !stop; frame++) {
    double start = mote_clock_seconds();
    mote_status status = mote_simulation_step(r->simulation, r->scene->steps_per_frame);
    if (status != MOTE_OK) return mote_fail_within(status, "frame %lld", (long long)frame);
    summary->solver_seconds += mote_clock_seconds() - start;
    summary->steps += r->scene->steps_per_frame;
    MOTE_TRY(write_frame(r));
    summary->frames++;
    stop = report(monitor, frame, r->scene->frames);
  }
  return MOTE_OK;
}

mote_status mote_record(const mote_scene *scene, mote_device *device, const char *path,
                        const mote_record_options *options, const mote_monitor *monitor,
                        mote_record_summary *summary) {
  recorder r = {.scene = scene, .options = options};
  mote_record_summary totals = {.particles = scene->particles.count};
  mote_status status = mote_simulation_create(scene, device, &r.simulation);
  if (status == MOTE_OK) status = mote_particles_create(scene->particles.count, scene->dim, &r.state);
  if (status == MOTE_OK) status = start_writer(&r, path);
  if (status == MOTE_OK) status = start_diagnostics(&r, path);
  if (status == MOTE_OK) status = run(&r, monitor, &totals);
  if (status == MOTE_OK)
    status = mote_trajectory_finish(r.writer);
  else
    mote_trajectory_abort(r.writer);
  if (r.diagnostics.file && status == MOTE_OK)
    status = mote_stdio_commit(&r.diagnostics);
  else if (r.diagnostics.file)
    mote_stdio_abort(&r.diagnostics);
  mote_particles_destroy(&r.state);
  mote_simulation_destroy(r.simulation);
  if (summary) *summary = totals;
  return status;
}
