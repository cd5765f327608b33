/* A scene: a box-shaped domain with its walls, colliders, materials, starting particles and times. */
#ifndef MOTE_SCENE_H
#define MOTE_SCENE_H

#include <stddef.h>
#include <stdint.h>
#include <mote/material.h>
#include <mote/particles.h>
#include <mote/status.h>

#ifdef __cplusplus
extern "C" {
#endif

/* What a wall or collider does to the velocity of the grid nodes it covers, relative to its own motion. */
typedef enum mote_contact {
  MOTE_FREE_SLIP, /* motion into the surface is removed, sliding along it and leaving it are free */
  MOTE_NO_SLIP,   /* all of it is removed: matter sticks */
  MOTE_SEPARATE   /* as free slip, and with friction > 0 Coulomb's law on the sliding */
} mote_contact;

typedef enum mote_collider_shape {
  MOTE_COLLIDER_PLANE,  /* the half-space behind `center` against `normal` */
  MOTE_COLLIDER_SPHERE, /* center, radius */
  MOTE_COLLIDER_BOX,    /* center, half_size, orientation */
  MOTE_COLLIDER_CAPSULE /* center, half_length along its own y axis, radius, orientation */
} mote_collider_shape;

/* A rigid collider that stands still or moves as prescribed: position = center + velocity t, rotated about
   its center by angular_velocity t. In 2-D the z components are ignored but angular_velocity[2]. */
typedef struct mote_collider {
  mote_collider_shape shape;
  mote_contact contact;
  float friction; /* Coulomb coefficient, MOTE_SEPARATE only */
  float center[3];
  float normal[3];
  float half_size[3];
  float radius;
  float half_length;
  float orientation[4];      /* unit quaternion w, x, y, z */
  float velocity[3];         /* m/s */
  float angular_velocity[3]; /* rad/s */
} mote_collider;

/* A wall of the domain, two an axis. The wall's surface lies `boundary_cells` cells inside the domain: nodes
   i < boundary_cells and i > cells - boundary_cells obey its contact. */
typedef struct mote_wall {
  mote_contact contact;
  float friction;
} mote_wall;

/* Which particles change first. */
typedef enum mote_change_order {
  MOTE_CHANGE_RANDOM,     /* each at a moment of its own, drawn from `seed` by its index */
  MOTE_CHANGE_FROM_BELOW, /* by rank in height (y) at time 0: the lowest at `begin`, the highest at `end` */
  MOTE_CHANGE_FROM_ABOVE  /* the other way round */
} mote_change_order;

/* Matter whose law turns into another while it moves: what is of material `from` becomes `to`, a particle at
   its moment between begin and end. Each change takes a particle once at most, at that moment or, where it
   comes to be of `from` later, then. Position, velocity, C, volume and density stay, so that mass is
   conserved
   (`to`'s density is not looked at), and so does F; the history begins anew where the kinds differ. Only a
   viscoelastic fluid keeps its J in the history: out of it, F is scaled to have that J; into it, the history
   begins with log det F. Moments are rounded to at most 100 steps, equally far apart. */
typedef struct mote_material_change {
  int from, to;     /* of the scene's materials */
  float begin, end; /* s, 0 <= begin <= end */
  mote_change_order order;
  uint64_t seed; /* MOTE_CHANGE_RANDOM only */
} mote_material_change;
#define MOTE_MOST_CHANGES 64

typedef struct mote_scene {
  char name[64];
  int dim;               /* 2 or 3 */
  float lower[3];        /* corner of the domain, m */
  int cells[3];          /* grid cells an axis; node i lies at lower + i * grid_spacing, i = 0..cells */
  float grid_spacing;    /* m */
  float time_step;       /* s; 0: chosen from the CFL limits */
  float gravity[3];      /* m/s^2 */
  int boundary_cells;    /* thickness of the walls in cells, >= 2; 3 by default */
  float clip_cells;      /* positions are clamped to this many cells inside the faces; 0.5 by default */
  mote_wall walls[3][2]; /* [axis][0 lower, 1 upper] */
  int steps_per_frame;   /* time steps between frames of the trajectory */
  int frames;            /* frames after the initial one */
  int material_count;
  mote_material *materials; /* owned */
  int collider_count;
  mote_collider *colliders; /* owned */
  int change_count;
  mote_material_change *changes; /* owned */
  mote_particles particles;      /* at time 0; owned */
} mote_scene;

/* Reads a YAML scene and fills its bodies with particles. `seed` places jittered and Poisson-disk points,
   and draws the moments of changes.
   Errors: MOTE_ERROR_IO, MOTE_ERROR_FORMAT (with file, line and what was expected), MOTE_ERROR_ARGUMENT. */
mote_status mote_scene_load(const char *path, uint64_t seed, mote_scene *scene);

/* Where a scene's text comes from, and what it may ask for. */
typedef struct mote_scene_source {
  const char *name;   /* of the text, for errors; NULL: "scene" */
  const char *folder; /* what the paths of meshes, points and states are relative to; NULL: scenes that name
                         files are refused */
  uint64_t seed;      /* places jittered and Poisson-disk points, draws the moments of changes */
  int64_t particle_limit; /* more particles are refused; 0: 50 million */
} mote_scene_source;

/* The same from text[0, length) in memory. */
mote_status mote_scene_parse(const char *text, size_t length, const mote_scene_source *source,
                             mote_scene *scene);

/* An empty scene with defaults: unit domain, 32 cells an axis, free-slip walls, gravity -9.8 on y. */
mote_status mote_scene_create(int dim, mote_scene *scene);

/* Checks all of it: finite numbers, ranges, particles inside the domain, indices, materials, changes. */
mote_status mote_scene_check(const mote_scene *scene);

/* The largest stable time step, s, of a scene that mote_scene_check() accepts: min over materials and the
   initial speed and density of the particles that are of it or may become it, of the elastic-wave, viscous
   and advective CFL limits on this grid. 0 where memory is short. */
float mote_scene_stable_time_step(const mote_scene *scene);

void mote_scene_destroy(mote_scene *scene);

#ifdef __cplusplus
}
#endif
#endif
