/* mote simulate: a scene through the material point method into a trajectory file. */
#include "host/cli/cli.h"

#include <mote/record.h>

typedef struct simulate_options {
  const char *output;
  int64_t frames, compression;
  int velocity, deformation_gradient, state, diagnostics, no_xdmf;
} simulate_options;

static int simulate(const char *path, const simulate_options *o, const cli_common *common) {
  mote_scene scene;
  if (mote_scene_load(path, (uint64_t)common->seed, &scene) != MOTE_OK) return cli_fail("simulate");
  if (o->frames > 0) scene.frames = (int)o->frames;
  mote_device *device = NULL;
  mote_status status = cli_open_device(common, &device);
  mote_record_summary summary = {0};
  if (status == MOTE_OK) {
    cli_say(common, "%s: %lld particles, %d frames of %d steps, on %s (%s)", scene.name,
            (long long)scene.particles.count, scene.frames, scene.steps_per_frame, mote_device_name(device),
            mote_device_description(device));
    cli_progress progress;
    mote_monitor monitor = cli_monitor(&progress, common);
    mote_record_options options = {.velocity = o->velocity,
                                   .deformation_gradient = o->deformation_gradient,
                                   .state = o->state,
                                   .compression = (int)o->compression,
                                   .write_xdmf = !o->no_xdmf,
                                   .diagnostics = o->diagnostics};
    status = mote_record(&scene, device, o->output, &options, &monitor, &summary);
    cli_progress_end(&progress);
  }
  if (status == MOTE_OK)
    cli_say(common,
            "%s: %lld frames of %lld particles; the solver took %.1f s, %.2f million particle-steps/s",
            o->output, (long long)summary.frames, (long long)summary.particles, summary.solver_seconds,
            summary.solver_seconds > 0
                ? 1e-6 * (double)summary.steps * (double)summary.particles / summary.solver_seconds
                : 0.0);
  mote_device_close(device);
  mote_scene_destroy(&scene);
  return status == MOTE_OK ? CLI_OK : cli_fail("simulate");
}

int cli_simulate(int argc, char **argv) {
  simulate_options o = {.compression = 4};
  const cli_option options[] = {
      {"output", 'o', CLI_TEXT, &o.output, "T.h5", "trajectory to write", 1},
      {"frames", 0, CLI_INTEGER, &o.frames, "N", "frames, instead of the scene's", 0},
      {"velocity", 0, CLI_FLAG, &o.velocity, NULL, "store velocities too", 0},
      {"deformation", 0, CLI_FLAG, &o.deformation_gradient, NULL, "store deformation gradients too", 0},
      {"state", 0, CLI_FLAG, &o.state, NULL,
       "store whole states: those two, affine velocities and the laws' history", 0},
      {"diagnostics", 0, CLI_FLAG, &o.diagnostics, NULL, "write momenta and energies of each frame as CSV",
       0},
      {"compression", 0, CLI_INTEGER, &o.compression, "0..9", "deflate level (4)", 0},
      {"no-xdmf", 0, CLI_FLAG, &o.no_xdmf, NULL, "no XDMF file for ParaView", 0},
      {0}};
  cli_usage usage = {"simulate", "SCENE.yaml", "Simulates a scene by the material point method.", NULL, 1, 1};
  cli_common common;
  const char *scene;
  int count;
  int code = cli_parse(&usage, options, &common, argc, argv, &scene, &count);
  if (code >= 0) return code;
  if (o.frames < 0 || o.frames > 1000000 || o.compression < 0 || o.compression > 9)
    return cli_complain("simulate", "--frames is 1 to 1000000 and --compression 0 to 9");
  return simulate(scene, &o, &common);
}
