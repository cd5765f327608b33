/* mote reconstruct: all particles from the motion of a sparse set. */
#include "host/cli/cli.h"

#include <math.h>
#include <string.h>

#include <mote/reduce.h>

static int reconstruct(const cli_common *common, const char *sparse, const char *reference,
                       const char *output, const mote_operator_settings *settings, const char *folder) {
  mote_device *device = NULL;
  mote_reconstruct_summary s = {0};
  cli_progress progress;
  mote_monitor monitor = cli_monitor(&progress, common);
  mote_operator *learned = NULL;
  mote_status status = cli_open_device(common, &device);
  if (status == MOTE_OK && folder) status = mote_operator_load(folder, &learned);
  if (status == MOTE_OK)
    status = mote_reconstruct_trajectory(sparse, reference, device,
                                         learned ? mote_operator_get_settings(learned) : settings, learned,
                                         output, &monitor, &s);
  cli_progress_end(&progress);
  if (status == MOTE_OK)
    cli_say(common, "%s: %lld frames of %lld particles from %lld, %.2f ms a frame on %s", output,
            (long long)s.frames, (long long)s.dense, (long long)s.sparse,
            s.frames > 2 ? 1e3 * (s.seconds - s.first_seconds) / (double)(s.frames - 2) : 1e3 * s.seconds,
            mote_device_name(device));
  mote_operator_destroy(learned);
  mote_device_close(device);
  return status == MOTE_OK ? CLI_OK : cli_fail("reconstruct");
}

int cli_reconstruct(int argc, char **argv) {
  const char *sparse = NULL, *reference = NULL, *output = NULL, *frame = NULL, *folder = NULL;
  mote_operator_settings settings;
  mote_operator_defaults(&settings);
  int64_t levels = -1;
  double spacing = NAN, radius = NAN, gain = NAN, kin = NAN;
  const cli_option options[] = {
      {"sparse", 's', CLI_TEXT, &sparse, "S.h5", "trajectory of the sparse particles", 1},
      {"reference", 'r', CLI_TEXT, &reference, "R.h5", "all particles; the first frame alone is read", 1},
      {"output", 'o', CLI_TEXT, &output, "D.h5", "trajectory to write", 1},
      {"operator", 0, CLI_TEXT, &folder, "FOLDER", "trained operator (default: no learned correction)", 0},
      {"frame", 0, CLI_TEXT, &frame, "NAME", "current or reference configuration (current)", 0},
      {"levels", 0, CLI_INTEGER, &levels, "N", "nested lattices (3)", 0},
      {"node-spacing", 0, CLI_REAL, &spacing, "X", "of the finest lattice, in sparse spacings (1.4)", 0},
      {"radius", 0, CLI_REAL, &radius, "X", "of a node's neighbourhood, in sparse spacings (3)", 0},
      {"drift-gain", 0, CLI_REAL, &gain, "X", "part of the drift that a frame makes good (1.4)", 0},
      {"kin-gain", 0, CLI_REAL, &kin, "X", "the same for a point and those it started among (0.05)", 0},
      {0}};
  cli_usage usage = {"reconstruct", "", "Recovers all particles from the motion of the sparse ones.",
                     NULL,          0,  0};
  cli_common common;
  int count;
  int code = cli_parse(&usage, options, &common, argc, argv, NULL, &count);
  if (code >= 0) return code;
  int chosen = frame || levels != -1 || !isnan(spacing) || !isnan(radius) || !isnan(gain) || !isnan(kin);
  if (folder && chosen)
    return cli_complain("reconstruct", "--operator comes with its own settings: leave out the others");
  if (frame && !strcmp(frame, "reference"))
    settings.frame = MOTE_REFERENCE_FRAME;
  else if (frame && strcmp(frame, "current"))
    return cli_complain("reconstruct", "--frame is '%s': expected current or reference", frame);
  if (levels != -1) settings.levels = levels < 1 || levels > 100 ? -1 : (int)levels;
  if (!isnan(spacing)) settings.node_spacing = (float)spacing;
  if (!isnan(radius)) settings.radius = (float)radius;
  if (!isnan(gain)) settings.drift_gain = (float)gain;
  if (!isnan(kin)) settings.kin_gain = (float)kin;
  return reconstruct(&common, sparse, reference, output, &settings, folder);
}
