/* Changes of material over a simulation, planned when it is made: a list of events, sorted by step. The
   trick: a particle's whole way through the changes is known beforehand, as it hangs on its first material,
   its index and its first height alone; so a step asks for the next event and nothing else. */
#ifndef MOTE_SIM_CHANGES_H
#define MOTE_SIM_CHANGES_H

#include <mote/scene.h>

#ifdef __cplusplus
extern "C" {
#endif

typedef struct mote_sim_event {
  int64_t step; /* behind which it happens; 0: before the first */
  int32_t particle, material;
} mote_sim_event;

typedef struct mote_sim_changes {
  int64_t count, next;       /* the first event that is still to come */
  mote_sim_event *events;    /* by step, then by particle: at most one of a particle and step */
  mote_material_kind *kinds; /* of the scene's materials */
} mote_sim_changes;

/* Plans the changes of a scene that mote_scene_check() accepts. On failure too, mote_sim_changes_free() frees
   it. */
mote_status mote_sim_changes_plan(const mote_scene *scene, float time_step, mote_sim_changes *changes);
void mote_sim_changes_free(mote_sim_changes *changes);

/* Steps from `step` to the next event; INT64_MAX: there is none. */
int64_t mote_sim_changes_ahead(const mote_sim_changes *changes, int64_t step);

/* Makes all changes up to `step` to particles in the scene's order: material, history, and in one case F. */
void mote_sim_changes_apply(mote_sim_changes *changes, int64_t step, mote_particles *particles);

/* origins[m] (material_count): whether matter that is m at first is, or may become, `material`. */
void mote_sim_origins(const mote_scene *scene, int material, unsigned char *origins);

#ifdef __cplusplus
}
#endif
#endif
