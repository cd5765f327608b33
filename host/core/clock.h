/* The one clock that durations are taken with. */
#ifndef MOTE_CORE_CLOCK_H
#define MOTE_CORE_CLOCK_H

#include <time.h>

/* Seconds since some moment of the past; never steps back. */
static inline double mote_clock_seconds(void) {
  struct timespec now;
  clock_gettime(CLOCK_MONOTONIC, &now);
  return (double)now.tv_sec + 1e-9 * (double)now.tv_nsec;
}

#endif
