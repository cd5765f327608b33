/* mote convert: between the formats that the field has, of trajectories and of models. */
#include "host/cli/cli.h"

#include <string.h>

#include <mote/convert.h>

#include "host/core/file.h"

#define NOT_GIVEN INT64_MIN

typedef struct settings {
  cli_common common;
  const char *frames;
  int64_t trajectory, compression;
  int all;
  const char *edge_update; /* of models, as all below */
  double noise_std, boundary_clamp;
} settings;

static int is_model(const char *path) {
  return mote_path_has_extension(path, ".pt") || mote_path_has_extension(path, ".pth") ||
         mote_path_has_extension(path, ".ckpt");
}

static int finish(mote_status status, cli_progress *progress) {
  cli_progress_end(progress);
  return status == MOTE_OK ? CLI_OK : cli_fail("convert");
}

static int convert_model(const settings *s, const char *in, const char *out) {
  if (s->frames || s->all || s->trajectory != NOT_GIVEN || s->compression != NOT_GIVEN)
    return cli_complain("convert",
                        "%s is a model: --frames, --trajectory, --all and --compression are for "
                        "trajectories",
                        in);
  int doubled = s->edge_update && strcmp(s->edge_update, "doubled") == 0;
  if (s->edge_update && !doubled && strcmp(s->edge_update, "message") != 0)
    return cli_complain("convert", "--edge-update is '%s': expected message or doubled", s->edge_update);
  if (s->noise_std < 0 || s->boundary_clamp <= 0)
    return cli_complain("convert", "--noise-std is 0 or more and --boundary-clamp more than 0");
  mote_model_convert_options options = {.noise_std = s->noise_std > 0 ? s->noise_std : -1,
                                        .boundary_clamp_limit = s->boundary_clamp,
                                        .doubled_edges = doubled};
  cli_progress progress;
  mote_monitor monitor = cli_monitor(&progress, &s->common);
  return finish(mote_convert_model(in, out, &options, &monitor), &progress);
}

static int convert_trajectory(const settings *s, const char *in, const char *out) {
  int64_t trajectory = s->trajectory == NOT_GIVEN ? 0 : s->trajectory;
  int64_t compression = s->compression == NOT_GIVEN ? 4 : s->compression;
  if (s->edge_update || s->noise_std != MOTE_GNS_NOISE_STD || s->boundary_clamp != 1)
    return cli_complain(
        "convert", "%s is no model (.pt): --noise-std, --boundary-clamp and --edge-update are for models",
        in);
  if (trajectory < 0 || trajectory > INT32_MAX || compression < 0 || compression > 9)
    return cli_complain("convert", "--trajectory is 0 or more and --compression 0 to 9");
  mote_convert_options options = {.all_trajectories = s->all,
                                  .trajectory = (int)trajectory,
                                  .compression = compression ? (int)compression : -1,
                                  .write_xdmf = 1};
  cli_progress progress;
  mote_monitor monitor = cli_monitor(&progress, &s->common);
  mote_status status = s->frames ? mote_frame_range_parse(s->frames, &options.frames) : MOTE_OK;
  if (status == MOTE_OK) status = mote_convert(in, out, &options, &monitor);
  return finish(status, &progress);
}

int cli_convert(int argc, char **argv) {
  settings s = {.trajectory = NOT_GIVEN,
                .compression = NOT_GIVEN,
                .noise_std = MOTE_GNS_NOISE_STD,
                .boundary_clamp = 1};
  const cli_option options[] = {
      {"frames", 'f', CLI_TEXT, &s.frames, "A:B:C",
       "frames A up to B in steps of C, as in Python; or one (all)", 0},
      {"trajectory", 0, CLI_INTEGER, &s.trajectory, "K", "which trajectory of the file (0)", 0},
      {"all", 0, CLI_FLAG, &s.all, NULL, "all trajectories, into .h5 or .npz", 0},
      {"compression", 0, CLI_INTEGER, &s.compression, "0..9", "deflate level of .h5 and .npz (4)", 0},
      {"noise-std", 0, CLI_REAL, &s.noise_std, "S", "of a model: its training noise, m (0.00067)", 0},
      {"boundary-clamp", 0, CLI_REAL, &s.boundary_clamp, "R",
       "of a model: where distances to walls end, radii (1)", 0},
      {"edge-update", 0, CLI_TEXT, &s.edge_update, "RULE",
       "of a model: message, or doubled: geoelements/gns of before December 2024 (message)", 0},
      {0}};
  cli_usage usage = {
      "convert",
      "IN OUT",
      "Converts by the file names' extensions.",
      "  trajectories: .h5 and .npz (PyTorch GNS) into .h5, .npz, .ply, .vtk, .vtp and .pvd\n"
      "                (a series for ParaView)\n"
      "  models:       .pt, a checkpoint of PyTorch GNS (geoelements/gns), into a folder with\n"
      "                config.json and model.safetensors; what the file wants run is refused",
      2,
      2};
  const char *paths[2];
  int count;
  int code = cli_parse(&usage, options, &s.common, argc, argv, paths, &count);
  if (code >= 0) return code;
  return (is_model(paths[0]) ? convert_model : convert_trajectory)(&s, paths[0], paths[1]);
}
