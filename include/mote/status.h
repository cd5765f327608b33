/* Status codes and the last error: every function that can fail returns a mote_status and, when it is not
   MOTE_OK, leaves a message for the calling thread that says what failed, where, and what to do about it. */
#ifndef MOTE_STATUS_H
#define MOTE_STATUS_H

#ifdef __cplusplus
extern "C" {
#endif

typedef enum mote_status {
  MOTE_OK = 0,
  MOTE_ERROR_ARGUMENT,    /* a parameter out of its range, a wrong shape */
  MOTE_ERROR_MEMORY,      /* host or device memory ran out */
  MOTE_ERROR_IO,          /* a file that cannot be opened, read, written or renamed */
  MOTE_ERROR_FORMAT,      /* a file that is truncated, hostile, or not of the format it should have */
  MOTE_ERROR_DEVICE,      /* no such device, or the device's runtime reported an error */
  MOTE_ERROR_UNSUPPORTED, /* valid, but not something this build or device does */
  MOTE_ERROR_NUMERIC,     /* NaN, divergence, a violated stability limit */
  MOTE_ERROR_INTERNAL     /* a broken invariant: please report it */
} mote_status;

/* The message of the last failure on this thread; "" if there was none. Valid until the next failure on
   this thread. */
const char *mote_last_error(void);

/* A short name for a code: "ok", "argument", ... */
const char *mote_status_name(mote_status status);

/* The version of the library, "major.minor.patch". */
const char *mote_version(void);

#ifdef __cplusplus
}
#endif
#endif
