/* The parts of a scene file, each read by its own file: what load.c calls and what they share. */
#ifndef MOTE_SCENE_READ_H
#define MOTE_SCENE_READ_H

#include <mote/scene.h>

#include "host/scene/document.h"

/* The keys of a scene's top level, NULL-ended. */
extern const char *const mote_scene_keys[];

/* ---- a scene in two halves (load.c): everything but its bodies, and what needs them ---- */

typedef struct mote_times {
  double step;     /* s; 0: auto */
  double interval; /* s; 0: steps_per_frame tells */
} mote_times;

/* Makes `scene` and checks it. On failure too, mote_scene_destroy() frees it. */
mote_status mote_read_setting(const mote_map *root, const mote_scene_source *source, mote_scene *scene,
                              mote_times *times);

/* Checks the particles, and chooses the time step that they allow. */
mote_status mote_read_end(const mote_map *root, const mote_times *times, mote_scene *scene);

/* Materials by name: the mapping `materials`. `folder`: what the paths of laws begin at, or NULL. */
mote_status mote_read_materials(const mote_map *root, const char *folder, mote_scene *scene);

/* `walls` and `colliders`. */
mote_status mote_read_walls(const mote_map *root, mote_scene *scene);
mote_status mote_read_colliders(const mote_map *root, mote_scene *scene);

/* `changes`, between materials that have been read. `seed`: of those by chance without one of their own. */
mote_status mote_read_changes(const mote_map *root, uint64_t seed, mote_scene *scene);

/* `bodies`: fills them and appends their particles. */
mote_status mote_read_bodies(const mote_map *root, const mote_scene_source *source, mote_scene *scene);

/* The keys of a body, NULL-ended. */
extern const char *const mote_body_keys[];

/* The particles of one body, at its position, wherever that is. */
mote_status mote_read_body(const mote_document *document, const yaml_node_t *node, int index,
                           const mote_scene_source *source, const mote_scene *scene,
                           mote_particles *particles);

/* The walls' surfaces along an axis: what matter has. */
void mote_scene_interior(const mote_scene *scene, int axis, double *low, double *high);

/* ---- poses (read_pose.c) ---- */

/* `key` as a vector of the scene's dimension; the z of a 2-D one is 0. Absent: unchanged. */
mote_status mote_read_vector(const mote_map *map, const char *key, int dim, double value[3]);

/* `angular_velocity`: a vector in 3-D, a number in 2-D (about z), rad/s. */
mote_status mote_read_spin(const mote_map *map, int dim, double value[3]);

/* `rotation`: in 2-D an angle in degrees; in 3-D {axis, angle} in degrees or {quaternion: [w, x, y, z]}. */
mote_status mote_read_rotation(const mote_map *map, int dim, double quaternion[4]);

/* v rotated by a unit quaternion (w, x, y, z). */
void mote_rotate(const double quaternion[4], const double v[3], double rotated[3]);

/* The title of item `index` of a list: "body 'block'", or "body 3" where it has no name. */
typedef struct mote_title {
  char text[72];
} mote_title;
mote_title mote_item_title(const mote_document *document, const yaml_node_t *node, const char *noun,
                           int index);

#endif
