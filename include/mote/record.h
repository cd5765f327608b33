/* Recording: runs a scene to its end and streams the frames to a trajectory file. */
#ifndef MOTE_RECORD_H
#define MOTE_RECORD_H

#include <mote/device.h>
#include <mote/log.h>
#include <mote/scene.h>
#include <mote/trajectory.h>

#ifdef __cplusplus
extern "C" {
#endif

typedef struct mote_record_options {
  int velocity;             /* store the field "velocity" (T, n, dim), m/s */
  int deformation_gradient; /* store "deformation_gradient" (T, n, dim, dim) */
  int state;                /* store all that a state is of: also "affine_velocity" and "history" (T, n) */
  int compression;          /* deflate level 0..9 */
  int write_xdmf;           /* XDMF beside it */
  int diagnostics;          /* write NAME.diagnostics.csv: mass, momenta and energies of every frame */
} mote_record_options;

typedef struct mote_record_summary {
  int64_t frames;
  int64_t particles;
  int64_t steps;
  double solver_seconds; /* time in the solver alone, without output */
} mote_record_summary;

/* Simulates `scene` for its frames and writes `path`. When the monitor asks to stop, what has been simulated
   is finished as a shorter, valid file. On failure nothing lies at `path`. Particles' labels (material, type)
   are the scene's, whatever they change to. `summary` may be NULL. */
mote_status mote_record(const mote_scene *scene, mote_device *device, const char *path,
                        const mote_record_options *options, const mote_monitor *monitor,
                        mote_record_summary *summary);

/* The metadata of a scene's trajectory: bounds at the walls' surfaces, spacing from the particles' mean
   volume, a default connectivity radius of 1.45 spacings. Statistics are left to the writer. */
mote_status mote_scene_metadata(const mote_scene *scene, double time_step, mote_metadata *metadata);

#ifdef __cplusplus
}
#endif
#endif
