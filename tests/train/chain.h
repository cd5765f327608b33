/* What the tests of the operator's training share: a small recording, and a rollout along it. */
#ifndef MOTE_TESTS_TRAIN_CHAIN_H
#define MOTE_TESTS_TRAIN_CHAIN_H

#include <mote/record.h>
#include <mote/scene.h>

#include <cstring>
#include <sstream>

#include "host/train/rollout.h"
#include "tests/support/testing.h"

namespace mote_test {

/* A small trajectory of sand or water that falls on the floor. */
inline void record(const std::string &path, const std::string &kind, float tilt) {
  std::ostringstream text;
  text << "domain: {lower: [0, 0, 0], upper: [1, 1, 1], cells: 16}\n"
          "time: {frame_interval: 0.01, frames: 12}\n"
          "materials: {stuff: {kind: "
       << kind
       << "}}\n"
          "bodies:\n"
          "  - {material: stuff, shape: {kind: box, size: [0.3, 0.3, 0.3]}, position: [0.5, 0.36, 0.5], "
          "placement: jittered, velocity: ["
       << tilt << ", -2, 0.3]}\n";
  mote_scene scene;
  mote_device *device = nullptr;
  mote_record_options options = {};
  mote_scene_source source = {};
  MOTE_ASSERT_OK(mote_scene_parse(text.str().c_str(), text.str().size(), &source, &scene));
  MOTE_ASSERT_OK(mote_device_open("cpu", nullptr, &device));
  MOTE_EXPECT_OK(mote_record(&scene, device, path.c_str(), &options, nullptr, nullptr));
  mote_device_close(device);
  mote_scene_destroy(&scene);
}

/* A rollout of water falling on the floor, from frame `first` on, under a network whose weights do something.
 */
struct Chain {
  mote_recordings set;
  mote_recording late; /* the example looks at it */
  mote_example example;
  mote_operator *model = nullptr;
  Device device;
  std::vector<double> scale;
  Chain(const std::string &name, const std::string &water, int first, int frames, float size)
      : device(name), scale(size_t(frames), 1e-4) {
    mote_files files = {};
    char *path = strdup(water.c_str());
    files.path = &path;
    files.count = 1;
    EXPECT_EQ(MOTE_OK, mote_recordings_load(&files, 0, &set)) << mote_last_error();
    free(path);
    late = set.of[0];
    late.position += first * late.particles * late.dim;
    late.frames = frames;
    mote_run run = {};
    run.method = MOTE_SAMPLE_FARTHEST;
    run.ratio_low = run.ratio_high = 0.15;
    run.points = 150;
    int expert_of[] = {0};
    EXPECT_EQ(MOTE_OK, mote_example_make(&late, &run, 1, expert_of, &example)) << mote_last_error();
    mote_operator_settings settings;
    mote_operator_defaults(&settings);
    const char kind[1][32] = {"newtonian"};
    EXPECT_EQ(MOTE_OK, mote_operator_create(&settings, 1, kind, 1, &model)) << mote_last_error();
    for (int k = 0; k < MOTE_PARAMETERS; k++)
      model->parameters[k] += size * std::sin(float(k)) / (k < MOTE_WEIGHTS_3 ? 4.f : 1.f);
    for (int k = 0; k < MOTE_FEATURES; k++) model->norm[k] = -3, model->norm[MOTE_FEATURES + k] = 0.3f;
  }
  ~Chain() {
    mote_operator_destroy(model);
    mote_example_free(&example);
    mote_recordings_free(&set);
  }
  /* `slope`: by the sparse particles' places in all frames. */
  double loss(float *gradient = nullptr, std::vector<float> *slope = nullptr) {
    mote_rollout rollout;
    double loss = 0;
    EXPECT_EQ(MOTE_OK, mote_rollout_create(device.device, &example, model, 1, &rollout)) << mote_last_error();
    EXPECT_EQ(MOTE_OK, mote_rollout_forward(&rollout)) << mote_last_error();
    if (slope) {
      EXPECT_EQ(MOTE_OK, mote_rollout_backward_to_sparse(&rollout, scale.data(), &loss, gradient))
          << mote_last_error();
      slope->resize(size_t(example.frames * example.sparse_count * 3));
      EXPECT_EQ(MOTE_OK, mote_download(rollout.reconstruction->stream, slope->data(), rollout.slope.data,
                                       slope->size() * 4));
    } else if (gradient) {
      EXPECT_EQ(MOTE_OK, mote_rollout_backward(&rollout, scale.data(), &loss, gradient)) << mote_last_error();
    }
    for (int64_t f = 1; !gradient && f < example.frames; f++)
      loss += rollout.rms[f] / scale[f] / double(example.frames - 1);
    mote_rollout_free(&rollout);
    return loss;
  }
};

} // namespace mote_test
#endif
