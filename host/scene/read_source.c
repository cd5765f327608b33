/* Bodies from files. */
#include "host/core/error.h"
#include "host/scene/body.h"

mote_status mote_body_from_mesh(const mote_body *body, mote_body_points *made) {
  (void)made;
  return mote_node_fail(body->map.document, body->map.node, "meshes are not read yet");
}

mote_status mote_body_from_cloud(const mote_body *body, mote_body_points *made) {
  (void)made;
  return mote_node_fail(body->map.document, body->map.node, "point clouds are not read yet");
}

mote_status mote_body_from_state(const mote_body *body, mote_particles *particles) {
  (void)particles;
  return mote_node_fail(body->map.document, body->map.node, "states are not read yet");
}
