/* A step of training: a worker an example, gradients added in the order of the examples, so that the result
   does not depend on the number of workers. */
#include <math.h>
#include <omp.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <mote/random.h>

#include "host/core/error.h"
#include "host/train/trainer.h"

void mote_trainer_experts(const mote_operator *model, const mote_recording *recording,
                          int expert_of[MOTE_METADATA_MATERIALS]) {
  for (int k = 0; k < recording->metadata.material_count; k++)
    expert_of[k] = mote_operator_expert(model, recording->metadata.materials[k].kind);
}

static mote_status make(const mote_trainer *t, const mote_recording *recording, uint64_t draw,
                        mote_example *e) {
  int expert_of[MOTE_METADATA_MATERIALS];
  mote_trainer_experts(t->weights.model, recording, expert_of);
  return mote_example_make(recording, &t->run, draw, expert_of, e);
}

/* The unlearned operator's error along an example: what the loss is measured in. Early frames, where it is
   near 0, count as a fifth of the last one. One more entry behind: the frames before the motion ceases to be
   affine, in which all operators are exact and nothing is to be learned. */
static mote_status unlearned(const mote_trainer *t, mote_device *device, const mote_example *e,
                             double **out) {
  mote_rollout rollout;
  double *scale = calloc((size_t)e->frames + 1, sizeof *scale);
  if (!scale) return mote_fail(MOTE_ERROR_MEMORY, "out of memory for a rollout");
  mote_status status = mote_rollout_create(device, e, t->weights.model, 0, &rollout);
  if (status == MOTE_OK) status = mote_rollout_forward(&rollout);
  if (status == MOTE_OK)
    for (int64_t f = 0; f < e->frames; f++)
      scale[f] = fmax(rollout.rms[f], 0.2 * rollout.rms[e->frames - 1]) + 1e-9;
  if (status == MOTE_OK) {
    int64_t quiet = 0;
    while (quiet + 3 < e->frames && rollout.rms[quiet + 2] < 1e-3 * rollout.rms[e->frames - 1]) quiet++;
    scale[e->frames] = (double)quiet;
  }
  mote_rollout_free(&rollout);
  if (status == MOTE_OK)
    *out = scale;
  else
    free(scale);
  return status;
}

static mote_status learn_from(mote_trainer *t, mote_device *device, int64_t number, double *loss,
                              float *gradient) {
  uint64_t seed = (uint64_t)t->run.seed;
  int64_t which = (int64_t)mote_random_below(seed, 31, (uint64_t)number, (uint64_t)t->data.count);
  int64_t draw = (int64_t)mote_random_below(seed, 32, (uint64_t)number, MOTE_TRAIN_DRAWS);
  double **scale = &t->scale[which * MOTE_TRAIN_DRAWS + draw], *known, *own = NULL;
  mote_example e, moving;
  mote_rollout rollout = {0};
  MOTE_TRY(make(t, &t->data.of[which], (uint64_t)(which * MOTE_TRAIN_DRAWS + draw), &e));
  mote_status status = MOTE_OK;
#pragma omp atomic read
  known = *scale;
  if (!known) {
    status = unlearned(t, device, &e, &own);
    known = own;
  }
  if (status == MOTE_OK) {
    moving = mote_example_from(&e, (int64_t)known[e.frames]);
    status = mote_rollout_create(device, &moving, t->weights.model, 1, &rollout);
  }
  if (status == MOTE_OK) status = mote_rollout_forward(&rollout);
  if (status == MOTE_OK)
    status = mote_rollout_backward(&rollout, known + (e.frames - moving.frames), loss, gradient);
  mote_rollout_free(&rollout);
  mote_example_free(&e);
  if (own) {
    /* Two workers may have found the same; one of them is kept. */
    double *loser = NULL;
#pragma omp critical(mote_train_scale)
    {
      if (*scale) {
        loser = own;
      } else {
#pragma omp atomic write
        *scale = own;
      }
    }
    free(loser);
  }
  return status == MOTE_OK ? MOTE_OK : mote_fail_within(status, "%s", t->data.of[which].name);
}

static mote_status update(mote_trainer *t, const float *gradient) {
  double progress = (double)t->step / (double)t->run.steps, pi = 3.14159265358979;
  double rate =
      t->run.rate * (0.02 + 0.98 * 0.5 * (1 + cos(pi * progress))) * fmin(1, (double)(t->step + 1) / 50);
  return mote_operator_weights_update(&t->weights, t->device[0], gradient, 1, rate, t->step + 1, 0.98);
}

/* What went wrong on another thread, here. */
typedef struct outcome {
  mote_status status;
  char message[512];
} outcome;

static void note(outcome *o, mote_status status) {
  o->status = status;
  if (status != MOTE_OK) snprintf(o->message, sizeof o->message, "%s", mote_last_error());
}

mote_status mote_trainer_step(mote_trainer *t, double *loss) {
  int64_t batch = t->run.batch;
  float *gradients = malloc((size_t)(batch * t->weights.size) * sizeof *gradients);
  outcome *outcomes = calloc((size_t)batch, sizeof *outcomes);
  double *losses = calloc((size_t)batch, sizeof *losses);
  mote_status status = MOTE_OK;
  if (!gradients || !outcomes || !losses) {
    status = mote_fail(MOTE_ERROR_MEMORY, "out of memory for a batch");
  } else {
#pragma omp parallel for num_threads(t->workers) schedule(dynamic, 1)
    for (int64_t k = 0; k < batch; k++)
      note(&outcomes[k], learn_from(t, t->device[omp_get_thread_num()], t->step * batch + k, &losses[k],
                                    gradients + k * t->weights.size));
  }
  *loss = 0;
  for (int64_t k = 0; status == MOTE_OK && k < batch; k++) {
    if (outcomes[k].status != MOTE_OK) status = mote_fail(outcomes[k].status, "%s", outcomes[k].message);
    *loss += losses[k] / (double)batch;
    for (int64_t i = 0; i < t->weights.size; i++)
      gradients[i] = (k ? gradients[i] : 0) + gradients[k * t->weights.size + i] / (float)batch;
  }
  if (status == MOTE_OK) status = update(t, gradients);
  if (status == MOTE_OK) t->step++;
  free(gradients);
  free(outcomes);
  free(losses);
  return status;
}

/* ---- inputs ---- */

mote_status mote_trainer_observe(mote_trainer *t) {
  int experts = t->weights.model->experts, seen[MOTE_EXPERTS] = {0};
  double sums[MOTE_EXPERTS * 2 * MOTE_FEATURES] = {0}, count[MOTE_EXPERTS] = {0};
  for (int k = 0; k < t->data.count; k++) {
    int expert_of[MOTE_METADATA_MATERIALS], wanted = 0;
    mote_trainer_experts(t->weights.model, &t->data.of[k], expert_of);
    for (int m = 0; m < t->data.of[k].metadata.material_count; m++)
      if (expert_of[m] >= 0) wanted |= seen[expert_of[m]]++ < 6;
    if (!wanted) continue;
    mote_example e;
    mote_rollout rollout;
    MOTE_TRY(make(t, &t->data.of[k], (uint64_t)k * MOTE_TRAIN_DRAWS, &e));
    mote_status status = mote_rollout_create(t->device[0], &e, t->weights.model, 1, &rollout);
    if (status == MOTE_OK) status = mote_rollout_forward(&rollout);
    if (status == MOTE_OK) status = mote_rollout_observe(&rollout, 8, sums, count);
    mote_rollout_free(&rollout);
    mote_example_free(&e);
    if (status != MOTE_OK) return status;
  }
  for (int e = 0; e < experts; e++)
    for (int k = 0; k < MOTE_FEATURES && count[e] > 0; k++) {
      double mean = sums[2 * e * MOTE_FEATURES + k] / count[e];
      double variance = sums[(2 * e + 1) * MOTE_FEATURES + k] / count[e] - mean * mean;
      t->weights.model->norm[2 * e * MOTE_FEATURES + k] = (float)mean;
      t->weights.model->norm[(2 * e + 1) * MOTE_FEATURES + k] = (float)(1 / (sqrt(fmax(variance, 0)) + 1e-2));
    }
  memcpy(t->weights.average->norm, t->weights.model->norm,
         (size_t)experts * 2 * MOTE_FEATURES * sizeof(float));
  return MOTE_OK;
}

/* ---- validation ---- */

static mote_status compare(mote_trainer *t, mote_device *device, const mote_recording *recording,
                           double *ratio) {
  mote_example e;
  double error[2] = {0, 0};
  MOTE_TRY(make(t, recording, 1u << 30, &e));
  mote_status status = MOTE_OK;
  for (int corrects = 0; corrects < 2 && status == MOTE_OK; corrects++) {
    mote_rollout rollout;
    status = mote_rollout_create(device, &e, t->weights.average, corrects, &rollout);
    if (status == MOTE_OK) status = mote_rollout_forward(&rollout);
    for (int64_t f = 1; f < e.frames && status == MOTE_OK; f++) error[corrects] += rollout.rms[f];
    mote_rollout_free(&rollout);
  }
  *ratio = error[1] / (error[0] + 1e-12);
  mote_example_free(&e);
  return status;
}

mote_status mote_trainer_validate(mote_trainer *t, double *ratio) {
  outcome outcomes[t->valid.count + 1];
  double ratios[t->valid.count + 1];
#pragma omp parallel for num_threads(t->workers) schedule(dynamic, 1)
  for (int k = 0; k < t->valid.count; k++)
    note(&outcomes[k], compare(t, t->device[omp_get_thread_num()], &t->valid.of[k], &ratios[k]));
  *ratio = 0;
  for (int k = 0; k < t->valid.count; k++) {
    if (outcomes[k].status != MOTE_OK)
      return mote_fail(outcomes[k].status, "%s: %s", t->valid.of[k].name, outcomes[k].message);
    *ratio += ratios[k] / t->valid.count;
  }
  return MOTE_OK;
}
