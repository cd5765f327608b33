/* Vectors, rotations and titles of the items of a scene: see read.h. */
#include <math.h>
#include <stdio.h>
#include <string.h>

#include "host/core/error.h"
#include "host/core/text.h"
#include "host/scene/read.h"

mote_status mote_read_vector(const mote_map *map, const char *key, int dim, double value[3]) {
  return mote_map_vector(map, key, dim, value);
}

mote_status mote_read_spin(const mote_map *map, int dim, double value[3]) {
  if (dim == 3) return mote_map_vector(map, "angular_velocity", 3, value);
  return mote_map_real(map, "angular_velocity", -1e30, 1e30, &value[2]);
}

static mote_status normalise(const mote_map *map, const char *key, int n, double *v) {
  double sum = 0;
  for (int i = 0; i < n; i++) sum += v[i] * v[i];
  if (!(sum > 1e-20 && sum < 1e60))
    return mote_node_fail(map->document, mote_map_find(map, key), "'%s' of %s: a direction of length %g", key,
                          map->title, sqrt(sum));
  for (int i = 0; i < n; i++) v[i] /= sqrt(sum);
  return MOTE_OK;
}

static void about_axis(const double axis[3], double degrees, double q[4]) {
  double half = fmod(degrees, 720) * 3.14159265358979323846 / 360;
  q[0] = cos(half);
  for (int d = 0; d < 3; d++) q[d + 1] = sin(half) * axis[d];
}

mote_status mote_read_rotation(const mote_map *map, int dim, double q[4]) {
  static const char *const keys[] = {"axis", "angle", "quaternion", NULL};
  double axis[3] = {0, 0, 1}, angle = 0;
  q[0] = 1, q[1] = q[2] = q[3] = 0;
  if (!mote_map_find(map, "rotation")) return MOTE_OK;
  if (dim == 2) {
    MOTE_TRY(mote_map_real(map, "rotation", -1e6, 1e6, &angle));
    about_axis(axis, angle, q);
    return MOTE_OK;
  }
  mote_map rotation;
  MOTE_TRY(mote_map_open_child(map, "rotation", keys, &rotation));
  if (mote_map_find(&rotation, "quaternion")) {
    if (mote_map_find(&rotation, "axis") || mote_map_find(&rotation, "angle"))
      return mote_node_fail(map->document, rotation.node, "%s: a quaternion, or axis and angle, not both",
                            rotation.title);
    MOTE_TRY(mote_map_vector(&rotation, "quaternion", 4, q));
    return normalise(&rotation, "quaternion", 4, q);
  }
  const yaml_node_t *node;
  MOTE_TRY(mote_map_require(&rotation, "axis", &node));
  MOTE_TRY(mote_map_require(&rotation, "angle", &node));
  MOTE_TRY(mote_map_vector(&rotation, "axis", 3, axis));
  MOTE_TRY(mote_map_real(&rotation, "angle", -1e6, 1e6, &angle));
  MOTE_TRY(normalise(&rotation, "axis", 3, axis));
  about_axis(axis, angle, q);
  return MOTE_OK;
}

void mote_rotate(const double q[4], const double v[3], double rotated[3]) {
  /* v + 2 u x (u x v + w v), u the vector part */
  double t[3];
  for (int i = 0; i < 3; i++) {
    int j = (i + 1) % 3, k = (i + 2) % 3;
    t[i] = q[1 + j] * v[k] - q[1 + k] * v[j] + q[0] * v[i];
  }
  for (int i = 0; i < 3; i++) {
    int j = (i + 1) % 3, k = (i + 2) % 3;
    rotated[i] = v[i] + 2 * (q[1 + j] * t[k] - q[1 + k] * t[j]);
  }
}

mote_title mote_item_title(const mote_document *document, const yaml_node_t *node, const char *noun,
                           int index) {
  mote_title title;
  mote_map map = {.document = document, .node = node};
  snprintf(title.text, sizeof title.text, "%s %d", noun, index + 1);
  if (node->type != YAML_MAPPING_NODE) return title;
  const yaml_node_t *key, *value;
  for (int i = 0; mote_map_pair(&map, i, &key, &value); i++) {
    const char *word = mote_node_text(key), *name = mote_node_text(value);
    if (word && name && !strcmp(word, "name"))
      snprintf(title.text, sizeof title.text, "%s '%s'", noun, mote_quote(name, strlen(name)).text);
  }
  return title;
}
