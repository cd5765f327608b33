/* A minimum of a smooth function of a few numbers in the unit box: BFGS (Nocedal and Wright 2006, ch. 6) with
   bounds by projection (Bertsekas 1982), a line search that goes back until the function falls enough.

   The trick: it is turned inside out. Who has computed value and gradient at `at` hands them in and gets the
   next place; so the state is plain numbers, and a search that was broken off goes on as it would have. */
#ifndef MOTE_TRAIN_SEARCH_H
#define MOTE_TRAIN_SEARCH_H

#ifdef __cplusplus
extern "C" {
#endif

#define MOTE_SEARCH_MOST 64

typedef struct mote_search {
  double count, fresh;               /* numbers; whether the next value is the first of its function */
  double value, length;              /* at x; of the trial's step along the direction */
  double at[MOTE_SEARCH_MOST];       /* where value and gradient are wanted */
  double x[MOTE_SEARCH_MOST];        /* the best place so far */
  double gradient[MOTE_SEARCH_MOST]; /* there */
  double direction[MOTE_SEARCH_MOST];
  double inverse[MOTE_SEARCH_MOST * MOTE_SEARCH_MOST]; /* of the Hessian, as it seems; rows of `count` */
} mote_search;

#define MOTE_SEARCH_NUMBERS ((int)(sizeof(mote_search) / sizeof(double)))

void mote_search_begin(mote_search *search, int count, const double *at);

/* The function is another one from now on: its value at x is asked for first. What is known of the curvature
   stays. */
void mote_search_renew(mote_search *search);

/* Takes value and gradient at search->at (a value that is not finite is too large) and chooses the next. */
void mote_search_next(mote_search *search, double value, const double *gradient);

#ifdef __cplusplus
}
#endif
#endif
