#include "host/models/network_config.h"

#include <math.h>
#include <stdio.h>
#include <string.h>

#include "host/core/error.h"
#include "host/core/text.h"
#include "host/io/json_file.h"

/* ---- single keys; those that are absent keep what stands there ---- */

typedef struct integer_key {
  const char *key;
  int64_t low, high;
  int *value;
  int required;
} integer_key;

static mote_status read_integers(const char *path, const cJSON *root, const integer_key *keys, int count) {
  for (int k = 0; k < count; k++) {
    int64_t value = 0;
    int found = 1;
    MOTE_TRY(mote_json_integer(path, root, keys[k].key, keys[k].low, keys[k].high, &value,
                               keys[k].required ? NULL : &found));
    if (found) *keys[k].value = (int)value;
  }
  return MOTE_OK;
}
#define COUNT(a) ((int)(sizeof(a) / sizeof *(a)))

static mote_status read_number(const char *path, const cJSON *root, const char *key, double low, double high,
                               float *value) {
  double x;
  int found;
  MOTE_TRY(mote_json_number(path, root, key, &x, &found));
  if (!found) return MOTE_OK;
  if (!(x >= low && x <= high))
    return mote_fail(MOTE_ERROR_FORMAT, "%s: \"%s\" is %g: expected %g to %g", path, key, x, low, high);
  *value = (float)x;
  return MOTE_OK;
}

/* `*value` becomes the place of the text in `words`, a list that ends with NULL. */
static mote_status read_word(const char *path, const cJSON *root, const char *key, const char *const *words,
                             int *value) {
  const char *text;
  int found;
  MOTE_TRY(mote_json_string(path, root, key, &text, &found));
  if (!found) return MOTE_OK;
  for (int k = 0; words[k]; k++)
    if (!strcmp(text, words[k])) {
      *value = k;
      return MOTE_OK;
    }
  return mote_fail(MOTE_ERROR_UNSUPPORTED, "%s: \"%s\" is \"%s\": this version knows \"%s\" and \"%s\"", path,
                   key, text, words[0], words[1]);
}

/* ---- the latent part ---- */

static mote_status read_kernel(const char *path, const cJSON *root, const char *key, int in,
                               mote_kernel_shape *k) {
  double widths[MOTE_KERNEL_LAYERS + 1];
  int count = 0;
  MOTE_TRY(mote_json_numbers(path, root, key, 2, MOTE_KERNEL_LAYERS + 1, widths, &count, NULL));
  for (int l = 0; l < count; l++) {
    if (!(widths[l] >= 1 && widths[l] <= MOTE_DENSE_WIDEST) || widths[l] != floor(widths[l]))
      return mote_fail(MOTE_ERROR_FORMAT, "%s: \"%s\": %g is no width (1 to %d)", path, key, widths[l],
                       MOTE_DENSE_WIDEST);
    k->widths[l] = (int)widths[l];
  }
  k->layers = count - 1;
  if (k->widths[0] != in)
    return mote_fail(MOTE_ERROR_FORMAT, "%s: \"%s\" begins with %d inputs: expected %d", path, key,
                     k->widths[0], in);
  return MOTE_OK;
}

static mote_status read_limits(const char *path, const cJSON *root, int dim, double limits[3][2]) {
  const cJSON *list = cJSON_GetObjectItemCaseSensitive(root, "latent_domain_lims");
  if (!cJSON_IsArray(list) || cJSON_GetArraySize(list) != dim)
    return mote_fail(MOTE_ERROR_FORMAT, "%s: \"latent_domain_lims\": expected %d pairs of numbers", path,
                     dim);
  for (int a = 0; a < dim; a++) {
    const cJSON *pair = cJSON_GetArrayItem(list, a);
    const cJSON *low = cJSON_GetArrayItem(pair, 0), *high = cJSON_GetArrayItem(pair, 1);
    if (cJSON_GetArraySize(pair) != 2 || !cJSON_IsNumber(low) || !cJSON_IsNumber(high) ||
        !(fabs(low->valuedouble) <= 1e9 && fabs(high->valuedouble) <= 1e9) ||
        !((float)low->valuedouble < (float)high->valuedouble))
      return mote_fail(
          MOTE_ERROR_FORMAT,
          "%s: \"latent_domain_lims\": expected a lower and a higher number, within 1e9, for axis %d", path,
          a);
    limits[a][0] = low->valuedouble;
    limits[a][1] = high->valuedouble;
  }
  return MOTE_OK;
}

static mote_status read_latent(const char *path, const cJSON *root, const mote_network_config *c,
                               mote_latent_config *l) {
  static const char *const in_types[] = {"nonlinear_kernelonly", "pair", NULL}, *const out_types[] = {
                                                                                    "linear", "pair", NULL};
  static const char *const points[] = {"grid", "occupied", NULL};
  int branch = c->dim, trunk = 0, out_width = 0, out_dim = c->dim;
  const integer_key keys[] = {{"not_heads", 1, 64, &l->heads, 1},
                              {"not_layers", 1, 16, &l->blocks, 1},
                              {"not_output_size", 1, MOTE_DENSE_WIDEST, &l->output, 1},
                              {"not_space_dim", 1, MOTE_DENSE_WIDEST, &l->space_width, 1},
                              {"not_trunk_size", 1, MOTE_DENSE_WIDEST, &trunk, 1},
                              {"not_branch_size", c->dim, c->dim, &branch, 0},
                              {"out_gno_in_dim", c->dim, c->dim, &out_dim, 0},
                              {"out_gno_hidden", 1, MOTE_DENSE_WIDEST, &out_width, 1},
                              {"projection_layers", 1, MOTE_MLP_LAYERS, &l->projection_layers, 1},
                              {"projection_channels", 1, MOTE_DENSE_WIDEST, &l->projection_width, 1},
                              {"latent_grid_dim", 2, 256, &l->grid, 1}};
  MOTE_TRY(read_integers(path, root, keys, COUNT(keys)));
  MOTE_TRY(read_word(path, root, "in_gno_transform_type", in_types, &l->kernel_in_takes_pairs));
  MOTE_TRY(read_word(path, root, "out_gno_transform_type", out_types, &l->kernel_out_takes_pairs));
  MOTE_TRY(read_word(path, root, "latent_points", points, &l->occupied_only));
  MOTE_TRY(read_kernel(path, root, "in_gno_mlp_hidden_layers", c->dim + c->width + l->kernel_in_takes_pairs,
                       &l->kernel_in));
  MOTE_TRY(read_kernel(path, root, "out_gno_mlp_hidden_layers", c->dim + l->kernel_out_takes_pairs,
                       &l->kernel_out));
  l->radius = 0;
  MOTE_TRY(read_number(path, root, "gno_radius", 1e-9, 1e9, &l->radius));
  if (!(l->radius > 0)) return mote_fail(MOTE_ERROR_FORMAT, "%s: \"gno_radius\" is missing", path);
  if (trunk != l->kernel_in.widths[l->kernel_in.layers] || l->space_width > trunk)
    return mote_fail(MOTE_ERROR_FORMAT,
                     "%s: \"not_trunk_size\" is %d, \"not_space_dim\" %d: expected the %d outputs of "
                     "\"in_gno_mlp_hidden_layers\", and no more than those",
                     path, trunk, l->space_width, l->kernel_in.widths[l->kernel_in.layers]);
  if (l->output != l->kernel_out.widths[l->kernel_out.layers] || l->output != out_width)
    return mote_fail(
        MOTE_ERROR_FORMAT,
        "%s: \"not_output_size\", \"out_gno_hidden\" and the end of \"out_gno_mlp_hidden_layers\" are "
        "%d, %d and %d: expected the same",
        path, l->output, out_width, l->kernel_out.widths[l->kernel_out.layers]);
  return read_limits(path, root, c->dim, l->limits);
}

/* ---- the whole ---- */

static mote_status read_common(const char *path, const cJSON *root, mote_network_config *c) {
  static const char *const decoders[] = {"nodes", "pairs", NULL};
  int decoder = 0;
  const integer_key keys[] = {{"dim", 2, 3, &c->dim, 1},
                              {"window_size", 1, 15, &c->window, 1},
                              {"hidden_size", 1, 256, &c->width, 1},
                              {"n_mp_layers", 1, 64, &c->layers_before, 1},
                              {"num_particle_types", 1, 1024, &c->types, 1},
                              {"particle_type_dim", 0, 256, &c->type_width, 1}};
  MOTE_TRY(read_integers(path, root, keys, COUNT(keys)));
  if (!c->type_width && (c->types > 1 || c->kind == MOTE_GIOROM))
    return mote_fail(MOTE_ERROR_FORMAT, "%s: \"particle_type_dim\" is 0 with %d types: expected 1 to 256",
                     path, c->types);
  MOTE_TRY(mote_json_boolean(path, root, "normalized_velocities", &c->normalized_velocities, &(int){0}));
  MOTE_TRY(mote_json_boolean(path, root, "edge_rest_lengths", &c->rest_lengths, &(int){0}));
  MOTE_TRY(read_word(path, root, "decoder", decoders, &decoder));
  c->decoder = decoder ? MOTE_DECODER_PAIRS : MOTE_DECODER_NODES;
  MOTE_TRY(read_number(path, root, "noise_std", 0, 1e9, &c->noise));
  MOTE_TRY(read_number(path, root, "wall_stop", 0, 1e9, &c->stop));
  return read_number(path, root, "boundary_clamp_limit", 1e-6, 1e6, &c->clip);
}

static mote_status read_giorom(const char *path, const cJSON *root, mote_network_config *c) {
  static const char *const convolutions[] = {"degenerate", "normalized", NULL};
  int convolution = 0;
  *c = (mote_network_config){.kind = MOTE_GIOROM,
                             .linears = 3,
                             .convolution_alpha = 0.7f,
                             .clip = 1,
                             .stop = INFINITY,
                             .has_latent = 1};
  MOTE_TRY(read_common(path, root, c));
  c->layers_after = c->layers_before;
  MOTE_TRY(read_word(path, root, "graph_convolution", convolutions, &convolution));
  c->convolution = convolution ? MOTE_CONVOLUTION_NORMALIZED : MOTE_CONVOLUTION_DEGENERATE;
  MOTE_TRY(read_number(path, root, "graph_convolution_alpha", 0, 1, &c->convolution_alpha));
  return read_latent(path, root, c, &c->latent);
}

static mote_status read_gns(const char *path, const cJSON *root, mote_network_config *c) {
  static const char *const updates[] = {"message", "doubled", NULL};
  int hidden = 2;
  const integer_key keys[] = {{"mlp_layers", 0, MOTE_MLP_LAYERS - 1, &hidden, 0}};
  *c = (mote_network_config){
      .kind = MOTE_GNS, .normalized_velocities = 1, .noise = 6.7e-4f, .clip = 1, .stop = INFINITY};
  MOTE_TRY(read_common(path, root, c));
  MOTE_TRY(read_integers(path, root, keys, COUNT(keys)));
  c->linears = hidden + 1;
  MOTE_TRY(read_word(path, root, "edge_update", updates, &c->edge_doubles));
  if (c->edge_doubles && c->decoder == MOTE_DECODER_PAIRS)
    return mote_fail(MOTE_ERROR_UNSUPPORTED,
                     "%s: \"decoder\" is \"pairs\", which reads the edges' state, and \"edge_update\" "
                     "\"doubled\", which leaves nothing in it",
                     path);
  return MOTE_OK;
}

/* Published folders bring keys that mean nothing here and are passed over; but a key that can be left out and
   is misspelt would be a model that is quietly another one. */
static mote_status check_keys(const char *path, const cJSON *root) {
  static const char *const optional[] = {"normalized_velocities",
                                         "graph_convolution",
                                         "graph_convolution_alpha",
                                         "in_gno_transform_type",
                                         "out_gno_transform_type",
                                         "latent_points",
                                         "noise_std",
                                         "boundary_clamp_limit",
                                         "wall_stop",
                                         "edge_update",
                                         "decoder",
                                         "edge_rest_lengths",
                                         NULL};
  const cJSON *item;
  cJSON_ArrayForEach(item, root) {
    const char *near = mote_nearest_word(item->string, optional);
    int known = !near;
    for (int k = 0; optional[k]; k++) known |= !strcmp(item->string, optional[k]);
    if (!known)
      return mote_fail(MOTE_ERROR_FORMAT, "%s: unknown key \"%s\"; did you mean \"%s\"?", path, item->string,
                       near);
  }
  return MOTE_OK;
}

static mote_status read_root(const char *path, const cJSON *root, mote_network_config *c) {
  const cJSON *list = cJSON_GetObjectItemCaseSensitive(root, "architectures");
  const cJSON *first = cJSON_IsArray(list) ? cJSON_GetArrayItem(list, 0) : NULL;
  const char *name = cJSON_IsString(first) ? first->valuestring : "";
  if (!strcmp(name, "PhysicsEngine")) return read_giorom(path, root, c);
  if (!strcmp(name, "LearnedSimulator")) return read_gns(path, root, c);
  return mote_fail(MOTE_ERROR_FORMAT,
                   "%s: \"architectures\" is [\"%s\"]: expected [\"PhysicsEngine\"] (GIOROM) or "
                   "[\"LearnedSimulator\"] (GNS)",
                   path, name);
}

mote_status mote_network_config_read(const char *path, mote_network_config *config) {
  cJSON *root = NULL;
  MOTE_TRY(mote_json_read(path, &root));
  mote_status status = check_keys(path, root);
  if (status == MOTE_OK) status = read_root(path, root, config);
  cJSON_Delete(root);
  return status;
}

void mote_network_config_published(mote_network_kind kind, mote_network_config *config) {
  *config = (mote_network_config){.kind = kind,
                                  .dim = 3,
                                  .window = 5,
                                  .width = 128,
                                  .layers_before = kind == MOTE_GNS ? 10 : 2,
                                  .layers_after = kind == MOTE_GNS ? 0 : 2,
                                  .linears = 3,
                                  .types = 9,
                                  .type_width = 16,
                                  .normalized_velocities = kind == MOTE_GNS,
                                  .convolution =
                                      kind == MOTE_GNS ? MOTE_CONVOLUTION_NONE : MOTE_CONVOLUTION_DEGENERATE,
                                  .convolution_alpha = 0.7f,
                                  .noise = kind == MOTE_GNS ? 6.7e-4f : 0,
                                  .clip = 1,
                                  .stop = INFINITY,
                                  .has_latent = kind == MOTE_GIOROM,
                                  .latent = {.kernel_in = {3, {131, 32, 64, 64}},
                                             .kernel_out = {3, {3, 32, 64, 128}},
                                             .radius = 0.125f,
                                             .heads = 4,
                                             .blocks = 1,
                                             .space_width = 64,
                                             .output = 128,
                                             .grid = 16,
                                             .projection_layers = 1,
                                             .projection_width = 256,
                                             .width = 256,
                                             .experts = 2,
                                             .inner = 1,
                                             .limits = {{0, 1}, {0, 1}, {0, 1}}}};
  if (kind == MOTE_GIOROM) return;
  config->convolution_alpha = 0;
  config->latent = (mote_latent_config){0};
}
