/* Option parsing for all commands: see cli.h. */
#include "host/cli/cli.h"

#include <errno.h>
#include <math.h>
#include <stdarg.h>
#include <stdlib.h>
#include <string.h>

#include "host/core/text.h"

int cli_complain(const char *command, const char *format, ...) {
  va_list arguments;
  fprintf(stderr, "mote %s: ", command);
  va_start(arguments, format);
  vfprintf(stderr, format, arguments);
  va_end(arguments);
  fprintf(stderr, "\nSee `mote %s --help`.\n", command);
  return CLI_USAGE;
}

int cli_fail(const char *command) {
  fprintf(stderr, "mote %s: %s\n", command, mote_last_error());
  return CLI_FAILED;
}

#define MAX_OPTIONS 48
static int gather(const cli_option *options, const cli_option *common, const cli_option *all[MAX_OPTIONS]) {
  int count = 0;
  for (const cli_option *o = options; o && o->name && count < MAX_OPTIONS; o++) all[count++] = o;
  for (const cli_option *o = common; o->name && count < MAX_OPTIONS; o++) all[count++] = o;
  return count;
}

static void print_usage(const cli_usage *usage, const cli_option *const *all, int count) {
  printf("usage: mote %s %s%s[options]\n\n%s\n", usage->command, usage->positionals,
         *usage->positionals ? " " : "", usage->summary);
  if (usage->details) printf("\n%s\n", usage->details);
  printf("\noptions:\n");
  for (int k = 0; k < count; k++) {
    char left[64], letter[6] = "    ";
    if (all[k]->letter) snprintf(letter, sizeof letter, "-%c, ", all[k]->letter);
    snprintf(left, sizeof left, "%s--%s %s", letter, all[k]->name, all[k]->argument ? all[k]->argument : "");
    printf("  %-30s %s%s\n", left, all[k]->help, all[k]->required ? " (required)" : "");
  }
  printf("  %-30s %s\n", "-h, --help", "this text");
}

static const cli_option *find(const char *word, const cli_option *const *all, int count) {
  for (int k = 0; k < count; k++) {
    if (word[1] != '-' && word[1] == all[k]->letter && !word[2]) return all[k];
    if (word[1] == '-' && !strcmp(word + 2, all[k]->name)) return all[k];
  }
  return NULL;
}

static int unknown(const cli_usage *usage, const char *word, const cli_option *const *all, int count) {
  const char *names[MAX_OPTIONS + 1] = {NULL};
  for (int k = 0; k < count; k++) names[k] = all[k]->name;
  const char *closest = mote_nearest_word(word + strspn(word, "-"), names);
  if (closest) return cli_complain(usage->command, "unknown option '%s'; did you mean --%s?", word, closest);
  return cli_complain(usage->command, "unknown option '%s'", word);
}

int cli_read_reals(const char *text, int most, double *values) {
  char *end;
  for (int count = 0; count < most; text = end + 1) {
    values[count] = strtod(text, &end);
    if (end == text || !isfinite(values[count++])) return 0;
    if (!*end) return count;
    if (*end != ',') return 0;
  }
  return 0;
}

static int assign(const cli_usage *usage, const cli_option *option, const char *text) {
  char *end;
  errno = 0;
  if (option->kind == CLI_TEXT) return *(const char **)option->value = text, -1;
  if (option->kind == CLI_INTEGER) {
    long long value = strtoll(text, &end, 10);
    if (!*text || *end || errno)
      return cli_complain(usage->command, "--%s is '%s': expected a whole number", option->name, text);
    return *(int64_t *)option->value = value, -1;
  }
  double value = strtod(text, &end);
  if (!*text || *end || errno || !isfinite(value))
    return cli_complain(usage->command, "--%s is '%s': expected a number", option->name, text);
  return *(double *)option->value = value, -1;
}

static int parse_words(const cli_usage *usage, const cli_option *const *all, int count, int argc, char **argv,
                       const char **positionals, int *positional_count, unsigned char *seen) {
  int only_positionals = 0;
  for (int i = 1; i < argc; i++) {
    char *word = argv[i];
    if (only_positionals || word[0] != '-' || !word[1]) {
      if (*positional_count >= usage->max_positionals)
        return cli_complain(usage->command, "unexpected argument '%s'", word);
      positionals[(*positional_count)++] = word;
      continue;
    }
    if (!strcmp(word, "--")) {
      only_positionals = 1;
      continue;
    }
    if (!strcmp(word, "--help") || !strcmp(word, "-h")) return print_usage(usage, all, count), CLI_OK;
    char *equals = word[1] == '-' ? strchr(word, '=') : NULL;
    if (equals) *equals = 0;
    const cli_option *option = find(word, all, count);
    if (!option) return unknown(usage, word, all, count);
    for (int k = 0; k < count; k++) seen[k] |= all[k] == option;
    if (option->kind == CLI_FLAG) {
      if (equals) return cli_complain(usage->command, "--%s takes no value", option->name);
      *(int *)option->value = 1;
      continue;
    }
    const char *text = equals ? equals + 1 : i + 1 < argc ? argv[++i] : NULL;
    if (!text) return cli_complain(usage->command, "--%s needs a value: %s", option->name, option->argument);
    int code = assign(usage, option, text);
    if (code >= 0) return code;
  }
  return -1;
}

int cli_parse(const cli_usage *usage, const cli_option *options, cli_common *common, int argc, char **argv,
              const char **positionals, int *positional_count) {
  *common = (cli_common){.device = "auto"};
  const cli_option shared[] = {
      {"device", 0, CLI_TEXT, &common->device, "NAME", "auto, cpu, cuda or cuda:N (auto)", 0},
      {"threads", 0, CLI_INTEGER, &common->threads, "N", "CPU threads; 0 for all (0)", 0},
      {"seed", 0, CLI_INTEGER, &common->seed, "N", "seed of all that is random (0)", 0},
      {"quiet", 'q', CLI_FLAG, &common->quiet, NULL, "say nothing but errors", 0},
      {0}};
  const cli_option *all[MAX_OPTIONS];
  unsigned char seen[MAX_OPTIONS] = {0};
  int count = gather(options, shared, all);
  *positional_count = 0;
  int code = parse_words(usage, all, count, argc, argv, positionals, positional_count, seen);
  if (code >= 0) return code;
  if (*positional_count < usage->min_positionals)
    return cli_complain(usage->command, "expected %s", usage->positionals);
  for (int k = 0; k < count; k++)
    if (all[k]->required && !seen[k]) return cli_complain(usage->command, "--%s is required", all[k]->name);
  if (common->threads < 0 || common->threads > 4096)
    return cli_complain(usage->command, "--threads is %lld: expected 0 (all) to 4096",
                        (long long)common->threads);
  return -1;
}

int cli_take_precision(const char *command, const char *name, cli_common *common) {
  if (!name || mote_precision_parse(name, &common->precision) == MOTE_OK) return -1;
  return cli_complain(command, "--%s", mote_last_error());
}

mote_status cli_open_device(const cli_common *common, mote_device **device) {
  mote_device_options options = {.threads = (int)common->threads, .precision = common->precision};
  return mote_device_open(common->device, &options, device);
}
