/* Parts of a loop that a team of threads takes one by one. The trick: each thread has a share of neighbouring
   parts, the same in every loop over them, so that it finds its own data in its own caches; who is through
   with it takes parts of others' shares, so that a core that is slower for a while holds nobody up. */
#ifndef MOTE_KERNELS_SHARES_H
#define MOTE_KERNELS_SHARES_H

#include <omp.h>
#include <stdint.h>

enum { MOTE_MOST_SHARES = 64 };

typedef struct mote_shares {
  int64_t parts;
  int count;
  struct {
    _Alignas(64) int64_t next;
  } of[MOTE_MOST_SHARES];
} mote_shares;

static inline int64_t mote_share_begin(const mote_shares *s, int share) {
  return s->parts * share / s->count;
}

/* For a team of `threads`, in front of it. */
static inline void mote_shares_begin(mote_shares *s, int64_t parts, int threads) {
  s->parts = parts;
  s->count = threads < 1 ? 1 : threads < MOTE_MOST_SHARES ? threads : MOTE_MOST_SHARES;
  for (int k = 0; k < s->count; k++) s->of[k].next = mote_share_begin(s, k);
}

/* A part that nobody has taken yet; -1: there is none. */
static inline int64_t mote_shares_take(mote_shares *s) {
  const int own = omp_get_thread_num() % s->count;
  for (int k = 0; k < s->count; k++) {
    const int share = (own + k) % s->count;
    const int64_t end = mote_share_begin(s, share + 1);
    int64_t *next = &s->of[share].next, at;
#pragma omp atomic read
    at = *next;
    if (at >= end) continue;
#pragma omp atomic capture
    at = (*next)++;
    if (at < end) return at;
  }
  return -1;
}

#endif
