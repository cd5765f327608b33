/* mote: the command. A table of commands; each lies in the file of its name. */
#include "host/cli/cli.h"

#include <string.h>

#include "host/core/text.h"

static const cli_command commands[] = {
    {"simulate", "make a trajectory from a scene by the material point method", cli_simulate},
    {"dataset", "make a data set of randomised scenes", cli_dataset},
    {"train", "train the operator on trajectories", cli_train},
    {"average", "average the weights of models", cli_average},
    {"sample", "keep a sparse set of a trajectory's particles", cli_sample},
    {"reconstruct", "recover all particles from the sparse ones", cli_reconstruct},
    {"step", "take one step with a learned time-stepper", cli_step},
    {"rollout", "step a sparse set, reconstruct all particles", cli_rollout},
    {"evaluate", "measure a trajectory against the truth", cli_evaluate},
    {"render", "draw trajectories as a movie or a picture", cli_render},
    {"convert", "convert between HDF5, NPZ, PLY and VTK; models of PyTorch GNS", cli_convert},
    {"info", "say what is in a file", cli_info},
    {"devices", "list the devices that kernels can run on", cli_devices},
};
#define COMMANDS ((int)(sizeof commands / sizeof *commands))

static void print_help(FILE *out) {
  fprintf(out,
          "Mote %s, a neural physics engine for particles\n\nusage: mote COMMAND [arguments]\n\ncommands:\n",
          mote_version());
  for (int k = 0; k < COMMANDS; k++) fprintf(out, "  %-12s %s\n", commands[k].name, commands[k].summary);
  fprintf(out, "\n`mote COMMAND --help` tells the rest.\n");
}

int main(int argc, char **argv) {
  if (argc < 2) return print_help(stderr), CLI_USAGE;
  if (!strcmp(argv[1], "--help") || !strcmp(argv[1], "-h") || !strcmp(argv[1], "help"))
    return print_help(stdout), CLI_OK;
  if (!strcmp(argv[1], "--version")) return printf("mote %s\n", mote_version()), CLI_OK;
  const char *names[COMMANDS + 1] = {NULL};
  for (int k = 0; k < COMMANDS; k++) {
    names[k] = commands[k].name;
    if (!strcmp(argv[1], commands[k].name)) return commands[k].run(argc - 1, argv + 1);
  }
  const char *closest = mote_nearest_word(argv[1], names);
  fprintf(stderr, "mote: unknown command '%s'", argv[1]);
  if (closest) fprintf(stderr, "; did you mean '%s'?", closest);
  fprintf(stderr, "\nSee `mote --help`.\n");
  return CLI_USAGE;
}
