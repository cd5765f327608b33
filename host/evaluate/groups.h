/* The particles of each material, in both trajectories. */
#ifndef MOTE_EVALUATE_GROUPS_H
#define MOTE_EVALUATE_GROUPS_H

#include "host/evaluate/pair.h"

#ifdef __cplusplus
extern "C" {
#endif

#define MOTE_EVALUATE_MATERIALS 16

/* Of one material: the indices of its particles in D and in T; when both have as many particles, T's labels
   hold for both. */
typedef struct mote_group {
  char name[32];
  int fluid; /* all of it */
  int64_t count[2];
  int32_t *index[2];           /* owned; empty for D when D has no labels */
  unsigned char *kinematic[2]; /* owned */
} mote_group;

typedef struct mote_groups {
  int count;
  int any_fluid; /* among all particles */
  mote_group group[MOTE_EVALUATE_MATERIALS];
} mote_groups;

/* Groups by T's "material", else by its particle_type; none when there is only one or `wanted` is 0. On
   failure too, free them. */
mote_status mote_groups_read(const mote_pair *pair, int wanted, mote_groups *groups);
void mote_groups_free(mote_groups *groups);

#ifdef __cplusplus
}
#endif
#endif
