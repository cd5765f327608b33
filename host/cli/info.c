/* mote info: what is in a file. */
#include "host/cli/cli.h"

#include <stdlib.h>

#include <mote/convert.h>

int cli_info(int argc, char **argv) {
  cli_usage usage = {
      "info", "FILE", "Says what a trajectory (.h5, .npz) or a model (.safetensors, a folder) holds.",
      NULL,   1,      1};
  cli_common common;
  const char *path;
  int count;
  int code = cli_parse(&usage, NULL, &common, argc, argv, &path, &count);
  if (code >= 0) return code;
  cli_progress progress;
  mote_monitor monitor = cli_monitor(&progress, &common);
  char *text = NULL;
  mote_status status = mote_describe(path, &monitor, &text);
  cli_progress_end(&progress);
  if (status != MOTE_OK) return cli_fail("info");
  fputs(text, stdout);
  free(text);
  return CLI_OK;
}
