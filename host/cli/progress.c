/* Progress for people: a line that redraws itself on a terminal, one plain line a finished phase elsewhere.
 */
#include "host/cli/cli.h"

#include <signal.h>
#include <stdarg.h>
#include <string.h>
#include <unistd.h>

#include "host/core/clock.h"

/* Set by SIGINT; the only thing a signal handler may do. */
static volatile sig_atomic_t interrupted;
static void on_interrupt(int number) {
  (void)number;
  interrupted = 1;
  signal(SIGINT, SIG_DFL); /* the second one ends the program at once */
}

void cli_say(const cli_common *common, const char *format, ...) {
  if (common->quiet) return;
  va_list arguments;
  va_start(arguments, format);
  vfprintf(stderr, format, arguments);
  va_end(arguments);
  fputc('\n', stderr);
}

static void format_time(double seconds, char text[24]) {
  if (seconds < 100)
    snprintf(text, 24, "%.1f s", seconds);
  else if (seconds < 6000)
    snprintf(text, 24, "%d:%02d min", (int)seconds / 60, (int)seconds % 60);
  else
    snprintf(text, 24, "%.1f h", seconds / 3600);
}

static void finish_phase(cli_progress *p, const char *unit, long long done) {
  char took[24];
  double seconds = mote_clock_seconds() - p->started;
  format_time(seconds, took);
  if (p->terminal) fprintf(stderr, "\r\033[K");
  double rate = seconds > 0 ? (double)(done - p->first) / seconds : 0;
  fprintf(stderr, "%s: %lld %s in %s (%.3g %s/s)\n", p->phase, done, unit, took, rate, unit);
  p->phase[0] = 0;
}

static int on_progress(void *user, const char *phase, const char *unit, long long done, long long total) {
  cli_progress *p = user;
  double now = mote_clock_seconds();
  if (!p->quiet && strcmp(p->phase, phase)) {
    snprintf(p->phase, sizeof p->phase, "%s", phase);
    p->started = now;
    p->first = done;
    p->drawn = 0;
  }
  if (!p->quiet && done >= total)
    finish_phase(p, unit, done);
  else if (!p->quiet && p->terminal && now - p->drawn > 0.1) {
    char left[24];
    double rate = now > p->started ? (double)(done - p->first) / (now - p->started) : 0;
    format_time(rate > 0 ? (double)(total - done) / rate : 0, left);
    fprintf(stderr, "\r\033[K%s: %lld/%lld %s  %.3g %s/s  %s left", phase, done, total, unit, rate, unit,
            rate > 0 ? left : "?");
    p->drawn = now;
  }
  return interrupted;
}

static void on_log(void *user, mote_log_level level, const char *message) {
  cli_progress *p = user;
  if (p->quiet || level == MOTE_LOG_DEBUG) return;
  if (p->terminal && p->phase[0]) fprintf(stderr, "\r\033[K");
  fprintf(stderr, "%s%s\n", level == MOTE_LOG_WARNING ? "warning: " : "", message);
}

mote_monitor cli_monitor(cli_progress *progress, const cli_common *common) {
  *progress = (cli_progress){.quiet = common->quiet, .terminal = isatty(STDERR_FILENO)};
  signal(SIGINT, on_interrupt);
  return (mote_monitor){on_log, on_progress, progress};
}

void cli_progress_end(cli_progress *p) {
  if (p->terminal && p->phase[0]) fprintf(stderr, "\r\033[K");
  p->phase[0] = 0;
}
