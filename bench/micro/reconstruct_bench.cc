/* The kernels of the reduced-order operator, one at a time: 100,000 points from 5,000 sparse particles. */
#include <mote/operator.h>

#include <cmath>

#include "bench/micro/support.h"
#include "host/models/operator.h"
#include "host/models/reconstruction.h"

namespace {

const int64_t points = 100000, sparse = 5000;

struct Cloud {
  micro::Device device;
  mote_operator *learned = nullptr;
  mote_reconstruction *r = nullptr;
  mote_stream *stream;
  mote_packed packed;
  mote_correct_view view;
  const mote_global_fit *fit;
  Cloud() {
    const char kind[1][32] = {"newtonian"};
    std::vector<float> x = micro::uniform(sparse, 1), y = micro::uniform(points, 2);
    mote_operator_settings settings;
    mote_operator_defaults(&settings);
    micro::must(mote_operator_create(&settings, 1, kind, 1, &learned));
    mote_reconstruction_options o = {};
    o.dim = 3;
    o.sparse_count = sparse;
    o.dense_count = points;
    o.sparse = x.data();
    o.dense = y.data();
    o.dense_spacing = 1 / std::cbrt(double(points));
    o.learned = learned;
    for (int a = 0; a < 3; a++) o.bounds[a][0] = -0.1, o.bounds[a][1] = 1.1;
    micro::must(mote_reconstruction_create(device.device, &settings, &o, &r));
    for (int64_t i = 0; i < sparse; i++) x[3 * i] += 0.01f * std::sin(9 * x[3 * i + 1]);
    micro::must(mote_reconstruction_advance(r, x.data()));
    stream = r->stream;
    packed = {static_cast<float *>(r->rows.data), static_cast<int32_t *>(r->bin_start.data), r->stride};
    view = mote_reconstruction_view(r);
    fit = static_cast<mote_global_fit *>(r->fit.data);
  }
  ~Cloud() {
    mote_reconstruction_destroy(r);
    mote_operator_destroy(learned);
  }
};

float *floats(const mote_buffer &buffer) {
  return static_cast<float *>(buffer.data);
}

/* The kernels are called on the state after one frame, again and again. */
typedef mote_status (*part)(Cloud &);

mote_status fit_globally(Cloud &c) {
  return c.r->device->reconstruct->fit_globally(c.stream, 3, sparse, floats(c.r->sparse),
                                                floats(c.r->increment),
                                                static_cast<mote_global_fit *>(c.r->fit.data));
}
mote_status splat(Cloud &c) {
  return c.r->device->reconstruct->splat(c.stream, &c.r->lattice[0], &c.r->bins, &c.packed, c.fit,
                                         c.r->radius, floats(c.r->moments[0]));
}
mote_status restrict_moments(Cloud &c) {
  return c.r->device->reconstruct->restrict_moments(c.stream, &c.r->lattice[0], &c.r->lattice[1], c.fit,
                                                    c.r->radius, 1, floats(c.r->moments[0]),
                                                    floats(c.r->moments[1]));
}
mote_status fit_nodes(Cloud &c) {
  return c.r->device->reconstruct->fit_nodes(c.stream, &c.r->lattice[0], &c.r->lattice[1], c.fit, c.r->radius,
                                             0, floats(c.r->moments[0]), floats(c.r->field[1]), 1e-3f, 1e-4f,
                                             floats(c.r->field[0]));
}
mote_status gather(Cloud &c) {
  return c.r->device->reconstruct->gather(c.stream, &c.r->lattice[0], c.fit, c.r->radius,
                                          floats(c.r->field[0]), points, floats(c.r->dense),
                                          floats(c.r->dense_increment), floats(c.r->reach));
}
mote_status recall(Cloud &c) {
  mote_kin_bounds bounds = {{0, 0, 0}, {1, 1, 1}};
  return c.r->device->kin->recall(c.stream, 3, points, static_cast<int32_t *>(c.r->kin_index.data),
                                  floats(c.r->kin_weight), floats(c.r->drift), 0, &bounds, floats(c.r->dense),
                                  floats(c.r->shown));
}
mote_status describe(Cloud &c) {
  return c.r->device->correct->describe(c.stream, &c.view, &c.r->bins, &c.packed, floats(c.r->errors), c.fit,
                                        floats(c.r->feature), floats(c.r->basis), floats(c.r->share));
}
mote_status evaluate(Cloud &c) {
  return c.r->device->correct->evaluate(c.stream, &c.view, &c.r->experts, c.fit, floats(c.r->feature),
                                        floats(c.r->basis), floats(c.r->share), floats(c.r->field[0]));
}
mote_status frame(Cloud &c) {
  return mote_reconstruction_frame(c.r, c.stream);
}

void reconstruct(benchmark::State &state, part which, int64_t items) {
  Cloud cloud;
  micro::time(state, items, [&] { return which(cloud); });
}
BENCHMARK_CAPTURE(reconstruct, fit_globally, fit_globally, sparse)->UseRealTime();
BENCHMARK_CAPTURE(reconstruct, splat, splat, sparse)->UseRealTime();
BENCHMARK_CAPTURE(reconstruct, restrict_moments, restrict_moments, sparse)->UseRealTime();
BENCHMARK_CAPTURE(reconstruct, fit_nodes, fit_nodes, sparse)->UseRealTime();
BENCHMARK_CAPTURE(reconstruct, gather, gather, points)->UseRealTime();
BENCHMARK_CAPTURE(reconstruct, recall, recall, points)->UseRealTime();
BENCHMARK_CAPTURE(reconstruct, describe, describe, sparse)->UseRealTime();
BENCHMARK_CAPTURE(reconstruct, evaluate, evaluate, sparse)->UseRealTime();
BENCHMARK_CAPTURE(reconstruct, whole_frame, frame, points)->UseRealTime();

} // namespace
