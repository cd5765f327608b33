/* mote-bench mpm: a block of water and one of sand, 8 particles a cell, sliding and falling in a box. */
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <mote/random.h>
#include <mote/simulation.h>

#include "bench/bench.h"
#include "host/core/error.h"

/* A cube of n particles, two an axis in each cell, jittered; the grid leaves as much room again around it. */
static mote_status make_block(int64_t n, mote_material_kind kind, mote_scene *scene) {
  int side = (int)lround(cbrt((double)n));
  int cells = side + 8; /* twice the cube's side/2 cells, and the walls */
  MOTE_TRY(mote_scene_create(3, scene));
  scene->grid_spacing = 1.0f / (float)cells;
  for (int d = 0; d < 3; d++) scene->cells[d] = cells;
  scene->materials = calloc(1, sizeof *scene->materials);
  if (!scene->materials) return mote_fail(MOTE_ERROR_MEMORY, "out of memory");
  scene->material_count = 1;
  mote_material_defaults(kind, scene->materials);
  MOTE_TRY(mote_particles_create((int64_t)side * side * side, 3, &scene->particles));
  mote_particles *p = &scene->particles;
  float spacing = scene->grid_spacing / 2;
  for (int64_t i = 0; i < p->count; i++) {
    int64_t at[3] = {i % side, i / side % side, i / side / side};
    for (int d = 0; d < 3; d++)
      p->position[3 * i + d] = scene->grid_spacing * (4 + (d == 1 ? 0 : side / 4)) +
                               spacing * ((float)at[d] + 0.25f + 0.5f * mote_random_uniform(1, 1, i, d));
    p->volume[i] = spacing * spacing * spacing;
    p->density[i] = scene->materials[0].density;
    p->velocity[3 * i] = 1;
  }
  return MOTE_OK;
}

static mote_status run_steps(void *context, mote_stream *stream) {
  (void)stream;
  return mote_simulation_step(context, 10);
}

static mote_status time_material(bench_context *bench, int64_t n, mote_material_kind kind) {
  mote_scene scene = {0};
  mote_simulation *simulation = NULL;
  char name[64];
  snprintf(name, sizeof name, "mpm/%s", mote_material_kind_name(kind));
  bench_result r = {.name = name, .unit = "particle-steps/s"};
  size_t before = mote_device_memory_use(bench->device).bytes_now;
  mote_status status = make_block(n, kind, &scene);
  if (status == MOTE_OK) status = mote_simulation_create(&scene, bench->device, &simulation);
  if (status == MOTE_OK) status = bench_time(bench, run_steps, simulation, 5, &r);
  if (status == MOTE_OK) {
    r.n = scene.particles.count;
    r.seconds /= 10;
    r.rate = (double)r.n / r.seconds;
    /* Position, velocity, affine velocity and F are read and written, the mass is read; the grid is cheap at
       8 particles a cell. */
    r.bytes = (double)r.n * 4 * (2 * (3 + 3 + 9 + 9) + 1);
    r.memory = mote_device_memory_use(bench->device).bytes_now - before;
    bench_add(bench, &r);
  }
  mote_simulation_destroy(simulation);
  mote_scene_destroy(&scene);
  return status;
}

mote_status bench_mpm(bench_context *bench) {
  int64_t n = bench->size ? bench->size : bench->quick ? 100000 : 1000000;
  mote_material_kind kinds[] = {MOTE_NEWTONIAN, MOTE_DRUCKER_PRAGER, MOTE_FIXED_COROTATED, MOTE_VON_MISES};
  for (int k = 0; k < 4; k++) {
    if (bench->material && strcmp(bench->material, mote_material_kind_name(kinds[k]))) continue;
    MOTE_TRY(time_material(bench, n, kinds[k]));
  }
  return MOTE_OK;
}
