/* From a spec to a drawn scene file: templates and their changes merged, draws made, bodies numbered. */
#ifndef MOTE_DATASET_COMPOSE_H
#define MOTE_DATASET_COMPOSE_H

#include "host/dataset/draw.h"
#include "host/dataset/spec.h"

#ifdef __cplusplus
extern "C" {
#endif

/* A body of the drawn scene. */
typedef struct mote_composed_body {
  int id;                      /* its mapping in the drawn document, without a position */
  const yaml_node_t *position; /* in the spec: drawn until there is room; NULL: anywhere */
} mote_composed_body;

#define MOTE_MOST_BODIES 1000

typedef struct mote_composed {
  mote_draw draw; /* its document's root is the scene without its bodies */
  int count;
  mote_composed_body bodies[MOTE_MOST_BODIES];
} mote_composed;

/* `draw` has begun. */
mote_status mote_compose(const mote_spec *spec, int split, mote_composed *composed);

#ifdef __cplusplus
}
#endif
#endif
