/* The gradient of a kept evaluation, of every variant on every device, against differences of the float64
   reference: L = sum of c a over accelerations a, with random c; each tensor, and the history, is moved along
   a random direction by d and by -d.

   The moves are taken as float32 stores them, so that they may be small (2e-6) and only two errors remain:
   the float32 gradient's own, some 1e-6 of sums whose terms partly cancel, and ReLUs whose input lies so near
   to 0 that rounding or the move decides its sign: one among a tensor's few hundred makes up to 2e-2. The
   tolerance is 3e-2 of the larger of the slope and a typical slope of the tensor (its gradient's norm);
   nearly all are found below 2e-3; a gradient left out or doubled is off by 0.3 to 1. */
#include "host/models/tape.h"
#include "host/train/weights.h"
#include "tests/models/reference.h"
#include "tests/models/stepping.h"
#include "tests/support/network.h"

using namespace mote_test;

namespace {

const double kTolerance = 3e-2;

class Tape : public ::testing::TestWithParam<std::tuple<std::string, Checkpoint>> {};

INSTANTIATE_TEST_SUITE_P(devices, Tape,
                         ::testing::Combine(::testing::ValuesIn(devices()),
                                            ::testing::ValuesIn(checkpoints())),
                         [](const auto &info) {
                           std::string device = std::get<0>(info.param);
                           return device.substr(0, device.find(':')) + "_" + std::get<1>(info.param).name;
                         });

/* Gradients of a model by tensors and history. */
class Taped {
public:
  Taped(Device &device, const Saved &saved, const Cloud &cloud, const std::vector<float> &cost,
        size_t budget = 0)
      : device_(device) {
    mote_model *model = nullptr, *average = nullptr;
    const char *folder = saved.folder.path.c_str();
    check(mote_model_load_to_train(device.device, folder, nullptr, &model));
    check(mote_model_load_to_train(device.device, folder, nullptr, &average));
    check(mote_trained_weights_create(model, average, &weights_));
    check(mote_tape_create(model, device.stream, &saved.metadata, cloud.radius, budget, &room_, &tape_));
    run(saved, cloud, cost);
  }
  ~Taped() {
    mote_tape_free(&tape_);
    mote_tape_room_free(&room_);
    mote_trained_weights_free(&weights_);
  }
  std::vector<float> acceleration, history;
  std::map<std::string, std::vector<float>> tensors;
  size_t bytes = 0;
  size_t states = 0; /* bytes of all edge states */

private:
  static void check(mote_status status) {
    if (status != MOTE_OK) throw std::runtime_error(mote_last_error());
  }
  void run(const Saved &saved, const Cloud &cloud, const std::vector<float> &cost) {
    Array<float> before(device_, cloud.history),
        d_history(device_, std::vector<float>(cloud.history.size(), 0));
    Array<int32_t> type(device_, cloud.type);
    Array<float> d(device_, cost), gradient(device_, std::vector<float>(size_t(weights_.slots), 0)),
        shared(device_, std::vector<float>(size_t(weights_.shared) + 1, 0));
    mote_arena arena = mote_trained_weights_arena(&weights_, gradient.data());
    Array<float> rest(device_, std::vector<float>(cloud.at_rest(), cloud.at_rest() + cost.size()));
    tape_.rest = cloud.rest.empty() ? nullptr : rest.data();
    check(mote_tape_forward(&tape_, cloud.n, before.data(), type.data()));
    acceleration.resize(cost.size());
    check(mote_download(device_.stream, acceleration.data(), tape_.acceleration, cost.size() * 4));
    check(mote_tape_backward(&tape_, &arena, d.data(), shared.data(), d_history.data()));
    check(mote_stream_synchronize(device_.stream));
    float *one[] = {gradient.data()}, *common[] = {shared.data()};
    check(mote_trained_weights_gather(&weights_, 1, one, common));
    std::vector<float> flat(size_t(weights_.floats));
    check(mote_download(weights_.stream, flat.data(), weights_.gradient.data, flat.size() * 4));
    const mote_parameters &p = weights_.model->parameters;
    for (int t = 0; t < p.tensors; t++) {
      const float *from = flat.data() + p.tensor[t].first;
      tensors[p.tensor[t].name.text] = std::vector<float>(from, from + p.tensor[t].count);
    }
    history = d_history.host();
    bytes = mote_tape_bytes(&tape_);
    states = size_t(tape_.model->layers) * size_t(tape_.edges.capacity) * size_t(saved.checkpoint.width) *
             sizeof(float);
    (void)saved;
  }
  Device &device_;
  mote_trained_weights weights_ = {};
  mote_tape_room room_ = {};
  mote_tape tape_ = {};
};

double loss(const Saved &saved, const Cloud &cloud, const std::vector<float> &cost) {
  std::vector<double> a = reference_step(saved.checkpoint, saved.metadata, cloud).acceleration;
  double sum = 0;
  for (size_t k = 0; k < a.size(); k++) sum += double(cost[k]) * a[k];
  return sum;
}

/* Moves `values` along a random direction, there and back, and compares the slope. */
template <typename Loss>
void compare(std::vector<float> &values, const std::vector<float> &gradient, double step, uint64_t stream,
             const std::string &name, Loss of) {
  const std::vector<float> middle = values;
  std::vector<float> direction = noise(values.size(), stream), up = middle, down = middle;
  double expected = 0, norm = 0, length = 0;
  for (size_t k = 0; k < values.size(); k++) {
    up[k] = float(double(middle[k]) + step * direction[k]);
    down[k] = float(double(middle[k]) - step * direction[k]);
    expected += double(gradient[k]) * (double(up[k]) - double(down[k]));
    norm += double(gradient[k]) * gradient[k];
    length += std::pow((double(up[k]) - double(down[k])) / 2, 2);
  }
  values = up;
  double difference = of();
  values = down;
  difference -= of();
  values = middle;
  double typical = 2 * std::sqrt(norm * length / double(values.size()));
  EXPECT_LE(std::fabs(difference - expected), kTolerance * std::max(std::fabs(difference), typical) + 1e-9)
      << name << ": slope " << expected << ", difference " << difference;
}

} // namespace

TEST_P(Tape, GradientsOfAllTensorsAndOfTheHistory) {
  Saved saved(std::get<1>(GetParam()));
  Device device(std::get<0>(GetParam()));
  Cloud cloud = cloud_for(saved.checkpoint, 24, 5);
  std::vector<float> cost = noise(size_t(cloud.n) * cloud.dim, 77);
  cloud.rest = std::vector<float>(cloud.history.begin(), cloud.history.begin() + long(cost.size()));
  for (float &x : cloud.rest) x *= 1.125f; /* not where the history begins, and held where it is */
  Taped taped(device, saved, cloud, cost);
  EXPECT_LE(
      relative_l2(taped.acceleration, reference_step(saved.checkpoint, saved.metadata, cloud).acceleration),
      1e-5);
  uint64_t stream = 100;
  size_t nonzero = 0;
  for (auto &[name, weights] : saved.checkpoint.tensors) {
    ASSERT_TRUE(taped.tensors.count(name)) << name;
    const std::vector<float> &gradient = taped.tensors[name];
    ASSERT_EQ(gradient.size(), weights.value.size());
    for (float g : gradient) nonzero += g != 0;
    compare(weights.value, gradient, 2e-6, stream++, name, [&] { return loss(saved, cloud, cost); });
  }
  EXPECT_GT(nonzero, 500u);
  compare(cloud.history, taped.history, 1e-6, stream, "history", [&] { return loss(saved, cloud, cost); });
}

/* What was computed again gives the same bits: all is kept, or edge states alone, or the fewest. */
TEST_P(Tape, AnyBudgetOfMemoryGivesTheSameGradient) {
  Checkpoint variant = std::get<1>(GetParam());
  variant.layers = 5;
  Saved saved(variant);
  Device device(std::get<0>(GetParam()));
  Cloud cloud = cloud_for(saved.checkpoint, 30, 6);
  std::vector<float> cost = noise(size_t(cloud.n) * cloud.dim, 78);
  Taped all(device, saved, cloud, cost), least(device, saved, cloud, cost, 1);
  Taped some(device, saved, cloud, cost, all.states);
  EXPECT_LT(least.bytes, some.bytes);
  if (device->dense->keeps)
    EXPECT_LT(some.bytes, all.bytes);
  else
    EXPECT_EQ(some.bytes, all.bytes);
  for (Taped *other : {&some, &least}) {
    for (auto &[name, gradient] : all.tensors) EXPECT_EQ(gradient, other->tensors[name]) << name;
    EXPECT_EQ(all.history, other->history);
  }
}
