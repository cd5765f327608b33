/* The reverse of the laws for groups of particles: law_backward.h as vector code, by lanes.c's trick. */
#define MOTE_REAL_LANES
#include "kernels/constitutive/lanes.h"

#include "kernels/constitutive/law_backward.h"

typedef float lane[MOTE_LANES];

/* A part of a group, the width of a vector, on its way through registers. */
typedef struct part {
  mote_real C[9], F[9], d_tau[9], d_F[9], d_C[9], history, d_history, d_law[MOTE_LAW_PARAMETERS];
} part;

static inline __attribute__((always_inline)) mote_real load(const float *row) {
  return *(const mote_real *)__builtin_assume_aligned(row, 4 * MOTE_REAL_WIDTH);
}
static inline __attribute__((always_inline)) void store(float *row, mote_real x) {
  *(mote_real *)__builtin_assume_aligned(row, 4 * MOTE_REAL_WIDTH) = x;
}

static inline __attribute__((always_inline)) void part_load(int size, const mote_law_group *g, int at,
                                                            part *p) {
  for (int k = 0; k < size; k++) {
    p->C[k] = load(g->C[k] + at);
    p->F[k] = load(g->F[k] + at);
    p->d_tau[k] = load(g->d_tau[k] + at);
    p->d_F[k] = load(g->d_F[k] + at);
    p->d_C[k] = load(g->d_C[k] + at);
  }
  p->history = load(g->history + at);
  p->d_history = load(g->d_history + at);
  for (int k = 0; k < MOTE_LAW_PARAMETERS; k++) p->d_law[k] = mote_splat(0.0f);
}

static inline __attribute__((always_inline)) void part_store(int size, const part *p, int at,
                                                             mote_law_group *g) {
  for (int k = 0; k < size; k++) {
    store(g->d_F[k] + at, p->d_F[k]);
    store(g->d_C[k] + at, p->d_C[k]);
  }
  store(g->d_history + at, p->d_history);
  for (int k = 0; k < MOTE_LAW_PARAMETERS; k++) store(g->d_law[k] + at, p->d_law[k]);
}

typedef void reverse_function(const mote_law *law, float dt, mote_law_group *group);

/* One function a kind and dimension. */
#define REVERSE(NAME, DIM, CALL)                                                                             \
  static void NAME(const mote_law *law, float dt, mote_law_group *group) {                                   \
    (void)dt;                                                                                                \
    for (int at = 0; at < MOTE_LANES; at += MOTE_REAL_WIDTH) {                                               \
      part p;                                                                                                \
      part_load(DIM *DIM, group, at, &p);                                                                    \
      CALL;                                                                                                  \
      part_store(DIM *DIM, &p, at, group);                                                                   \
    }                                                                                                        \
  }
#define STRESS(NAME, KIND, DIM)                                                                              \
  REVERSE(NAME, DIM,                                                                                         \
          mote_stress_backward_of_kind(KIND, DIM, law, p.C, p.F, p.history, p.d_tau, p.d_F, p.d_C,           \
                                       &p.d_history, p.d_law))
#define RETURN(NAME, KIND, DIM)                                                                              \
  REVERSE(NAME, DIM,                                                                                         \
          mote_return_backward_of_kind(KIND, DIM, law, dt, p.C, p.F, p.history, p.d_F, p.d_C, &p.d_history,  \
                                       p.d_law))
#define OF_KIND(name, KIND)                                                                                  \
  STRESS(stress3_##name, KIND, 3)                                                                            \
  STRESS(stress2_##name, KIND, 2)                                                                            \
  RETURN(return3_##name, KIND, 3)                                                                            \
  RETURN(return2_##name, KIND, 2)

OF_KIND(corotated, MOTE_FIXED_COROTATED)
OF_KIND(neo_hookean, MOTE_NEO_HOOKEAN)
OF_KIND(newtonian, MOTE_NEWTONIAN)
OF_KIND(herschel_bulkley, MOTE_HERSCHEL_BULKLEY)
OF_KIND(viscoelastic, MOTE_VISCOELASTIC)
OF_KIND(drucker_prager, MOTE_DRUCKER_PRAGER)
OF_KIND(von_mises, MOTE_VON_MISES)
OF_KIND(neural, MOTE_NEURAL)

#define TABLE(function)                                                                                      \
  {                                                                                                          \
    [MOTE_FIXED_COROTATED] = function##_corotated, [MOTE_NEO_HOOKEAN] = function##_neo_hookean,              \
    [MOTE_NEWTONIAN] = function##_newtonian, [MOTE_HERSCHEL_BULKLEY] = function##_herschel_bulkley,          \
    [MOTE_VISCOELASTIC] = function##_viscoelastic, [MOTE_DRUCKER_PRAGER] = function##_drucker_prager,        \
    [MOTE_VON_MISES] = function##_von_mises, [MOTE_NEURAL] = function##_neural                               \
  }
static reverse_function *const stress3[MOTE_MATERIAL_KINDS] = TABLE(stress3);
static reverse_function *const stress2[MOTE_MATERIAL_KINDS] = TABLE(stress2);
static reverse_function *const return3[MOTE_MATERIAL_KINDS] = TABLE(return3);
static reverse_function *const return2[MOTE_MATERIAL_KINDS] = TABLE(return2);

/* d_law of the lanes among the first `count` whose material it is. */
static void add_law(const mote_law_group *from, int32_t material, int count, double *sums) {
  double sum[MOTE_LAW_PARAMETERS] = {0};
  for (int i = 0; i < count; i++) {
    if (from->material[i] != material) continue;
    for (int k = 0; k < MOTE_LAW_PARAMETERS; k++) sum[k] += (double)from->d_law[k][i];
  }
  for (int k = 0; k < MOTE_LAW_PARAMETERS; k++) sums[material * MOTE_LAW_PARAMETERS + k] += sum[k];
}

/* Each material of the group reverses a copy of all lanes, of which its own are kept. */
static void reverse(reverse_function *const *functions, int size, const mote_law *laws, float dt, int count,
                    mote_law_group *group, double *sums) {
  const int32_t *material = group->material;
  int uniform = 1;
  for (int i = 1; i < MOTE_LANES; i++) uniform &= material[i] == material[0];
  if (uniform) {
    functions[laws[material[0]].kind](&laws[material[0]], dt, group);
    if (sums) add_law(group, material[0], count, sums);
    return;
  }
  const mote_law_group before = *group;
  unsigned left = (1u << MOTE_LANES) - 1;
  while (left) {
    int32_t m = material[__builtin_ctz(left)];
    mote_law_group own = before;
    functions[laws[m].kind](&laws[m], dt, &own);
    if (sums) add_law(&own, m, count, sums);
    for (int i = 0; i < MOTE_LANES; i++) {
      if (material[i] != m) continue;
      for (int k = 0; k < size; k++) {
        group->d_F[k][i] = own.d_F[k][i];
        group->d_C[k][i] = own.d_C[k][i];
      }
      group->d_history[i] = own.d_history[i];
      left &= ~(1u << i);
    }
  }
}

void mote_laws_stress_backward_lanes(int dim, const mote_law *laws, int count, mote_law_group *group,
                                     double *sums) {
  reverse(dim == 3 ? stress3 : stress2, dim * dim, laws, 0, count, group, sums);
}
void mote_laws_return_backward_lanes(int dim, const mote_law *laws, float dt, int count,
                                     mote_law_group *group, double *sums) {
  reverse(dim == 3 ? return3 : return2, dim * dim, laws, dt, count, group, sums);
}
