/* RUN.yaml of a joint training. */
#include "host/train/joint_run.h"

#include <stdlib.h>

#include "host/core/error.h"
#include "host/core/file.h"
#include "host/train/run.h"

void mote_joint_run_free(mote_joint_run *run) {
  mote_stepper_run_free(&run->stepper);
  free(run->operator_folder);
  run->operator_folder = NULL;
}

static mote_status read_loss(const mote_map *run, mote_joint_run *r) {
  static const char *const keys[] = {"stepper", "position", NULL};
  mote_map map;
  if (!mote_map_find(run, "loss")) return MOTE_OK;
  MOTE_TRY(mote_map_open_child(run, "loss", keys, &map));
  MOTE_TRY(mote_map_real(&map, "stepper", 0, 1e6, &r->stepper_weight));
  MOTE_TRY(mote_map_real(&map, "position", 0, 1e6, &r->stepper.position_weight));
  if (r->stepper.position_weight > 0 && !(r->stepper_weight > 0))
    return mote_node_fail(map.document, mote_map_find(&map, "position"),
                          "'position' of %s counts within 'stepper': expected that to be above 0", map.title);
  return MOTE_OK;
}

static mote_status read_run(const mote_document *document, mote_joint_run *r) {
  static const char *const keys[] = {
      "kind",  "data",      "stepper",       "operator", "particles",  "unroll",    "points",
      "loss",  "optimizer", "operator_rate", "schedule", "validation", "clip",      "ema",
      "batch", "steps",     "seed",          "memory",   "save_every", "precision", NULL};
  mote_map map;
  MOTE_TRY(mote_run_open(document, keys, "joint", &map));
  MOTE_TRY(mote_run_path(&map, "stepper", "the folder of a trained time-stepper", &r->stepper.statistics));
  MOTE_TRY(mote_run_path(&map, "operator", "the folder of a trained operator", &r->operator_folder));
  MOTE_TRY(mote_map_integer(&map, "unroll", 1, 100, &r->stepper.push_steps));
  MOTE_TRY(mote_map_integer(&map, "points", 1, 100000000, &r->points));
  MOTE_TRY(read_loss(&map, r));
  MOTE_TRY(mote_map_real(&map, "operator_rate", 0, 1, &r->operator_rate));
  return mote_stepper_run_read(&map, &r->stepper);
}

mote_status mote_joint_run_load(const char *path, mote_joint_run *run) {
  mote_document document;
  *run = (mote_joint_run){.points = 1000, .operator_rate = 1e-4};
  mote_stepper_run_defaults(&run->stepper);
  run->stepper.push_steps = 5;
  run->stepper.through = 1;
  run->stepper.steps = 2000;
  run->stepper.schedule.rate = 1e-5;
  MOTE_TRY(mote_document_load(path, &document));
  mote_status status = read_run(&document, run);
  mote_document_free(&document);
  if (status == MOTE_OK) status = mote_stepper_run_take_model(&run->stepper, run->stepper.statistics);
  if (status != MOTE_OK) mote_joint_run_free(run);
  return status;
}
