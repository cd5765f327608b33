/* Data sets: a folder with train.h5, valid.h5 and test.h5 in the LagrangeBench layout, and metadata.json with
   the statistics of the first. Made of randomised scenes, and opened, whoever made them. */
#ifndef MOTE_DATASET_H
#define MOTE_DATASET_H

#include <stdint.h>
#include <mote/log.h>
#include <mote/scene.h>
#include <mote/trajectory.h>

#ifdef __cplusplus
extern "C" {
#endif

enum { MOTE_TRAIN, MOTE_VALID, MOTE_TEST, MOTE_SPLITS };

/* "train", "valid", "test"; NULL-ended. */
extern const char *const mote_split_names[MOTE_SPLITS + 1];

#define MOTE_MOST_SCENES 1000000 /* of a split */

typedef struct mote_dataset_options {
  const char *device; /* NULL: "auto" */
  int threads;        /* CPU threads; 0: all. The result does not depend on it */
  int64_t seed;       /* added to the spec's own */
} mote_dataset_options;

typedef struct mote_dataset_summary {
  int64_t scenes;    /* of the whole data set */
  int64_t done;      /* of them, there now: all, unless it was stopped */
  int64_t simulated; /* by this call */
  int64_t redrawn;   /* draws given up as their simulation failed, earlier calls' too */
  int64_t frames;    /* stored, of all trajectories; once all are done */
  int64_t fewest_particles, most_particles; /* of a stored trajectory; once all are done */
  double seconds;                           /* in drawing and simulating */
} mote_dataset_summary;

/* Draws the scenes of a SPEC.yaml (scripts/datasets/README.md), simulates each by the material point method
   and writes the files named above into `folder`, which is made where it is not there. All appear under their
   names together, once the last scene is done; until then finished trajectories lie in folder/.parts. A call
   that was killed, or stopped by the monitor, is gone on with by the same call, to the same bytes. Scenes
   depend on the spec, the seed, the split and their number alone. A simulation that fails is told to the
   monitor's log and its scene drawn anew. MOTE_ERROR_FORMAT: the spec, with line; MOTE_ERROR_ARGUMENT: the
   folder holds a data set of another spec or seed, or another process is at work in it; MOTE_ERROR_NUMERIC: a
   scene that cannot be drawn, or fails each time. `summary` may be NULL. */
mote_status mote_dataset_make(const char *spec, const char *folder, const mote_dataset_options *options,
                              const mote_monitor *monitor, mote_dataset_summary *summary);

/* Draws one scene of a spec, without simulating it; the caller destroys it. */
mote_status mote_dataset_scene(const char *spec, int64_t seed, int split, int64_t number, mote_scene *scene);

/* Opens a split of a data set: `path` is the folder (split.h5 in it; MOTE_TRAIN is train.h5) or one .h5 file,
   whose split is then ignored. Reads those of LagrangeBench as they are, those of GNS after `mote convert`.
   The reader counts the trajectories, tells frames, particles and dim of each, reads windows of frames, types
   and metadata with statistics (mote/trajectory.h). */
mote_status mote_dataset_open(const char *path, int split, mote_trajectory_reader **reader);

#ifdef __cplusplus
}
#endif
#endif
