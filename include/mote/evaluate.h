/* How far a predicted or reconstructed trajectory D lies from the truth T: per frame, in the mean and at the
   worst, for all particles and for each material, beside what trivial predictors would have reached. Sums are
   float64 in a fixed order. One step of a time-stepper is measured by <mote/one_step.h>. */
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

/* Of two clouds of points D and T, (n, dim) and (m, dim), in metres; NaN where undefined. The first three and
   `position` pair point i of D with point i of T, and want n = m. `kinetic` and `inside` leave out kinematic
   particles. */
typedef struct mote_errors {
  double relative_l2; /* |D - T| / |T|, norms over all coordinates; absolute where T is all zero */
  double rmse;        /* sqrt(mean |D_i - T_i|^2), m */
  double maximum;     /* max |D_i - T_i|, m */
  double chamfer;     /* (mean_i min_j |D_i - T_j| + mean_j min_i |D_i - T_j|) / 2, m: symmetric, exact, all
                         points */
  double position;    /* mean |D_i - T_i|, m */
  double sinkhorn;    /* sqrt(2 S), m: see mote_sinkhorn */
  double kinetic; /* D's kinetic energy per unit mass, all particles equally heavy, from the difference to the
                     frame before: mean |x(f) - x(f-1)|^2 / (2 frame_time^2), J/kg; per frame^2 where the
                     time is unknown */
  double kinetic_truth; /* T's */
  double beyond; /* how far D's particle that is farthest outside T's bounds is beyond them, m; 0: none is */
  double beyond_truth; /* T's: matter may rest a little beyond where its metadata has the bounds */
  double inside; /* share of D's particles inside T's bounds or no farther beyond them than the reach of T's
                    metadata (or of the options), 0 to 1; rounding aside */
  double inside_truth; /* T's */
} mote_errors;

typedef enum mote_metric { /* in the order of mote_errors */
                           MOTE_METRIC_RELATIVE_L2,
                           MOTE_METRIC_RMSE,
                           MOTE_METRIC_MAXIMUM,
                           MOTE_METRIC_CHAMFER,
                           MOTE_METRIC_POSITION,
                           MOTE_METRIC_SINKHORN,
                           MOTE_METRIC_KINETIC,
                           MOTE_METRIC_KINETIC_TRUTH,
                           MOTE_METRIC_BEYOND,
                           MOTE_METRIC_BEYOND_TRUTH,
                           MOTE_METRIC_INSIDE,
                           MOTE_METRIC_INSIDE_TRUTH,
                           MOTE_METRICS
} mote_metric;

double mote_errors_get(const mote_errors *errors, mote_metric metric);
/* "relative_l2", ..., as in the CSV; and back, 0 when it is no metric's name. */
const char *mote_metric_name(mote_metric metric);
int mote_metric_from_name(const char *name, mote_metric *metric);

/* Workspace for comparisons on a device (its neighbour search), kept from call to call. */
typedef struct mote_evaluator mote_evaluator;
mote_status mote_evaluator_create(mote_device *device, mote_evaluator **evaluator);
void mote_evaluator_destroy(mote_evaluator *evaluator); /* NULL is allowed */

/* Compares two clouds in host memory: the first five of mote_errors, the others are NaN; `with_chamfer` 0
   leaves that NaN. Two empty clouds have errors of 0; one empty cloud has a NaN Chamfer distance.
   MOTE_ERROR_NUMERIC names the first coordinate that is not finite. */
mote_status mote_evaluate_points(mote_evaluator *evaluator, int dim, const float *d, int64_t n,
                                 const float *t, int64_t m, int with_chamfer, mote_errors *errors);

/* ---- Optimal transport ---- */

typedef struct mote_sinkhorn_options {
  double blur;      /* m: epsilon is blur^2 */
  double tolerance; /* by how much the plan may miss its marginals, in L1; 0: 1e-3 */
  int iterations;   /* at most, at the final epsilon; 0: 500 */
} mote_sinkhorn_options;

typedef struct mote_sinkhorn {
  double divergence; /* S, m^2 */
  double distance; /* sqrt(2 max(S, 0)), m: |t| for a cloud shifted by t; the smaller the blur, the nearer to
                      the 2-Wasserstein distance (the earth mover's, of squared lengths) */
  double marginal_error;
  int iterations;
} mote_sinkhorn;

/* The Sinkhorn divergence of two clouds of points of equal weights 1/n and 1/m, cost |x - y|^2 / 2,
   S = OT_eps(D, T) - OT_eps(D, D) / 2 - OT_eps(T, T) / 2 (Feydy et al. 2019, "Interpolating between optimal
   transport and MMD using Sinkhorn divergences", equation 3), by log-domain iterations on exact kernel sums:
   O(n m) an iteration, float64. NaN where one cloud is empty. MOTE_ERROR_ARGUMENT: blur is not above 0;
   MOTE_ERROR_NUMERIC: a coordinate is not finite. Iterations that run out are no error: see marginal_error.
 */
mote_status mote_evaluate_sinkhorn(mote_evaluator *evaluator, int dim, const float *d, int64_t n,
                                   const float *t, int64_t m, const mote_sinkhorn_options *options,
                                   mote_sinkhorn *result);

/* ---- Trivial predictors ---- */

/* What can be said of frame h + k from the frames up to h alone, v = x(h) - x(h-1) and g in m a frame^2.
   Kinematic particles go where the truth has them, as in rollouts. The first three ignore walls. */
typedef enum mote_trivial {
  MOTE_TRIVIAL_STAY,      /* x(h) */
  MOTE_TRIVIAL_VELOCITY,  /* x(h) + k v */
  MOTE_TRIVIAL_BALLISTIC, /* x(h) + k v + k (k + 1) / 2 g: exact in free fall */
  MOTE_TRIVIAL_BOUNDED,   /* that, each coordinate stopped at the bounds */
  MOTE_TRIVIALS
} mote_trivial;
const char *mote_trivial_name(mote_trivial trivial); /* "stay", "constant velocity", ... */

/* Where g comes from. An estimate is the mean second difference over the history and its particles. */
typedef enum mote_gravity_source {
  MOTE_GRAVITY_NONE, /* a history of two frames and nothing else: ballistic predictors are left out */
  MOTE_GRAVITY_GIVEN,
  MOTE_GRAVITY_METADATA,
  MOTE_GRAVITY_ESTIMATED
} mote_gravity_source;

/* ---- Trajectories ---- */

typedef enum mote_sinkhorn_use {
  MOTE_SINKHORN_NEVER,
  MOTE_SINKHORN_FLUIDS, /* of groups that are fluid alone, and of all where there is some */
  MOTE_SINKHORN_ALWAYS
} mote_sinkhorn_use;

#define MOTE_HISTORY_OF_FILE                                                                                 \
  (-1) /* D's own history_frames, else 6; 0 where D has no more frames than that                             \
        */

typedef struct mote_evaluate_options {
  const char *name;       /* of this reconstruction, for tables and plots; "reconstruction" */
  int64_t chamfer_stride; /* every such frame behind the history gets a Chamfer distance; 0: about ten
 frames in all; 1 */
  int per_material;       /* 1 */
  double frame_time;      /* s between T's frames; 0: unknown, frames are counted instead */
  int64_t history;   /* D's first frames, which were given: means, worst and trivial predictors are of those
                        behind them. 0: all count, and nothing is predicted; else at least 2; 0 */
  int has_gravity;   /* `gravity` instead of the metadata's; 0 */
  double gravity[3]; /* m/s^2, m a frame^2 where the frame time is unknown */
  double reach;      /* m beyond T's bounds that count as inside; below 0: the reach of T's metadata; -1 */
  mote_sinkhorn_use sinkhorn; /* MOTE_SINKHORN_NEVER */
  int64_t sinkhorn_stride;    /* as the Chamfer distance's; 0 */
  int64_t sinkhorn_points; /* of each cloud at most, drawn by the seed, the same ones of both where they are
                              paired; 500 */
  double sinkhorn_blur;    /* in mean spacings of the points that are compared; 0.5. A cloud of n particles dx
                              apart, of which N are drawn, has the spacing dx (n/N)^(1/dim) */
  uint64_t seed;
  int tolerates_divergence; /* where D is not finite the evaluation ends, and says so; 0: it is an error */
} mote_evaluate_options;
void mote_evaluate_options_defaults(mote_evaluate_options *options);

/* The errors of one group of particles, or of a trivial predictor, over the frames. */
typedef struct mote_error_series {
  char name[32];           /* "all", or the material: "fluid", "material 2" */
  mote_errors *frame;      /* (frames); owned. Of a trivial predictor: NaN before the history's end */
  mote_errors mean;        /* over the frames behind the history that have a value */
  mote_errors worst;       /* the largest of these; the smallest share inside */
  double kinetic_relative; /* sum |E_D - E_T| / sum E_T over these frames, E kinetic energies */
  double kinetic_mse;      /* mean (E_D - E_T)^2, (J/kg)^2: LagrangeBench's (Toshev et al. 2023) */
} mote_error_series;

typedef struct mote_evaluation {
  char name[64];
  char trajectory[64];   /* "": the file has one; else its group's name, or "mean" */
  int trajectories;      /* that this is the mean of; 1 */
  int64_t frames;        /* compared */
  int64_t shared_frames; /* that D and T both have: more than `frames` where D is not finite from there on, or
                            where the monitor stopped */
  int64_t truth_frames;  /* that T has from D's first one on, at D's interval */
  int finite;            /* all that was looked at of D */
  int64_t particles[2];  /* of D and T */
  int by_index;          /* T's rows are those that D's label "index" names */
  double frame_time;     /* s between D's frames */
  double start_time;     /* s, of D's first one */
  int group_count;       /* 1 + number of materials, or 1 where there is one material only */
  mote_error_series *groups; /* [0] is all; owned */
  int64_t history;
  int trivial_count;          /* all or none, but for the ballistic ones without gravity */
  mote_error_series *trivial; /* owned */
  int best;                   /* of these, by the mean position error; -1: none */
  double advantage;           /* best's mean position error / D's; NaN where undefined */
  mote_gravity_source gravity_source;
  double gravity[3];       /* m a (T's) frame^2 */
  double sinkhorn_blur;    /* m, of the group "all"; 0: none was computed */
  int64_t sinkhorn_points; /* of D in it */
} mote_evaluation;
void mote_evaluation_destroy(mote_evaluation *evaluation);

/* Compares position of trajectory `d_index` of D with `t_index` of T, frame by frame; the frames that both
   have. D's frames may be a multiple of T's interval apart and begin later: their times tell, where both
   files have some. With different numbers of particles D's label "index" tells which of T they are; without
   it only the Chamfer and Sinkhorn distances, kinetic energies and `inside` are defined. Materials are T's
   labels "material", else particle_type. In periodic domains D's particles are taken where they are nearest
   to T's, axis by axis. Asked to stop by the monitor, it keeps the frames it has. Errors: MOTE_ERROR_NUMERIC
   with frame and particle; MOTE_ERROR_ARGUMENT when the dimensions or the times do not fit, or the history is
   longer than D. */
mote_status mote_evaluate_trajectory(mote_evaluator *evaluator, mote_trajectory_reader *d, int d_index,
                                     mote_trajectory_reader *t, int t_index,
                                     const mote_evaluate_options *options, const mote_monitor *monitor,
                                     mote_evaluation *evaluation);

/* The mean over the trajectories of a file: of each frame over those that have it, of the means, the worst of
   the worst. Groups and predictors that not all have are left out. */
mote_status mote_evaluation_average(const mote_evaluation *evaluations, int count, mote_evaluation *mean);

/* ---- Reports on several evaluations against the same truth ---- */

/* An aligned table, rows evaluations, their groups and trivial predictors, and notes below; trajectories of a
   file are one row each. free() the text. */
mote_status mote_evaluation_table(const mote_evaluation *evaluations, int count, char **text);

/* One row a frame and group: name,group,frame,time, the names of all metrics, trajectory; empty where
   undefined. Trivial predictors are groups "trivial: stay" and so on. */
mote_status mote_evaluation_write_csv(const mote_evaluation *evaluations, int count, const char *path);

/* Error against time as a PNG: a line an evaluation, or with one evaluation a line a group; dashed, the
   trivial predictors of the first evaluation. */
mote_status mote_evaluation_plot(const mote_evaluation *evaluations, int count, mote_metric kind, int log_y,
                                 const char *path);

#ifdef __cplusplus
}
#endif
#endif
