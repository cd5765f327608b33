/* Draws: see draw.h. Copies unfold aliases, so the tree they make is limited in depth and size. */
#include "host/dataset/draw.h"

#include <math.h>
#include <stddef.h>
#include <stdio.h>
#include <string.h>
#include <mote/random.h>

#include "host/core/error.h"

enum { DEPTH_LIMIT = 24, NODE_LIMIT = 100000, LIST_LIMIT = 4 };

enum { UNIFORM, LOG_UNIFORM, INTEGER, CHOOSE, ISOTROPIC };
static const char *const kinds[] = {"uniform", "log_uniform", "integer", "choose", "isotropic", NULL};

/* ---- the stream ---- */

double mote_draw_next(mote_draw *draw) {
  return mote_random_uniform_f64(draw->seed, draw->stream, draw->counter++, 0);
}

mote_status mote_draw_begin(mote_draw *draw, const mote_document *from, int dim, uint64_t seed,
                            uint64_t stream) {
  *draw = (mote_draw){.from = from,
                      .to = {.name = from->name, .base = from->base},
                      .dim = dim,
                      .seed = seed,
                      .stream = stream,
                      .round = -1};
  if (yaml_document_initialize(&draw->to.yaml, NULL, NULL, NULL, 1, 1)) return MOTE_OK;
  draw->to = (mote_document){0};
  return mote_fail(MOTE_ERROR_MEMORY, "%s: out of memory", from->name);
}

/* Standard normal pairs need two numbers each; Box-Muller on the stream's own. */
static double next_normal(mote_draw *draw) {
  double u = 1 - mote_draw_next(draw), v = mote_draw_next(draw);
  return sqrt(-2 * log(u)) * cos(6.283185307179586 * v);
}

/* A direction of n components, each as likely. */
static void next_direction(mote_draw *draw, int n, double *v) {
  double length = 0;
  while (length < 1e-6) {
    length = 0;
    for (int i = 0; i < n; i++) {
      v[i] = next_normal(draw);
      length += v[i] * v[i];
    }
    length = sqrt(length);
  }
  for (int i = 0; i < n; i++) v[i] /= length;
}

/* ---- nodes ---- */

static mote_status placed(mote_draw *draw, const yaml_node_t *like, int id) {
  if (!id) return mote_fail(MOTE_ERROR_MEMORY, "%s: out of memory", draw->from->name);
  if (id > NODE_LIMIT)
    return mote_node_fail(draw->from, like, "more than %d values, aliases unfolded", NODE_LIMIT);
  yaml_node_t *node = draw->to.yaml.nodes.start + id - 1;
  node->start_mark = like->start_mark;
  node->end_mark = like->end_mark;
  return MOTE_OK;
}

static mote_status put_scalar(mote_draw *draw, const yaml_node_t *like, const char *text, size_t length,
                              yaml_scalar_style_t style, int *id) {
  *id = yaml_document_add_scalar(&draw->to.yaml, NULL, (const yaml_char_t *)text, (int)length, style);
  return placed(draw, like, *id);
}

mote_status mote_draw_text(mote_draw *draw, const yaml_node_t *like, const char *text, int *id) {
  return put_scalar(draw, like, text, strlen(text), YAML_PLAIN_SCALAR_STYLE, id);
}

mote_status mote_draw_mapping(mote_draw *draw, const yaml_node_t *like, int *id) {
  *id = yaml_document_add_mapping(&draw->to.yaml, NULL, YAML_ANY_MAPPING_STYLE);
  return placed(draw, like, *id);
}

mote_status mote_draw_list(mote_draw *draw, const yaml_node_t *like, int *id) {
  *id = yaml_document_add_sequence(&draw->to.yaml, NULL, YAML_FLOW_SEQUENCE_STYLE);
  return placed(draw, like, *id);
}

mote_status mote_draw_put(mote_draw *draw, int mapping, const yaml_node_t *like, const char *key, int value) {
  int id;
  MOTE_TRY(mote_draw_text(draw, like, key, &id));
  if (yaml_document_append_mapping_pair(&draw->to.yaml, mapping, id, value)) return MOTE_OK;
  return mote_fail(MOTE_ERROR_MEMORY, "%s: out of memory", draw->from->name);
}

mote_status mote_draw_append(mote_draw *draw, int list, int value) {
  if (yaml_document_append_sequence_item(&draw->to.yaml, list, value)) return MOTE_OK;
  return mote_fail(MOTE_ERROR_MEMORY, "%s: out of memory", draw->from->name);
}

/* A number where n is 0, else a list of n. */
static mote_status put_numbers(mote_draw *draw, const yaml_node_t *like, int n, const double *values,
                               int *id) {
  char text[40];
  int list = 0;
  if (n) MOTE_TRY(mote_draw_list(draw, like, &list));
  for (int i = 0; i < (n ? n : 1); i++) {
    snprintf(text, sizeof text, "%.9g", values[i]);
    MOTE_TRY(mote_draw_text(draw, like, text, id));
    if (n) MOTE_TRY(mote_draw_append(draw, list, *id));
  }
  if (n) *id = list;
  return MOTE_OK;
}

/* ---- the kinds of draws ---- */

/* [low, high] of numbers (*n is 0) or of lists of *n numbers. */
static mote_status read_ends(const mote_map *map, const yaml_node_t *ends, const char *key, double least,
                             int *n, double low[LIST_LIMIT], double high[LIST_LIMIT]) {
  const mote_document *document = map->document;
  int pair = ends->type == YAML_SEQUENCE_NODE &&
             ends->data.sequence.items.top - ends->data.sequence.items.start == 2;
  const yaml_node_t *a = pair ? mote_list_item(document, ends, 0) : ends;
  const yaml_node_t *b = pair ? mote_list_item(document, ends, 1) : ends;
  ptrdiff_t count =
      a->type == YAML_SEQUENCE_NODE ? a->data.sequence.items.top - a->data.sequence.items.start : 0;
  int list = a->type == YAML_SEQUENCE_NODE && b->type == YAML_SEQUENCE_NODE;
  if (!pair || (!list && (a->type != YAML_SCALAR_NODE || b->type != YAML_SCALAR_NODE)) ||
      (list && (count < 1 || count > LIST_LIMIT)))
    return mote_node_fail(document, ends,
                          "'%s': expected [low, high], two numbers or two lists of as many (at most %d)", key,
                          LIST_LIMIT);
  *n = (int)count;
  if (list) {
    MOTE_TRY(mote_node_vector(map, a, key, *n, low));
    MOTE_TRY(mote_node_vector(map, b, key, *n, high));
  } else {
    MOTE_TRY(mote_node_real(map, a, key, -1e30, 1e30, low));
    MOTE_TRY(mote_node_real(map, b, key, -1e30, 1e30, high));
  }
  for (int i = 0; i < (*n ? *n : 1); i++)
    if (!(low[i] >= least && low[i] <= high[i]))
      return mote_node_fail(document, ends, "'%s': expected %slow <= high, found %g and %g", key,
                            least > 0 ? "0 < " : "", low[i], high[i]);
  return MOTE_OK;
}

static mote_status draw_range(mote_draw *draw, const mote_map *map, const yaml_node_t *ends, int kind,
                              int *id) {
  double low[LIST_LIMIT], high[LIST_LIMIT], value[LIST_LIMIT];
  int n;
  MOTE_TRY(read_ends(map, ends, kinds[kind], kind == LOG_UNIFORM ? 1e-30 : -1e30, &n, low, high));
  for (int i = 0; i < (n ? n : 1); i++) {
    double u = mote_draw_next(draw);
    value[i] = kind == UNIFORM ? low[i] + (high[i] - low[i]) * u : low[i] * pow(high[i] / low[i], u);
  }
  return put_numbers(draw, map->node, n, value, id);
}

static mote_status draw_whole(mote_draw *draw, const mote_map *map, const yaml_node_t *ends, int *id) {
  double low[LIST_LIMIT], high[LIST_LIMIT];
  int n;
  MOTE_TRY(read_ends(map, ends, kinds[INTEGER], -1e30, &n, low, high));
  if (n || low[0] != floor(low[0]) || high[0] != floor(high[0]) || fabs(low[0]) > 1e9 || fabs(high[0]) > 1e9)
    return mote_node_fail(map->document, ends, "'integer': expected two whole numbers of at most 1e9");
  double value = low[0] + floor((high[0] - low[0] + 1) * mote_draw_next(draw));
  return put_numbers(draw, map->node, 0, &value, id);
}

static mote_status draw_isotropic(mote_draw *draw, const mote_map *map, const yaml_node_t *ends, int *id) {
  double low[LIST_LIMIT], high[LIST_LIMIT], v[3];
  int n;
  MOTE_TRY(read_ends(map, ends, kinds[ISOTROPIC], 0, &n, low, high));
  if (n) return mote_node_fail(map->document, ends, "'isotropic': expected two lengths");
  double length = low[0] + (high[0] - low[0]) * mote_draw_next(draw);
  next_direction(draw, draw->dim, v);
  for (int d = 0; d < draw->dim; d++) v[d] *= length;
  return put_numbers(draw, map->node, draw->dim, v, id);
}

/* Uniform on the unit quaternions; in 2-D an angle. */
static mote_status draw_rotation(mote_draw *draw, const yaml_node_t *node, int *id) {
  double q[4], angle = 360 * mote_draw_next(draw);
  if (draw->dim == 2) return put_numbers(draw, node, 0, &angle, id);
  int list;
  next_direction(draw, 4, q);
  MOTE_TRY(put_numbers(draw, node, 4, q, &list));
  MOTE_TRY(mote_draw_mapping(draw, node, id));
  return mote_draw_put(draw, *id, node, "quaternion", list);
}

/* Which kind of draw a node is; -1: none. */
static int kind_of(const mote_draw *draw, const yaml_node_t *node, const yaml_node_t **ends) {
  mote_map map = {.document = draw->from, .node = node};
  const yaml_node_t *key, *more;
  if (node->type != YAML_MAPPING_NODE || !mote_map_pair(&map, 0, &key, ends)) return -1;
  if (mote_map_pair(&map, 1, &key, &more)) return -1;
  const char *word = mote_node_text(key);
  for (int k = 0; word && kinds[k]; k++)
    if (!strcmp(word, kinds[k])) return k;
  return -1;
}

/* ---- the tree ---- */

static mote_status draw_at(mote_draw *draw, const yaml_node_t *node, int depth, int *id);

static mote_status choose(mote_draw *draw, const yaml_node_t *list, int depth, int *id) {
  ptrdiff_t n =
      list->type == YAML_SEQUENCE_NODE ? list->data.sequence.items.top - list->data.sequence.items.start : 0;
  if (n < 1 || n > 10000)
    return mote_node_fail(draw->from, list, "'choose': expected a list of 1 to 10,000 values");
  double u = mote_draw_next(draw);
  int pick = draw->round >= 0 ? (int)(draw->round % n) : (int)(u * (double)n);
  if (n > draw->alternatives) draw->alternatives = n;
  return draw_at(draw, mote_list_item(draw->from, list, pick), depth + 1, id);
}

static mote_status draw_one(mote_draw *draw, const yaml_node_t *node, int kind, const yaml_node_t *ends,
                            int depth, int *id) {
  mote_map map = {.document = draw->from, .node = node, .title = "a draw"};
  if (draw->constant)
    return mote_node_fail(draw->from, node, "a draw in '%s', which has to be the same in all scenes",
                          draw->constant);
  switch (kind) {
  case UNIFORM:
  case LOG_UNIFORM: return draw_range(draw, &map, ends, kind, id);
  case INTEGER: return draw_whole(draw, &map, ends, id);
  case CHOOSE: return choose(draw, ends, depth, id);
  default: return draw_isotropic(draw, &map, ends, id);
  }
}

static mote_status value_at(mote_draw *draw, const char *key, const yaml_node_t *node, int depth, int *id) {
  const char *word = mote_node_text(node);
  if (key && word && !strcmp(key, "rotation") && !strcmp(word, "random"))
    return draw_rotation(draw, node, id);
  return draw_at(draw, node, depth, id);
}

static mote_status copy_mapping(mote_draw *draw, const yaml_node_t *node, int depth, int *id) {
  mote_map map = {.document = draw->from, .node = node};
  const yaml_node_t *key, *value;
  int made;
  MOTE_TRY(mote_draw_mapping(draw, node, id));
  for (int i = 0; mote_map_pair(&map, i, &key, &value); i++) {
    const char *word = mote_node_text(key);
    if (!word) return mote_node_fail(draw->from, key, "expected a word as a key");
    MOTE_TRY(value_at(draw, word, value, depth + 1, &made));
    MOTE_TRY(mote_draw_put(draw, *id, key, word, made));
  }
  return MOTE_OK;
}

static mote_status copy_list(mote_draw *draw, const yaml_node_t *node, int depth, int *id) {
  int made;
  MOTE_TRY(mote_draw_list(draw, node, id));
  for (int i = 0; node->data.sequence.items.start + i < node->data.sequence.items.top; i++) {
    MOTE_TRY(draw_at(draw, mote_list_item(draw->from, node, i), depth + 1, &made));
    MOTE_TRY(mote_draw_append(draw, *id, made));
  }
  return MOTE_OK;
}

static mote_status draw_at(mote_draw *draw, const yaml_node_t *node, int depth, int *id) {
  const yaml_node_t *ends;
  if (depth > DEPTH_LIMIT) return mote_node_fail(draw->from, node, "nested deeper than 24 levels");
  int kind = kind_of(draw, node, &ends);
  if (kind >= 0) return draw_one(draw, node, kind, ends, depth, id);
  if (node->type == YAML_MAPPING_NODE) return copy_mapping(draw, node, depth, id);
  if (node->type == YAML_SEQUENCE_NODE) return copy_list(draw, node, depth, id);
  return put_scalar(draw, node, (const char *)node->data.scalar.value, node->data.scalar.length,
                    node->data.scalar.style, id);
}

mote_status mote_draw_node(mote_draw *draw, const yaml_node_t *node, int *id) {
  return draw_at(draw, node, 0, id);
}

mote_status mote_draw_value(mote_draw *draw, const char *key, const yaml_node_t *node, int *id) {
  return value_at(draw, key, node, 0, id);
}

/* ---- numbers ---- */

/* Draws into a document of its own; the stream goes on. */
static mote_status draw_aside(mote_draw *draw, const yaml_node_t *node, mote_draw *aside,
                              const yaml_node_t **drawn) {
  int id;
  MOTE_TRY(mote_draw_begin(aside, draw->from, draw->dim, draw->seed, draw->stream));
  aside->counter = draw->counter;
  aside->round = draw->round;
  mote_status status = mote_draw_node(aside, node, &id);
  draw->counter = aside->counter;
  if (status != MOTE_OK) mote_document_free(&aside->to);
  if (status == MOTE_OK) *drawn = aside->to.yaml.nodes.start + id - 1;
  return status;
}

mote_status mote_draw_numbers(mote_draw *draw, const yaml_node_t *node, const char *key, int n,
                              double *values) {
  mote_draw aside;
  const yaml_node_t *drawn;
  MOTE_TRY(draw_aside(draw, node, &aside, &drawn));
  mote_map map = {.document = &aside.to, .node = drawn, .title = "a body"};
  mote_status status = mote_node_vector(&map, drawn, key, n, values);
  mote_document_free(&aside.to);
  return status;
}

mote_status mote_draw_integer(mote_draw *draw, const yaml_node_t *node, const char *key, int64_t low,
                              int64_t high, int64_t *value) {
  mote_draw aside;
  const yaml_node_t *drawn;
  MOTE_TRY(draw_aside(draw, node, &aside, &drawn));
  mote_map map = {.document = &aside.to, .node = drawn, .title = "a body"};
  mote_status status = mote_node_integer(&map, drawn, key, low, high, value);
  mote_document_free(&aside.to);
  return status;
}
