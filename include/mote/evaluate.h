/* How far a reconstructed trajectory D lies from the truth T: per frame, in the mean and at the worst, for
   all particles and for each material. Sums are float64 in a fixed order. */
#ifndef MOTE_EVALUATE_H
#define MOTE_EVALUATE_H

#include <stdint.h>
#include <mote/device.h>
#include <mote/log.h>
#include <mote/status.h>
#include <mote/trajectory.h>

#ifdef __cplusplus
extern "C" {
#endif

/* Of two clouds of points D and T, (n, dim) and (m, dim), in metres. The first three pair point i of D with
   point i of T; they are NaN when n differs from m. */
typedef struct mote_errors {
  double relative_l2; /* |D - T| / |T|, norms over all coordinates; absolute where T is all zero */
  double rmse;        /* sqrt(mean |D_i - T_i|^2), m */
  double maximum;     /* max |D_i - T_i|, m */
  double chamfer;     /* (mean_i min_j |D_i - T_j| + mean_j min_i |D_i - T_j|) / 2, m: symmetric, exact, all
                         points */
} mote_errors;

/* Workspace for comparisons on a device (its neighbour search), kept from call to call. */
typedef struct mote_evaluator mote_evaluator;
mote_status mote_evaluator_create(mote_device *device, mote_evaluator **evaluator);
void mote_evaluator_destroy(mote_evaluator *evaluator); /* NULL is allowed */

/* Compares two clouds in host memory; `with_chamfer` 0 leaves that NaN. Two empty clouds have errors of 0;
   one empty cloud has a NaN Chamfer distance. MOTE_ERROR_NUMERIC names the first coordinate that is not
   finite. */
mote_status mote_evaluate_points(mote_evaluator *evaluator, int dim, const float *d, int64_t n,
                                 const float *t, int64_t m, int with_chamfer, mote_errors *errors);

/* ---- Trajectories ---- */

typedef struct mote_evaluate_options {
  const char *name;       /* of this reconstruction, for tables and plots; "reconstruction" */
  int64_t chamfer_stride; /* every such frame gets a Chamfer distance; 1 */
  int per_material;       /* 1 */
  double frame_time;      /* s between frames; 0: unknown, frames are counted instead */
} mote_evaluate_options;
void mote_evaluate_options_defaults(mote_evaluate_options *options);

/* The errors of one group of particles over the frames. */
typedef struct mote_error_series {
  char name[32];      /* "all", or the material: "fluid", "material 2" */
  mote_errors *frame; /* (frames); owned */
  mote_errors mean;   /* over the frames that have a value */
  mote_errors worst;  /* the largest of the frames */
} mote_error_series;

typedef struct mote_evaluation {
  char name[64];
  int64_t frames;
  int64_t particles[2]; /* of D and T */
  double frame_time;
  int group_count;           /* 1 + number of materials, or 1 where there is one material only */
  mote_error_series *groups; /* [0] is all; owned */
} mote_evaluation;
void mote_evaluation_destroy(mote_evaluation *evaluation);

/* Compares position of trajectory `d_index` of D with `t_index` of T, frame by frame; the frames that both
   have. With different numbers of particles only the Chamfer distance is defined. Materials are T's labels
   "material", else particle_type. Asked to stop by the monitor, it keeps the frames it has. Errors:
   MOTE_ERROR_NUMERIC with frame and particle; MOTE_ERROR_ARGUMENT when the dimensions differ. */
mote_status mote_evaluate_trajectory(mote_evaluator *evaluator, mote_trajectory_reader *d, int d_index,
                                     mote_trajectory_reader *t, int t_index,
                                     const mote_evaluate_options *options, const mote_monitor *monitor,
                                     mote_evaluation *evaluation);

/* ---- Reports on several evaluations against the same truth ---- */

/* An aligned table, rows evaluations and their groups; free() the text. */
mote_status mote_evaluation_table(const mote_evaluation *evaluations, int count, char **text);

/* One row a frame and group: name,group,frame,time,relative_l2,rmse,maximum,chamfer; empty where undefined.
 */
mote_status mote_evaluation_write_csv(const mote_evaluation *evaluations, int count, const char *path);

typedef enum mote_metric {
  MOTE_METRIC_RELATIVE_L2,
  MOTE_METRIC_RMSE,
  MOTE_METRIC_MAXIMUM,
  MOTE_METRIC_CHAMFER
} mote_metric;

/* Error against time as a PNG: a line an evaluation, or with one evaluation a line a group. */
mote_status mote_evaluation_plot(const mote_evaluation *evaluations, int count, mote_metric kind, int log_y,
                                 const char *path);

#ifdef __cplusplus
}
#endif
#endif
