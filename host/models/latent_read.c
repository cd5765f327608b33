/* The latent part's weights, and what depends on them alone. */
#include <stdlib.h>

#include "host/core/error.h"
#include "host/models/latent.h"

/* PREFIX0, PREFIX1, ...: a kernel network or projection with GELU between its layers. */
static mote_status read_chain(mote_parameters *p, const char *prefix, const mote_kernel_shape *shape,
                              mote_mlp *mlp) {
  *mlp = (mote_mlp){.layers = shape->layers};
  for (int l = 0; l < shape->layers; l++)
    MOTE_TRY(mote_parameters_linear(p, mote_name_of("%s%d", prefix, l).text, shape->widths[l],
                                    shape->widths[l + 1], l + 1 < shape->layers ? MOTE_GELU : MOTE_IDENTITY,
                                    &mlp->layer[l]));
  return MOTE_OK;
}

/* gelu(pre x); x + gelu(linear x), ...; post x. */
static mote_status read_residual_mlp(mote_parameters *p, const char *name, int in, int width, int out,
                                     int invented, mote_mlp *mlp) {
  int inner = mote_parameters_series(p, mote_name_of("%s.linears.", name).text, ".weight", invented);
  if (inner > MOTE_MLP_LAYERS - 2)
    return mote_fail(MOTE_ERROR_UNSUPPORTED, "%s: \"%s\" has %d inner layers: at most %d are supported",
                     p->path, name, inner, MOTE_MLP_LAYERS - 2);
  *mlp = (mote_mlp){.layers = inner + 2};
  MOTE_TRY(mote_parameters_linear(p, mote_name_of("%s.linear_pre", name).text, in, width, MOTE_GELU,
                                  &mlp->layer[0]));
  for (int l = 0; l < inner; l++) {
    mote_linear *layer = &mlp->layer[l + 1];
    MOTE_TRY(mote_parameters_linear(p, mote_name_of("%s.linears.%d", name, l).text, width, width, MOTE_GELU,
                                    layer));
    layer->residual = 1;
  }
  return mote_parameters_linear(p, mote_name_of("%s.linear_post", name).text, width, out, MOTE_IDENTITY,
                                &mlp->layer[inner + 1]);
}

static mote_status read_single(mote_parameters *p, const char *norm, const char *name, int width,
                               mote_mlp *mlp) {
  *mlp = (mote_mlp){.layers = 1};
  if (norm) MOTE_TRY(mote_parameters_norm(p, norm, width, &mlp->before));
  return mote_parameters_linear(p, name, width, width, MOTE_IDENTITY, &mlp->layer[0]);
}

/* All of them as wide inside as the first. */
static mote_status read_experts(mote_parameters *p, const char *name, int width, int experts,
                                mote_mlp *expert) {
  int64_t rows = mote_parameters_rows(p, mote_name_of("%s.0.0.weight", name).text, width);
  int inner = rows > 0 && rows <= MOTE_DENSE_WIDEST ? (int)rows : width;
  for (int e = 0; e < experts; e++) {
    expert[e] = (mote_mlp){.layers = 2};
    MOTE_TRY(mote_parameters_linear(p, mote_name_of("%s.%d.0", name, e).text, width, inner, MOTE_GELU,
                                    &expert[e].layer[0]));
    MOTE_TRY(mote_parameters_linear(p, mote_name_of("%s.%d.2", name, e).text, inner, width, MOTE_IDENTITY,
                                    &expert[e].layer[1]));
  }
  return MOTE_OK;
}

static mote_status read_gate(mote_parameters *p, const char *name, int in, int width, int experts,
                             mote_mlp *mlp) {
  *mlp = (mote_mlp){.layers = 3};
  MOTE_TRY(mote_parameters_linear(p, mote_name_of("%s.0", name).text, in, width, MOTE_GELU, &mlp->layer[0]));
  MOTE_TRY(
      mote_parameters_linear(p, mote_name_of("%s.2", name).text, width, width, MOTE_GELU, &mlp->layer[1]));
  return mote_parameters_linear(p, mote_name_of("%s.4", name).text, width, experts, MOTE_IDENTITY,
                                &mlp->layer[2]);
}

static mote_status read_cross(mote_parameters *p, const char *name, int width, mote_latent_block *b) {
  mote_name norm = mote_name_of("%s.ln2_branch.0", name);
  b->crosses = 1;
  MOTE_TRY(read_single(p, mote_name_of("%s.ln1", name).text, mote_name_of("%s.crossattn.query", name).text,
                       width, &b->cross_query));
  MOTE_TRY(read_single(p, norm.text, mote_name_of("%s.crossattn.keys.0", name).text, width, &b->cross_key));
  MOTE_TRY(
      read_single(p, norm.text, mote_name_of("%s.crossattn.values.0", name).text, width, &b->cross_value));
  return read_single(p, NULL, mote_name_of("%s.crossattn.proj", name).text, width, &b->cross_out);
}

static mote_status read_self(mote_parameters *p, const char *name, int width, mote_latent_block *b) {
  mote_layer_part parts[3] = {{mote_name_of("%s.selfattn.query", name), width, width, 0, 1, 1},
                              {mote_name_of("%s.selfattn.key", name), width, width, 0, 1, 1},
                              {mote_name_of("%s.selfattn.value", name), width, width, 0, 1, 1}};
  b->query_key_value = (mote_mlp){.layers = 1};
  MOTE_TRY(mote_parameters_norm(p, mote_name_of("%s.ln4", name).text, width, &b->query_key_value.before));
  MOTE_TRY(mote_parameters_stack(p, 3, parts, width, MOTE_IDENTITY, &b->query_key_value.layer[0]));
  return read_single(p, NULL, mote_name_of("%s.selfattn.proj", name).text, width, &b->self_out);
}

static mote_status read_block(mote_parameters *p, const mote_latent *latent, const char *name,
                              mote_latent_block *b) {
  int width = latent->width;
  mote_name gates = mote_name_of("%s.gatenet.4.weight", name);
  int64_t experts = mote_parameters_rows(p, gates.text, latent->config.experts);
  if (experts < 0) return mote_fail(MOTE_ERROR_FORMAT, "%s: tensor \"%s\" is missing", p->path, gates.text);
  if (experts < 1 || experts > MOTE_MOST_GATED)
    return mote_fail(MOTE_ERROR_UNSUPPORTED, "%s: tensor \"%s\" is for %lld experts: expected 1 to %d",
                     p->path, gates.text, (long long)experts, MOTE_MOST_GATED);
  b->experts = (int)experts;
  MOTE_TRY(read_gate(p, mote_name_of("%s.gatenet", name).text, latent->config.space_width, width, b->experts,
                     &b->gate));
  if (!latent->config.occupied_only) MOTE_TRY(read_cross(p, name, width, b));
  MOTE_TRY(read_self(p, name, width, b));
  MOTE_TRY(read_experts(p, mote_name_of("%s.moe_mlp1", name).text, width, b->experts, b->first));
  MOTE_TRY(read_experts(p, mote_name_of("%s.moe_mlp2", name).text, width, b->experts, b->second));
  MOTE_TRY(mote_parameters_norm(p, mote_name_of("%s.ln3", name).text, width, &b->first_norm));
  return mote_parameters_norm(p, mote_name_of("%s.ln5", name).text, width, &b->second_norm);
}

/* ---- kernels of the two integral transforms ---- */

/* Layers of a kernel on pairs: the first is split into the pair's part and (where `ends`) the sender's. */
static mote_status read_pair_kernel(mote_parameters *p, const char *name, const mote_kernel_shape *shape,
                                    int dim, mote_mlp *ends, mote_message_block *block) {
  int hidden = shape->widths[1], pair = dim + 1;
  mote_name first = mote_name_of("%s0", name);
  mote_layer_part of_pair = {first, hidden, shape->widths[0], 0, 0, 1};
  mote_layer_part of_sender = {first, hidden, shape->widths[0], pair, 1, 1};
  mote_mlp *mlp = &block->mlp;
  *block = (mote_message_block){.mean = 1};
  mlp->layers = shape->layers;
  MOTE_TRY(mote_parameters_stack(p, 1, &of_pair, pair, shape->layers > 1 ? MOTE_GELU : MOTE_IDENTITY,
                                 &mlp->layer[0]));
  if (ends) {
    *ends = (mote_mlp){.layers = 1};
    MOTE_TRY(
        mote_parameters_stack(p, 1, &of_sender, shape->widths[0] - pair, MOTE_IDENTITY, &ends->layer[0]));
  }
  for (int l = 1; l < shape->layers; l++)
    MOTE_TRY(mote_parameters_linear(p, mote_name_of("%s%d", name, l).text, shape->widths[l],
                                    shape->widths[l + 1], l + 1 < shape->layers ? MOTE_GELU : MOTE_IDENTITY,
                                    &mlp->layer[l]));
  return MOTE_OK;
}

static mote_status read_kernels(mote_parameters *p, mote_latent *l) {
  const mote_latent_config *c = &l->config;
  if (c->kernel_in_takes_pairs)
    MOTE_TRY(read_pair_kernel(p, "gno_in.mlp.fcs.", &c->kernel_in, l->dim, &l->pair_ends, &l->pairs_in));
  else
    MOTE_TRY(read_chain(p, "gno_in.mlp.fcs.", &c->kernel_in, &l->kernel_in));
  if (!c->kernel_out_takes_pairs) return read_chain(p, "gno_out.mlp.fcs.", &c->kernel_out, &l->kernel_out);
  MOTE_TRY(read_pair_kernel(p, "gno_out.mlp.fcs.", &c->kernel_out, l->dim, NULL, &l->pairs_out));
  return mote_parameters_bias(p, "gno_out.mlp.fcs.0.bias", c->kernel_out.widths[1], c->kernel_out.widths[0],
                              &l->pair_bias);
}

/* ---- what depends on the weights alone ---- */

static mote_status fill_grid(mote_stream *stream, mote_latent *l) {
  int g = l->config.grid, dim = l->dim;
  float *host = malloc((size_t)l->points * (size_t)dim * sizeof *host);
  if (!host) return mote_fail(MOTE_ERROR_MEMORY, "out of memory for the latent grid");
  for (int64_t q = 0; q < l->points; q++) {
    int64_t rest = q;
    for (int a = dim - 1; a >= 0; a--, rest /= g) {
      const double *limit = l->config.limits[a];
      host[q * dim + a] = (float)(limit[0] + (limit[1] - limit[0]) * (double)(rest % g) / (g - 1));
    }
  }
  size_t bytes = (size_t)l->points * (size_t)dim * sizeof *host;
  mote_status status = mote_buffer_reserve(&l->grid, stream->device, bytes);
  if (status == MOTE_OK) status = mote_upload(stream, l->grid.data, host, bytes);
  free(host);
  return status;
}

mote_status mote_latent_fill_keys(mote_stream *stream, mote_latent *l, const mote_latent_block *b) {
  const struct mote_dense_kernels *k = stream->device->dense;
  int width = l->width;
  mote_rows rows = {l->whole[0].data, width, width}, none = {0};
  MOTE_TRY(k->mlp(stream, l->points, NULL, &b->cross_key, rows, none, none, l->whole[1].data, width));
  return k->mlp(stream, l->points, NULL, &b->cross_value, rows, none, none, l->whole[2].data, width);
}

static mote_status fill_context(mote_stream *stream, mote_latent *l, mote_latent_block *b) {
  const mote_device *d = stream->device;
  int width = l->width;
  mote_rows keys = {l->whole[1].data, width, width}, values = {l->whole[2].data, width, width};
  MOTE_TRY(mote_buffer_reserve(&b->context, stream->device,
                               (size_t)mote_context_floats(l->heads) * sizeof(float)));
  MOTE_TRY(mote_latent_fill_keys(stream, l, b));
  return d->attention->summarize(stream, l->points, NULL, l->heads, keys, values, NULL, b->context.data,
                                 &l->whole_scratch);
}

static mote_status fill_contexts(mote_stream *stream, mote_latent *l) {
  const mote_device *d = stream->device;
  mote_rows points = {l->grid.data, l->dim, l->dim}, none = {0};
  for (int k = 0; k < 3; k++)
    MOTE_TRY(mote_buffer_reserve(&l->whole[k], stream->device,
                                 (size_t)l->points * (size_t)l->width * sizeof(float)));
  MOTE_TRY(
      d->dense->mlp(stream, l->points, NULL, &l->branch, points, none, none, l->whole[0].data, l->width));
  for (int k = 0; k < l->config.blocks; k++) MOTE_TRY(fill_context(stream, l, &l->block[k]));
  return MOTE_OK;
}

mote_status mote_latent_prepare(mote_stream *stream, mote_latent *l) {
  const mote_latent_config *c = &l->config;
  mote_device *d = stream->device;
  if (!l->grid.data) {
    MOTE_TRY(mote_buffer_zeros(&l->zeros, stream, MOTE_DENSE_WIDEST * sizeof(float)));
    MOTE_TRY(fill_grid(stream, l));
  }
  if (!c->kernel_out_takes_pairs) {
    mote_rows points = {l->grid.data, l->dim, l->dim}, none = {0};
    MOTE_TRY(mote_buffer_reserve(&l->factor, d, (size_t)l->points * (size_t)c->output * sizeof(float)));
    MOTE_TRY(d->dense->mlp(stream, l->points, NULL, &l->kernel_out, points, none, none, l->factor.data,
                           c->output));
  }
  return c->occupied_only ? MOTE_OK : fill_contexts(stream, l);
}

static mote_status read_transformer(mote_parameters *p, mote_latent *l) {
  const mote_latent_config *c = &l->config;
  int trunk = c->kernel_in.widths[c->kernel_in.layers];
  MOTE_TRY(read_residual_mlp(p, "gnot_layer.trunk_mlp", trunk, l->width, l->width, c->inner, &l->trunk));
  if (!c->occupied_only)
    MOTE_TRY(
        read_residual_mlp(p, "gnot_layer.branch_mlps.0", l->dim, l->width, l->width, c->inner, &l->branch));
  for (int k = 0; k < c->blocks; k++)
    MOTE_TRY(read_block(p, l, mote_name_of("gnot_layer.blocks.%d", k).text, &l->block[k]));
  return read_residual_mlp(p, "gnot_layer.out_mlp", l->width, l->width, c->output, c->inner, &l->out);
}

/* The transformer's width is what the tensors say, whatever the config. */
static mote_status find_width(const mote_parameters *p, mote_latent *l) {
  const char *name = "gnot_layer.trunk_mlp.linear_pre.weight";
  int64_t width = mote_parameters_rows(p, name, l->config.width);
  if (width < 0) return mote_fail(MOTE_ERROR_FORMAT, "%s: tensor \"%s\" is missing", p->path, name);
  if (width < 1 || width > MOTE_DENSE_WIDEST / 3 || width % l->config.heads ||
      width / l->config.heads > MOTE_HEAD_WIDEST)
    return mote_fail(
        MOTE_ERROR_UNSUPPORTED,
        "%s: tensor \"%s\" gives the transformer a width of %lld: expected up to %d, whole heads "
        "(not_heads is %d) of up to %d channels",
        p->path, name, (long long)width, MOTE_DENSE_WIDEST / 3, l->config.heads, MOTE_HEAD_WIDEST);
  l->width = (int)width;
  l->heads = (mote_heads){l->config.heads, l->width / l->config.heads};
  return MOTE_OK;
}

mote_status mote_latent_read(mote_parameters *p, const mote_network_config *config, mote_latent *l) {
  *l = (mote_latent){.config = config->latent, .dim = config->dim, .node_width = config->width, .points = 1};
  for (int a = 0; a < l->dim; a++) l->points *= l->config.grid;
  if (l->points > 1 << 24)
    return mote_fail(MOTE_ERROR_UNSUPPORTED, "%s: \"latent_grid_dim\" of %d makes more than 2^24 points",
                     p->path, l->config.grid);
  mote_kernel_shape projection = {.layers = l->config.projection_layers};
  for (int k = 0; k <= projection.layers; k++)
    projection.widths[k] = k == 0                  ? l->config.output
                           : k < projection.layers ? l->config.projection_width
                                                   : config->width;
  MOTE_TRY(find_width(p, l));
  MOTE_TRY(read_kernels(p, l));
  MOTE_TRY(read_transformer(p, l));
  return read_chain(p, "projection.fcs.", &projection, &l->projection);
}

void mote_latent_forget(mote_latent *l) {
  for (int k = 0; k < 3; k++) mote_buffer_free(&l->whole[k]);
  mote_buffer_free(&l->whole_scratch);
}

void mote_latent_free(mote_latent *l) {
  for (int k = 0; k < MOTE_LATENT_BLOCKS; k++) mote_buffer_free(&l->block[k].context);
  mote_latent_forget(l);
  mote_buffer_free(&l->grid);
  mote_buffer_free(&l->factor);
  mote_buffer_free(&l->zeros);
}
