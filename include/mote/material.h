/* Materials: an elastic (or viscous) law with a return mapping. Stress below is Kirchhoff stress tau, so that
   Cauchy stress is tau / J. Lame constants: mu = E / (2 (1 + nu)), lambda = E nu / ((1 + nu) (1 - 2 nu)). */
#ifndef MOTE_MATERIAL_H
#define MOTE_MATERIAL_H

#include <mote/status.h>

#ifdef __cplusplus
extern "C" {
#endif

typedef enum mote_material_kind {
  /* tau = 2 mu (F - R) F^T + lambda J (J - 1) I (Stomakhin et al. 2012). */
  MOTE_FIXED_COROTATED,
  /* tau = mu (F F^T - I) + lambda log(J) I. */
  MOTE_NEO_HOOKEAN,
  /* tau = lambda J (J - 1) I + J viscosity dev(grad v + grad v^T), F reset to J^(1/dim) I each step. With
     `bulk_modulus` > 0 the pressure follows Tait's equation, tau = -J p, p = K/gamma (J^-gamma - 1). */
  MOTE_NEWTONIAN,
  /* Herschel-Bulkley: Hencky elasticity as below; where the shear stress q = |dev tau| / sqrt(2) exceeds
     yield_stress, it flows at the shear rate g with q = yield_stress + consistency g^flow_index, implicitly
     (after Yue et al. 2015). Bingham is flow_index 1. */
  MOTE_HERSCHEL_BULKLEY,
  /* Oldroyd-B: tau = mu (b_e - I) + lambda J (J - 1) I + J viscosity dev(grad v + grad v^T), with the
     upper-convected Maxwell law d b_e/dt = C b_e + b_e C^T - (b_e - I) / relaxation_time, C = grad v: a
     polymer viscosity of mu relaxation_time. F is the Cholesky factor of b_e, history is log J. */
  MOTE_VISCOELASTIC,
  /* Hencky elasticity, tau = U (2 mu log s + lambda tr(log s)) U^T, and the Drucker-Prager return of Klar et
     al. 2016: |dev tau| <= -alpha tr tau, alpha = sqrt(2/3) 2 sin(phi) / (3 - sin(phi)) in 3-D and sin(phi) /
     sqrt(2), which is Mohr-Coulomb, in 2-D. */
  MOTE_DRUCKER_PRAGER,
  /* Hencky elasticity, |dev tau| = 2 mu |dev log s| <= yield_stress + hardening * plastic strain, both in the
     Frobenius norm; history is the plastic strain. */
  MOTE_VON_MISES,
  /* A neural law (Ma et al. 2023), learned from motion: elasticity tau = R S F^T and plasticity F <- F + R S,
     with S of networks (`law`). youngs_modulus and poisson_ratio only bound the time step: about as stiff as
     what it was learned from. No stored energy is known of it. */
  MOTE_NEURAL,
  MOTE_MATERIAL_KINDS,
  MOTE_CLASSICAL_KINDS = MOTE_NEURAL /* those before: all of them formulas */
} mote_material_kind;

/* SI units; a member that a kind does not use is ignored. */
typedef struct mote_material {
  char name[64];
  char law[1024]; /* neural: the folder of config.json and model.safetensors */
  mote_material_kind kind;
  float density;           /* kg/m^3 */
  float youngs_modulus;    /* Pa */
  float poisson_ratio;     /* in (-1, 0.5) */
  float bulk_modulus;      /* Pa; Newtonian with Tait's equation when > 0 */
  float gamma;             /* Tait exponent, 7 for water */
  float viscosity;         /* Pa s: Newtonian, and the solvent of a viscoelastic fluid */
  float yield_stress;      /* Pa: von Mises, Herschel-Bulkley */
  float hardening;         /* Pa per unit of plastic strain: von Mises */
  float consistency;       /* Pa s^n: Herschel-Bulkley */
  float flow_index;        /* n: Herschel-Bulkley */
  float relaxation_time;   /* s: viscoelastic */
  float friction_angle;    /* degrees: Drucker-Prager */
  float cohesion;          /* Hencky strain at which sand comes apart: Drucker-Prager */
  float volume_correction; /* 1: volume gained while apart is given back before pressure builds up (Tampubolon
                              et al. 2017), 0: it is forgotten; Drucker-Prager */
} mote_material;

/* The name used in files: "fixed_corotated", "neo_hookean", "newtonian", "herschel_bulkley", "viscoelastic",
   "drucker_prager", "von_mises", "neural". */
const char *mote_material_kind_name(mote_material_kind kind);
mote_status mote_material_kind_from_name(const char *name, mote_material_kind *kind);

/* Fills `material` with plausible values of a kind (density 1000 kg/m^3 and so on). */
void mote_material_defaults(mote_material_kind kind, mote_material *material);

/* Checks every parameter that the kind uses; the error names the parameter, its value and its range. */
mote_status mote_material_check(const mote_material *material);

/* The fastest elastic wave (P-wave speed at rest), m/s: what the CFL limit of the time step needs. */
float mote_material_wave_speed(const mote_material *material);

#ifdef __cplusplus
}
#endif
#endif
