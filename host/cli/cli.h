/* The command line: a table of commands, each with a table of options. The trick: usage text, parsing, checks
   and "did you mean" all come from the one table, so they cannot disagree. */
#ifndef MOTE_CLI_CLI_H
#define MOTE_CLI_CLI_H

#include <stdint.h>
#include <stdio.h>

#include <mote/device.h>
#include <mote/log.h>
#include <mote/sample.h>
#include <mote/status.h>

/* Exit codes of the program. */
enum { CLI_OK = 0, CLI_FAILED = 1, CLI_USAGE = 2 };

typedef enum cli_kind { CLI_FLAG, CLI_TEXT, CLI_INTEGER, CLI_REAL } cli_kind;

/* One option `--name ARGUMENT`; `value` points to int, const char *, int64_t or double by kind. A required
   text option has no default. An option array ends with an entry whose name is NULL. */
typedef struct cli_option {
  const char *name;
  char letter; /* 0: none */
  cli_kind kind;
  void *value;
  const char *argument; /* how the usage calls the argument */
  const char *help;
  int required;
} cli_option;

/* What all commands take. */
typedef struct cli_common {
  const char *device;
  int64_t threads;
  int64_t seed;
  int quiet;
  mote_precision precision; /* float32, unless a command takes --precision */
} cli_common;

typedef struct cli_usage {
  const char *command;     /* "simulate" */
  const char *positionals; /* "SCENE.yaml", "" when there are none */
  const char *summary;     /* one line */
  const char *details;     /* more lines, or NULL */
  int min_positionals, max_positionals;
} cli_usage;

/* Parses argv[1..argc) into the options; positionals (at most usage->max_positionals) go to `positionals`.
   Returns -1 to go on, else the exit code (after --help, or after an error that was printed). */
int cli_parse(const cli_usage *usage, const cli_option *options, cli_common *common, int argc, char **argv,
              const char **positionals, int *positional_count);

/* "X,Y,...": how many finite numbers there are, with commas between; 0: none, more than `most`, or no such
   list. */
int cli_read_reals(const char *text, int most, double *values);

/* Prints mote_last_error() and returns CLI_FAILED. */
int cli_fail(const char *command);
/* Prints a complaint about the usage and returns CLI_USAGE. */
int cli_complain(const char *command, const char *format, ...) __attribute__((format(printf, 2, 3)));

/* --precision of commands that run models: its help; and its value, if there is one, with -1 or an exit code.
 */
#define CLI_PRECISION_HELP "of dense layers; bfloat16x3, bfloat16x2, tf32 or bfloat16 on GPUs (float32)"
int cli_take_precision(const char *command, const char *name, cli_common *common);

/* Opens the device that --device and --threads name, at common->precision. */
mote_status cli_open_device(const cli_common *common, mote_device **device);

/* A monitor that draws progress with rate and time left on a terminal, and one plain line a phase elsewhere;
   silent with --quiet. SIGINT asks the running call to stop. */
typedef struct cli_progress {
  int quiet, terminal;
  char phase[96];
  double started, drawn;
  long long first;
} cli_progress;
mote_monitor cli_monitor(cli_progress *progress, const cli_common *common);
void cli_progress_end(cli_progress *progress);

/* --method of those who choose a sparse set: 0 when it is no method's name. */
int cli_sample_method(const char *name, mote_sample_method *method);

/* Says one line unless quiet. */
void cli_say(const cli_common *common, const char *format, ...) __attribute__((format(printf, 2, 3)));

typedef struct cli_command {
  const char *name, *summary;
  int (*run)(int argc, char **argv);
} cli_command;

int cli_simulate(int argc, char **argv);
int cli_dataset(int argc, char **argv);
int cli_sample(int argc, char **argv);
int cli_train(int argc, char **argv);
int cli_average(int argc, char **argv);
int cli_reconstruct(int argc, char **argv);
int cli_step(int argc, char **argv);
int cli_rollout(int argc, char **argv);
int cli_evaluate(int argc, char **argv);
int cli_render(int argc, char **argv);
int cli_convert(int argc, char **argv);
int cli_info(int argc, char **argv);
int cli_devices(int argc, char **argv);

#endif
