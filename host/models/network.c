/* Loading a time-stepper: which tensor of a checkpoint is which layer. */
#include "host/models/network.h"

#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "host/core/error.h"

static int feature_width(const mote_network_config *c) {
  return c->dim * (c->window + 2) + (c->types > 1 || c->kind == MOTE_GIOROM ? c->type_width : 0);
}

/* ---- GIOROM ---- */

static const mote_mlp_names giorom_names = {"%s.layers.%d", "%s.layers.%d", 2};

/* S(h) = W (alpha h + (1 - alpha) P h) + b; where P is 0 alpha goes into the weights. */
static mote_status read_convolution(mote_parameters *p, const mote_network_config *c, const char *name,
                                    mote_interaction *layer) {
  int degenerate = c->convolution == MOTE_CONVOLUTION_DEGENERATE;
  mote_layer_part part = {mote_name_of("%s.spectralConv.lin", name), c->width, c->width, 0, 1, 1};
  if (degenerate) part.scale = c->convolution_alpha;
  layer->has_convolution = 1;
  layer->propagation_share = degenerate ? 0 : 1 - c->convolution_alpha;
  layer->convolution = (mote_mlp){.layers = 1};
  return mote_parameters_stack(p, 1, &part, c->width, MOTE_IDENTITY, &layer->convolution.layer[0]);
}

/* Whether layer l of a side is given to a trained model. Such layers hand everything on, to begin with: h and
   the edges' states are added to, and what is added is 0. */
static int is_new(const mote_network_config *c, int l) {
  return c->trained_layers && l >= c->trained_layers;
}

static mote_status read_giorom_layers(mote_parameters *p, const mote_network_config *c, const char *series,
                                      int count, mote_interaction *layer) {
  for (int l = 0; l < count; l++) {
    mote_name name = mote_name_of("%s.%d", series, l);
    mote_name edge = mote_name_of("%s.lin_edge", name.text), node = mote_name_of("%s.lin_node", name.text);
    p->source = is_new(c, l) ? MOTE_NEW_STILL : MOTE_FROM_FILE;
    MOTE_TRY(mote_interaction_read(p, &giorom_names, edge.text, node.text, c->width, c->linears, &layer[l]));
    layer[l].message.mean = layer[l].weighted = 1;
    if (is_new(c, l)) p->source = MOTE_ZERO; /* no norm behind the convolution */
    MOTE_TRY(read_convolution(p, c, name.text, &layer[l]));
  }
  p->source = MOTE_FROM_FILE;
  return MOTE_OK;
}

static mote_status read_giorom(mote_model *m) {
  const mote_network_config *c = &m->config;
  mote_parameters *p = &m->parameters;
  mote_mlp_shape encode = {feature_width(c), c->width, c->width, c->linears, 1}, decode = encode;
  MOTE_TRY(mote_parameters_table(p, "embed_type.weight", c->types, c->type_width, &m->embedding));
  MOTE_TRY(mote_mlp_read(p, &giorom_names, "node_in", encode, &m->node_in));
  encode.in = c->dim + 1 + c->rest_lengths;
  MOTE_TRY(mote_mlp_read(p, &giorom_names, "edge_in", encode, &m->edge_in));
  decode = (mote_mlp_shape){c->width, c->width, c->dim, c->linears, 0};
  MOTE_TRY(mote_mlp_read(p, &giorom_names, "node_out", decode, &m->node_out));
  if (c->decoder == MOTE_DECODER_PAIRS)
    MOTE_TRY(mote_mlp_read(p, &giorom_names, "edge_out", decode, &m->edge_out));
  MOTE_TRY(read_giorom_layers(p, c, "in_layers", c->layers_before, m->layer));
  MOTE_TRY(read_giorom_layers(p, c, "out_layers", c->layers_after, m->layer + c->layers_before));
  return mote_latent_read(p, c, &m->latent);
}

/* ---- GNS ---- */

static const mote_mlp_names gns_names = {"%s.0.NN-%d", "%s.1", 1}, gns_bare_names = {"%s.NN-%d", "%s.1", 1};

static mote_status read_gns_layer(mote_parameters *p, const mote_network_config *c, int l,
                                  mote_interaction *layer) {
  mote_name name = mote_name_of("_encode_process_decode._processor.gnn_stacks.%d", l);
  mote_name edge = mote_name_of("%s.edge_fn", name.text), node = mote_name_of("%s.node_fn", name.text);
  layer->state_scale = c->edge_doubles ? ldexpf(1, l) : 1;
  MOTE_TRY(mote_interaction_read(p, &gns_names, edge.text, node.text, c->width, c->linears, layer));
  layer->node_takes_sum_first = 1;
  layer->message.update = !c->edge_doubles;
  return MOTE_OK;
}

static mote_status read_gns(mote_model *m) {
  const mote_network_config *c = &m->config;
  mote_parameters *p = &m->parameters;
  const char *encoder = "_encode_process_decode._encoder";
  mote_mlp_shape encode = {feature_width(c), c->width, c->width, c->linears, 1};
  mote_mlp_shape decode = {c->width, c->width, c->dim, c->linears, 0};
  if (mote_parameters_rows(p, "_particle_type_embedding.weight", c->types) >= 0) {
    const float *embedding;
    MOTE_TRY(
        mote_parameters_table(p, "_particle_type_embedding.weight", c->types, c->type_width, &embedding));
    if (c->types > 1) m->embedding = embedding;
  } else if (c->types > 1) {
    return mote_fail(MOTE_ERROR_FORMAT, "%s: tensor \"_particle_type_embedding.weight\" is missing", p->path);
  }
  MOTE_TRY(mote_mlp_read(p, &gns_names, mote_name_of("%s.node_fn", encoder).text, encode, &m->node_in));
  encode.in = c->dim + 1 + c->rest_lengths;
  MOTE_TRY(mote_mlp_read(p, &gns_names, mote_name_of("%s.edge_fn", encoder).text, encode, &m->edge_in));
  MOTE_TRY(
      mote_mlp_read(p, &gns_bare_names, "_encode_process_decode._decoder.node_fn", decode, &m->node_out));
  if (c->decoder == MOTE_DECODER_PAIRS)
    MOTE_TRY(
        mote_mlp_read(p, &gns_bare_names, "_encode_process_decode._decoder.edge_fn", decode, &m->edge_out));
  for (int l = 0; l < c->layers_before; l++) {
    p->source = is_new(c, l) ? MOTE_NEW_STILL : MOTE_FROM_FILE;
    MOTE_TRY(read_gns_layer(p, c, l, &m->layer[l]));
  }
  p->source = MOTE_FROM_FILE;
  return MOTE_OK;
}

/* ---- the folder ---- */

static mote_status read_layers(mote_model *m) {
  m->layers = m->config.layers_before + m->config.layers_after;
  if (m->layers > MOTE_INTERACTIONS)
    return mote_fail(MOTE_ERROR_UNSUPPORTED, "%s: %d interaction layers: at most %d are supported",
                     m->parameters.path, m->layers, MOTE_INTERACTIONS);
  MOTE_TRY(m->config.kind == MOTE_GIOROM ? read_giorom(m) : read_gns(m));
  /* What the last layer would make of the edges is not used, but where pairs are decoded. */
  if (m->layers && m->config.decoder == MOTE_DECODER_NODES) m->layer[m->layers - 1].message.update = 0;
  return MOTE_OK;
}

/* m->parameters is open. */
static mote_status read_model(mote_model *m, int trains) {
  MOTE_TRY(read_layers(m));
  MOTE_TRY(mote_parameters_place(&m->parameters));
  MOTE_TRY(read_layers(m));
  if (m->config.has_latent) MOTE_TRY(mote_latent_prepare(m->stream, &m->latent));
  MOTE_TRY(mote_stream_synchronize(m->stream));
  if (trains) return MOTE_OK;
  mote_parameters_forget(&m->parameters);
  mote_latent_forget(&m->latent);
  return MOTE_OK;
}

/* What the tensors alone tell of the latent part. */
static mote_status check_latent(const mote_latent *latent, const mote_latent_config *run,
                                const char *folder) {
  const struct {
    const char *key;
    int run, trained;
  } sizes[] = {{"width", run->width, latent->width},
               {"experts", run->experts, latent->block[0].experts},
               {"inner", run->inner, latent->trunk.layers - 2}};
  if (!run->width) return MOTE_OK; /* of a config that was read: it does not tell */
  for (size_t k = 0; k < sizeof sizes / sizeof *sizes; k++)
    if (sizes[k].run != sizes[k].trained)
      return mote_fail(MOTE_ERROR_ARGUMENT, "'%s' of the run's latent part is %d, that of %s is %d",
                       sizes[k].key, sizes[k].run, folder, sizes[k].trained);
  return MOTE_OK;
}

static mote_status load(mote_model *m, const char *folder, int trains, const mote_network_config *run) {
  char path[4096];
  if (snprintf(path, sizeof path, "%s/model.safetensors", folder) >= (int)sizeof path)
    return mote_fail(MOTE_ERROR_ARGUMENT, "the name of the folder is too long");
  snprintf(path, sizeof path, "%s/config.json", folder);
  MOTE_TRY(mote_network_config_read(path, &m->config));
  if (run) MOTE_TRY(mote_network_config_take(&m->config, run, folder));
  snprintf(path, sizeof path, "%s/model.safetensors", folder);
  MOTE_TRY(mote_parameters_open(&m->parameters, m->stream, path));
  mote_status status = read_model(m, trains);
  m->parameters.path = "the model";
  if (status == MOTE_OK && run && m->config.has_latent)
    status = check_latent(&m->latent, &run->latent, folder);
  return status;
}

static mote_status allocate(mote_device *device, mote_model **out) {
  *out = calloc(1, sizeof **out);
  if (!*out) return mote_fail(MOTE_ERROR_MEMORY, "out of memory for a model");
  (*out)->device = device;
  return mote_stream_create(device, &(*out)->stream);
}

static mote_status finish(mote_status status, mote_model **out) {
  if (status == MOTE_OK) return MOTE_OK;
  mote_model_destroy(*out);
  *out = NULL;
  return status;
}

static mote_status load_for(mote_device *device, const char *folder, int trains,
                            const mote_network_config *run, mote_model **out) {
  mote_status status = allocate(device, out);
  if (status == MOTE_OK) status = load(*out, folder, trains, run);
  return finish(status, out);
}

mote_status mote_model_load(mote_device *device, const char *folder, mote_model **out) {
  return load_for(device, folder, 0, NULL, out);
}

mote_status mote_model_load_to_train(mote_device *device, const char *folder, const mote_network_config *run,
                                     mote_model **out) {
  return load_for(device, folder, 1, run, out);
}

static mote_status invent_for(mote_device *device, const mote_network_config *config, uint64_t seed,
                              int trains, mote_model **out) {
  mote_status status = allocate(device, out);
  if (status == MOTE_OK) {
    (*out)->config = *config;
    mote_parameters_invent(&(*out)->parameters, (*out)->stream, seed);
    status = read_model(*out, trains);
  }
  return finish(status, out);
}

mote_status mote_model_invent(mote_device *device, const mote_network_config *config, uint64_t seed,
                              mote_model **out) {
  return invent_for(device, config, seed, 0, out);
}

mote_status mote_model_invent_to_train(mote_device *device, const mote_network_config *config, uint64_t seed,
                                       mote_model **out) {
  return invent_for(device, config, seed, 1, out);
}

void mote_model_destroy(mote_model *m) {
  if (!m) return;
  mote_latent_free(&m->latent);
  mote_parameters_free(&m->parameters);
  mote_stream_destroy(m->stream);
  free(m);
}

void mote_model_get_info(const mote_model *m, mote_model_info *info) {
  *info = (mote_model_info){.dim = m->config.dim,
                            .frames = m->config.window + 1,
                            .layers = m->layers,
                            .width = m->config.width,
                            .particle_types = m->config.types,
                            .parameters = m->parameters.floats};
  snprintf(info->architecture, sizeof info->architecture, "%s",
           m->config.kind == MOTE_GIOROM ? "giorom" : "gns");
}
