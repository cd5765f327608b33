/* One particle between the scene's arrays and the device's rows, and its share of the diagnostics; shared by
   CPU and GPU. */
#ifndef MOTE_KERNELS_TRANSFER_PARTICLE_H
#define MOTE_KERNELS_TRANSFER_PARTICLE_H

#include "kernels/transfer/grid.h"

MOTE_HD static inline int32_t mote_solid_material(const float *solid) {
  int32_t material;
  memcpy(&material, &solid[11], sizeof material);
  return material;
}

/* Here `dim` is the view's, as a constant where the caller has it: loops over axes are then none. */

/* C (dim, dim) row-major from an affine row. */
MOTE_INLINE void mote_affine_matrix(int dim, const float *affine, float *C) {
  for (int c = 0; c < dim; c++)
    for (int d = 0; d < dim; d++) C[c * dim + d] = affine[4 * d + c];
}

/* The stress of scene row i; of neural laws what the arrays bring. */
MOTE_INLINE void mote_particle_stress(const mote_transfer_view *t, int dim, const mote_transfer_arrays *a,
                                      int i, const float *C, const float *F, float tau[9]) {
  const mote_law *law = &t->laws[a->material[i]];
  for (int k = 0; k < 9; k++) tau[k] = 0;
  if (law->kind != MOTE_NEURAL && dim == 3) mote_law_stress3(law, C, F, a->history[i], tau);
  if (law->kind != MOTE_NEURAL && dim == 2) mote_law_stress2(law, C, F, a->history[i], tau);
  for (int k = 0; k < dim * dim && a->stress; k++) tau[k] += a->stress[(size_t)i * dim * dim + k];
}

/* Where scene row i lies along an axis, in cells. */
MOTE_INLINE float mote_particle_place(const mote_transfer_view *t, int dim, const mote_transfer_arrays *a,
                                      int i, int axis) {
  return mote_clamp_position(t, axis, (a->position[(size_t)i * dim + axis] - t->lower[axis]) / t->spacing);
}

/* Scene row i to device row p; of C only what goes into the record, unless `keeps`. */
MOTE_INLINE void mote_particle_load(const mote_transfer_view *t, int dim, const mote_transfer_arrays *a,
                                    int keeps, int i, int p) {
  float record[MOTE_RECORD] = {0}, affine[MOTE_AFFINE] = {0}, solid[MOTE_SOLID] = {0}, tau[9];
  const float *F = a->deformation_gradient + (size_t)i * dim * dim,
              *C = a->affine_velocity + (size_t)i * dim * dim;
  const float mass = a->density[i] * a->volume[i];
  const float stress_factor = 4 * t->time_step / t->spacing * a->volume[i];
  mote_particle_stress(t, dim, a, i, C, F, tau);
  record[3] = mass;
  for (int d = 0; d < dim; d++) {
    record[d] = mass * a->velocity[(size_t)i * dim + d];
    record[7 + 4 * d] = mote_particle_place(t, dim, a, i, d);
    for (int c = 0; c < dim; c++) {
      affine[4 * d + c] = C[c * dim + d];
      record[4 + 4 * d + c] = mass * t->spacing * C[c * dim + d] - stress_factor * tau[c * dim + d];
    }
  }
  for (int k = 0; k < dim * dim; k++) solid[k] = F[k];
  solid[9] = a->history[i];
  solid[10] = a->volume[i];
  memcpy(&solid[11], &a->material[i], sizeof(float));
  memcpy(t->record + (size_t)p * MOTE_RECORD, record, sizeof record);
  if (keeps) memcpy(t->affine + (size_t)p * MOTE_AFFINE, affine, sizeof affine);
  memcpy(t->solid + (size_t)p * MOTE_SOLID, solid, sizeof solid);
  t->id[p] = i;
}

/* What a particle's rows hold, to scene row i. */
MOTE_INLINE void mote_particle_write(const mote_transfer_view *t, int dim, const mote_transfer_arrays *a,
                                     size_t i, const float *record, const float *affine, const float *solid) {
  for (int d = 0; d < dim; d++) {
    if (a->position) a->position[i * dim + d] = t->lower[d] + record[7 + 4 * d] * t->spacing;
    if (a->velocity) a->velocity[i * dim + d] = record[d] / record[3];
  }
  if (a->deformation_gradient)
    for (int k = 0; k < dim * dim; k++) a->deformation_gradient[i * dim * dim + k] = solid[k];
  if (a->affine_velocity) mote_affine_matrix(dim, affine, a->affine_velocity + i * dim * dim);
  if (a->history) a->history[i] = solid[9];
}

/* Device row p to its scene row. */
MOTE_INLINE void mote_particle_unload(const mote_transfer_view *t, int dim, const mote_transfer_arrays *a,
                                      int p) {
  float record[MOTE_RECORD], affine[MOTE_AFFINE], solid[MOTE_SOLID];
  memcpy(record, t->record + (size_t)p * MOTE_RECORD, sizeof record);
  memcpy(affine, t->affine + (size_t)p * MOTE_AFFINE, sizeof affine);
  memcpy(solid, t->solid + (size_t)p * MOTE_SOLID, sizeof solid);
  mote_particle_write(t, dim, a, (size_t)t->id[p], record, affine, solid);
}

/* Device row p's record with the stress tau (dim, dim) on top. */
MOTE_INLINE void mote_particle_add_stress(const mote_transfer_view *t, int dim, int p, const float *tau) {
  float *record = t->record + (size_t)p * MOTE_RECORD;
  const float stress_factor = 4 * t->time_step / t->spacing * t->solid[(size_t)p * MOTE_SOLID + 10];
  for (int d = 0; d < dim; d++)
    for (int c = 0; c < dim; c++) record[4 + 4 * d + c] -= stress_factor * tau[c * dim + d];
}

/* Adds device row p to a row of MOTE_TRANSFER_SUMS; positions and angular momentum are about `lower`. The
   affine part of APIC's angular momentum is the antisymmetric part of m dx^2/4 C (Jiang et al. 2015,
   section 5.3). */
MOTE_HD static inline void mote_particle_sum(const mote_transfer_view *t, int p, double *sums) {
  int dim = t->dim;
  const float *record = t->record + (size_t)p * MOTE_RECORD, *solid = t->solid + (size_t)p * MOTE_SOLID;
  const float *affine = t->affine + (size_t)p * MOTE_AFFINE;
  double m = record[3], h = t->spacing, x[3] = {0, 0, 0}, v[3] = {0, 0, 0}, C[9] = {0}, speed = 0, fall = 0;
  for (int d = 0; d < dim; d++) {
    x[d] = record[7 + 4 * d] * h;
    v[d] = record[d] / m;
    speed += v[d] * v[d];
    fall += (double)t->gravity[d] * (x[d] + t->lower[d]);
    for (int c = 0; c < dim; c++) C[c * 3 + d] = affine[4 * d + c];
  }
  double inertia = 0.25 * m * h * h;
  const mote_law *law = &t->laws[mote_solid_material(solid)];
  sums[0] += m;
  for (int d = 0; d < 3; d++) {
    int a = (d + 1) % 3, b = (d + 2) % 3;
    sums[1 + d] += m * v[d];
    sums[4 + d] += m * (x[a] * v[b] - x[b] * v[a]) + inertia * (C[b * 3 + a] - C[a * 3 + b]);
    sums[10 + d] += m * x[d];
  }
  sums[7] += 0.5 * m * speed;
  sums[8] += solid[10] *
             (dim == 3 ? mote_law_energy3(law, solid, solid[9]) : mote_law_energy2(law, solid, solid[9]));
  sums[9] -= m * fall;
  speed = sqrt(speed);
  sums[13] = speed > sums[13] ? speed : sums[13];
}

/* The particle's own step from its gathered velocity v and columns B_d = sum w v d_d (B[3 d + c], d in
   cells): C = 4/dx B, position advected and clamped, F, history and stress by its law, the next record.
   Returns whether the particle failed: not finite, or faster than a cell a step. */
MOTE_HD static inline int mote_particle_advance(const mote_transfer_view *t, int dim, int p, const float v[3],
                                                const float B[9]) {
  float *record = t->record + (size_t)p * MOTE_RECORD, *solid = t->solid + (size_t)p * MOTE_SOLID;
  float *affine = t->affine + (size_t)p * MOTE_AFFINE;
  float C[9], F[9], tau[9], history = solid[9], mass = record[3], speed = 0,
                            advance = t->time_step / t->spacing;
  for (int d = 0; d < dim; d++)
    for (int c = 0; c < dim; c++) {
      C[c * dim + d] = affine[4 * d + c] = 4 / t->spacing * B[3 * d + c];
      F[c * dim + d] = solid[c * dim + d];
    }
  const mote_law *law = &t->laws[mote_solid_material(solid)];
  if (dim == 3)
    mote_law_step3(law, t->time_step, C, F, &history, tau);
  else
    mote_law_step2(law, t->time_step, C, F, &history, tau);
  float stress_factor = 4 * t->time_step / t->spacing * solid[10];
  for (int d = 0; d < dim; d++) {
    record[d] = mass * v[d];
    record[7 + 4 * d] = mote_clamp_position(t, d, record[7 + 4 * d] + advance * v[d]);
    for (int c = 0; c < dim; c++)
      record[4 + 4 * d + c] = 4 * mass * B[3 * d + c] - stress_factor * tau[c * dim + d];
    speed += v[d] * v[d];
  }
  for (int k = 0; k < dim * dim; k++) {
    solid[k] = F[k];
    speed += 0 * tau[k]; /* NaN and infinity become NaN, which fails the comparison */
  }
  solid[9] = history;
  return !(speed * advance * advance < 1);
}

#endif
