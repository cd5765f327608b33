/* How much arithmetic an evaluation of a time-stepper asks for: the multiply-adds of all dense layers and of
   attention, two operations each. What else is computed is not counted. */
#include "bench/count.h"

static double of_chain(const mote_mlp *mlp, int64_t rows) {
  double all = 0;
  for (int l = 0; l < mlp->layers; l++) all += 2.0 * mlp->layer[l].in * mlp->layer[l].out;
  return all * (double)rows;
}

static double of_block(const mote_latent_block *b, const mote_heads *heads, int width, int64_t rows) {
  const mote_mlp *chains[] = {&b->gate, &b->query_key_value, &b->self_out};
  const double attention = 4.0 * width * width / heads->count; /* a context made, and looked into */
  double all = attention * (double)rows;
  for (int k = 0; k < 3; k++) all += of_chain(chains[k], rows);
  for (int e = 0; e < b->experts; e++) all += of_chain(&b->first[e], rows) + of_chain(&b->second[e], rows);
  if (!b->crosses) return all;
  return all + of_chain(&b->cross_query, rows) + of_chain(&b->cross_out, rows) + attention / 2 * (double)rows;
}

static double of_latent(const mote_latent *l, const bench_rows *r) {
  const mote_latent_config *c = &l->config;
  double all =
      of_chain(&l->trunk, r->points) + of_chain(&l->out, r->points) + of_chain(&l->projection, r->nodes);
  all += c->kernel_in_takes_pairs ? of_chain(&l->pair_ends, r->nodes) + of_chain(&l->pairs_in.mlp, r->reached)
                                  : of_chain(&l->kernel_in, r->nodes);
  if (c->kernel_out_takes_pairs) all += of_chain(&l->pairs_out.mlp, r->reaching);
  for (int b = 0; b < c->blocks; b++) all += of_block(&l->block[b], &l->heads, l->width, r->points);
  return all;
}

double bench_operations(const mote_model *m, const bench_rows *r) {
  const int64_t n = r->nodes;
  double all = of_chain(&m->node_in, n) + of_chain(&m->node_out, n) + of_chain(&m->edge_in, r->edges);
  if (m->config.decoder == MOTE_DECODER_PAIRS) all += of_chain(&m->edge_out, r->edges);
  for (int k = 0; k < m->layers; k++) {
    const mote_interaction *l = &m->layer[k];
    all += of_chain(&l->ends, n) + of_chain(&l->message.mlp, r->edges) + of_chain(&l->node, n);
    if (l->has_convolution) all += of_chain(&l->convolution, n);
  }
  return m->config.has_latent ? all + of_latent(&m->latent, r) : all;
}
