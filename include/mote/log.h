/* Logging: the library never prints. A program that wants to hear from it hands in a sink. */
#ifndef MOTE_LOG_H
#define MOTE_LOG_H

#ifdef __cplusplus
extern "C" {
#endif

typedef enum mote_log_level { MOTE_LOG_DEBUG, MOTE_LOG_INFO, MOTE_LOG_WARNING } mote_log_level;

/* Receives one line without a newline. May be called from any thread that calls into the library. */
typedef void (*mote_log_sink)(void *user, mote_log_level level, const char *message);

/* Progress of a long call: `done` of `total` items (frames, epochs) of the phase `phase`, each counted in
   `unit`. A return value other than 0 asks the call to stop at the next safe point with what it has. */
typedef int (*mote_progress_sink)(void *user, const char *phase, const char *unit, long long done,
                                  long long total);

/* Where a long-running call reports; any member may be NULL. Passed by pointer, NULL for silence. */
typedef struct mote_monitor {
  mote_log_sink log;
  mote_progress_sink progress;
  void *user;
} mote_monitor;

#ifdef __cplusplus
}
#endif
#endif
