#include "host/sim/neural.h"

#include <stdlib.h>

#include "host/core/error.h"

static mote_status open_law(mote_device *device, const mote_scene *scene, int material, mote_sim_laws *laws) {
  struct mote_sim_law *to = &laws->of[laws->count];
  if (!scene->materials[material].law[0])
    return mote_fail(MOTE_ERROR_ARGUMENT, "it is neural and has no law: name the folder of one");
  MOTE_TRY(mote_neural_law_open(device, scene->materials[material].law, &to->law));
  to->material = material;
  laws->count++;
  if (to->law->config.dim != scene->dim)
    return mote_fail(MOTE_ERROR_ARGUMENT, "%s: a law of %d-D in a scene of %d-D",
                     scene->materials[material].law, to->law->config.dim, scene->dim);
  mote_neural_law_forget(to->law);
  return MOTE_OK;
}

mote_status mote_sim_laws_open(mote_device *device, const mote_scene *scene, mote_sim_laws *laws) {
  const int materials = scene->material_count;
  *laws = (mote_sim_laws){.of = calloc(materials ? (size_t)materials : 1, sizeof *laws->of)};
  if (!laws->of) return mote_fail(MOTE_ERROR_MEMORY, "out of memory for the laws of %d materials", materials);
  for (int k = 0; k < materials; k++) {
    if (scene->materials[k].kind != MOTE_NEURAL) continue;
    mote_status status = open_law(device, scene, k, laws);
    if (status != MOTE_OK) return mote_fail_within(status, "material \"%s\"", scene->materials[k].name);
  }
  return MOTE_OK;
}

void mote_sim_laws_free(mote_sim_laws *laws) {
  for (int k = 0; k < laws->count; k++) mote_neural_law_destroy(laws->of[k].law);
  free(laws->of);
  mote_neural_room_free(&laws->room);
  mote_buffer_free(&laws->tau);
  *laws = (mote_sim_laws){0};
}

static mote_neural_rows rows_of(const mote_transfer_view *t, int32_t material) {
  const void *solid = t->solid; /* whose rows end in an integer */
  return (mote_neural_rows){.dim = t->dim,
                            .n = t->count,
                            .material = (const int32_t *)solid + 11,
                            .material_stride = MOTE_SOLID,
                            .which = material};
}

static mote_status run(mote_sim_laws *laws, mote_stream *stream, mote_transfer *transfer, int flows) {
  const mote_transfer_view *t = &transfer->view;
  if (!laws->count || !t->count) return MOTE_OK;
  MOTE_TRY(mote_buffer_reserve(&laws->tau, stream->device,
                               (size_t)t->count * (size_t)(t->dim * t->dim) * sizeof(float)));
  for (int k = 0; k < laws->count; k++) {
    const struct mote_sim_law *l = &laws->of[k];
    const mote_neural_rows rows = rows_of(t, l->material);
    if (flows)
      MOTE_TRY(mote_neural_law_step(l->law, stream, &rows, t->solid, MOTE_SOLID, &laws->room, NULL, NULL,
                                    laws->tau.data));
    else
      MOTE_TRY(mote_neural_law_stress(l->law, stream, &rows, t->solid, MOTE_SOLID, &laws->room, NULL,
                                      laws->tau.data));
    MOTE_TRY(stream->device->transfer->add_stress(stream, transfer, l->material, laws->tau.data));
  }
  return MOTE_OK;
}

mote_status mote_sim_laws_load(mote_sim_laws *laws, mote_stream *stream, mote_transfer *transfer) {
  return run(laws, stream, transfer, 0);
}

mote_status mote_sim_laws_step(mote_sim_laws *laws, mote_stream *stream, mote_transfer *transfer) {
  return run(laws, stream, transfer, 1);
}
