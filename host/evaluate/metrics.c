/* The metrics by number and by name. */
#include <mote/evaluate.h>

#include <stddef.h>
#include <string.h>

static const struct {
  const char *name;
  size_t offset;
} metrics[MOTE_METRICS] = {{"relative_l2", offsetof(mote_errors, relative_l2)},
                           {"rmse", offsetof(mote_errors, rmse)},
                           {"maximum", offsetof(mote_errors, maximum)},
                           {"chamfer", offsetof(mote_errors, chamfer)},
                           {"position", offsetof(mote_errors, position)},
                           {"sinkhorn", offsetof(mote_errors, sinkhorn)},
                           {"kinetic", offsetof(mote_errors, kinetic)},
                           {"kinetic_truth", offsetof(mote_errors, kinetic_truth)},
                           {"beyond", offsetof(mote_errors, beyond)},
                           {"beyond_truth", offsetof(mote_errors, beyond_truth)},
                           {"inside", offsetof(mote_errors, inside)},
                           {"inside_truth", offsetof(mote_errors, inside_truth)}};

double mote_errors_get(const mote_errors *errors, mote_metric metric) {
  double value;
  memcpy(&value, (const char *)errors + metrics[metric].offset, sizeof value);
  return value;
}

const char *mote_metric_name(mote_metric metric) {
  return metrics[metric].name;
}

int mote_metric_from_name(const char *name, mote_metric *metric) {
  for (int k = 0; k < MOTE_METRICS; k++)
    if (!strcmp(name, metrics[k].name)) return *metric = (mote_metric)k, 1;
  return 0;
}
