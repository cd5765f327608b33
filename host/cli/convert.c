/* mote convert: between the formats that the field has. */
#include "host/cli/cli.h"

#include <mote/convert.h>

int cli_convert(int argc, char **argv) {
  const char *frames = NULL;
  int64_t trajectory = 0, compression = 4;
  int all = 0;
  const cli_option options[] = {
      {"frames", 'f', CLI_TEXT, &frames, "A:B:C",
       "frames A up to B in steps of C, as in Python; or one (all)", 0},
      {"trajectory", 0, CLI_INTEGER, &trajectory, "K", "which trajectory of the file (0)", 0},
      {"all", 0, CLI_FLAG, &all, NULL, "all trajectories, into .h5 or .npz", 0},
      {"compression", 0, CLI_INTEGER, &compression, "0..9", "deflate level of .h5 and .npz (4)", 0},
      {0}};
  cli_usage usage = {"convert",
                     "IN OUT",
                     "Converts by the file names' extensions: .h5 and .npz (PyTorch GNS) into",
                     "  .h5, .npz, .ply, .vtk, .vtp and .pvd (a series for ParaView).",
                     2,
                     2};
  cli_common common;
  const char *paths[2];
  int count;
  int code = cli_parse(&usage, options, &common, argc, argv, paths, &count);
  if (code >= 0) return code;
  if (trajectory < 0 || trajectory > INT32_MAX || compression < 0 || compression > 9)
    return cli_complain("convert", "--trajectory is 0 or more and --compression 0 to 9");
  mote_convert_options o = {.all_trajectories = all,
                            .trajectory = (int)trajectory,
                            .compression = compression ? (int)compression : -1,
                            .write_xdmf = 1};
  cli_progress progress;
  mote_monitor monitor = cli_monitor(&progress, &common);
  mote_status status = frames ? mote_frame_range_parse(frames, &o.frames) : MOTE_OK;
  if (status == MOTE_OK) status = mote_convert(paths[0], paths[1], &o, &monitor);
  cli_progress_end(&progress);
  return status == MOTE_OK ? CLI_OK : cli_fail("convert");
}
