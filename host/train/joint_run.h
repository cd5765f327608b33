/* RUN.yaml of kind "joint": keys, defaults and checks. */
#ifndef MOTE_TRAIN_JOINT_RUN_H
#define MOTE_TRAIN_JOINT_RUN_H

#include "host/train/stepper_run.h"

#ifdef __cplusplus
extern "C" {
#endif

typedef struct mote_joint_run {
  /* What the time-stepper's part is; `statistics` is its folder, push_steps the steps that are unrolled, and
     position_weight counts within stepper_weight. */
  mote_stepper_run stepper;
  char *operator_folder;
  int64_t points;        /* dense particles that an example's loss looks at */
  double stepper_weight; /* of the time-stepper's own losses, beside 1 for the dense particles' error */
  double operator_rate;  /* of Adam on the operator's weights; follows the schedule of the time-stepper's */
} mote_joint_run;

/* MOTE_ERROR_FORMAT names file, line and what was expected. Reads the time-stepper's config.json, too. */
mote_status mote_joint_run_load(const char *path, mote_joint_run *run);
void mote_joint_run_free(mote_joint_run *run);

#ifdef __cplusplus
}
#endif
#endif
