/* Scenes of a spec: drawn, read, and their bodies put where there is room. The trick: a stream of random
   numbers is that of (split, scene, attempt, try), so any scene can be drawn by itself, in any order, on any
   machine. */
#include <math.h>
#include <stdlib.h>
#include <string.h>
#include <mote/random.h>

#include "host/core/error.h"
#include "host/dataset/compose.h"
#include "host/dataset/place.h"
#include "host/scene/read.h"

/* Places tried for a body before the scene is drawn anew. */
enum { PLACES = 200 };

/* A scene being made. `unlucky`: the failure is that of this draw, another one may do. */
typedef struct maker {
  const mote_spec *spec;
  mote_composed *composed;
  mote_scene *scene;
  mote_times times;
  int frames;
  mote_placer placer;
  int unlucky;
} maker;

/* ---- a body's place ---- */

static mote_status draw_place(maker *m, const yaml_node_t *position, const double least[3],
                              const double most[3], double place[3]) {
  mote_draw *draw = &m->composed->draw;
  if (position) return mote_draw_numbers(draw, position, "position", draw->dim, place);
  for (int d = 0; d < draw->dim; d++) place[d] = least[d] + (most[d] - least[d]) * mote_draw_next(draw);
  return MOTE_OK;
}

static int inside(const maker *m, const double place[3], const double least[3], const double most[3]) {
  double slack = 1e-3 * m->scene->grid_spacing;
  for (int d = 0; d < m->scene->dim; d++)
    if (!(place[d] >= least[d] - slack && place[d] <= most[d] + slack)) return 0;
  return 1;
}

/* `by` NULL: where they are. */
static mote_status put_at(maker *m, mote_particles *p, const double *by) {
  for (int64_t i = 0; by && i < p->count; i++)
    for (int d = 0; d < p->dim; d++) p->position[i * p->dim + d] += (float)by[d];
  MOTE_TRY(mote_placer_add(&m->placer, p));
  return mote_particles_append(&m->scene->particles, p);
}

static mote_status no_place(maker *m, const mote_composed_body *body, const char *why) {
  const mote_document *document = &m->composed->draw.to;
  const yaml_node_t *node = document->yaml.nodes.start + body->id - 1;
  m->unlucky = 1;
  return mote_node_fail(document, body->position ? body->position : node, "%s: %s",
                        mote_item_title(document, node, "body", 0).text, why);
}

static mote_status place_body(maker *m, const mote_composed_body *body, mote_particles *p) {
  double least[3], most[3], place[3] = {0};
  int in_walls = 0;
  if (!mote_placer_range(&m->placer, p, least, most))
    return no_place(m, body, "it is larger than the room between the walls");
  for (int k = 0; k < PLACES; k++) {
    MOTE_TRY(draw_place(m, body->position, least, most, place));
    if (!inside(m, place, least, most)) continue;
    in_walls = 1;
    if (mote_placer_is_free(&m->placer, p, place)) return put_at(m, p, place);
  }
  return no_place(m, body,
                  in_walls ? "no room that keeps the gap to the other bodies in 200 places"
                           : "it reached beyond the walls in all of 200 places");
}

static mote_status make_body(maker *m, int index) {
  const mote_composed_body *body = &m->composed->bodies[index];
  const mote_document *document = &m->composed->draw.to;
  mote_map map = {.document = document, .node = document->yaml.nodes.start + body->id - 1};
  mote_scene_source source = m->spec->source;
  uint32_t word[4];
  mote_particles p;
  mote_random_words(m->composed->draw.seed, m->composed->draw.stream, UINT64_MAX, word);
  source.seed = (uint64_t)word[0] << 32 | word[1];
  source.particle_limit = m->spec->most;
  mote_status status = mote_read_body(document, map.node, index, &source, m->scene, &p);
  m->unlucky = status == MOTE_ERROR_ARGUMENT; /* too many particles, or none */
  if (status != MOTE_OK) return status;
  if (mote_map_find(&map, "state"))
    status = put_at(m, &p, NULL);
  else
    status = place_body(m, body, &p);
  mote_particles_destroy(&p);
  return status;
}

/* ---- a scene ---- */

static void type_by_material(mote_particles *p) {
  for (int64_t i = 0; i < p->count; i++)
    p->particle_type[i] = p->material[i] + (p->material[i] >= MOTE_TYPE_KINEMATIC);
}

static mote_status read_composed(maker *m) {
  const mote_spec *spec = m->spec;
  mote_map root;
  MOTE_TRY(mote_map_open(&m->composed->draw.to, mote_document_root(&m->composed->draw.to), mote_scene_keys,
                         &root, "the scene"));
  MOTE_TRY(mote_read_setting(&root, &m->spec->source, m->scene, &m->times));
  m->frames = m->scene->frames;
  MOTE_TRY(mote_placer_create(m->scene, spec->gap, &m->placer));
  for (int i = 0; i < m->composed->count; i++) MOTE_TRY(make_body(m, i));
  int64_t count = m->scene->particles.count;
  if (count < spec->least || count > spec->most) {
    m->unlucky = 1;
    return mote_node_fail(&spec->document, spec->scene, "a scene of %lld particles: expected %lld to %lld",
                          (long long)count, (long long)spec->least, (long long)spec->most);
  }
  MOTE_TRY(mote_read_end(&root, &m->times, m->scene));
  if (spec->type_by_material) type_by_material(&m->scene->particles);
  return MOTE_OK;
}

static uint64_t stream_of(int split, int64_t number, int attempt, int64_t try) {
  return (uint64_t)(split + 1) << 52 | (uint64_t)number << 32 | (uint64_t)attempt << 16 | (uint64_t)try;
}

/* One draw. `round` as in mote_draw; *alternatives of its `choose`. */
static mote_status draw_scene(maker *m, int split, uint64_t stream, int64_t round, int64_t *alternatives) {
  mote_composed *c = m->composed;
  *m->scene = (mote_scene){0};
  MOTE_TRY(mote_draw_begin(&c->draw, &m->spec->document, m->spec->dim, m->spec->seed, stream));
  c->draw.round = round;
  m->unlucky = 0;
  mote_status status = mote_compose(m->spec, split, c);
  if (status == MOTE_OK) status = read_composed(m);
  if (alternatives) *alternatives = c->draw.alternatives;
  mote_placer_free(&m->placer);
  mote_document_free(&c->draw.to);
  if (status != MOTE_OK) mote_scene_destroy(m->scene);
  return status;
}

mote_status mote_spec_scene(const mote_spec *spec, int split, int64_t number, int attempt,
                            mote_scene *scene) {
  maker m = {.spec = spec, .scene = scene, .composed = malloc(sizeof *m.composed)};
  if (!m.composed) return mote_fail(MOTE_ERROR_MEMORY, "out of memory for a scene");
  mote_status status = MOTE_OK;
  for (int64_t try = 0; try < spec->tries; try++) {
    status = draw_scene(&m, split, stream_of(split, number, attempt, try), -1, NULL);
    if (status == MOTE_OK || !m.unlucky) break;
  }
  free(m.composed);
  if (status == MOTE_OK || !m.unlucky) return status;
  return mote_fail_within(MOTE_ERROR_NUMERIC, "no draw of %lld is a scene (%s %lld); of the last one",
                          (long long)spec->tries, mote_split_names[split], (long long)number);
}

/* ---- checks before the first scene ---- */

static mote_status check_times(const mote_spec *spec, const mote_scene *scene, const mote_times *times,
                               double *interval) {
  *interval = times->interval > 0 ? times->interval : times->step * scene->steps_per_frame;
  if (scene->frames < 2)
    return mote_node_fail(&spec->document, spec->scene,
                          "'time' of the scene: %d frames: at least 2 are needed for accelerations",
                          scene->frames);
  if (*interval > 0) return MOTE_OK;
  return mote_node_fail(&spec->document, spec->scene,
                        "'time' of the scene: expected a 'frame_interval', or 'step' and "
                        "'steps_per_frame': frames lie as far apart in all scenes");
}

/* A material has the same number everywhere. */
static int same_materials(const mote_scene *a, const mote_scene *b) {
  for (int k = 0; k < a->material_count && k < b->material_count; k++)
    if (a->materials[k].kind != b->materials[k].kind || strcmp(a->materials[k].name, b->materials[k].name))
      return 0;
  return 1;
}

static mote_status check_split(maker *m, int split, mote_scene *train, double *train_interval,
                               int64_t *frames) {
  const mote_spec *spec = m->spec;
  int64_t rounds = 1, alternatives = 1;
  for (int64_t round = 0; round < rounds; round++) {
    double interval;
    mote_status status = draw_scene(m, split, stream_of(split, 0, 0, 0), round, &alternatives);
    rounds = alternatives > rounds ? (alternatives < 64 ? alternatives : 64) : rounds;
    if (status != MOTE_OK && !m->unlucky) return status;
    if (frames) frames[split] = m->frames;
    if (status != MOTE_OK) continue;
    status = check_times(spec, m->scene, &m->times, &interval);
    if (*train_interval == 0) {
      *train = *m->scene;
      *train_interval = interval;
      *m->scene = (mote_scene){0};
    } else if (status == MOTE_OK &&
               (fabs(interval - *train_interval) > 1e-6 * interval || !same_materials(train, m->scene))) {
      const yaml_node_t *changes = spec->splits[split].changes;
      status = mote_node_fail(&spec->document, changes ? changes : spec->scene,
                              "the scene of %s: its frame interval and the kinds of the materials must be "
                              "those of the others; new materials may follow",
                              mote_split_names[split]);
    }
    mote_scene_destroy(m->scene);
    MOTE_TRY(status);
  }
  return MOTE_OK;
}

mote_status mote_spec_check(const mote_spec *spec, int64_t frames[MOTE_SPLITS]) {
  mote_scene scene, train = {0};
  double interval = 0;
  maker m = {.spec = spec, .scene = &scene, .composed = malloc(sizeof *m.composed)};
  if (!m.composed) return mote_fail(MOTE_ERROR_MEMORY, "out of memory for a scene");
  mote_status status = MOTE_OK;
  for (int k = 0; k < MOTE_SPLITS && status == MOTE_OK; k++)
    if (spec->splits[k].count) status = check_split(&m, k, &train, &interval, frames);
  mote_scene_destroy(&train);
  free(m.composed);
  return status;
}
