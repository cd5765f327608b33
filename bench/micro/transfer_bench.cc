/* The passes of a material point step, one at a time: a block of water, 262,144 particles, 8 a cell. */
#include <mote/simulation.h>

#include "bench/micro/support.h"
#include "host/sim/state.h"

namespace {

const char *const scene_text = "domain: {lower: [0, 0, 0], upper: [1, 1, 1], cells: 64}\n"
                               "time: {frame_interval: 0.01, frames: 1}\n"
                               "materials: {water: {kind: newtonian}}\n"
                               "bodies:\n"
                               "  - {material: water, shape: {kind: box, size: [0.5, 0.5, 0.5]}, position: "
                               "[0.5, 0.5, 0.5], count: 262144,\n"
                               "     placement: jittered}\n";

struct Block {
  micro::Device device;
  mote_scene scene;
  mote_simulation *simulation = nullptr;
  Block() {
    mote_scene_source source = {};
    micro::must(mote_scene_parse(scene_text, strlen(scene_text), &source, &scene));
    micro::must(mote_simulation_create(&scene, device.device, &simulation));
    micro::must(mote_simulation_step(simulation, 5));
  }
  ~Block() {
    mote_simulation_destroy(simulation);
    mote_scene_destroy(&scene);
  }
};

typedef mote_status (*pass)(mote_stream *, mote_transfer *);

/* g2p moves the particles a step on each time; the others repeat the same work. The CPU sorts only when a
   particle has left its block's margin, so it is told each time that one has. */
void time_pass(benchmark::State &state, pass mote_transfer_kernels::*which) {
  Block block;
  mote_simulation *s = block.simulation;
  micro::time(state, s->transfer.view.count, [&] {
    s->transfer.view.status->needs_sort = 1;
    return (s->device->transfer->*which)(s->stream, &s->transfer);
  });
}
BENCHMARK_CAPTURE(time_pass, sort, &mote_transfer_kernels::sort)->UseRealTime();
BENCHMARK_CAPTURE(time_pass, p2g, &mote_transfer_kernels::p2g)->UseRealTime();
BENCHMARK_CAPTURE(time_pass, grid_update, &mote_transfer_kernels::grid_update)->UseRealTime();
BENCHMARK_CAPTURE(time_pass, g2p, &mote_transfer_kernels::g2p)->UseRealTime();

} // namespace
