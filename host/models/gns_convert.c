/* See gns_convert.h. The trick: the shape is read off four tensors, and then all names and shapes of such a
   network are spelled out and compared, so that each contradiction shows at a tensor's name. */
#include "host/models/gns_convert.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "host/core/error.h"

#define EMBEDDING "_particle_type_embedding.weight"
#define NETWORK "_encode_process_decode."
#define ENCODER NETWORK "_encoder."
#define LAYER NETWORK "_processor.gnn_stacks."
#define DECODER NETWORK "_decoder.node_fn"
#define MOST_LAYERS 256
#define MOST_MLP_LAYERS 16
#define LARGEST_EXTENT (1 << 20)
#define NAME_SIZE 160

typedef struct check {
  const mote_torch *archive;
  mote_gns_shape shape;
  unsigned char *met; /* a tensor: is it one that was expected? */
} check;

/* ---- Errors ---- */

static mote_status missing(const check *c, const char *name) {
  int count = mote_torch_count(c->archive);
  return mote_fail(MOTE_ERROR_FORMAT,
                   "%s is no GNS: tensor '%s' is missing; geoelements/gns has " EMBEDDING ", " ENCODER
                   "*, " LAYER "* and " DECODER "*; here are %d tensors, '%.100s' to '%.100s'",
                   mote_torch_path(c->archive), name, count, mote_torch_get(c->archive, 0)->name,
                   mote_torch_get(c->archive, count - 1)->name);
}

static void format_shape(char text[200], int rank, const int64_t *shape) {
  size_t at = 0;
  text[0] = 0;
  for (int d = 0; d < rank; d++)
    at += (size_t)snprintf(text + at, 200 - at, "%s%lld", d ? ", " : "", (long long)shape[d]);
}

/* ---- Deriving the shape ---- */

static mote_status find_matrix(const check *c, const char *name, int *rows, int *columns) {
  const mote_torch_tensor *t = mote_torch_find(c->archive, name);
  if (!t) return missing(c, name);
  if (t->rank != 2 || t->shape[0] < 1 || t->shape[1] < 1 || t->shape[0] > LARGEST_EXTENT ||
      t->shape[1] > LARGEST_EXTENT)
    return mote_fail(MOTE_ERROR_FORMAT, "%s: tensor '%s' is no matrix of a sensible size",
                     mote_torch_path(c->archive), name);
  *rows = (int)t->shape[0];
  *columns = (int)t->shape[1];
  return MOTE_OK;
}

/* One more than the largest number that a tensor's name has behind the layers' prefix. */
static mote_status count_layers(check *c) {
  const mote_torch_tensor *t;
  size_t length = strlen(LAYER);
  for (int k = 0; (t = mote_torch_get(c->archive, k)) != NULL; k++) {
    if (strncmp(t->name, LAYER, length) != 0) continue;
    long number = strtol(t->name + length, NULL, 10);
    if (number < 0 || number >= MOST_LAYERS)
      return mote_fail(MOTE_ERROR_FORMAT, "%s: tensor '%.200s': expected a layer from 0 to %d",
                       mote_torch_path(c->archive), t->name, MOST_LAYERS - 1);
    if (number >= c->shape.layers) c->shape.layers = (int)number + 1;
  }
  return c->shape.layers > 0 ? MOTE_OK : missing(c, LAYER "0.edge_fn.0.NN-0.weight");
}

static void count_mlp_layers(check *c) {
  char name[NAME_SIZE];
  for (int k = 2; k <= MOST_MLP_LAYERS; k++) {
    snprintf(name, sizeof name, ENCODER "node_fn.0.NN-%d.weight", k);
    if (!mote_torch_find(c->archive, name)) break;
    c->shape.mlp_layers = k;
  }
}

/* The node's inputs: `history` velocities, distances to two walls an axis, and the type's embedding, which is
   left out where there is but one type. */
static mote_status derive_history(check *c, int inputs) {
  mote_gns_shape *s = &c->shape;
  int left = inputs - 2 * s->dim - (s->particle_types > 1 ? s->type_width : 0);
  s->history = left / s->dim;
  if (left >= s->dim && left % s->dim == 0) return MOTE_OK;
  return mote_fail(
      left > s->dim && left % s->dim == 1 ? MOTE_ERROR_UNSUPPORTED : MOTE_ERROR_FORMAT,
      "%s: tensor '" ENCODER "node_fn.0.NN-0.weight' has %d columns: without %d of walls and %d of "
      "the type, expected a multiple of %d (one more may be a material property, which is not supported)",
      mote_torch_path(c->archive), inputs, 2 * s->dim, inputs - 2 * s->dim - left, s->dim);
}

static mote_status derive(check *c) {
  mote_gns_shape *s = &c->shape;
  char last[NAME_SIZE];
  int inputs, columns;
  s->mlp_layers = 1;
  MOTE_TRY(find_matrix(c, EMBEDDING, &s->particle_types, &s->type_width));
  MOTE_TRY(find_matrix(c, ENCODER "node_fn.0.NN-0.weight", &s->width, &inputs));
  MOTE_TRY(count_layers(c));
  count_mlp_layers(c);
  snprintf(last, sizeof last, DECODER ".NN-%d.weight", s->mlp_layers);
  MOTE_TRY(find_matrix(c, last, &s->dim, &columns));
  if (s->dim != 2 && s->dim != 3)
    return mote_fail(MOTE_ERROR_FORMAT, "%s: tensor '%s' has %d rows: expected an acceleration in 2-D or 3-D",
                     mote_torch_path(c->archive), last, s->dim);
  return derive_history(c, inputs);
}

/* ---- Checking all tensors ---- */

/* A vector where columns is 0. */
static mote_status expect(check *c, const char *name, int64_t rows, int64_t columns) {
  const mote_torch_tensor *t = mote_torch_find(c->archive, name);
  const int64_t wanted[2] = {rows, columns};
  int rank = columns ? 2 : 1;
  if (!t) return missing(c, name);
  c->met[t - mote_torch_get(c->archive, 0)] = 1;
  if (t->rank == rank && t->shape[0] == rows && (rank == 1 || t->shape[1] == columns)) return MOTE_OK;
  char has[200], wants[200];
  format_shape(has, t->rank, t->shape);
  format_shape(wants, rank, wanted);
  return mote_fail(
      MOTE_ERROR_FORMAT,
      "%s: tensor '%s' has the shape (%s); expected (%s) of a GNS in %d-D with one width, here %d",
      mote_torch_path(c->archive), name, has, wants, c->shape.dim, c->shape.width);
}

static mote_status expect_linear(check *c, const char *prefix, int64_t rows, int64_t columns) {
  char name[NAME_SIZE + 16];
  snprintf(name, sizeof name, "%s.weight", prefix);
  MOTE_TRY(expect(c, name, rows, columns));
  snprintf(name, sizeof name, "%s.bias", prefix);
  return expect(c, name, rows, 0);
}

/* NN-0 to NN-mlp_layers. */
static mote_status expect_mlp(check *c, const char *prefix, int64_t inputs, int64_t outputs) {
  char name[NAME_SIZE];
  int last = c->shape.mlp_layers;
  for (int k = 0; k <= last; k++) {
    snprintf(name, sizeof name, "%s.NN-%d", prefix, k);
    MOTE_TRY(expect_linear(c, name, k == last ? outputs : c->shape.width, k == 0 ? inputs : c->shape.width));
  }
  return MOTE_OK;
}

/* A network and the LayerNorm behind it. */
static mote_status expect_normed(check *c, const char *prefix, int64_t inputs) {
  char name[NAME_SIZE - 32];
  snprintf(name, sizeof name, "%s.0", prefix);
  MOTE_TRY(expect_mlp(c, name, inputs, c->shape.width));
  snprintf(name, sizeof name, "%s.1", prefix);
  return expect_linear(c, name, c->shape.width, 0);
}

static mote_status expect_all(check *c) {
  const mote_gns_shape *s = &c->shape;
  char name[NAME_SIZE - 64];
  int types = s->particle_types > 1 ? s->type_width : 0;
  MOTE_TRY(expect(c, EMBEDDING, s->particle_types, s->type_width));
  MOTE_TRY(expect_normed(c, ENCODER "node_fn", (s->history + 2) * s->dim + types));
  MOTE_TRY(expect_normed(c, ENCODER "edge_fn", s->dim + 1));
  for (int l = 0; l < s->layers; l++) {
    snprintf(name, sizeof name, LAYER "%d.node_fn", l);
    MOTE_TRY(expect_normed(c, name, 2 * (int64_t)s->width));
    snprintf(name, sizeof name, LAYER "%d.edge_fn", l);
    MOTE_TRY(expect_normed(c, name, 3 * (int64_t)s->width));
  }
  return expect_mlp(c, DECODER, s->width, s->dim);
}

/* The first tensor that no expectation met. */
static mote_status refuse_others(const check *c) {
  for (int k = 0; k < mote_torch_count(c->archive); k++)
    if (!c->met[k])
      return mote_fail(MOTE_ERROR_FORMAT,
                       "%s: tensor '%.200s' is no part of a GNS of %d layers and networks of %d",
                       mote_torch_path(c->archive), mote_torch_get(c->archive, k)->name, c->shape.layers,
                       c->shape.mlp_layers + 1);
  return MOTE_OK;
}

mote_status mote_gns_recognise(const mote_torch *archive, mote_gns_shape *shape) {
  check c = {.archive = archive, .met = calloc((size_t)mote_torch_count(archive) + 1, 1)};
  if (!c.met) return mote_fail(MOTE_ERROR_MEMORY, "out of memory for %s", mote_torch_path(archive));
  mote_status status = derive(&c);
  if (status == MOTE_OK) status = expect_all(&c);
  if (status == MOTE_OK) status = refuse_others(&c);
  free(c.met);
  *shape = c.shape;
  return status;
}

/* ---- config.json ---- */

cJSON *mote_gns_config(const mote_gns_shape *s, const mote_model_convert_options *o) {
  const struct {
    const char *key;
    double value;
  } numbers[] = {{"dim", s->dim},
                 {"window_size", s->history},
                 {"hidden_size", s->width},
                 {"n_mp_layers", s->layers},
                 {"mlp_layers", s->mlp_layers},
                 {"num_particle_types", s->particle_types},
                 {"particle_type_dim", s->type_width},
                 {"noise_std", o->noise_std < 0   ? 0
                               : o->noise_std > 0 ? o->noise_std
                                                  : MOTE_GNS_NOISE_STD},
                 {"boundary_clamp_limit", o->boundary_clamp_limit > 0 ? o->boundary_clamp_limit : 1}};
  cJSON *root = cJSON_CreateObject();
  cJSON *names = root ? cJSON_AddArrayToObject(root, "architectures") : NULL;
  int whole = names && cJSON_AddItemToArray(names, cJSON_CreateString("LearnedSimulator"));
  for (size_t k = 0; k < sizeof numbers / sizeof *numbers; k++)
    whole = whole && cJSON_AddNumberToObject(root, numbers[k].key, numbers[k].value);
  whole = whole && cJSON_AddTrueToObject(root, "normalized_velocities") &&
          cJSON_AddStringToObject(root, "edge_update", o->doubled_edges ? "doubled" : "message");
  if (whole) return root;
  cJSON_Delete(root);
  return NULL;
}
