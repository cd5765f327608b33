/* mote evaluate: its options, and which of its halves they ask for. */
#include "host/cli/evaluate.h"

#include <math.h>
#include <string.h>

static const char *details =
    "Beside the trajectory stand trivial predictors, which know the truth's first frames alone (--history): "
    "stay,\n"
    "constant velocity, ballistic (both ignore walls), and ballistic, stopped at the bounds. \"best trivial "
    "/ it\"\n"
    "is the mean position error of the best of them over the trajectory's own: above 1, it has learned "
    "something.\n"
    "Kinematic particles are given to them. Means are of the frames behind the history.\n"
    "\n"
    "  rel. L2    |D - T| / |T|            position   mean distance of a particle from where it should be\n"
    "  E_kin      mean error of the kinetic energy per frame, relative to its mean; equally heavy particles\n"
    "  beyond     how far the particle is outside of the metadata's bounds that is farthest out, in the "
    "worst frame\n"
    "  inside     particles inside the metadata's bounds, in the worst frame; also those beyond that are no "
    "farther\n"
    "             out than the metadata's reach: matter pressed into a wall\n"
    "  Chamfer    mean distance to the nearest point, both ways; all points of some ten frames\n"
    "  Sinkhorn   sqrt(2 S), S the debiased Sinkhorn divergence (Feydy et al. 2019) of cost |x - y|^2 / 2:\n"
    "             the 2-Wasserstein distance, in which what is smaller than the blur counts less; epsilon "
    "is\n"
    "             (--blur spacings)^2. For fluids, whose particles may change places. At most 500 points\n"
    "             (--sinkhorn-points), drawn by --seed, of some ten frames.\n"
    "\n"
    "100,000 particles and 100 frames take half a minute to a minute on two cores.\n"
    "Files with several trajectories are compared by the names of these, else in their order. A trajectory "
    "of\n"
    "fewer particles is compared with those that its label \"index\" names (mote rollout --only-sparse).\n"
    "With --model instead of --against, T.h5 is the truth, and the model takes single steps from its "
    "histories.";

/* What only one of the halves takes. */
static int check_halves(const cli_evaluate_job *job, int sinkhorn, int64_t history) {
  const mote_one_step_job *s = &job->step;
  if (!s->model && !job->against)
    return cli_complain("evaluate",
                        "give --against T.h5, the truth, or --model FOLDER to measure single steps");
  if (s->model && job->against)
    return cli_complain("evaluate",
                        "give --against or --model, not both: with --model, T.h5 itself is the truth");
  if (s->model &&
      (job->count > 1 || job->plot || sinkhorn || history != MOTE_HISTORY_OF_FILE || job->options.reach >= 0))
    return cli_complain("evaluate",
                        "--model takes one T.h5, and none of --plot, --sinkhorn, --history and --reach");
  if (!s->model && (s->metadata || s->radius != 0 || s->every || s->sampling.count || s->sampling.ratio > 0))
    return cli_complain("evaluate", "--metadata, --radius, --every, --sparse and --ratio are for --model");
  return -1;
}

static int check(cli_evaluate_job *job, const char *method, const char *metric) {
  mote_evaluate_options *o = &job->options;
  mote_one_step_job *s = &job->step;
  if (o->chamfer_stride < 0 || o->sinkhorn_stride < 0)
    return cli_complain("evaluate", "--chamfer-every and --sinkhorn-every: expected positive numbers");
  if (!(o->reach >= 0 || o->reach == -1) || isinf(o->reach))
    return cli_complain("evaluate", "--reach: expected a length that is not negative");
  if (o->sinkhorn_points < 1 || !(o->sinkhorn_blur > 0))
    return cli_complain("evaluate", "--sinkhorn-points and --blur: expected positive numbers");
  if (o->history != MOTE_HISTORY_OF_FILE && (o->history < 0 || o->history == 1))
    return cli_complain("evaluate", "--history is %lld: expected 0, or at least 2", (long long)o->history);
  if (!mote_metric_from_name(metric, &job->metric))
    return cli_complain("evaluate",
                        "--metric is '%s': expected position, relative_l2, rmse, maximum, chamfer, sinkhorn, "
                        "kinetic, beyond or inside",
                        metric);
  if (job->gravity && cli_read_reals(job->gravity, 3, o->gravity) < 2)
    return cli_complain("evaluate", "--gravity is '%s': expected X,Y or X,Y,Z in m/s^2", job->gravity);
  if (!cli_sample_method(method, &s->sampling.method))
    return cli_complain("evaluate", "--method is '%s': expected farthest, poisson or uniform", method);
  if (s->sampling.count < 0 || s->sampling.ratio < 0 || s->sampling.ratio > 1 ||
      (s->sampling.count && s->sampling.ratio > 0))
    return cli_complain("evaluate",
                        "give --sparse N or --ratio X, X above 0 and up to 1, or neither for all");
  if (s->every < 0 || s->radius < 0)
    return cli_complain("evaluate", "--every and --radius: expected positive numbers");
  o->has_gravity = s->has_gravity = job->gravity != NULL;
  memcpy(s->gravity, o->gravity, sizeof s->gravity);
  return -1;
}

static int run(const cli_evaluate_job *job, const cli_common *common) {
  mote_device *device = NULL;
  cli_progress progress;
  mote_monitor monitor = cli_monitor(&progress, common);
  mote_status status = cli_open_device(common, &device);
  if (status == MOTE_OK)
    status = job->step.model ? cli_evaluate_steps(job, device, &monitor, &progress)
                             : cli_evaluate_rollouts(job, device, &monitor, &progress);
  cli_progress_end(&progress);
  mote_device_close(device);
  return status == MOTE_OK ? CLI_OK : cli_fail("evaluate");
}

int cli_evaluate(int argc, char **argv) {
  cli_evaluate_job job = {0};
  mote_evaluate_options *o = &job.options;
  mote_one_step_job *s = &job.step;
  const char *method = "farthest", *metric = "position";
  int sinkhorn = 0, no_sinkhorn = 0;
  mote_evaluate_options_defaults(o);
  o->history = MOTE_HISTORY_OF_FILE;
  o->chamfer_stride = 0;
  o->tolerates_divergence = 1;
  const cli_option options[] = {
      {"against", 'a', CLI_TEXT, &job.against, "T.h5", "the truth", 0},
      {"csv", 0, CLI_TEXT, &job.csv, "FILE", "write every frame's errors, all metrics", 0},
      {"plot", 0, CLI_TEXT, &job.plot, "FILE.png", "plot errors against time, on a logarithmic axis", 0},
      {"metric", 0, CLI_TEXT, &metric, "NAME", "what is plotted: a column of the CSV (position)", 0},
      {"history", 0, CLI_INTEGER, &o->history, "N",
       "first frames that were given; 0: none, no trivial predictors (the file's, else 6)", 0},
      {"gravity", 0, CLI_TEXT, &job.gravity, "X,Y,Z",
       "m/s^2 (the metadata's, else estimated from the history)", 0},
      {"reach", 0, CLI_REAL, &o->reach, "X", "m beyond the bounds that count as inside (the metadata's)", 0},
      {"chamfer-every", 0, CLI_INTEGER, &o->chamfer_stride, "N",
       "frames between Chamfer distances (about ten frames in all)", 0},
      {"sinkhorn", 0, CLI_FLAG, &sinkhorn, NULL, "Sinkhorn distances, not of fluids alone", 0},
      {"no-sinkhorn", 0, CLI_FLAG, &no_sinkhorn, NULL, "none at all", 0},
      {"sinkhorn-every", 0, CLI_INTEGER, &o->sinkhorn_stride, "N",
       "frames between them (about ten frames in all)", 0},
      {"sinkhorn-points", 0, CLI_INTEGER, &o->sinkhorn_points, "N", "points at most, drawn by --seed (500)",
       0},
      {"blur", 0, CLI_REAL, &o->sinkhorn_blur, "X", "sqrt(epsilon) in spacings of the points drawn (0.5)", 0},
      {"model", 'm', CLI_TEXT, &s->model, "FOLDER", "measure single steps of this time-stepper, from T.h5",
       0},
      {"metadata", 0, CLI_TEXT, &s->metadata, "F.json", "its statistics, bounds, radius (its metadata.json)",
       0},
      {"radius", 0, CLI_REAL, &s->radius, "X", "of its graph, m (the metadata's)", 0},
      {"every", 0, CLI_INTEGER, &s->every, "K", "frames between its steps (1)", 0},
      {"sparse", 'n', CLI_INTEGER, &s->sampling.count, "N", "particles that it sees (all)", 0},
      {"ratio", 'r', CLI_REAL, &s->sampling.ratio, "X", "part of the particles, instead of --sparse", 0},
      {"method", 0, CLI_TEXT, &method, "NAME", "farthest, poisson or uniform (farthest)", 0},
      {0}};
  cli_usage usage = {"evaluate",
                     "D.h5 [D2.h5 ...] --against T.h5 | T.h5 --model FOLDER",
                     "Measures trajectories against the truth and beside trivial predictors, or single steps "
                     "of a time-stepper.",
                     details,
                     1,
                     CLI_EVALUATE_INPUTS};
  cli_common common;
  int code = cli_parse(&usage, options, &common, argc, argv, job.inputs, &job.count);
  if (code < 0) code = check_halves(&job, sinkhorn, o->history);
  if (code < 0) code = check(&job, method, metric);
  if (code < 0 && sinkhorn && no_sinkhorn)
    code = cli_complain("evaluate", "--sinkhorn and --no-sinkhorn exclude each other");
  if (code >= 0) return code;
  o->sinkhorn = sinkhorn ? MOTE_SINKHORN_ALWAYS : no_sinkhorn ? MOTE_SINKHORN_NEVER : MOTE_SINKHORN_FLUIDS;
  o->seed = s->sampling.seed = (uint64_t)common.seed;
  return run(&job, &common);
}
