/* Constitutive laws on the CPU for MOTE_LANES particles at once: component-major groups, so that the law of
   law.h runs in vector registers. Rows are 64-byte aligned. Lanes that hold no particle must hold numbers
   (F = I, C = 0 will do); their results mean nothing. */
#ifndef MOTE_KERNELS_CONSTITUTIVE_LANES_H
#define MOTE_KERNELS_CONSTITUTIVE_LANES_H

#include "kernels/constitutive/returns_backward.h"

#ifdef __cplusplus
extern "C" {
#endif

#define MOTE_LANES 16

/* As mote_law_step3 and mote_law_step2, one law for the group: F (components, lanes) <- returned (I + dt C)
   F, history updated, tau the Kirchhoff stress after it. The arrays must not overlap. */
void mote_law_step3_lanes(const mote_law *law, float dt, const float C[9][MOTE_LANES], float F[9][MOTE_LANES],
                          float history[MOTE_LANES], float tau[9][MOTE_LANES]);
void mote_law_step2_lanes(const mote_law *law, float dt, const float C[4][MOTE_LANES], float F[4][MOTE_LANES],
                          float history[MOTE_LANES], float tau[4][MOTE_LANES]);

/* As mote_law_stress3 and mote_law_stress2. */
void mote_law_stress3_lanes(const mote_law *law, const float C[9][MOTE_LANES], const float F[9][MOTE_LANES],
                            const float history[MOTE_LANES], float tau[9][MOTE_LANES]);
void mote_law_stress2_lanes(const mote_law *law, const float C[4][MOTE_LANES], const float F[4][MOTE_LANES],
                            const float history[MOTE_LANES], float tau[4][MOTE_LANES]);

/* The same for a group whose lanes may differ in material: laws[material[lane]]. A group of one material
   costs what it costs above; each further one costs the same again. */
void mote_laws_step3_lanes(const mote_law *laws, const int32_t material[MOTE_LANES], float dt,
                           const float C[9][MOTE_LANES], float F[9][MOTE_LANES], float history[MOTE_LANES],
                           float tau[9][MOTE_LANES]);
void mote_laws_step2_lanes(const mote_law *laws, const int32_t material[MOTE_LANES], float dt,
                           const float C[4][MOTE_LANES], float F[4][MOTE_LANES], float history[MOTE_LANES],
                           float tau[4][MOTE_LANES]);

/* A group for the reverse (law_backward.h): C, F, history and d_tau are read, d_F, d_C and d_history updated.
 */
typedef struct __attribute__((aligned(64))) mote_law_group {
  float C[9][MOTE_LANES], F[9][MOTE_LANES], d_tau[9][MOTE_LANES], d_F[9][MOTE_LANES], d_C[9][MOTE_LANES];
  float history[MOTE_LANES], d_history[MOTE_LANES];
  float d_law[MOTE_LAW_PARAMETERS][MOTE_LANES]; /* out: of the last material of the group */
  int32_t material[MOTE_LANES];
} mote_law_group;

/* The first `count` lanes add to sums (laws, MOTE_LAW_PARAMETERS) in their order, unless it is NULL. */
void mote_laws_stress_backward_lanes(int dim, const mote_law *laws, int count, mote_law_group *group,
                                     double *sums);
void mote_laws_return_backward_lanes(int dim, const mote_law *laws, float dt, int count,
                                     mote_law_group *group, double *sums);

#ifdef __cplusplus
}
#endif
#endif
