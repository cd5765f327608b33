/* Draws: values of a YAML tree that are drawn at random. The trick: a drawn tree is a document like any
   other, whose nodes keep the lines of the file they come from, so that what reads scenes reads it too and
   its errors name the right line.

   A draw is a mapping with one key:
     {uniform: [low, high]}      a number; of two lists, a list, each component by itself
     {log_uniform: [low, high]}  the same, uniform in the logarithm; above 0
     {integer: [low, high]}      a whole number, both ends included
     {choose: [a, b, ...]}       one of the values, each as likely; it may hold draws
     {isotropic: [low, high]}    a vector of any direction, each as likely, of uniform length
   and `rotation: random` any orientation, each as likely. */
#ifndef MOTE_DATASET_DRAW_H
#define MOTE_DATASET_DRAW_H

#include <stdint.h>

#include "host/scene/document.h"

#ifdef __cplusplus
extern "C" {
#endif

typedef struct mote_draw {
  const mote_document *from;
  mote_document to; /* what is drawn; the caller frees it */
  int dim;          /* of vectors */
  uint64_t seed, stream, counter;
  const char *constant; /* not NULL: no draws, as this key has one value in all scenes */
  int64_t round;        /* -1; else `choose` takes its round-th value (modulo their number): for checks */
  int64_t alternatives; /* the longest list that `choose` met */
} mote_draw;

/* An empty document `to`. The numbers are functions of seed and stream alone. */
mote_status mote_draw_begin(mote_draw *draw, const mote_document *from, int dim, uint64_t seed,
                            uint64_t stream);

/* Uniform in [0, 1): the next number of the stream. */
double mote_draw_next(mote_draw *draw);

/* Copies `node` of `from` with its draws made; *id is the copy's in `to`. */
mote_status mote_draw_node(mote_draw *draw, const yaml_node_t *node, int *id);

/* The value of one key of a mapping: as above, and `rotation: random`. */
mote_status mote_draw_value(mote_draw *draw, const char *key, const yaml_node_t *node, int *id);

/* Draws `node` into numbers and leaves `to` as it is. */
mote_status mote_draw_numbers(mote_draw *draw, const yaml_node_t *node, const char *key, int n,
                              double *values);
mote_status mote_draw_integer(mote_draw *draw, const yaml_node_t *node, const char *key, int64_t low,
                              int64_t high, int64_t *value);

/* Nodes of `to`, placed in the file where `like` is. */
mote_status mote_draw_text(mote_draw *draw, const yaml_node_t *like, const char *text, int *id);
mote_status mote_draw_mapping(mote_draw *draw, const yaml_node_t *like, int *id);
mote_status mote_draw_list(mote_draw *draw, const yaml_node_t *like, int *id);
mote_status mote_draw_put(mote_draw *draw, int mapping, const yaml_node_t *like, const char *key, int value);
mote_status mote_draw_append(mote_draw *draw, int list, int value);

#ifdef __cplusplus
}
#endif
#endif
