/* The laws of law.h for groups of particles. The trick: in this file alone a mote_real is a vector, so that
   the law's one source text becomes vector code here, with the kind of material a constant. */
#define MOTE_REAL_LANES
#include "kernels/constitutive/lanes.h"

#include "kernels/constitutive/law.h"

typedef float lane[MOTE_LANES];

#define ALIGNED(x) __builtin_assume_aligned(x, 4 * MOTE_REAL_WIDTH)

/* A part of a row as one vector; the rows are aligned. */
static inline __attribute__((always_inline)) mote_real load(const float *row) {
  return *(const mote_real *)ALIGNED(row);
}
static inline __attribute__((always_inline)) void store(float *row, mote_real x) {
  *(mote_real *)ALIGNED(row) = x;
}

/* One function a kind and dimension. */
#define STEP(NAME, KIND, DIM)                                                                                \
  static void NAME(const mote_law *law, float dt, const lane *C, lane *F, float *history, lane *tau) {       \
    for (int at = 0; at < MOTE_LANES; at += MOTE_REAL_WIDTH) {                                               \
      mote_real c[9], f[9], t[9], h = load(history + at);                                                    \
      for (int k = 0; k < DIM * DIM; k++) {                                                                  \
        c[k] = load(C[k] + at);                                                                              \
        f[k] = load(F[k] + at);                                                                              \
      }                                                                                                      \
      mote_step_of_kind(KIND, DIM, law, dt, c, f, &h, t);                                                    \
      for (int k = 0; k < DIM * DIM; k++) {                                                                  \
        store(F[k] + at, f[k]);                                                                              \
        store(tau[k] + at, t[k]);                                                                            \
      }                                                                                                      \
      store(history + at, h);                                                                                \
    }                                                                                                        \
  }

#define STRESS(NAME, KIND, DIM)                                                                              \
  static void NAME(const mote_law *law, const lane *C, const lane *F, const float *history, lane *tau) {     \
    for (int at = 0; at < MOTE_LANES; at += MOTE_REAL_WIDTH) {                                               \
      mote_real c[9], f[9], t[9], h = load(history + at);                                                    \
      for (int k = 0; k < DIM * DIM; k++) {                                                                  \
        c[k] = load(C[k] + at);                                                                              \
        f[k] = load(F[k] + at);                                                                              \
      }                                                                                                      \
      mote_stress_of_kind(KIND, DIM, law, c, f, h, t);                                                       \
      for (int k = 0; k < DIM * DIM; k++) store(tau[k] + at, t[k]);                                          \
    }                                                                                                        \
  }

#define OF_KIND(name, KIND)                                                                                  \
  STEP(step3_##name, KIND, 3)                                                                                \
  STEP(step2_##name, KIND, 2)                                                                                \
  STRESS(stress3_##name, KIND, 3)                                                                            \
  STRESS(stress2_##name, KIND, 2)

OF_KIND(corotated, MOTE_FIXED_COROTATED)
OF_KIND(neo_hookean, MOTE_NEO_HOOKEAN)
OF_KIND(newtonian, MOTE_NEWTONIAN)
OF_KIND(herschel_bulkley, MOTE_HERSCHEL_BULKLEY)
OF_KIND(viscoelastic, MOTE_VISCOELASTIC)
OF_KIND(drucker_prager, MOTE_DRUCKER_PRAGER)
OF_KIND(von_mises, MOTE_VON_MISES)
OF_KIND(neural, MOTE_NEURAL) /* deformed only: kernels/neural does the rest */

typedef void step_function(const mote_law *, float, const lane *, lane *, float *, lane *);
typedef void stress_function(const mote_law *, const lane *, const lane *, const float *, lane *);

#define TABLE(function)                                                                                      \
  {                                                                                                          \
    [MOTE_FIXED_COROTATED] = function##_corotated, [MOTE_NEO_HOOKEAN] = function##_neo_hookean,              \
    [MOTE_NEWTONIAN] = function##_newtonian, [MOTE_HERSCHEL_BULKLEY] = function##_herschel_bulkley,          \
    [MOTE_VISCOELASTIC] = function##_viscoelastic, [MOTE_DRUCKER_PRAGER] = function##_drucker_prager,        \
    [MOTE_VON_MISES] = function##_von_mises, [MOTE_NEURAL] = function##_neural                               \
  }
static step_function *const step3[MOTE_MATERIAL_KINDS] = TABLE(step3);
static step_function *const step2[MOTE_MATERIAL_KINDS] = TABLE(step2);
static stress_function *const stress3[MOTE_MATERIAL_KINDS] = TABLE(stress3);
static stress_function *const stress2[MOTE_MATERIAL_KINDS] = TABLE(stress2);

void mote_law_step3_lanes(const mote_law *law, float dt, const lane C[9], lane F[9], lane history,
                          lane tau[9]) {
  step3[law->kind](law, dt, C, F, history, tau);
}
void mote_law_step2_lanes(const mote_law *law, float dt, const lane C[4], lane F[4], lane history,
                          lane tau[4]) {
  step2[law->kind](law, dt, C, F, history, tau);
}
void mote_law_stress3_lanes(const mote_law *law, const lane C[9], const lane F[9], const lane history,
                            lane tau[9]) {
  stress3[law->kind](law, C, F, history, tau);
}
void mote_law_stress2_lanes(const mote_law *law, const lane C[4], const lane F[4], const lane history,
                            lane tau[4]) {
  stress2[law->kind](law, C, F, history, tau);
}

/* Each material of the group steps a copy of all lanes, of which its own are kept. */
static void step_mixed(int dim, const mote_law *laws, const int32_t *material, float dt, const lane *C,
                       lane *F, float *history, lane *tau) {
  step_function *const *step = dim == 3 ? step3 : step2;
  int uniform = 1, size = dim * dim;
  for (int i = 1; i < MOTE_LANES; i++) uniform &= material[i] == material[0];
  if (uniform) {
    step[laws[material[0]].kind](&laws[material[0]], dt, C, F, history, tau);
    return;
  }
  _Alignas(64) lane F_old[9], history_old, F_new[9], history_new, tau_new[9];
  memcpy(F_old, F, sizeof(lane) * (size_t)size);
  memcpy(history_old, history, sizeof(lane));
  unsigned left = (1u << MOTE_LANES) - 1;
  while (left) {
    int32_t m = material[__builtin_ctz(left)];
    memcpy(F_new, F_old, sizeof(lane) * (size_t)size);
    memcpy(history_new, history_old, sizeof(lane));
    step[laws[m].kind](&laws[m], dt, C, F_new, history_new, tau_new);
    for (int i = 0; i < MOTE_LANES; i++) {
      if (material[i] != m) continue;
      for (int k = 0; k < size; k++) {
        F[k][i] = F_new[k][i];
        tau[k][i] = tau_new[k][i];
      }
      history[i] = history_new[i];
      left &= ~(1u << i);
    }
  }
}

void mote_laws_step3_lanes(const mote_law *laws, const int32_t material[MOTE_LANES], float dt,
                           const lane C[9], lane F[9], lane history, lane tau[9]) {
  step_mixed(3, laws, material, dt, C, F, history, tau);
}
void mote_laws_step2_lanes(const mote_law *laws, const int32_t material[MOTE_LANES], float dt,
                           const lane C[4], lane F[4], lane history, lane tau[4]) {
  step_mixed(2, laws, material, dt, C, F, history, tau);
}
