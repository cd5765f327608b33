/* libFuzzer: RUN.yaml of a constitutive training, beside one scene; what is accepted must be in range. */
#include "host/train/constitutive_run.h"

#include "tests/fuzz/scratch.h"

#define SCENE "/dev/shm/mote-fuzz-scene.yaml" /* which the seeds name */

static void write_scene(void) {
  static const char text[] =
      "dim: 2\ndomain: {lower: [0, 0], upper: [1, 1], cells: 16}\ntime: {step: 1.0e-4, frames: 2}\n"
      "materials: {matter: {kind: von_mises, density: 1000, youngs_modulus: 4.0e4, poisson_ratio: 0.3, "
      "yield_stress: 1500}}\nbodies: [{material: matter, shape: {kind: box, size: [0.1, 0.1]}, position: "
      "[0.5, 0.5]}]\n";
  FILE *file = fopen(SCENE, "w");
  if (!file || fwrite(text, 1, sizeof text - 1, file) != sizeof text - 1 || fclose(file) != 0) abort();
}

static void check(const mote_constitutive_run *r) {
  if (!r->trajectory || !*r->trajectory || r->scene.particles.count < 1 || r->batch < 1 || r->epochs < 0 ||
      r->memory < 1 || r->save_every < 1 || r->validate_every < 1 || !(r->noise >= 0) ||
      !(r->ema >= 0 && r->ema < 1) || !(r->position_weight > 0 || r->velocity_weight > 0) ||
      !(r->restart_from >= 1 && r->restart_to >= 1))
    abort();
  if (r->finds_law ? !(r->law.strain_scale > 0 && r->law.elasticity_scale > 0) : r->unknown_count < 1)
    abort();
  for (int k = 0; k < r->unknown_count; k++)
    if (!(r->unknown[k].low < r->unknown[k].high && r->unknown[k].start >= r->unknown[k].low &&
          r->unknown[k].start <= r->unknown[k].high))
      abort();
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size) {
  static int begun;
  mote_constitutive_run run;
  if (!begun++) write_scene();
  if (mote_constitutive_run_load(scratch_file(data, size), 0, &run) != MOTE_OK) return 0;
  check(&run);
  mote_constitutive_run_free(&run);
  return 0;
}
