/* A trained model's config for a run that goes on with its weights: see network_config.h. */
#include <math.h>
#include <string.h>

#include "host/core/error.h"
#include "host/models/network_config.h"
#include "host/nn/parameters.h"

/* What both must say alike; `key` as a run says it, and the words for its values, unless they are numbers. */
typedef struct pair {
  const char *key;
  double run, trained;
  const char *const *words;
} pair;

#define ALIKE(key, field) ALIKE_WORD(key, field, NULL)
#define ALIKE_WORD(key, field, words)                                                                        \
  { key, run->field, trained->field, words }

static const char *const flags[] = {"false", "true"};

/* One of both values, in words. */
static mote_name value_of(const pair *p, double value) {
  return p->words ? mote_name_of("%s", p->words[(int)value]) : mote_name_of("%.7g", value);
}

static mote_status compare(const pair *pairs, size_t count, const char *part, const char *name) {
  for (size_t k = 0; k < count; k++)
    if (pairs[k].run != pairs[k].trained)
      return mote_fail(
          MOTE_ERROR_ARGUMENT,
          "'%s' of the run's %s is %s, that of %s is %s: weights go on in a model like theirs; a "
          "run without 'model' takes it as it is",
          pairs[k].key, part, value_of(&pairs[k], pairs[k].run).text, name,
          value_of(&pairs[k], pairs[k].trained).text);
  return MOTE_OK;
}

static mote_status compare_kernels(const char *key, const mote_kernel_shape *run,
                                   const mote_kernel_shape *trained, const char *name) {
  if (run->layers == trained->layers &&
      !memcmp(run->widths, trained->widths, (size_t)(run->layers + 1) * sizeof *run->widths))
    return MOTE_OK;
  return mote_fail(MOTE_ERROR_ARGUMENT, "'%s' of the run's latent part is not that of %s", key, name);
}

static mote_status compare_latent(const mote_latent_config *run, const mote_latent_config *trained,
                                  const char *name) {
  static const char *const points[] = {"grid", "occupied"};
  const pair pairs[] = {ALIKE("heads", heads),
                        ALIKE("blocks", blocks),
                        ALIKE_WORD("pairs", kernel_in_takes_pairs, flags),
                        ALIKE_WORD("pairs", kernel_out_takes_pairs, flags),
                        ALIKE_WORD("points", occupied_only, points),
                        ALIKE("space_width", space_width),
                        ALIKE("projection_layers", projection_layers),
                        ALIKE("projection", projection_width)};
  MOTE_TRY(compare(pairs, sizeof pairs / sizeof *pairs, "latent part", name));
  MOTE_TRY(compare_kernels("kernel_in", &run->kernel_in, &trained->kernel_in, name));
  return compare_kernels("kernel_out", &run->kernel_out, &trained->kernel_out, name);
}

mote_status mote_network_config_take(mote_network_config *trained, const mote_network_config *run,
                                     const char *name) {
  static const char *const kinds[] = {"giorom", "gns"}, *const decoders[] = {"nodes", "pairs"};
  static const char *const convolutions[] = {"none", "degenerate", "normalized"};
  if (run->kind != trained->kind)
    return mote_fail(MOTE_ERROR_ARGUMENT, "'architecture' of the run's model is %s, that of %s is %s",
                     kinds[run->kind], name, kinds[trained->kind]);
  const pair pairs[] = {ALIKE("dim", dim),
                        ALIKE("window", window),
                        ALIKE("width", width),
                        ALIKE("types", types),
                        ALIKE("type_width", type_width),
                        ALIKE_WORD("normalized_velocities", normalized_velocities, flags),
                        ALIKE_WORD("convolution", convolution, convolutions),
                        ALIKE("alpha", convolution_alpha),
                        ALIKE("clip", clip),
                        ALIKE_WORD("decoder", decoder, decoders),
                        ALIKE_WORD("rest_lengths", rest_lengths, flags)};
  MOTE_TRY(compare(pairs, sizeof pairs / sizeof *pairs, "model", name));
  if (run->kind == MOTE_GNS && run->linears != trained->linears)
    return mote_fail(MOTE_ERROR_ARGUMENT, "'hidden_layers' of the run's model is %d, that of %s is %d",
                     run->linears - 1, name, trained->linears - 1);
  if (run->layers_before < trained->layers_before)
    return mote_fail(MOTE_ERROR_ARGUMENT,
                     "'layers' of the run's model is %d, and %s has %d: expected as many or more",
                     run->layers_before, name, trained->layers_before);
  if (trained->has_latent) MOTE_TRY(compare_latent(&run->latent, &trained->latent, name));
  if (isfinite(run->stop)) trained->stop = run->stop;
  trained->trained_layers = trained->layers_before;
  trained->layers_before = run->layers_before;
  trained->layers_after = run->layers_after;
  trained->latent.grid = run->latent.grid;
  trained->latent.radius = run->latent.radius;
  memcpy(trained->latent.limits, run->latent.limits, sizeof trained->latent.limits);
  return MOTE_OK;
}
