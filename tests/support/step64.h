/* A step's transfers and their reverse in float64, for the tests: plain sums over particles and nodes around
   the kernels' own per-particle and per-node math, which step64.cc compiles once more with a double for
   each float. Nothing but doubles here, so that both sides of a test can include it. */
#ifndef MOTE_TESTS_SUPPORT_STEP64_H
#define MOTE_TESTS_SUPPORT_STEP64_H

#include <vector>

struct Obstacle64 {
  int shape, contact; /* mote_collider_shape, mote_contact */
  double friction, center[3], normal[3], half_size[3], radius, half_length, orientation[4], velocity[3],
      angular_velocity[3];
};

struct Step64 {
  int dim, cells[3], boundary_cells;
  double lower, spacing, time_step, gravity[3], clip_low, time; /* time: where obstacles are */
  int wall_contact[3][2];
  double wall_friction[3][2];
  std::vector<Obstacle64> obstacles;
  std::vector<double> position, velocity, affine, stress;  /* rows as in mote_transfer_gradients */
  std::vector<double> volume, mass;                        /* a particle */
  std::vector<double> by_position, by_velocity, by_affine; /* weights of the functional of the state after */
};

struct Gradients64 {
  std::vector<double> position, velocity, affine, stress, motion; /* motion: 12 an obstacle */
};

/* position, velocity and affine become those behind the step; time moves on. */
void advance64(Step64 &step);

/* sum of the weights times the state after the step. */
double functional64(const Step64 &step);

/* Its gradients. */
Gradients64 reverse64(const Step64 &step);

/* How many of the nodes with mass touch an obstacle or a wall, and how many particles the clamp stops. */
struct Contacts64 {
  int obstacle, wall, clamped;
};
Contacts64 contacts64(const Step64 &step);

#endif
