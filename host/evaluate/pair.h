/* A trajectory and its truth, opened side by side: which frame and which particle of one belongs to which of
   the other, and the frames that are in memory. */
#ifndef MOTE_EVALUATE_PAIR_H
#define MOTE_EVALUATE_PAIR_H

#include "host/evaluate/motion.h"

#ifdef __cplusplus
extern "C" {
#endif

typedef struct mote_pair {
  mote_trajectory_reader *reader[2];
  int index[2];
  mote_room room;         /* of the truth; without its metadata the bounds are infinite */
  mote_metadata metadata; /* of the truth; all zero without */
  int history_frames;     /* that D's metadata knows of */
  int64_t n[2];           /* particles compared */
  int64_t rows;           /* of T's frames: more than n[1] where `pick` chooses */
  int32_t *pick;          /* (n[1]) rows of T, or NULL */
  int64_t offset, stride; /* frame f of D is frame offset + f stride of T */
  int64_t frames, truth_frames;
  int32_t *type;               /* particle_type of T's compared particles */
  unsigned char *kinematic[2]; /* (n); NULL: none known */
  float *now[2], *before[2];   /* (n, dim) */
  float *whole;                /* (rows, dim), where `pick` chooses */
  int astray;                  /* the last read failed since D is not finite */
} mote_pair;

/* Fills a pair whose readers and indices are set. On failure too, close it. */
mote_status mote_pair_open(mote_pair *pair);
void mote_pair_close(mote_pair *pair);

/* Frame f of D and its companion of T to `now`; what was there goes to `before`. */
mote_status mote_pair_read(mote_pair *pair, int64_t frame);
/* Frame `frame` of T, in T's count, the compared rows. */
mote_status mote_pair_read_truth(mote_pair *pair, int64_t frame, float *x);

/* Rows index[0..n) of points (., dim) into `selected` (n, dim). */
void mote_select_rows(const float *points, const int32_t *index, int64_t n, int dim, float *selected);

#ifdef __cplusplus
}
#endif
#endif
