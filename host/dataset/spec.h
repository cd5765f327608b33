/* SPEC.yaml of a data set: scenes with draws in them, splits, and what is stored. The keys are told in
   scripts/datasets/README.md. */
#ifndef MOTE_DATASET_SPEC_H
#define MOTE_DATASET_SPEC_H

#include <mote/dataset.h>
#include <mote/sample.h>
#include <mote/scene.h>

#include "host/dataset/base.h"

#ifdef __cplusplus
extern "C" {
#endif

typedef struct mote_spec_split {
  int64_t count;              /* scenes; 0: no such split */
  const yaml_node_t *changes; /* what of the scene is another here; NULL: nothing */
} mote_spec_split;

typedef struct mote_spec {
  mote_document document;
  mote_spec_base base;
  mote_scene_source source; /* name and folder are the caller's */
  const yaml_node_t *scene;
  int dim;
  mote_spec_split splits[MOTE_SPLITS];
  uint64_t seed;
  int64_t least, most; /* particles of a scene */
  double gap;          /* m between bodies; 0: a cell of the grid */
  int64_t tries;       /* draws of a scene, and simulations, before it is given up */
  /* What is stored. */
  int velocity, deformation_gradient, compression;
  int type_by_material; /* particle_type tells materials, not kinds of matter */
  int64_t keep;         /* particles of each trajectory; 0: all */
  mote_sample_method method;
} mote_spec;

/* Parses text[0, length), which lives as long as the spec needs it no more. `source->folder` may be NULL:
   then bodies from files and a base are refused. `seed` is added to the file's. */
mote_status mote_spec_parse(const char *text, size_t length, const mote_scene_source *source, uint64_t seed,
                            mote_spec *spec);
void mote_spec_free(mote_spec *spec);

/* Draws scene `number` of a split; `attempt` > 0 draws another one in its place. MOTE_ERROR_NUMERIC: no scene
   within the limits (particles, room for all bodies) in spec->tries draws. */
mote_status mote_spec_scene(const mote_spec *spec, int split, int64_t number, int attempt, mote_scene *scene);

/* Draws scenes such that each value of each `choose` is looked at, and compares the splits' settings: what is
   wrong is said before anything is simulated. frames[split], unless NULL: how many a scene simulates. */
mote_status mote_spec_check(const mote_spec *spec, int64_t frames[MOTE_SPLITS]);

#ifdef __cplusplus
}
#endif
#endif
