/* Means, worst, and what is left of several trajectories. */
#ifndef MOTE_EVALUATE_SUMMARY_H
#define MOTE_EVALUATE_SUMMARY_H

#include <mote/evaluate.h>

#ifdef __cplusplus
extern "C" {
#endif

/* `count` series of `frames` frames, all NaN; NULL for none. */
mote_status mote_series_create(int count, int64_t frames, mote_error_series **series);

/* Mean, worst and what follows from them, of all series. */
void mote_evaluation_summarise(mote_evaluation *evaluation);

#ifdef __cplusplus
}
#endif
#endif
