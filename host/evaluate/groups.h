/* The particles of each material, in both trajectories. */
#ifndef MOTE_EVALUATE_GROUPS_H
#define MOTE_EVALUATE_GROUPS_H

#include <mote/trajectory.h>

#ifdef __cplusplus
extern "C" {
#endif

#define MOTE_EVALUATE_MATERIALS 16

/* Of one material: the indices of its particles in D and in T; when both have as many particles, T's labels
   hold for both. */
typedef struct mote_group {
  char name[32];
  int64_t count[2];
  int32_t *index[2]; /* owned; empty for D when D has no labels */
} mote_group;

/* Groups by T's "material", else by its particle_type; none when there is only one. Frees nothing of what was
 * there. */
mote_status mote_groups_read(mote_trajectory_reader *d, int d_index, int64_t n, mote_trajectory_reader *t,
                             int t_index, int64_t m, mote_group groups[MOTE_EVALUATE_MATERIALS], int *count);
void mote_groups_free(mote_group *groups, int count);

/* Rows index[0..n) of points (., dim) into `selected` (n, dim). */
void mote_select_rows(const float *points, const int32_t *index, int64_t n, int dim, float *selected);

#ifdef __cplusplus
}
#endif
#endif
