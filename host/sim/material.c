/* Materials on the host: names, defaults, checks, wave speed, and the constants that the kernels use. The
   trick: one table says which parameters a kind uses and their ranges, and checks and messages follow from
   it. */
#include <math.h>
#include <stddef.h>
#include <string.h>

#include <mote/material.h>

#include "host/core/error.h"
#include "kernels/constitutive/constitutive.h"

static const char *const kind_names[MOTE_MATERIAL_KINDS] = {
    [MOTE_FIXED_COROTATED] = "fixed_corotated",
    [MOTE_NEO_HOOKEAN] = "neo_hookean",
    [MOTE_NEWTONIAN] = "newtonian",
    [MOTE_HERSCHEL_BULKLEY] = "herschel_bulkley",
    [MOTE_VISCOELASTIC] = "viscoelastic",
    [MOTE_DRUCKER_PRAGER] = "drucker_prager",
    [MOTE_VON_MISES] = "von_mises",
    [MOTE_NEURAL] = "neural",
};

static int is_kind(mote_material_kind kind) {
  return (int)kind >= 0 && kind < MOTE_MATERIAL_KINDS;
}

const char *mote_material_kind_name(mote_material_kind kind) {
  return is_kind(kind) ? kind_names[kind] : "unknown";
}

mote_status mote_material_kind_from_name(const char *name, mote_material_kind *kind) {
  for (int k = 0; name && k < MOTE_MATERIAL_KINDS; k++)
    if (strcmp(name, kind_names[k]) == 0) {
      *kind = (mote_material_kind)k;
      return MOTE_OK;
    }
  return mote_fail(MOTE_ERROR_ARGUMENT,
                   "unknown kind of material \"%s\": expected fixed_corotated, neo_hookean, newtonian, "
                   "herschel_bulkley, viscoelastic, drucker_prager, von_mises or neural",
                   name ? name : "");
}

void mote_material_defaults(mote_material_kind kind, mote_material *material) {
  *material = (mote_material){.kind = kind,
                              .density = 1000,
                              .youngs_modulus = 1e5f,
                              .poisson_ratio = 0.2f,
                              .gamma = 7,
                              .flow_index = 1,
                              .relaxation_time = 0.1f};
  strncpy(material->name, mote_material_kind_name(kind), sizeof material->name - 1);
  switch (kind) {
  case MOTE_NEWTONIAN: material->poisson_ratio = 0.3f; break;
  case MOTE_HERSCHEL_BULKLEY:
    material->poisson_ratio = 0.3f;
    material->yield_stress = 100;
    material->consistency = 10;
    break;
  case MOTE_VISCOELASTIC:
    material->youngs_modulus = 1e4f;
    material->poisson_ratio = 0.4f;
    break;
  case MOTE_DRUCKER_PRAGER:
    material->density = 1600;
    material->youngs_modulus = 1e6f;
    material->friction_angle = 30;
    break;
  case MOTE_VON_MISES:
    material->youngs_modulus = 3e5f;
    material->poisson_ratio = 0.25f;
    material->yield_stress = 5000;
    break;
  default: break;
  }
}

/* ---- checks ---- */

#define FOR(kind) (1u << (kind))
#define ALL (FOR(MOTE_MATERIAL_KINDS) - 1)
#define ELASTIC (ALL & ~FOR(MOTE_NEWTONIAN))

/* low < value < high, or <= where the bound is part of the range. */
typedef struct range {
  const char *name;
  const char *expected;
  size_t offset;
  unsigned kinds;
  float low, high;
  int low_belongs, high_belongs;
} range;
#define RANGE(member, kinds, expected, ...)                                                                  \
  { #member, expected, offsetof(mote_material, member), kinds, __VA_ARGS__ }

static const range ranges[] = {
    RANGE(density, ALL, "more than 0 kg/m^3", 0, 1e12f, 0, 0),
    RANGE(youngs_modulus, ELASTIC, "more than 0 Pa", 0, 1e15f, 0, 0),
    RANGE(poisson_ratio, ELASTIC, "between -1 and 0.5, both excluded", -1, 0.5f, 0, 0),
    RANGE(bulk_modulus, FOR(MOTE_NEWTONIAN), "0 (no Tait equation) or more, Pa", 0, 1e15f, 1, 0),
    RANGE(viscosity, FOR(MOTE_NEWTONIAN) | FOR(MOTE_VISCOELASTIC), "0 Pa s or more", 0, 1e12f, 1, 0),
    RANGE(yield_stress, FOR(MOTE_HERSCHEL_BULKLEY), "0 Pa or more", 0, 1e15f, 1, 0),
    RANGE(yield_stress, FOR(MOTE_VON_MISES), "more than 0 Pa", 0, 1e15f, 0, 0),
    RANGE(hardening, FOR(MOTE_VON_MISES), "0 Pa or more", 0, 1e15f, 1, 0),
    RANGE(consistency, FOR(MOTE_HERSCHEL_BULKLEY), "more than 0 Pa s^n", 0, 1e12f, 0, 0),
    RANGE(flow_index, FOR(MOTE_HERSCHEL_BULKLEY), "0.1 to 3", 0.1f, 3, 1, 1),
    RANGE(relaxation_time, FOR(MOTE_VISCOELASTIC), "more than 0 s", 0, 1e12f, 0, 0),
    RANGE(friction_angle, FOR(MOTE_DRUCKER_PRAGER), "0 degrees to less than 90", 0, 90, 1, 0),
    RANGE(cohesion, FOR(MOTE_DRUCKER_PRAGER), "a Hencky strain of 0 to less than 1", 0, 1, 1, 0),
    RANGE(volume_correction, FOR(MOTE_DRUCKER_PRAGER), "0 (off) to 1 (on)", 0, 1, 1, 1),
};

static mote_status check_range(const mote_material *material, const range *range) {
  float value;
  memcpy(&value, (const char *)material + range->offset, sizeof value);
  int above = range->low_belongs ? value >= range->low : value > range->low;
  int below = range->high_belongs ? value <= range->high : value < range->high;
  if (above && below) return MOTE_OK; /* NaN is neither */
  return mote_fail(MOTE_ERROR_ARGUMENT, "material \"%.63s\" (%s): %s is %g, but has to be %s", material->name,
                   kind_names[material->kind], range->name, (double)value, range->expected);
}

mote_status mote_material_check(const mote_material *material) {
  if (!is_kind(material->kind))
    return mote_fail(MOTE_ERROR_ARGUMENT, "material \"%.63s\": kind %d does not exist", material->name,
                     (int)material->kind);
  for (size_t i = 0; i < sizeof ranges / sizeof *ranges; i++)
    if (ranges[i].kinds & FOR(material->kind)) MOTE_TRY(check_range(material, &ranges[i]));
  if (material->kind != MOTE_NEWTONIAN) return MOTE_OK;
  /* A fluid has either Tait's equation or lambda from E and nu, which has to be positive. */
  static const range tait = RANGE(gamma, 0, "1 to 20", 1, 20, 1, 1);
  static const range stiff = RANGE(youngs_modulus, 0, "more than 0 Pa", 0, 1e15f, 0, 0);
  static const range ratio = RANGE(poisson_ratio, 0, "between 0 and 0.5, both excluded", 0, 0.5f, 0, 0);
  if (material->bulk_modulus > 0) return check_range(material, &tait);
  MOTE_TRY(check_range(material, &stiff));
  return check_range(material, &ratio);
}

/* ---- derived constants ---- */

static double shear_modulus(double E, double nu) {
  return E / (2 * (1 + nu));
}
static double lame_lambda(double E, double nu) {
  return E * nu / ((1 + nu) * (1 - 2 * nu));
}

float mote_material_wave_speed(const mote_material *material) {
  double E = material->youngs_modulus, nu = material->poisson_ratio;
  double modulus = lame_lambda(E, nu) + 2 * shear_modulus(E, nu);
  if (material->kind == MOTE_NEWTONIAN)
    modulus = material->bulk_modulus > 0 ? (double)material->bulk_modulus : lame_lambda(E, nu);
  return (float)sqrt(modulus / material->density);
}

#define DEGREE (3.14159265358979323846 / 180)

/* Parameters that a law takes over as they are. */
static const struct {
  int law, material;
} same[] = {
    {MOTE_LAW_GAMMA, MOTE_MATERIAL_GAMMA},
    {MOTE_LAW_VISCOSITY, MOTE_MATERIAL_VISCOSITY},
    {MOTE_LAW_RELAXATION_TIME, MOTE_MATERIAL_RELAXATION_TIME},
    {MOTE_LAW_YIELD_STRESS, MOTE_MATERIAL_YIELD_STRESS},
    {MOTE_LAW_HARDENING, MOTE_MATERIAL_HARDENING},
    {MOTE_LAW_CONSISTENCY, MOTE_MATERIAL_CONSISTENCY},
    {MOTE_LAW_FLOW_INDEX, MOTE_MATERIAL_FLOW_INDEX},
    {MOTE_LAW_COHESION, MOTE_MATERIAL_COHESION},
    {MOTE_LAW_VOLUME_CORRECTION, MOTE_MATERIAL_VOLUME_CORRECTION},
};

/* |dev tau| <= -alpha tr tau. In 3-D the cone through Mohr-Coulomb's triaxial compression (Klar et al. 2016,
   eq. 31); in 2-D, where there are but two principal stresses, Mohr-Coulomb itself. */
static void cone_slopes(double sine, double alpha[2]) {
  alpha[0] = sine / sqrt(2.0);
  alpha[1] = sqrt(2.0 / 3.0) * 2 * sine / (3 - sine);
}

void mote_law_derive(const double *material, double *law) {
  double E = material[MOTE_MATERIAL_YOUNGS_MODULUS], nu = material[MOTE_MATERIAL_POISSON_RATIO];
  double mu = shear_modulus(E, nu), lambda = lame_lambda(E, nu), alpha[2];
  double bulk = material[MOTE_MATERIAL_BULK_MODULUS];
  for (size_t i = 0; i < sizeof same / sizeof *same; i++) law[same[i].law] = material[same[i].material];
  law[MOTE_LAW_MU] = mu;
  law[MOTE_LAW_LAMBDA] = lambda;
  law[MOTE_LAW_TAIT] = bulk > 0 ? bulk / material[MOTE_MATERIAL_GAMMA] : 0;
  cone_slopes(sin(material[MOTE_MATERIAL_FRICTION_ANGLE] * DEGREE), alpha);
  for (int i = 0; i < 2; i++)
    law[MOTE_LAW_FRICTION_2 + i] = ((2 + i) * lambda + 2 * mu) / (2 * mu) * alpha[i];
}

_Static_assert(offsetof(mote_material, volume_correction) ==
                   offsetof(mote_material, youngs_modulus) + sizeof(float) * MOTE_MATERIAL_VOLUME_CORRECTION,
               "mote_material_parameter has the order of mote_material");
_Static_assert(sizeof(mote_law) == offsetof(mote_law, mu) + sizeof(float) * MOTE_LAW_PARAMETERS,
               "mote_law_parameter has the order of mote_law");

float *mote_material_number(mote_material *material, int parameter) {
  return &material->youngs_modulus + parameter;
}

static void widen(const mote_material *material, double *to) {
  for (int p = 0; p < MOTE_MATERIAL_PARAMETERS; p++) to[p] = (&material->youngs_modulus)[p];
}

void mote_law_prepare(const mote_material *material, mote_law *law) {
  double from[MOTE_MATERIAL_PARAMETERS], to[MOTE_LAW_PARAMETERS];
  widen(material, from);
  mote_law_derive(from, to);
  law->kind = (int32_t)material->kind;
  for (int p = 0; p < MOTE_LAW_PARAMETERS; p++) (&law->mu)[p] = (float)to[p];
}

void mote_law_gradient(const mote_material *material, const double *d_law, double *d_material) {
  double m[MOTE_MATERIAL_PARAMETERS], alpha[2];
  widen(material, m);
  double E = m[MOTE_MATERIAL_YOUNGS_MODULUS], nu = m[MOTE_MATERIAL_POISSON_RATIO];
  double gamma = m[MOTE_MATERIAL_GAMMA], bulk = m[MOTE_MATERIAL_BULK_MODULUS];
  double angle = m[MOTE_MATERIAL_FRICTION_ANGLE] * DEGREE, sine = sin(angle);
  for (int p = 0; p < MOTE_MATERIAL_PARAMETERS; p++) d_material[p] = 0;
  for (size_t i = 0; i < sizeof same / sizeof *same; i++) d_material[same[i].material] = d_law[same[i].law];

  if (bulk > 0) {
    d_material[MOTE_MATERIAL_BULK_MODULUS] = d_law[MOTE_LAW_TAIT] / gamma;
    d_material[MOTE_MATERIAL_GAMMA] -= d_law[MOTE_LAW_TAIT] * bulk / (gamma * gamma);
    if (material->kind == MOTE_NEWTONIAN) return; /* E and nu may be anything */
  }
  double d_mu = d_law[MOTE_LAW_MU], d_lambda = d_law[MOTE_LAW_LAMBDA], less = 1 - 2 * nu;
  double d_nu = -d_mu * E / (2 * (1 + nu) * (1 + nu));
  d_nu += d_lambda * E * (1 + 2 * nu * nu) / ((1 + nu) * (1 + nu) * less * less);
  d_material[MOTE_MATERIAL_YOUNGS_MODULUS] = d_mu * shear_modulus(1, nu) + d_lambda * lame_lambda(1, nu);
  /* friction = (1 + dim lambda / (2 mu)) alpha, with lambda / (2 mu) = nu / (1 - 2 nu) */
  double by_sine[2] = {1 / sqrt(2.0), sqrt(2.0 / 3.0) * 6 / ((3 - sine) * (3 - sine))};
  cone_slopes(sine, alpha);
  for (int i = 0; i < 2; i++) {
    double d = d_law[MOTE_LAW_FRICTION_2 + i];
    d_nu += d * (2 + i) / (less * less) * alpha[i];
    d_material[MOTE_MATERIAL_FRICTION_ANGLE] +=
        d * (1 + (2 + i) * nu / less) * by_sine[i] * cos(angle) * DEGREE;
  }
  d_material[MOTE_MATERIAL_POISSON_RATIO] = d_nu;
}
