/* libFuzzer: RUN.yaml of a time-stepper's training; what is accepted must be in range. */
#include "host/train/stepper_run.h"

#include "tests/fuzz/scratch.h"

static void check(const mote_stepper_run *r) {
  const mote_network_config *c = &r->config;
  const mote_latent_config *l = &c->latent;
  if (!r->data || !*r->data || r->batch < 1 || r->steps < 1 || r->save_every < 1 || r->validate_every < 1 ||
      r->push_steps < 1 || r->seed < 0 || !(r->noise >= 0) || !(r->ema >= 0 && r->ema < 1))
    abort();
  if (!(1 <= r->least && r->least <= r->most) || !(r->optimizer.beta1 < 1 && r->optimizer.beta2 < 1) ||
      !(r->optimizer.epsilon > 0) || !(r->schedule.rate > 0 && r->schedule.floor <= r->schedule.rate) ||
      r->schedule.warmup >= r->steps || r->schedule.decay_steps < 1)
    abort();
  for (int64_t step = 0; step < r->steps; step = 3 * step + 1)
    if (!(mote_schedule_rate(&r->schedule, step) >= 0 && mote_schedule_rate(&r->schedule, step) <= 10))
      abort();
  if (c->kind == MOTE_GIOROM &&
      (l->width % l->heads || l->space_width > l->kernel_in.widths[l->kernel_in.layers]))
    abort();
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size) {
  static const mote_metadata metadata = {.dim = 2, .bounds = {{0, 1}, {0, 2}}, .connectivity_radius = 0.1};
  mote_stepper_run run;
  if (mote_stepper_run_load(scratch_file(data, size), &run) != MOTE_OK) return 0;
  check(&run);
  if (mote_stepper_run_fit(&run, &metadata) == MOTE_OK && (run.config.dim != 2 || !(run.radius > 0))) abort();
  mote_stepper_run_free(&run);
  return 0;
}
