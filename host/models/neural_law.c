#include "host/models/neural_law.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "host/core/error.h"
#include "host/io/json_file.h"

#define ARCHITECTURE "NeuralConstitutiveLaw"

/* ---- the form ---- */

static float strain_of(const mote_neural_config *c) {
  return c->strain_scale > 0 ? c->strain_scale : 1;
}

static mote_neural_rows of_form(const mote_neural_config *c, const mote_neural_rows *rows) {
  mote_neural_rows of = *rows;
  of.strain = c->invariants ? strain_of(c) : 0;
  return of;
}

/* ---- config.json ---- */

static mote_status read_scale(const char *path, const cJSON *root, const char *key, float *scale) {
  double value;
  int found;
  MOTE_TRY(mote_json_number(path, root, key, &value, &found));
  if (!found) return MOTE_OK;
  if (!(value >= 0 && value <= 1e12))
    return mote_fail(MOTE_ERROR_FORMAT, "%s: \"%s\" is %g: expected 0 to 1e12", path, key, value);
  *scale = (float)value;
  return MOTE_OK;
}

const char *const mote_neural_forms[] = {"matrix", "invariants", NULL};

static mote_status read_form(const char *path, const cJSON *root, int *form) {
  const cJSON *item = cJSON_GetObjectItemCaseSensitive(root, "form");
  const char *name = cJSON_GetStringValue(item);
  if (!item) return MOTE_OK;
  for (*form = 0; mote_neural_forms[*form]; ++*form)
    if (name && strcmp(name, mote_neural_forms[*form]) == 0) return MOTE_OK;
  return mote_fail(MOTE_ERROR_FORMAT, "%s: \"form\" is \"%s\": expected matrix or invariants", path,
                   name ? name : "");
}

static mote_status read_config(const char *path, const cJSON *root, mote_neural_config *c) {
  const cJSON *names = cJSON_GetObjectItemCaseSensitive(root, "architectures");
  const char *name = cJSON_GetStringValue(cJSON_GetArrayItem(names, 0));
  if (!name || strcmp(name, ARCHITECTURE) != 0)
    return mote_fail(MOTE_ERROR_UNSUPPORTED,
                     "%s: \"architectures\" is [\"%s\"]: expected [\"" ARCHITECTURE "\"]", path,
                     name ? name : "");
  int64_t dim = 3, width = 64, hidden = 2;
  int found;
  *c = (mote_neural_config){.elasticity_scale = 1};
  MOTE_TRY(mote_json_integer(path, root, "dim", 2, 3, &dim, &found));
  MOTE_TRY(mote_json_integer(path, root, "hidden_size", 1, MOTE_DENSE_WIDEST, &width, &found));
  MOTE_TRY(mote_json_integer(path, root, "hidden_layers", 1, MOTE_MLP_LAYERS - 1, &hidden, &found));
  c->dim = (int)dim;
  c->width = (int)width;
  c->hidden = (int)hidden;
  MOTE_TRY(read_scale(path, root, "elasticity_scale", &c->elasticity_scale));
  MOTE_TRY(read_scale(path, root, "plasticity_scale", &c->plasticity_scale));
  MOTE_TRY(read_form(path, root, &c->invariants));
  c->strain_scale = 1;
  MOTE_TRY(read_scale(path, root, "strain_scale", &c->strain_scale));
  if (c->strain_scale > 0) return MOTE_OK;
  return mote_fail(MOTE_ERROR_FORMAT, "%s: \"strain_scale\" is 0: inputs are divided by it", path);
}

static mote_status write_config(const mote_neural_config *c, const char *path) {
  cJSON *root = cJSON_CreateObject(), *names = cJSON_AddArrayToObject(root, "architectures");
  int whole = names && cJSON_AddItemToArray(names, cJSON_CreateString(ARCHITECTURE)) &&
              cJSON_AddNumberToObject(root, "dim", c->dim) &&
              cJSON_AddStringToObject(root, "form", mote_neural_forms[c->invariants]) &&
              cJSON_AddNumberToObject(root, "hidden_size", c->width) &&
              cJSON_AddNumberToObject(root, "hidden_layers", c->hidden) &&
              cJSON_AddNumberToObject(root, "elasticity_scale", (double)c->elasticity_scale) &&
              cJSON_AddNumberToObject(root, "plasticity_scale", (double)c->plasticity_scale) &&
              cJSON_AddNumberToObject(root, "strain_scale", (double)strain_of(c));
  mote_status status = whole ? mote_json_write(path, root)
                             : mote_fail(MOTE_ERROR_MEMORY, "%s: out of memory for a configuration", path);
  cJSON_Delete(root);
  return status;
}

/* ---- weights ---- */

static mote_status read_chain(mote_parameters *p, const mote_neural_config *c, const char *name,
                              mote_mlp *mlp) {
  const mote_neural_rows rows = of_form(c, &(mote_neural_rows){.dim = c->dim});
  int in = mote_neural_inputs(&rows);
  *mlp = (mote_mlp){.layers = c->hidden + 1};
  for (int l = 0; l <= c->hidden; l++) {
    const int last = l == c->hidden, out = last ? mote_neural_answers(&rows) : c->width;
    const float scale = l == 0 && !c->invariants ? 1 / strain_of(c) : 1;
    const mote_layer_part part = {mote_name_of("%s.layers.%d", name, l), out, in, 0, 0, scale};
    MOTE_TRY(mote_parameters_stack(p, 1, &part, in, last ? MOTE_IDENTITY : MOTE_GELU, &mlp->layer[l]));
    in = out;
  }
  return MOTE_OK;
}

static mote_status read_chains(mote_neural_law *law) {
  MOTE_TRY(read_chain(&law->parameters, &law->config, "elasticity", &law->elasticity));
  if (!(law->config.plasticity_scale > 0)) return MOTE_OK;
  return read_chain(&law->parameters, &law->config, "plasticity", &law->plasticity);
}

static mote_status fill(mote_neural_law *law) {
  MOTE_TRY(read_chains(law));
  MOTE_TRY(mote_parameters_place(&law->parameters));
  return read_chains(law);
}

static mote_status begin(mote_device *device, mote_neural_law **out) {
  mote_neural_law *law = calloc(1, sizeof *law);
  *out = NULL;
  if (!law) return mote_fail(MOTE_ERROR_MEMORY, "out of memory for a neural law");
  mote_status status = mote_stream_create(device, &law->stream);
  if (status != MOTE_OK) {
    mote_neural_law_destroy(law);
    return status;
  }
  *out = law;
  return MOTE_OK;
}

static mote_status end(mote_neural_law **law, mote_status status) {
  if (status == MOTE_OK) return MOTE_OK;
  mote_neural_law_destroy(*law);
  *law = NULL;
  return status;
}

mote_status mote_neural_law_create(mote_device *device, const mote_neural_config *config, uint64_t seed,
                                   mote_neural_law **law) {
  MOTE_TRY(begin(device, law));
  (*law)->config = *config;
  mote_parameters_invent(&(*law)->parameters, (*law)->stream, seed);
  return end(law, fill(*law));
}

typedef struct paths {
  char config[4096], weights[4096];
} paths;

static mote_status paths_of(const char *folder, paths *p) {
  const size_t room = sizeof p->config;
  snprintf(p->config, room, "%s/config.json", folder);
  if (snprintf(p->weights, room, "%s/model.safetensors", folder) < (int)room) return MOTE_OK;
  return mote_fail(MOTE_ERROR_ARGUMENT, "a folder's name of %zu characters is too long", strlen(folder));
}

static mote_status open_files(mote_neural_law *law, const char *folder) {
  paths p;
  cJSON *root;
  MOTE_TRY(paths_of(folder, &p));
  MOTE_TRY(mote_json_read(p.config, &root));
  mote_status status = read_config(p.config, root, &law->config);
  cJSON_Delete(root);
  MOTE_TRY(status);
  MOTE_TRY(mote_parameters_open(&law->parameters, law->stream, p.weights));
  mote_status filled = fill(law);
  law->parameters.path = "the law";
  return filled;
}

mote_status mote_neural_law_open(mote_device *device, const char *folder, mote_neural_law **law) {
  MOTE_TRY(begin(device, law));
  return end(law, open_files(*law, folder));
}

mote_status mote_neural_law_save(const mote_neural_law *law, const float *value, const char *folder) {
  paths p;
  MOTE_TRY(paths_of(folder, &p));
  MOTE_TRY(write_config(&law->config, p.config));
  return mote_parameters_write(&law->parameters, value, p.weights);
}

void mote_neural_law_forget(mote_neural_law *law) {
  mote_parameters_forget(&law->parameters);
}

void mote_neural_law_destroy(mote_neural_law *law) {
  if (!law) return;
  mote_parameters_free(&law->parameters);
  mote_stream_destroy(law->stream);
  free(law);
}

void mote_neural_room_free(mote_neural_room *room) {
  mote_buffer *all[] = {&room->seen, &room->d_x, &room->d_y, &room->d_R, &room->scratch};
  for (size_t k = 0; k < sizeof all / sizeof *all; k++) mote_buffer_free(all[k]);
}

/* ---- there ---- */

static mote_rows rows_of(const void *data, int width) {
  return (mote_rows){.data = data, .width = width, .stride = width};
}

static int64_t seen_floats(const mote_neural_rows *rows) {
  return rows->n * (MOTE_NEURAL_FRAME(rows->dim) + mote_neural_inputs(rows) + mote_neural_answers(rows));
}

int64_t mote_neural_law_seen(const mote_neural_law *law, const mote_neural_rows *rows) {
  const mote_neural_rows of = of_form(&law->config, rows);
  return seen_floats(&of);
}

/* A call's rows and the parts of what is seen of them. */
typedef struct sight {
  mote_neural_rows rows;
  float *frame, *x, *y;
} sight;

static mote_status sight_of(const mote_neural_law *law, mote_stream *stream, const mote_neural_rows *rows,
                            mote_neural_room *room, float *seen, sight *s) {
  s->rows = of_form(&law->config, rows);
  const size_t bytes = (size_t)seen_floats(&s->rows) * sizeof(float);
  if (!seen) MOTE_TRY(mote_buffer_reserve(&room->seen, stream->device, bytes ? bytes : sizeof(float)));
  s->frame = seen ? seen : room->seen.data;
  s->x = s->frame + rows->n * MOTE_NEURAL_FRAME(rows->dim);
  s->y = s->x + rows->n * mote_neural_inputs(&s->rows);
  return MOTE_OK;
}

/* Lets a network see F and answer. */
static mote_status answer(const mote_mlp *mlp, mote_stream *stream, const sight *s, const float *F,
                          int stride) {
  const mote_device *d = stream->device;
  MOTE_TRY(d->neural->features(stream, &s->rows, F, stride, s->frame, s->x));
  return d->dense->mlp(stream, s->rows.n, NULL, mlp, rows_of(s->x, mote_neural_inputs(&s->rows)),
                       (mote_rows){0}, (mote_rows){0}, s->y, mote_neural_answers(&s->rows));
}

mote_status mote_neural_law_stress(const mote_neural_law *law, mote_stream *stream,
                                   const mote_neural_rows *rows, const float *F, int stride, int answered,
                                   mote_neural_room *room, float *seen, float *tau) {
  sight s;
  MOTE_TRY(sight_of(law, stream, rows, room, seen, &s));
  if (!answered) MOTE_TRY(answer(&law->elasticity, stream, &s, F, stride));
  return stream->device->neural->stress(stream, &s.rows, F, stride, s.frame, s.y,
                                        law->config.elasticity_scale, tau);
}

mote_status mote_neural_law_flow(const mote_neural_law *law, mote_stream *stream,
                                 const mote_neural_rows *rows, float *F, int stride, mote_neural_room *room,
                                 float *seen) {
  sight s;
  if (!(law->config.plasticity_scale > 0)) return MOTE_OK;
  MOTE_TRY(sight_of(law, stream, rows, room, seen, &s));
  MOTE_TRY(answer(&law->plasticity, stream, &s, F, stride));
  return stream->device->neural->flow(stream, &s.rows, s.frame, s.y, law->config.plasticity_scale, F, stride);
}

/* ---- and back ---- */

/* Rows that do not count must not reach the weights. */
static mote_status begin_reverse(mote_neural_room *room, mote_stream *stream, const mote_neural_rows *rows) {
  const size_t each = (size_t)(rows->n ? rows->n : 1) * sizeof(float),
               answers = each * (size_t)mote_neural_answers(rows);
  mote_device *device = stream->device;
  MOTE_TRY(mote_buffer_reserve(&room->d_x, device, each * (size_t)mote_neural_inputs(rows)));
  MOTE_TRY(mote_buffer_reserve(&room->d_y, device, answers));
  MOTE_TRY(mote_buffer_reserve(&room->d_R, device, each * (size_t)(rows->dim * rows->dim)));
  return rows->material ? mote_fill_bytes(stream, room->d_y.data, 0, answers) : MOTE_OK;
}

/* From room->d_y and room->d_R to the weights and to d_F, which is added to. */
static mote_status answer_backward(const mote_mlp *mlp, mote_stream *stream, const mote_arena *arena,
                                   const sight *s, const float *F, mote_neural_room *room, float *d_F) {
  const mote_neural_rows *rows = &s->rows;
  const int inputs = mote_neural_inputs(rows);
  const mote_device *d = stream->device;
  MOTE_TRY(mote_fill_bytes(stream, room->d_x.data, 0, (size_t)rows->n * (size_t)inputs * sizeof(float)));
  MOTE_TRY(d->dense->mlp_backward(stream, rows->n, NULL, mlp, arena, rows_of(s->x, inputs), (mote_rows){0},
                                  rows_of(room->d_y.data, mote_neural_answers(rows)),
                                  (mote_sink){room->d_x.data, inputs}, (mote_sink){0}, &room->scratch));
  return d->neural->features_backward(stream, rows, F, rows->dim * rows->dim, s->frame, room->d_x.data,
                                      room->d_R.data, d_F);
}

mote_status mote_neural_law_stress_backward(const mote_neural_law *law, mote_stream *stream,
                                            const mote_arena *arena, const mote_neural_rows *rows,
                                            const float *F, int answered, mote_neural_room *room, float *seen,
                                            const float *d_tau, float *d_F) {
  const int stride = rows->dim * rows->dim;
  sight s;
  MOTE_TRY(sight_of(law, stream, rows, room, seen, &s));
  if (!answered) MOTE_TRY(answer(&law->elasticity, stream, &s, F, stride));
  MOTE_TRY(begin_reverse(room, stream, &s.rows));
  MOTE_TRY(stream->device->neural->stress_backward(stream, &s.rows, F, stride, s.frame, s.y,
                                                   law->config.elasticity_scale, d_tau, room->d_y.data,
                                                   room->d_R.data, d_F));
  return answer_backward(&law->elasticity, stream, arena, &s, F, room, d_F);
}

mote_status mote_neural_law_flow_backward(const mote_neural_law *law, mote_stream *stream,
                                          const mote_arena *arena, const mote_neural_rows *rows,
                                          const float *F, int answered, mote_neural_room *room, float *seen,
                                          float *d_F) {
  sight s;
  if (!(law->config.plasticity_scale > 0)) return MOTE_OK;
  MOTE_TRY(sight_of(law, stream, rows, room, seen, &s));
  if (!answered) MOTE_TRY(answer(&law->plasticity, stream, &s, F, rows->dim * rows->dim));
  MOTE_TRY(begin_reverse(room, stream, &s.rows));
  MOTE_TRY(stream->device->neural->flow_backward(stream, &s.rows, s.frame, s.y, law->config.plasticity_scale,
                                                 room->d_y.data, room->d_R.data, d_F));
  return answer_backward(&law->plasticity, stream, arena, &s, F, room, d_F);
}
