/* mote info: what a file holds, in words. The trick: everything is written to one memory stream, and values
   are read a frame at a time, so that a file of any size is described in the memory of a frame. */
#include <mote/convert.h>

#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>

#include "host/core/error.h"
#include "host/core/file.h"
#include "host/io/frame_export.h"
#include "host/io/frame_source.h"
#include "host/io/json_file.h"
#include "host/io/metadata.h"
#include "host/io/safetensors.h"

#define MOST_COMPONENTS 3
#define MOST_KINDS 16

/* ---- Metadata ---- */

static void put_vector(FILE *out, const char *name, const double *values, int dim, const char *unit) {
  fprintf(out, "  %-28s", name);
  for (int d = 0; d < dim; d++) fprintf(out, "%s%.6g", d ? ", " : "", values[d]);
  fprintf(out, "%s%s\n", *unit ? " " : "", unit);
}

static void put_number(FILE *out, const char *name, double value, const char *unit) {
  if (value > 0) fprintf(out, "  %-28s%.6g%s%s\n", name, value, *unit ? " " : "", unit);
}

static void put_metadata(FILE *out, const mote_metadata *m) {
  fprintf(out, "  %-28s", "bounds");
  for (int d = 0; d < m->dim; d++)
    fprintf(out, "%s[%.6g, %.6g]%s", d ? " x " : "", m->bounds[d][0], m->bounds[d][1],
            m->periodic[d] ? " periodic" : "");
  fprintf(out, " m\n");
  put_number(out, "reach beyond the bounds", m->reach, "m");
  put_number(out, "time step", m->dt, "s");
  put_number(out, "steps between frames", m->write_every, "");
  put_number(out, "particle spacing", m->dx, "m");
  put_number(out, "connectivity radius", m->connectivity_radius, "m");
  put_vector(out, "gravity", m->gravity, m->dim, "m/s^2");
  if (!m->has_statistics) return;
  put_vector(out, "velocity mean", m->velocity_mean, m->dim, "m/frame");
  put_vector(out, "velocity deviation", m->velocity_std, m->dim, "m/frame");
  put_vector(out, "acceleration mean", m->acceleration_mean, m->dim, "m/frame^2");
  put_vector(out, "acceleration deviation", m->acceleration_std, m->dim, "m/frame^2");
}

/* ---- Trajectories ---- */

typedef struct range {
  int components; /* told apart when few, else all in one */
  double low[MOST_COMPONENTS], high[MOST_COMPONENTS];
} range;

static void put_range(FILE *out, const range *r) {
  for (int k = 0; k < r->components; k++)
    fprintf(out, "%s[%.6g, %.6g]", k ? " x " : "  ", r->low[k], r->high[k]);
  fprintf(out, "\n");
}

static mote_status measure(mote_frame_source *s, int index, const mote_trajectory_field *f,
                           mote_trajectory_info info, const mote_monitor *monitor, range *r) {
  int width = mote_field_width(f);
  size_t floats = (size_t)info.particles * (size_t)width;
  r->components = width <= MOST_COMPONENTS ? width : 1;
  for (int k = 0; k < MOST_COMPONENTS; k++) r->low[k] = INFINITY, r->high[k] = -INFINITY;
  float *values = malloc(floats * sizeof *values);
  if (!values) return mote_fail(MOTE_ERROR_MEMORY, "out of memory for a frame of %s", s->path);
  mote_status status = MOTE_OK;
  int stopped = 0;
  for (int64_t t = 0; t < info.frames && status == MOTE_OK && !stopped; t++) {
    status = mote_source_frame(s, index, f->name, t, values);
    for (size_t i = 0; status == MOTE_OK && i < floats; i++) {
      int k = (int)(i % (size_t)r->components);
      r->low[k] = fmin(r->low[k], (double)values[i]);
      r->high[k] = fmax(r->high[k], (double)values[i]);
    }
    if (monitor && monitor->progress)
      stopped = monitor->progress(monitor->user, f->name, "frames", t + 1, info.frames) != 0;
  }
  free(values);
  return status;
}

static void put_shape(FILE *out, const char *name, mote_trajectory_info info,
                      const mote_trajectory_field *f) {
  char shape[96];
  int at = snprintf(shape, sizeof shape, "(%lld, %lld", (long long)info.frames, (long long)info.particles);
  for (int d = 0; d < f->rank; d++)
    at += snprintf(shape + at, sizeof shape - (size_t)at, ", %d", f->shape[d]);
  snprintf(shape + at, sizeof shape - (size_t)at, ")");
  fprintf(out, "    %-22s %-24s f32", name, shape);
}

/* A label's values and how many particles have each. */
static mote_status put_labels(FILE *out, mote_frame_source *s, int index, const char *name, int64_t n) {
  int32_t *values = malloc((size_t)n * sizeof *values), kinds[MOST_KINDS];
  int64_t counts[MOST_KINDS] = {0};
  int found = 0, more = 0;
  if (!values) return mote_fail(MOTE_ERROR_MEMORY, "out of memory for %lld labels", (long long)n);
  mote_status status = mote_source_labels(s, index, name, values);
  for (int64_t i = 0; i < n && status == MOTE_OK; i++) {
    int k = 0;
    while (k < found && kinds[k] != values[i]) k++;
    if (k == found && found == MOST_KINDS)
      more = 1;
    else if (k == found)
      kinds[found] = values[i], counts[found++] = 1;
    else
      counts[k]++;
  }
  free(values);
  if (status != MOTE_OK) return status;
  fprintf(out, "    %-22s (%lld)  i32  ", name, (long long)n);
  for (int k = 0; k < found; k++) fprintf(out, "%s%d: %lld", k ? ", " : "", kinds[k], (long long)counts[k]);
  fprintf(out, "%s\n", more ? ", ..." : "");
  return MOTE_OK;
}

static mote_status put_trajectory(FILE *out, mote_frame_source *s, int index, const mote_monitor *monitor) {
  mote_trajectory_info info;
  const mote_trajectory_field *field;
  const char *name;
  MOTE_TRY(mote_source_info(s, index, &info));
  double first, last;
  MOTE_TRY(mote_source_time(s, index, 0, &first));
  MOTE_TRY(mote_source_time(s, index, info.frames - 1, &last));
  fprintf(out, "  trajectory %s: %lld frames of %lld particles in %d-D, times %.6g to %.6g\n",
          mote_source_name(s, index), (long long)info.frames, (long long)info.particles, info.dim, first,
          last);
  for (int k = 0; (field = mote_source_field(s, index, k)) != NULL; k++) {
    range r;
    MOTE_TRY(measure(s, index, field, info, monitor, &r));
    put_shape(out, field->name, info, field);
    put_range(out, &r);
  }
  for (int k = 0; (name = mote_source_label(s, index, k)) != NULL; k++)
    MOTE_TRY(put_labels(out, s, index, name, info.particles));
  for (int k = 0; (name = mote_source_constant(s, index, k)) != NULL; k++)
    fprintf(out, "    %-22s (%lld)  f32\n", name, (long long)info.particles);
  return MOTE_OK;
}

static mote_status describe_trajectories(FILE *out, const char *path, const mote_monitor *monitor) {
  mote_frame_source s;
  mote_metadata m;
  mote_status status = mote_source_open(path, &s);
  if (status == MOTE_OK) {
    int count = mote_source_count(&s);
    fprintf(out, "%s: %s, %d trajector%s\n", path,
            s.reader ? "HDF5 (LagrangeBench layout)" : "NPZ (PyTorch GNS layout)", count,
            count == 1 ? "y" : "ies");
    if (mote_source_metadata(&s, &m) == MOTE_OK)
      put_metadata(out, &m);
    else
      fprintf(out, "  no metadata\n");
    for (int k = 0; k < count && status == MOTE_OK; k++) status = put_trajectory(out, &s, k, monitor);
  }
  mote_source_close(&s);
  return status;
}

/* ---- Models and JSON ---- */

static mote_status put_tensor(FILE *out, const mote_safetensors *f, const mote_tensor *t) {
  fprintf(out, "  %-56s %-4s (", t->name, mote_dtype_name(t->dtype));
  for (int d = 0; d < t->rank; d++) fprintf(out, "%s%lld", d ? ", " : "", (long long)t->shape[d]);
  fprintf(out, ")");
  if (t->dtype <= MOTE_BF16 && t->count > 0) {
    float *values = malloc((size_t)t->count * sizeof *values);
    if (!values) return mote_fail(MOTE_ERROR_MEMORY, "out of memory for tensor %s", t->name);
    if (mote_safetensors_read(f, t->name, t->rank, t->shape, values) == MOTE_OK) {
      double low = INFINITY, high = -INFINITY;
      for (int64_t k = 0; k < t->count; k++) {
        low = fmin(low, (double)values[k]);
        high = fmax(high, (double)values[k]);
      }
      fprintf(out, "  [%.6g, %.6g]", low, high);
    } else {
      fprintf(out, "  holds values that are not finite");
    }
    free(values);
  }
  fprintf(out, "\n");
  return MOTE_OK;
}

static mote_status describe_model(FILE *out, const char *path) {
  mote_safetensors *f;
  const mote_tensor *t;
  MOTE_TRY(mote_safetensors_open(path, &f));
  int64_t parameters = 0, tensors = 0;
  for (int k = 0; (t = mote_safetensors_tensor(f, k)) != NULL; k++) parameters += t->count, tensors++;
  fprintf(out, "%s: safetensors, %lld tensors, %lld parameters\n", path, (long long)tensors,
          (long long)parameters);
  mote_status status = MOTE_OK;
  for (int k = 0; status == MOTE_OK && (t = mote_safetensors_tensor(f, k)) != NULL; k++)
    status = put_tensor(out, f, t);
  mote_safetensors_close(f);
  return status;
}

static mote_status describe_json(FILE *out, const char *path) {
  cJSON *root;
  MOTE_TRY(mote_json_read(path, &root));
  mote_metadata m;
  if (cJSON_GetObjectItemCaseSensitive(root, "bounds") && mote_metadata_read(path, &m) == MOTE_OK) {
    fprintf(out, "%s: metadata of trajectories\n", path);
    put_metadata(out, &m);
  } else {
    const cJSON *item;
    fprintf(out, "%s: JSON\n", path);
    cJSON_ArrayForEach(item, root) {
      char *value = cJSON_PrintUnformatted(item);
      fprintf(out, "  %-28s%.120s\n", item->string ? item->string : "", value ? value : "");
      cJSON_free(value);
    }
  }
  cJSON_Delete(root);
  return MOTE_OK;
}

/* A model's folder, or a data set's. */
static mote_status describe_folder(FILE *out, const char *path, const mote_monitor *monitor) {
  static const char *const names[] = {"config.json", "metadata.json", "model.safetensors",
                                      "train.h5",    "valid.h5",      "test.h5",
                                      "train.npz",   "valid.npz",     "test.npz"};
  int found = 0;
  mote_status status = MOTE_OK;
  for (size_t k = 0; k < sizeof names / sizeof *names && status == MOTE_OK; k++) {
    char *file = mote_path_join(path, names[k]);
    struct stat about;
    if (!file) return mote_fail(MOTE_ERROR_MEMORY, "out of memory");
    if (stat(file, &about) == 0) {
      found = 1;
      status = mote_path_has_extension(file, ".json")          ? describe_json(out, file)
               : mote_path_has_extension(file, ".safetensors") ? describe_model(out, file)
                                                               : describe_trajectories(out, file, monitor);
    }
    free(file);
  }
  if (status == MOTE_OK && !found)
    return mote_fail(MOTE_ERROR_FORMAT,
                     "%s: a folder with neither a model (config.json, model.safetensors) nor a data set",
                     path);
  return status;
}

static mote_status describe(FILE *out, const char *path, const mote_monitor *monitor) {
  struct stat about;
  if (stat(path, &about) == 0 && S_ISDIR(about.st_mode)) return describe_folder(out, path, monitor);
  if (mote_path_has_extension(path, ".safetensors")) return describe_model(out, path);
  if (mote_path_has_extension(path, ".json")) return describe_json(out, path);
  return describe_trajectories(out, path, monitor);
}

mote_status mote_describe(const char *path, const mote_monitor *monitor, char **text) {
  size_t size;
  *text = NULL;
  FILE *out = open_memstream(text, &size);
  if (!out) return mote_fail(MOTE_ERROR_MEMORY, "out of memory to describe %s", path);
  mote_status status = describe(out, path, monitor);
  if (fclose(out) != 0 && status == MOTE_OK)
    status = mote_fail(MOTE_ERROR_MEMORY, "out of memory to describe %s", path);
  if (status == MOTE_OK) return MOTE_OK;
  free(*text);
  *text = NULL;
  return status;
}
