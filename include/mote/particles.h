/* Particles on the host: structure of arrays, one row a particle. */
#ifndef MOTE_PARTICLES_H
#define MOTE_PARTICLES_H

#include <stdint.h>
#include <mote/status.h>

#ifdef __cplusplus
extern "C" {
#endif

/* particle_type follows GNS (Sanchez-Gonzalez et al. 2020): 3 is kinematic, the others are matter. */
enum {
  MOTE_TYPE_RIGID = 0,
  MOTE_TYPE_KINEMATIC = 3,
  MOTE_TYPE_FLUID = 5,
  MOTE_TYPE_SAND = 6,
  MOTE_TYPE_ELASTIC = 7,
  MOTE_TYPE_PLASTIC = 8
};

/* All arrays are owned by the struct; every array has `count` rows. */
typedef struct mote_particles {
  int64_t count;
  int dim;                     /* 2 or 3 */
  float *position;             /* (count, dim) m */
  float *velocity;             /* (count, dim) m/s */
  float *deformation_gradient; /* (count, dim, dim) row-major; identity at rest */
  float *affine_velocity;      /* (count, dim, dim) APIC C, 1/s; zero at rest */
  float *volume;               /* (count) initial volume, m^3 (m^2 in 2-D) */
  float *density;              /* (count) initial density, kg/m^3 (kg/m^2 in 2-D); mass = density * volume */
  float *history;              /* (count) the material's scalar memory: hardening strain, volume correction */
  int32_t *material;           /* (count) index into the scene's materials */
  int32_t *body;               /* (count) index of the body it came from */
  int32_t *particle_type;      /* (count) as above */
} mote_particles;

/* Allocates all arrays: zero, but deformation_gradient the identity. */
mote_status mote_particles_create(int64_t count, int dim, mote_particles *particles);

/* Appends all rows of `more` (same dim) to `particles`; both stay valid and own their arrays. */
mote_status mote_particles_append(mote_particles *particles, const mote_particles *more);

/* Copies the rows index[0..n) into a new set. */
mote_status mote_particles_select(const mote_particles *particles, const int32_t *index, int64_t n,
                                  mote_particles *selected);

/* Frees the arrays and zeroes the struct. */
void mote_particles_destroy(mote_particles *particles);

#ifdef __cplusplus
}
#endif
#endif
