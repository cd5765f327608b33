/* Where bodies have room: inside the walls, and a gap away from each other. */
#ifndef MOTE_DATASET_PLACE_H
#define MOTE_DATASET_PLACE_H

#include <mote/scene.h>

#ifdef __cplusplus
extern "C" {
#endif

/* The particles placed so far, in cells no smaller than the gap: a list of particles a cell. */
typedef struct mote_placer {
  int dim;
  double low[3], high[3]; /* the walls' surfaces */
  double gap, cell;
  int64_t cells[3];
  int32_t *first;  /* (cells) the cell's first particle; -1: none */
  int32_t *next;   /* (count) the one after it in its cell */
  float *position; /* (count, dim) */
  int64_t count;
} mote_placer;

/* `gap` 0: a cell of the scene's grid. */
mote_status mote_placer_create(const mote_scene *scene, double gap, mote_placer *placer);
void mote_placer_free(mote_placer *placer);

/* Of shifts of these particles: the least and the most that keep an axis inside the walls; 0 when the body is
   longer than the room. */
int mote_placer_range(const mote_placer *placer, const mote_particles *particles, double least[3],
                      double most[3]);

/* Whether the particles, shifted, keep the gap to all that are placed. */
int mote_placer_is_free(const mote_placer *placer, const mote_particles *particles, const double shift[3]);

/* Places the particles where they are. */
mote_status mote_placer_add(mote_placer *placer, const mote_particles *particles);

#ifdef __cplusplus
}
#endif
#endif
