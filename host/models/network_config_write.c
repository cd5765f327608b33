/* config.json of a time-stepper, in the keys that published folders have, so that it reads back as it was. */
#include <math.h>
#include <stdio.h>
#include <stdlib.h>

#include "host/core/error.h"
#include "host/io/json_file.h"
#include "host/models/network_config.h"

static void add_number(cJSON *root, const char *key, double value) {
  cJSON_AddNumberToObject(root, key, value);
}

/* The shortest decimal that a float32 comes back from. */
static double decimal(float x) {
  char text[32];
  for (int digits = 6; digits <= 9; digits++) {
    snprintf(text, sizeof text, "%.*g", digits, (double)x);
    if (strtof(text, NULL) == x) break;
  }
  return strtod(text, NULL);
}

static void add_widths(cJSON *root, const char *key, const mote_kernel_shape *shape) {
  cJSON_AddItemToObject(root, key, cJSON_CreateIntArray(shape->widths, shape->layers + 1));
}

static void add_limits(cJSON *root, int dim, const double limits[3][2]) {
  cJSON *list = cJSON_AddArrayToObject(root, "latent_domain_lims");
  for (int a = 0; a < dim; a++) cJSON_AddItemToArray(list, cJSON_CreateDoubleArray(limits[a], 2));
}

static void add_latent(cJSON *root, const mote_network_config *c) {
  const mote_latent_config *l = &c->latent;
  add_number(root, "not_heads", l->heads);
  add_number(root, "not_layers", l->blocks);
  add_number(root, "not_output_size", l->output);
  add_number(root, "not_space_dim", l->space_width);
  add_number(root, "not_trunk_size", l->kernel_in.widths[l->kernel_in.layers]);
  add_number(root, "not_branch_size", c->dim);
  add_number(root, "out_gno_in_dim", c->dim);
  add_number(root, "out_gno_hidden", l->output);
  add_number(root, "projection_layers", l->projection_layers);
  add_number(root, "projection_channels", l->projection_width);
  add_number(root, "latent_grid_dim", l->grid);
  add_number(root, "gno_radius", decimal(l->radius));
  add_widths(root, "in_gno_mlp_hidden_layers", &l->kernel_in);
  add_widths(root, "out_gno_mlp_hidden_layers", &l->kernel_out);
  cJSON_AddStringToObject(root, "in_gno_transform_type",
                          l->kernel_in_takes_pairs ? "pair" : "nonlinear_kernelonly");
  cJSON_AddStringToObject(root, "out_gno_transform_type", l->kernel_out_takes_pairs ? "pair" : "linear");
  cJSON_AddStringToObject(root, "latent_points", l->occupied_only ? "occupied" : "grid");
  add_limits(root, c->dim, l->limits);
}

static void add_kind(cJSON *root, const mote_network_config *c) {
  const char *name = c->kind == MOTE_GIOROM ? "PhysicsEngine" : "LearnedSimulator";
  cJSON_AddItemToObject(root, "architectures", cJSON_CreateStringArray(&name, 1));
  if (c->kind == MOTE_GNS) {
    add_number(root, "mlp_layers", c->linears - 1);
    cJSON_AddStringToObject(root, "edge_update", c->edge_doubles ? "doubled" : "message");
    return;
  }
  cJSON_AddStringToObject(root, "graph_convolution",
                          c->convolution == MOTE_CONVOLUTION_NORMALIZED ? "normalized" : "degenerate");
  add_number(root, "graph_convolution_alpha", decimal(c->convolution_alpha));
  add_latent(root, c);
}

mote_status mote_network_config_write(const char *path, const mote_network_config *c) {
  cJSON *root = cJSON_CreateObject();
  if (!root) return mote_fail(MOTE_ERROR_MEMORY, "%s: out of memory", path);
  add_kind(root, c);
  add_number(root, "dim", c->dim);
  add_number(root, "window_size", c->window);
  add_number(root, "hidden_size", c->width);
  add_number(root, "n_mp_layers", c->layers_before);
  add_number(root, "num_particle_types", c->types);
  add_number(root, "particle_type_dim", c->type_width);
  cJSON_AddBoolToObject(root, "normalized_velocities", c->normalized_velocities);
  cJSON_AddStringToObject(root, "decoder", c->decoder == MOTE_DECODER_PAIRS ? "pairs" : "nodes");
  cJSON_AddBoolToObject(root, "edge_rest_lengths", c->rest_lengths);
  add_number(root, "noise_std", decimal(c->noise));
  add_number(root, "boundary_clamp_limit", decimal(c->clip));
  if (isfinite(c->stop)) add_number(root, "wall_stop", decimal(c->stop));
  mote_status status = mote_json_write(path, root);
  cJSON_Delete(root);
  return status;
}
