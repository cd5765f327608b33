/* How library code fails: mote_fail() records the message for mote_last_error() and returns the code, so
   that a failure is one `return mote_fail(MOTE_ERROR_..., "...")`. */
#ifndef MOTE_CORE_ERROR_H
#define MOTE_CORE_ERROR_H

#include <mote/status.h>

#ifdef __cplusplus
extern "C" {
#endif

mote_status mote_fail(mote_status status, const char *format, ...) __attribute__((format(printf, 2, 3)));

/* Puts "prefix: " before the last message and returns `status`: how a caller adds where it happened. */
mote_status mote_fail_within(mote_status status, const char *format, ...)
    __attribute__((format(printf, 2, 3)));

#define MOTE_TRY(call)                                                                                       \
  do {                                                                                                       \
    mote_status mote_try_status_ = (call);                                                                   \
    if (mote_try_status_ != MOTE_OK) return mote_try_status_;                                                \
  } while (0)

#ifdef __cplusplus
}
#endif
#endif
