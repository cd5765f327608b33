/* The largest stable time step of a scene: the least of three limits on its grid, h the spacing.
   elastic    h / (c + |v|), c the material's fastest wave, v with what a fall across the domain adds:
              information crosses at most a cell a step;
   viscous    h^2 / (2 dim nu): explicit diffusion of momentum;
   advective  h / |v|, inside the first.
   SAFE is measured: blocks of every kind dropped at 2 m/s, in 2-D and 3-D, stay stable up to 0.72 of the
   elastic limit (the fluid fails first; compression makes waves faster than at rest) and beyond 1.3 of the
   viscous one. */
#include <math.h>
#include <stdlib.h>
#include <mote/scene.h>

#include "host/sim/changes.h"

#define SAFE 0.6

/* What a particle gains by falling as far as the domain lets it, (m/s)^2. */
static double fall(const mote_scene *scene, const float *x) {
  double gained = 0;
  for (int d = 0; d < scene->dim; d++) {
    double upper = scene->lower[d] + (double)scene->cells[d] * scene->grid_spacing;
    double way = scene->gravity[d] < 0 ? x[d] - scene->lower[d] : upper - x[d];
    gained += 2 * fabs(scene->gravity[d]) * fmax(way, 0);
  }
  return gained;
}

/* What is of a material, or may become it: the greatest speed, m/s, and the least density, kg/m^3, which is
   not the material's where that changes. The speed is that at the impact, not at the start: a step that only
   just holds at rest breaks there. */
typedef struct matter {
  double speed, density;
} matter;

static matter matter_of(const mote_scene *scene, int material, const unsigned char *origins) {
  const mote_particles *p = &scene->particles;
  double largest = 0, least = scene->materials[material].density;
  for (int64_t i = 0; i < p->count; i++) {
    if (!origins[p->material[i]]) continue;
    double sum = fall(scene, p->position + i * p->dim);
    for (int d = 0; d < p->dim; d++) {
      double v = p->velocity[i * p->dim + d];
      sum += v * v;
    }
    largest = fmax(largest, sum);
    least = fmin(least, p->density[i]);
  }
  return (matter){sqrt(largest), least};
}

/* Kinematic viscosity, m^2/s, of the part of the stress that is linear in the rate of strain. */
static double viscosity(const mote_material *m, double density) {
  if (m->kind != MOTE_NEWTONIAN && m->kind != MOTE_VISCOELASTIC) return 0;
  return m->viscosity / density;
}

static double limit_of(const mote_scene *scene, int material, const unsigned char *origins) {
  const mote_material *m = &scene->materials[material];
  const matter has = matter_of(scene, material, origins);
  const double h = scene->grid_spacing;
  const double wave = mote_material_wave_speed(m) * sqrt(m->density / has.density);
  const double nu = viscosity(m, has.density), viscous = nu > 0 ? h * h / (2 * scene->dim * nu) : INFINITY;
  return fmin(SAFE * h / (wave + has.speed), viscous);
}

float mote_scene_stable_time_step(const mote_scene *scene) {
  double limit = INFINITY;
  unsigned char *origins = malloc((size_t)scene->material_count + 1);
  if (!origins) return 0;
  for (int k = 0; k < scene->material_count; k++) {
    mote_sim_origins(scene, k, origins);
    limit = fmin(limit, limit_of(scene, k, origins));
  }
  free(origins);
  return (float)limit;
}
