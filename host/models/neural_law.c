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
  mote_buffer *all[] = {&room->seen, &room->trial, &room->d_x, &room->d_y, &room->d_R, &room->scratch};
  for (size_t k = 0; k < sizeof all / sizeof *all; k++) mote_buffer_free(all[k]);
}

/* ---- there ---- */

static int64_t seen_floats(const mote_neural_law *law, const mote_neural_rows *rows) {
  const int inputs = law->stream->device->neural->keeps_inputs ? mote_neural_inputs(rows) : 0;
  return rows->n * (MOTE_NEURAL_FRAME(rows->dim) + mote_neural_answers(rows) + inputs);
}

int64_t mote_neural_law_seen(const mote_neural_law *law, const mote_neural_rows *rows) {
  const mote_neural_rows of = of_form(&law->config, rows);
  return seen_floats(law, &of);
}

static int flows(const mote_neural_law *law) {
  return law->config.plasticity_scale > 0;
}

static mote_status call_of(const mote_neural_law *law, int flow, mote_stream *stream,
                           const mote_neural_rows *rows, const float *F, int stride, mote_neural_room *room,
                           float *seen, mote_neural_call *c) {
  *c = (mote_neural_call){.rows = of_form(&law->config, rows),
                          .mlp = flow ? &law->plasticity : &law->elasticity,
                          .scale = flow ? law->config.plasticity_scale : law->config.elasticity_scale,
                          .F = F,
                          .stride = stride};
  const size_t bytes = (size_t)seen_floats(law, &c->rows) * sizeof(float);
  if (!seen) MOTE_TRY(mote_buffer_reserve(&room->seen, stream->device, bytes ? bytes : sizeof(float)));
  c->frame = seen ? seen : room->seen.data;
  c->y = c->frame + rows->n * MOTE_NEURAL_FRAME(rows->dim);
  c->x = c->y + rows->n * mote_neural_answers(&c->rows);
  return MOTE_OK;
}

mote_status mote_neural_law_stress(const mote_neural_law *law, mote_stream *stream,
                                   const mote_neural_rows *rows, const float *F, int stride,
                                   mote_neural_room *room, float *seen, float *tau) {
  mote_neural_call c;
  MOTE_TRY(call_of(law, 0, stream, rows, F, stride, room, seen, &c));
  return stream->device->neural->stress(stream, &c, tau);
}

mote_status mote_neural_law_flow(const mote_neural_law *law, mote_stream *stream,
                                 const mote_neural_rows *rows, float *F, int stride, mote_neural_room *room,
                                 float *seen) {
  mote_neural_call c;
  if (!flows(law)) return MOTE_OK;
  MOTE_TRY(call_of(law, 1, stream, rows, F, stride, room, seen, &c));
  return stream->device->neural->flow(stream, &c, F);
}

mote_status mote_neural_law_step(const mote_neural_law *law, mote_stream *stream,
                                 const mote_neural_rows *rows, float *F, int stride, mote_neural_room *room,
                                 float *seen_flowing, float *seen, float *tau) {
  mote_neural_call flow, stress;
  if (!flows(law)) return mote_neural_law_stress(law, stream, rows, F, stride, room, seen, tau);
  MOTE_TRY(call_of(law, 1, stream, rows, F, stride, room, seen_flowing, &flow));
  MOTE_TRY(call_of(law, 0, stream, rows, F, stride, room, seen, &stress));
  return stream->device->neural->step(stream, &flow, &stress, F, tau);
}

/* ---- and back ---- */

mote_status mote_neural_law_stress_backward(const mote_neural_law *law, mote_stream *stream,
                                            const mote_arena *arena, const mote_neural_rows *rows,
                                            const float *F, int answered, mote_neural_room *room, float *seen,
                                            const float *d_tau, float *d_F) {
  mote_neural_call c;
  MOTE_TRY(call_of(law, 0, stream, rows, F, rows->dim * rows->dim, room, seen, &c));
  c.answered = answered;
  return stream->device->neural->stress_backward(stream, &c, arena, d_tau, d_F, room);
}

mote_status mote_neural_law_flow_backward(const mote_neural_law *law, mote_stream *stream,
                                          const mote_arena *arena, const mote_neural_rows *rows, float dt,
                                          const float *C, const float *F, int answered,
                                          mote_neural_room *room, float *seen, float *d_F, float *d_C) {
  mote_neural_call c;
  MOTE_TRY(call_of(law, 1, stream, rows, F, rows->dim * rows->dim, room, seen, &c));
  c.answered = answered;
  c.dt = dt;
  c.C = C;
  if (flows(law)) return stream->device->neural->flow_backward(stream, &c, arena, d_F, d_C, room);
  return C ? stream->device->neural->deform_backward(stream, &c, d_F, d_C) : MOTE_OK;
}

mote_status mote_neural_law_step_backward(const mote_neural_law *law, mote_stream *stream,
                                          const mote_arena *arena, const mote_neural_rows *rows,
                                          const mote_neural_past *past, mote_neural_room *room,
                                          const float *d_tau, float *d_F, float *d_C) {
  const int square = rows->dim * rows->dim;
  mote_neural_call flow, stress;
  if (!flows(law)) {
    MOTE_TRY(mote_neural_law_stress_backward(law, stream, arena, rows, past->flowed, 1, room, past->seen,
                                             d_tau, d_F));
    return mote_neural_law_flow_backward(law, stream, arena, rows, past->dt, past->C, past->F, 1, room,
                                         past->seen_flowing, d_F, d_C);
  }
  MOTE_TRY(call_of(law, 0, stream, rows, past->flowed, square, room, past->seen, &stress));
  MOTE_TRY(call_of(law, 1, stream, rows, past->F, square, room, past->seen_flowing, &flow));
  flow.C = past->C;
  flow.dt = past->dt;
  stress.answered = flow.answered = 1;
  return stream->device->neural->step_backward(stream, &stress, &flow, arena, d_tau, d_F, d_C, room);
}
