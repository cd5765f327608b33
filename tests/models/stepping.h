/* A time-stepper at work in a test: model, stepper and their cleaning up. */
#ifndef MOTE_TESTS_MODELS_STEPPING_H
#define MOTE_TESTS_MODELS_STEPPING_H

#include <stdexcept>

#include <mote/stepper.h>

#include "tests/support/checkpoint.h"
#include "tests/support/testing.h"

namespace mote_test {

/* A variant with tensors, in a folder of its own. */
class Saved {
public:
  explicit Saved(const Checkpoint &variant) : Saved(variant, statistics(variant.dim)) {}
  explicit Saved(const std::string &name) : Saved(mote_test::checkpoint(name)) {}
  Saved(const Checkpoint &variant, const mote_metadata &of) : checkpoint(variant), metadata(of) {
    if (checkpoint.tensors.empty()) invent(checkpoint);
    write();
  }
  Saved(const Saved &) = delete;
  Saved &operator=(const Saved &) = delete;
  void write() const { save(folder.path, checkpoint, metadata); }
  Checkpoint checkpoint;
  mote_metadata metadata;
  TemporaryFolder folder;
};

class Stepping {
public:
  Stepping(Device &device, const std::string &folder, const mote_metadata &metadata, const Cloud &cloud,
           bool prescribed = false)
      : values_(size_t(cloud.n) * cloud.dim) {
    mote_stepper_options options = {};
    options.count = cloud.n;
    options.particle_type = cloud.type.data();
    options.metadata = &metadata;
    options.radius = cloud.radius;
    options.prescribed = prescribed;
    if (mote_model_load(device.device, folder.c_str(), &model) != MOTE_OK ||
        mote_stepper_create(model, &options, &stepper) != MOTE_OK)
      throw std::runtime_error(mote_last_error()); /* which fails the test */
    start(cloud);
  }
  Stepping(Device &device, const Saved &saved, const Cloud &cloud, bool prescribed = false)
      : Stepping(device, saved.folder.path, saved.metadata, cloud, prescribed) {}
  ~Stepping() {
    mote_stepper_destroy(stepper);
    mote_model_destroy(model);
  }
  Stepping(const Stepping &) = delete;
  Stepping &operator=(const Stepping &) = delete;

  void start(const Cloud &cloud) {
    EXPECT_EQ(MOTE_OK, mote_stepper_start(stepper, cloud.history.data())) << mote_last_error();
    if (!cloud.rest.empty()) {
      EXPECT_EQ(MOTE_OK, mote_stepper_set_rest(stepper, cloud.rest.data())) << mote_last_error();
    }
  }
  void advance(int steps = 1) {
    for (int k = 0; k < steps; k++)
      EXPECT_EQ(MOTE_OK, mote_stepper_advance(stepper, nullptr)) << mote_last_error();
  }
  void advance_to(const std::vector<float> &goal) {
    EXPECT_EQ(MOTE_OK, mote_stepper_advance(stepper, goal.data())) << mote_last_error();
  }
  std::vector<float> position() { return read(0); }
  std::vector<float> acceleration() { return read(1); }
  int64_t edges() {
    int64_t count = -1;
    EXPECT_EQ(MOTE_OK, mote_stepper_edge_count(stepper, &count)) << mote_last_error();
    return count;
  }

  mote_model *model = nullptr;
  mote_stepper *stepper = nullptr;

private:
  std::vector<float> read(int what) {
    std::vector<float> values(values_, NAN);
    EXPECT_EQ(MOTE_OK,
              mote_stepper_read(stepper, what ? nullptr : values.data(), what ? values.data() : nullptr))
        << mote_last_error();
    return values;
  }
  size_t values_;
};

/* The next cloud in a trajectory: its history moved on by a frame of positions. */
inline Cloud moved_on(const Cloud &cloud, const std::vector<float> &position) {
  Cloud next = cloud;
  next.rest.assign(cloud.at_rest(), cloud.at_rest() + position.size());
  next.history.erase(next.history.begin(), next.history.begin() + long(position.size()));
  next.history.insert(next.history.end(), position.begin(), position.end());
  return next;
}

} // namespace mote_test
#endif
