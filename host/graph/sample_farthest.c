/* Farthest-point sampling, exact. The trick: the tree of nearest neighbours with, in every node, the largest
   distance to the chosen set and who has it. The next point is at the root; choosing it only touches nodes
   whose box is nearer to it than their largest distance. Rounding is monotone, so the prune loses nothing in
   float32. (After QuickFPS, Han et al. 2023, with a tree for its buckets.) */
#include "host/graph/sample.h"

#include <mote/device.h>
#include <mote/random.h>
#include <stdlib.h>

#include "kernels/nearest/nearest.h"

typedef struct farthest {
  float distance2;
  int32_t index; /* the smallest with this distance; INT32_MAX: none */
} farthest;

typedef struct cover {
  mote_nearest_tree tree;
  float *distance2; /* (16 leaves) of each place to the chosen set */
  farthest *top;    /* (2 leaves) */
} cover;

static farthest farther(farthest a, farthest b) {
  if (a.distance2 != b.distance2) return a.distance2 > b.distance2 ? a : b;
  return a.index < b.index ? a : b;
}

static void update_leaf(cover *c, int64_t leaf, const float q[3]) {
  int64_t first = leaf * MOTE_NEAREST_LEAF, room = c->tree.leaves * MOTE_NEAREST_LEAF;
  const float *x = (const float *)c->tree.sorted.data + first, *y = x + room, *z = y + room;
  const int32_t *order = (const int32_t *)c->tree.order.data + first;
  float *distance2 = c->distance2 + first;
  for (int l = 0; l < MOTE_NEAREST_LEAF; l++) {
    float d2 = mote_distance2(q[0] - x[l], q[1] - y[l], q[2] - z[l]);
    distance2[l] = d2 < distance2[l] ? d2 : distance2[l];
  }
  int count = c->tree.count - first < MOTE_NEAREST_LEAF ? (int)(c->tree.count - first) : MOTE_NEAREST_LEAF;
  farthest top = {-1, INT32_MAX};
  for (int l = 0; l < count; l++) top = farther(top, (farthest){distance2[l], order[l]});
  c->top[c->tree.leaves + leaf] = top;
}

static void update(cover *c, int64_t node, const float q[3]) {
  const float *box = (const float *)c->tree.boxes.data + 6 * node;
  if (c->top[node].distance2 <= mote_box_distance2(box, q[0], q[1], q[2])) return;
  if (node >= c->tree.leaves) {
    update_leaf(c, node - c->tree.leaves, q);
    return;
  }
  update(c, 2 * node, q);
  update(c, 2 * node + 1, q);
  c->top[node] = farther(c->top[2 * node], c->top[2 * node + 1]);
}

/* Chosen points are marked by a distance below all others', so that duplicates of them are still chosen,
 * last. */
static void choose(cover *c, int64_t node, int64_t place) {
  c->distance2[place] = -1;
  const int32_t *order = c->tree.order.data;
  farthest top = {-1, INT32_MAX};
  int64_t first = place / MOTE_NEAREST_LEAF * MOTE_NEAREST_LEAF;
  for (int64_t i = first; i < first + MOTE_NEAREST_LEAF && i < c->tree.count; i++)
    if (c->distance2[i] >= 0) top = farther(top, (farthest){c->distance2[i], order[i]});
  c->top[node] = top;
  for (node /= 2; node; node /= 2) c->top[node] = farther(c->top[2 * node], c->top[2 * node + 1]);
}

static void cover_start(cover *c) {
  int64_t room = c->tree.leaves * MOTE_NEAREST_LEAF;
  for (int64_t i = 0; i < room; i++) c->distance2[i] = INFINITY;
  for (int64_t node = 2 * c->tree.leaves - 1; node > 0; node--) {
    int64_t first = (node - c->tree.leaves) * MOTE_NEAREST_LEAF;
    int empty = node >= c->tree.leaves && first >= c->tree.count;
    c->top[node] = (farthest){empty ? -1 : INFINITY, INT32_MAX};
    if (node < c->tree.leaves) c->top[node] = farther(c->top[2 * node], c->top[2 * node + 1]);
  }
}

static void cover_run(cover *c, const float *points, int64_t count, int32_t next, const int32_t *place_of,
                      int32_t *places) {
  cover_start(c);
  for (int64_t i = 0; i < count; i++) {
    places[i] = next;
    update(c, 1, points + 3 * (int64_t)next);
    int64_t place = place_of[next];
    choose(c, c->tree.leaves + place / MOTE_NEAREST_LEAF, place);
    next = c->top[1].index;
  }
}

static mote_status run_on(mote_device *device, mote_stream *stream, mote_sample_draw draw,
                          const float *points, int64_t n, int64_t count, int32_t *places) {
  cover c = {0};
  mote_status status = mote_nearest_reserve(&c.tree, device, n, 3);
  if (status == MOTE_OK) status = device->nearest->build(stream, &c.tree, points);
  int32_t *place_of = malloc((size_t)n * sizeof *place_of);
  if (status == MOTE_OK) {
    c.distance2 = malloc((size_t)c.tree.leaves * MOTE_NEAREST_LEAF * sizeof *c.distance2);
    c.top = malloc(2 * (size_t)c.tree.leaves * sizeof *c.top);
    if (!place_of || !c.distance2 || !c.top) status = mote_fail(MOTE_ERROR_MEMORY, "sample: out of memory");
  }
  if (status == MOTE_OK) {
    const int32_t *order = c.tree.order.data;
    for (int64_t i = 0; i < n; i++) place_of[order[i]] = (int32_t)i;
    int32_t first = (int32_t)mote_random_below(draw.seed, draw.stream, 0, (uint64_t)n);
    cover_run(&c, points, count, first, place_of, places);
  }
  free(place_of);
  free(c.distance2);
  free(c.top);
  mote_nearest_free(&c.tree);
  return status;
}

mote_status mote_sample_farthest(mote_sample_draw draw, const float *points, int64_t n, int64_t count,
                                 int32_t *places) {
  mote_device *device;
  mote_stream *stream;
  MOTE_TRY(mote_device_open("cpu", NULL, &device));
  mote_status status = mote_stream_create(device, &stream);
  if (status == MOTE_OK) {
    status = run_on(device, stream, draw, points, n, count, places);
    mote_stream_destroy(stream);
  }
  mote_device_close(device);
  return status;
}
