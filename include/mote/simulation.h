/* The material point method: MLS-MPM (Hu et al. 2018) with APIC transfers (Jiang et al. 2015) and quadratic
   B-splines, 2-D and 3-D, on a device. */
#ifndef MOTE_SIMULATION_H
#define MOTE_SIMULATION_H

#include <mote/device.h>
#include <mote/log.h>
#include <mote/scene.h>

#ifdef __cplusplus
extern "C" {
#endif

typedef struct mote_simulation mote_simulation;

/* Copies what it needs of the scene to the device. A time step beyond the stable one is refused
   (MOTE_ERROR_NUMERIC) with both figures; a time step of 0 becomes half of the stable one. */
mote_status mote_simulation_create(const mote_scene *scene, mote_device *device,
                                   mote_simulation **simulation);
void mote_simulation_destroy(mote_simulation *simulation);

/* Advances by `steps` time steps; between them, materials change as the scene says: a change at time t is
   made behind the step that ends at t (at creation, where t is 0), however the steps are asked for.
   MOTE_ERROR_NUMERIC names step and particle when a speed exceeds the advective CFL limit (a cell a step) or
   is not finite; the state is then that of the failure, but for affine_velocity, which is that of an earlier
   step, and later calls report the same. */
mote_status mote_simulation_step(mote_simulation *simulation, int64_t steps);

/* Steps done, and the time they make, s. */
int64_t mote_simulation_steps(const mote_simulation *simulation);
double mote_simulation_time(const mote_simulation *simulation);
float mote_simulation_time_step(const mote_simulation *simulation);

/* The particles in the order of the scene, whatever order the device keeps, with their present materials;
   particle_type stays the scene's. `particles` must have been created with the scene's count and dim. */
mote_status mote_simulation_read(mote_simulation *simulation, mote_particles *particles);

/* The positions and velocities alone, (n, dim) each; either may be NULL. */
mote_status mote_simulation_read_motion(mote_simulation *simulation, float *position, float *velocity);

/* Sums over the particles in float64; in 2-D angular momentum has only [2]. */
typedef struct mote_diagnostics {
  double mass;                /* kg */
  double linear_momentum[3];  /* kg m/s */
  double angular_momentum[3]; /* kg m^2/s about the origin, the affine part of APIC included */
  double kinetic_energy;      /* J, of the particles' velocities */
  double elastic_energy;      /* J, of the materials that store it */
  double potential_energy;    /* J, -m g.x */
  double center_of_mass[3];   /* m */
  double largest_speed;       /* m/s */
} mote_diagnostics;
mote_status mote_simulation_diagnose(mote_simulation *simulation, mote_diagnostics *diagnostics);

#ifdef __cplusplus
}
#endif
#endif
