/* The largest stable time step of a scene: the least of three limits on its grid, h the spacing.
   elastic    h / (c + |v|), c the material's fastest wave: information crosses at most a cell a step;
   viscous    h^2 / (2 dim nu): explicit diffusion of momentum;
   advective  h / |v|, inside the first.
   Both are taken with the factor SAFE, measured: see there. */
#include <math.h>
#include <mote/scene.h>

/* Fraction of the linear limit that holds under large compression too, where waves are faster than at rest.
 */
#define SAFE 0.6

static double largest_speed(const mote_scene *scene, int material) {
  const mote_particles *p = &scene->particles;
  double largest = 0;
  for (int64_t i = 0; i < p->count; i++) {
    if (p->material[i] != material) continue;
    double sum = 0;
    for (int d = 0; d < p->dim; d++) {
      double v = p->velocity[i * p->dim + d];
      sum += v * v;
    }
    largest = sum > largest ? sum : largest;
  }
  return sqrt(largest);
}

/* Kinematic viscosity, m^2/s, of the part of the stress that is linear in the rate of strain. */
static double viscosity(const mote_material *m) {
  if (m->kind != MOTE_NEWTONIAN && m->kind != MOTE_VISCOELASTIC) return 0;
  return m->viscosity / m->density;
}

float mote_scene_stable_time_step(const mote_scene *scene) {
  double h = scene->grid_spacing, limit = INFINITY;
  for (int k = 0; k < scene->material_count; k++) {
    const mote_material *m = &scene->materials[k];
    double elastic = h / (mote_material_wave_speed(m) + largest_speed(scene, k));
    double nu = viscosity(m), viscous = nu > 0 ? h * h / (2 * scene->dim * nu) : INFINITY;
    limit = fmin(limit, fmin(elastic, viscous));
  }
  return (float)(SAFE * limit);
}
