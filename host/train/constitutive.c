/* The training of constitutive laws: opens what is needed, loops, validates, saves. */
#include "host/train/constitutive.h"

#include <errno.h>
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>

#include "host/core/clock.h"
#include "host/core/error.h"
#include "host/sim/state.h"
#include "host/train/kinds.h"

#define MOST_FAILURES 10 /* pieces in a row that a law may be too bad for */

void mote_constitutive_close(mote_constitutive *t) {
  mote_metrics_close(t->metrics);
  mote_unrolled_free(&t->unrolled);
  mote_truth_free(&t->truth);
  mote_trained_weights_free(&t->weights);
  mote_neural_law_destroy(t->law);
  mote_neural_law_destroy(t->average);
  mote_buffer *all[] = {&t->start, &t->losses, &t->gradient, &t->scratch};
  for (size_t k = 0; k < sizeof all / sizeof *all; k++) mote_buffer_free(all[k]);
  free(t->loss);
  free(t->turned);
  free(t->materials);
  mote_stream_destroy(t->stream);
  mote_device_close(t->device);
  mote_constitutive_run_free(&t->run);
}

static mote_status out_of_memory(void) {
  return mote_fail(MOTE_ERROR_MEMORY, "out of memory for a training");
}

/* ---- beginning ---- */

/* A new law hardly flows: one that did, by chance, would let strains grow from step to step. */
#define STILL 0.01f
static mote_status still(mote_constitutive *t) {
  mote_trained_weights *w = &t->weights;
  const mote_parameters *p = &t->law->parameters;
  const mote_parameter *last = &p->tensor[p->tensors - 1];
  float *value = malloc((size_t)p->floats * sizeof *value);
  if (!value) return out_of_memory();
  memcpy(value, p->value, (size_t)p->floats * sizeof *value);
  for (int64_t k = 0; k < last->count; k++) value[last->first + k] *= STILL;
  mote_buffer *both[] = {&w->value, &w->mean};
  mote_status status = MOTE_OK;
  for (int k = 0; k < 2 && status == MOTE_OK; k++)
    status = mote_upload(t->stream, both[k]->data, value, (size_t)p->floats * sizeof *value);
  if (status == MOTE_OK) status = mote_stream_synchronize(t->stream);
  free(value);
  return status;
}

static mote_status open_law(mote_constitutive *t, const char *from) {
  const uint64_t seed = (uint64_t)t->run.seed;
  for (int twin = 0; twin < 2; twin++) {
    mote_neural_law **law = twin ? &t->average : &t->law;
    MOTE_TRY(from ? mote_neural_law_open(t->device, from, law)
                  : mote_neural_law_create(t->device, &t->run.law, seed, law));
  }
  if (t->law->config.dim != t->run.scene.dim)
    return mote_fail(MOTE_ERROR_ARGUMENT, "%s: a law of %d-D in a scene of %d-D", from, t->law->config.dim,
                     t->run.scene.dim);
  const mote_parameters *p = &t->law->parameters;
  MOTE_TRY(mote_trained_weights_of(t->stream, p, &t->average->parameters, &t->weights));
  t->elastic_floats = p->floats;
  for (int k = 0; k < p->tensors; k++)
    if (!strncmp(p->tensor[k].name.text, "plasticity", 10) && p->tensor[k].first < t->elastic_floats)
      t->elastic_floats = p->tensor[k].first;
  MOTE_TRY(mote_buffer_zeros(&t->gradient, t->stream, (size_t)t->weights.slots * sizeof(float)));
  return from || t->elastic_floats == p->floats ? MOTE_OK : still(t);
}

/* The step must be stable wherever the unknowns may go, each at the worse of its bounds. */
static mote_status check_stability(mote_constitutive *t, double time_step) {
  mote_scene worst = t->run.scene;
  memcpy(t->materials, worst.materials, (size_t)worst.material_count * sizeof *t->materials);
  worst.materials = t->materials;
  for (int k = 0; k < t->run.unknown_count; k++) {
    const mote_unknown *u = &t->run.unknown[k];
    if (!u->of_velocity) *mote_material_number(&t->materials[u->which], u->number) = (float)u->high;
  }
  const float stable = mote_scene_stable_time_step(&worst);
  if (time_step <= (double)stable) return MOTE_OK;
  return mote_fail(MOTE_ERROR_NUMERIC,
                   "at the upper bounds the largest stable time step is %g s and the scene's is %g s: take "
                   "lower bounds or a smaller step",
                   (double)stable, time_step);
}

static mote_status open_buffers(mote_constitutive *t) {
  const size_t floats = (size_t)(t->truth.n * t->truth.dim), frames = (size_t)t->truth.frames;
  const mote_unrolled *u = &t->unrolled;
  t->loss = calloc(2 * frames, sizeof *t->loss);
  t->turned = calloc(floats * (size_t)t->truth.dim, sizeof *t->turned);
  if (!t->loss || !t->turned) return out_of_memory();
  MOTE_TRY(mote_buffer_reserve(&t->losses, t->device, 2 * frames * sizeof(double)));
  MOTE_TRY(mote_buffer_reserve(&t->scratch, t->device, floats * sizeof(float)));
  MOTE_TRY(mote_buffer_reserve(&t->start, t->device, (size_t)u->floats * sizeof(float)));
  return mote_copy_on_device(t->stream, t->start.data, u->memory.data, (size_t)u->floats * sizeof(float));
}

static mote_status open_truth(mote_constitutive *t) {
  float time_step;
  MOTE_TRY(mote_sim_time_step(&t->run.scene, &time_step));
  MOTE_TRY(check_stability(t, time_step));
  const mote_truth_options truth = {(double)time_step, t->run.frames, t->run.noise, (uint64_t)t->run.seed};
  MOTE_TRY(mote_truth_load(t->stream, t->run.trajectory, &t->run.scene, &truth, &t->truth));
  for (int k = 0; k < t->run.unknown_count; k++)
    if (t->run.unknown[k].of_velocity) t->truth.has_states = 0; /* they would tell the velocity */
  if (t->run.velocity_weight > 0 && !(t->truth.has_velocity && t->truth.speed > 0))
    return mote_fail(MOTE_ERROR_ARGUMENT,
                     "%s has no velocities, or they are 0: leave out 'velocity' of the run's loss",
                     t->run.trajectory);
  return MOTE_OK;
}

static mote_status open_all(mote_constitutive *t, const mote_train_options *options) {
  const mote_scene *s = &t->run.scene;
  mote_device_options device = {.threads = options->threads};
  MOTE_TRY(mote_device_open(options->device ? options->device : "auto", &device, &t->device));
  MOTE_TRY(mote_stream_create(t->device, &t->stream));
  t->materials = calloc((size_t)s->material_count + 1, sizeof *t->materials);
  if (!t->materials) return out_of_memory();
  MOTE_TRY(open_truth(t));
  if (t->run.finds_law) MOTE_TRY(open_law(t, options->from));
  MOTE_TRY(mote_unrolled_create(t->stream, s, t->law, (t->truth.frames - 1) * t->truth.every,
                                (size_t)t->run.memory << 20, &t->unrolled));
  MOTE_TRY(open_buffers(t));
  mote_unknowns_begin(t);
  return MOTE_OK;
}

static void say_untrained(const mote_constitutive *t, int whole, const mote_monitor *monitor) {
  char line[160];
  if (!monitor || !monitor->log) return;
  snprintf(line, sizeof line, "before: whole trajectory %.4g m off, squared %.4g m^2%s", sqrt(t->untrained),
           t->untrained,
           whole ? "" : " (it cannot be simulated to its end, and counts as if it stopped there)");
  monitor->log(monitor->user, MOTE_LOG_INFO, line);
}

/* What there is to better. */
static mote_status begin(mote_constitutive *t, const mote_monitor *monitor) {
  int whole;
  MOTE_TRY(mote_constitutive_validate(t, &t->untrained, &whole));
  say_untrained(t, whole, monitor);
  return MOTE_OK;
}

/* The folder comes last: a run that cannot begin leaves none. */
static mote_status open_folder(mote_constitutive *t, const mote_train_options *options,
                               const mote_monitor *monitor) {
  t->best = t->untrained = INFINITY;
  if (mkdir(t->folder, 0777) != 0 && errno != EEXIST)
    return mote_fail(MOTE_ERROR_IO, "cannot make the folder %s: %s", t->folder, strerror(errno));
  if (options->resume)
    MOTE_TRY(mote_constitutive_load_state(t));
  else
    MOTE_TRY(begin(t, monitor));
  if (t->run.finds_law) MOTE_TRY(mote_trained_weights_pack(&t->weights));
  return mote_metrics_open(t->folder, t->epoch, &t->metrics);
}

/* ---- the loop ---- */

static mote_optimizer optimizer_at(const mote_constitutive *t, double rate) {
  mote_optimizer o = t->run.optimizer;
  o.rate = (float)rate;
  o.step = t->updates + 1;
  return o;
}

/* `norm`: of all gradients. */
static mote_status update_law(mote_constitutive *t, double *norm) {
  const double part = mote_schedule_rate(&t->run.schedule, t->epoch), ema = t->run.ema;
  mote_trained_weights *w = &t->weights;
  float *gradient[] = {t->gradient.data};
  double of_elasticity, of_plasticity = 0;
  MOTE_TRY(mote_trained_weights_gather(w, 1, gradient, NULL));
  mote_optimizer o = optimizer_at(t, part * t->run.elasticity.rate);
  MOTE_TRY(mote_trained_weights_update_part(w, 0, t->elastic_floats, &o, t->run.elasticity.clip, ema,
                                            &of_elasticity));
  o = optimizer_at(t, part * t->run.plasticity.rate);
  if (t->elastic_floats < w->floats)
    MOTE_TRY(mote_trained_weights_update_part(w, t->elastic_floats, w->floats - t->elastic_floats, &o,
                                              t->run.plasticity.clip, ema, &of_plasticity));
  *norm = hypot(of_elasticity, of_plasticity);
  if (!isfinite(*norm)) return mote_fail(MOTE_ERROR_NUMERIC, "the gradient by the weights is not finite");
  MOTE_TRY(mote_trained_weights_pack(w));
  t->updates++;
  return MOTE_OK;
}

static mote_status clear_gradients(mote_constitutive *t) {
  memset(t->by_unknown, 0, sizeof t->by_unknown);
  if (!t->run.finds_law) return MOTE_OK;
  return mote_fill_bytes(t->stream, t->gradient.data, 0, (size_t)t->weights.slots * sizeof(float));
}

/* A piece of which nothing could be simulated is passed over, once in a while. */
static mote_status try_piece(mote_constitutive *t, mote_piece *piece, double weight, double *loss) {
  mote_status status = mote_constitutive_piece(t, piece, weight, loss);
  if (status == MOTE_OK) t->failures = 0;
  const int failed_there = status == MOTE_ERROR_NUMERIC && isnan(*loss);
  if (!failed_there || ++t->failures > MOST_FAILURES) return status;
  return MOTE_OK;
}

/* Sums over an epoch. */
typedef struct tally {
  double loss, norm;
  int64_t pieces, updates;
} tally;

static mote_status run_pieces(mote_constitutive *t, mote_piece *pieces, int64_t count, tally *sum) {
  double loss;
  MOTE_TRY(clear_gradients(t));
  for (int64_t k = 0; k < count; k++) {
    MOTE_TRY(try_piece(t, &pieces[k], 1 / (double)count, &loss));
    if (isnan(loss)) continue;
    sum->loss += loss;
    sum->pieces++;
  }
  return MOTE_OK;
}

/* An update each `batch` pieces. */
static mote_status learn_law(mote_constitutive *t, mote_piece *pieces, int64_t count, tally *sum) {
  for (int64_t k = 0; k < count; k += t->run.batch) {
    const int64_t before = sum->pieces, batch = k + t->run.batch < count ? t->run.batch : count - k;
    double norm;
    MOTE_TRY(run_pieces(t, pieces + k, batch, sum));
    if (sum->pieces == before) continue;
    MOTE_TRY(update_law(t, &norm));
    sum->norm += norm;
    sum->updates++;
  }
  return MOTE_OK;
}

/* One evaluation. */
static mote_status find_unknowns(mote_constitutive *t, mote_piece *pieces, int64_t count, tally *sum) {
  MOTE_TRY(mote_unknowns_epoch(t));
  MOTE_TRY(run_pieces(t, pieces, count, sum));
  const double loss = sum->pieces == count ? sum->loss / (double)count : INFINITY;
  sum->updates = 1;
  sum->norm = mote_unknowns_update(t, loss);
  return MOTE_OK;
}

static mote_status run_epoch(mote_constitutive *t, tally *sum) {
  mote_piece *pieces = malloc((size_t)t->truth.frames * sizeof *pieces);
  *sum = (tally){0};
  if (!pieces) return out_of_memory();
  const int64_t count = mote_constitutive_pieces(t, t->epoch, pieces);
  mote_status status =
      t->run.finds_law ? learn_law(t, pieces, count, sum) : find_unknowns(t, pieces, count, sum);
  free(pieces);
  if (status != MOTE_OK) return mote_fail_within(status, "epoch %lld", (long long)t->epoch + 1);
  t->epoch++;
  return MOTE_OK;
}

static mote_status validate(mote_constitutive *t, double *squared) {
  int whole;
  MOTE_TRY(mote_constitutive_validate(t, squared, &whole));
  if (!whole) *squared = INFINITY;
  if (!(*squared < t->best)) return MOTE_OK;
  t->best = *squared;
  memcpy(t->kept, t->search.x, sizeof t->kept);
  return mote_constitutive_save_model(t);
}

static void say(const mote_constitutive *t, const mote_monitor *monitor, double loss, double squared) {
  char line[240];
  if (!monitor || !monitor->log) return;
  snprintf(line, sizeof line,
           "epoch %lld: pieces of %lld frames, loss %.4g; whole trajectory: %.4g m off, squared %.4g m^2, "
           "%.4g of before",
           (long long)t->epoch, (long long)mote_constitutive_length(t, t->epoch - 1), loss, sqrt(squared),
           squared, squared / t->untrained);
  monitor->log(monitor->user, MOTE_LOG_INFO, line);
}

static mote_status take_stock(mote_constitutive *t, const tally *sum, double start,
                              const mote_monitor *monitor) {
  const int validates = t->epoch % t->run.validate_every == 0 || t->epoch == t->run.epochs;
  double squared = NAN;
  if (validates) {
    MOTE_TRY(validate(t, &squared));
    say(t, monitor, sum->loss / (double)sum->pieces, squared);
  }
  mote_metrics_row row = {.step = t->epoch,
                          .samples = t->steps,
                          .seconds = mote_clock_seconds() - start,
                          .loss = sum->loss / (double)sum->pieces,
                          .rate = t->run.finds_law ? mote_schedule_rate(&t->run.schedule, t->epoch - 1) *
                                                         t->run.elasticity.rate
                                                   : t->search.length,
                          .gradient_norm = sum->norm / (double)sum->updates,
                          .validation_loss = NAN,
                          .validation_error = isfinite(squared) ? sqrt(squared) : NAN};
  return mote_metrics_append(t->metrics, &row);
}

static mote_status loop(mote_constitutive *t, const mote_train_options *options,
                        const mote_monitor *monitor) {
  const double start = mote_clock_seconds();
  int stop = 0;
  while (t->epoch < t->run.epochs && !stop) {
    tally sum;
    MOTE_TRY(run_epoch(t, &sum));
    if (monitor && monitor->progress)
      stop = monitor->progress(monitor->user, "train", "epochs", t->epoch, t->run.epochs);
    if (options->minutes > 0 && mote_clock_seconds() - start > 60 * options->minutes) stop = 1;
    MOTE_TRY(take_stock(t, &sum, start, monitor));
    if (t->epoch % t->run.save_every == 0) MOTE_TRY(mote_constitutive_save_state(t));
  }
  if (!isfinite(t->best)) MOTE_TRY(mote_constitutive_save_model(t));
  return mote_constitutive_save_state(t);
}

mote_status mote_constitutive_open(mote_constitutive *t, const char *run, const mote_train_options *options,
                                   const mote_monitor *monitor) {
  MOTE_TRY(mote_constitutive_run_load(run, (uint64_t)options->seed, &t->run));
  t->run.seed = (int64_t)((uint64_t)t->run.seed + (uint64_t)options->seed);
  if (options->from && !t->run.finds_law)
    return mote_fail(MOTE_ERROR_ARGUMENT,
                     "an identification begins with its scene's parameters: leave out --from");
  MOTE_TRY(open_all(t, options));
  return open_folder(t, options, monitor);
}

mote_status mote_train_constitutive(const char *run, const char *folder, const mote_train_options *options,
                                    const mote_monitor *monitor, mote_train_summary *summary) {
  mote_constitutive t = {.folder = folder};
  const double start = mote_clock_seconds();
  mote_status status = mote_constitutive_open(&t, run, options, monitor);
  if (status == MOTE_OK) status = loop(&t, options, monitor);
  mote_status closed = mote_metrics_close(t.metrics);
  if (status == MOTE_OK) status = closed;
  t.metrics = NULL;
  if (summary)
    *summary = (mote_train_summary){.steps = t.epoch,
                                    .parameters = t.run.finds_law ? t.weights.floats : t.run.unknown_count,
                                    .samples = t.steps,
                                    .seconds = mote_clock_seconds() - start,
                                    .validation = isfinite(t.best) ? sqrt(t.best) : NAN};
  mote_constitutive_close(&t);
  return status;
}
