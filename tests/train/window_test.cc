/* Examples for a time-stepper: what is drawn, the noise of its history, and the targets. */
#include "host/train/window.h"

#include <algorithm>
#include <cstring>
#include <set>

#include "kernels/feature/feature.h"
#include "tests/support/testing.h"
#include "tests/support/trajectories.h"

namespace {

const int kDim = 2, kFrames = 4, kSteps = 2;

/* Exact in float32 and different everywhere, with an acceleration that changes. */
float position(int trajectory, int frame, int particle, int axis) {
  return float(particle % 32 + (axis ? 0.25 : 0.5)) / 64 + float(particle / 32 + trajectory) / 8192 +
         float(frame * frame * frame + axis * frame) / 65536;
}

int32_t type_of(int particle) {
  return particle % 5 == 0 ? MOTE_KINEMATIC : 5 + particle % 5;
}

struct Length {
  int frames, particles;
};

void write(const std::string &path, const std::vector<Length> &lengths) {
  mote_metadata metadata = {};
  metadata.dim = kDim;
  metadata.bounds[0][1] = metadata.bounds[1][1] = 1;
  mote_trajectory_field field = {"position", 1, {kDim, 0}};
  mote_trajectory_writer *writer = nullptr;
  for (size_t t = 0; t < lengths.size(); t++) {
    std::vector<int32_t> type(lengths[t].particles);
    for (int i = 0; i < lengths[t].particles; i++) type[i] = type_of(i);
    mote_trajectory_options options = {};
    options.particles = lengths[t].particles;
    options.dim = kDim;
    options.field_count = 1;
    options.fields = &field;
    options.particle_type = type.data();
    options.metadata = &metadata;
    if (t)
      MOTE_ASSERT_OK(mote_trajectory_next(writer, &options));
    else
      MOTE_ASSERT_OK(mote_trajectory_create(path.c_str(), &options, &writer));
    std::vector<float> frame(size_t(lengths[t].particles) * kDim);
    for (int f = 0; f < lengths[t].frames; f++) {
      for (size_t k = 0; k < frame.size(); k++) frame[k] = position(int(t), f, int(k) / kDim, int(k) % kDim);
      const float *values = frame.data();
      MOTE_ASSERT_OK(mote_trajectory_append(writer, f, &values));
    }
  }
  MOTE_ASSERT_OK(mote_trajectory_finish(writer));
}

class WindowTest : public ::testing::Test {
protected:
  WindowTest() {
    options.frames = kFrames;
    options.steps = kSteps;
    options.method = MOTE_SAMPLE_UNIFORM;
    options.least = 20;
    options.most = 30;
    options.seed = 5;
  }
  ~WindowTest() {
    mote_window_free(&window);
    mote_trajectory_close(reader);
  }
  void open(const std::vector<Length> &lengths) {
    write(folder.file("set.h5"), lengths);
    MOTE_ASSERT_OK(mote_trajectory_open(folder.file("set.h5").c_str(), &reader));
  }
  void draw(uint64_t number) { MOTE_ASSERT_OK(mote_window_draw(reader, &options, number, &window)); }
  size_t values() const { return size_t(window.particles) * window.dim; }

  /* All of an example, to compare. */
  std::vector<float> contents() const {
    std::vector<float> all(window.truth, window.truth + (window.frames + window.steps) * values());
    all.insert(all.end(), window.history, window.history + window.frames * values());
    all.insert(all.end(), window.index, window.index + window.particles);
    all.insert(all.end(), window.type, window.type + window.particles);
    return all;
  }

  /* The trajectory and frame that the window is of, by its first particle. */
  std::pair<int, int> origin(const std::vector<Length> &lengths) const {
    for (int t = 0; t < int(lengths.size()); t++)
      for (int f = 0; f + kFrames + kSteps <= lengths[t].frames; f++) {
        bool same = true;
        for (int g = 0; g < kFrames + kSteps; g++)
          for (size_t k = 0; k < values(); k++)
            same &=
                window.truth[g * values() + k] == position(t, f + g, window.index[k / kDim], int(k % kDim));
        if (same) return {t, f};
      }
    return {-1, -1};
  }
  mote_test::TemporaryFolder folder;
  mote_trajectory_reader *reader = nullptr;
  mote_window_options options = {};
  mote_window window = {};
};

} // namespace

TEST_F(WindowTest, Counts) {
  open({{8, 100}, {6, 40}, {11, 60}});
  int64_t trajectories, windows;
  MOTE_ASSERT_OK(mote_windows_count(reader, &options, &trajectories, &windows));
  EXPECT_EQ(3, trajectories);
  EXPECT_EQ(3 + 1 + 6, windows);
}

TEST_F(WindowTest, AnExampleIsAFunctionOfSeedAndNumber) {
  open({{8, 100}, {9, 400}});
  options.noise = 1e-3;
  std::vector<std::vector<float>> first;
  for (uint64_t number = 0; number < 8; number++) {
    draw(number);
    first.push_back(contents());
  }
  for (int number : {7, 2, 0, 5}) { /* in any order, into any memory */
    draw(number);
    EXPECT_EQ(first[number], contents()) << number;
    mote_window fresh = {};
    std::swap(fresh, window);
    draw(number);
    EXPECT_EQ(first[number], contents()) << number;
    mote_window_free(&fresh);
  }
  for (int a = 0; a < 8; a++)
    for (int b = 0; b < a; b++) EXPECT_NE(first[a], first[b]);
  options.seed = 6;
  draw(0);
  EXPECT_NE(first[0], contents());
}

/* Windows of the first frames alone: all of these, and the same examples as of a file that ends there. */
TEST_F(WindowTest, WithinTheFirstFrames) {
  std::vector<Length> lengths = {{8, 50}, {11, 80}}, ended = {{7, 50}, {7, 80}};
  open(ended);
  std::vector<std::vector<float>> expected;
  for (uint64_t number = 0; number < 40; number++) draw(number), expected.push_back(contents());
  mote_trajectory_close(reader);
  open(lengths);
  options.within = 7;
  int64_t trajectories, windows;
  MOTE_ASSERT_OK(mote_windows_count(reader, &options, &trajectories, &windows));
  EXPECT_EQ(2 + 2, windows);
  for (uint64_t number = 0; number < 40; number++) {
    draw(number);
    ASSERT_EQ(expected[number], contents()) << number;
  }
  options.within = 9; /* of the shorter one that is all */
  MOTE_ASSERT_OK(mote_windows_count(reader, &options, &trajectories, &windows));
  EXPECT_EQ(3 + 4, windows);
  options.within = 5;
  EXPECT_EQ(MOTE_ERROR_FORMAT, mote_windows_count(reader, &options, &trajectories, &windows));
  EXPECT_NE(nullptr, strstr(mote_last_error(), "00000 has 5 frames that count: an example takes 6"))
      << mote_last_error();
}

/* Every window of every trajectory comes, trajectories about as often as each other, and what comes is what
   the file has. 400 draws from two: 200 +- 10 each; 50 is five deviations. */
TEST_F(WindowTest, AllWindowsCome) {
  std::vector<Length> lengths = {{8, 50}, {11, 80}};
  open(lengths);
  std::set<std::pair<int, int>> seen;
  int of_first = 0;
  for (uint64_t number = 0; number < 400; number++) {
    draw(number);
    std::pair<int, int> from = origin(lengths);
    ASSERT_GE(from.first, 0) << number;
    seen.insert(from);
    of_first += from.first == 0;
    for (int64_t i = 0; i < window.particles; i++) ASSERT_EQ(type_of(window.index[i]), window.type[i]);
  }
  EXPECT_EQ(9u, seen.size());
  EXPECT_NEAR(200, of_first, 50);
}

TEST_F(WindowTest, SparseSets) {
  open({{6, 100}});
  for (mote_sample_method method : {MOTE_SAMPLE_UNIFORM, MOTE_SAMPLE_FARTHEST, MOTE_SAMPLE_POISSON}) {
    std::set<int64_t> sizes;
    std::set<int32_t> members;
    options.method = method;
    options.least = 20;
    options.most = 23;
    for (uint64_t number = 0; number < 60; number++) {
      draw(number);
      sizes.insert(window.particles);
      members.insert(window.index, window.index + window.particles);
      for (int64_t i = 0; i < window.particles; i++) {
        ASSERT_TRUE(window.index[i] >= 0 && window.index[i] < 100);
        ASSERT_TRUE(!i || window.index[i] > window.index[i - 1]);
      }
    }
    EXPECT_EQ((std::set<int64_t>{20, 21, 22, 23}), sizes) << method; /* both ends belong to it */
    EXPECT_GT(members.size(), 90u) << method;
  }
  options.least = 90;
  options.most = 500; /* never more than there are */
  int64_t most = 0;
  for (uint64_t number = 0; number < 60; number++) {
    draw(number);
    EXPECT_GE(window.particles, 90);
    most = std::max(most, window.particles);
  }
  EXPECT_EQ(100, most);
  options.least = options.most = 200;
  draw(3);
  ASSERT_EQ(100, window.particles);
  for (int i = 0; i < 100; i++) EXPECT_EQ(i, window.index[i]);
}

TEST_F(WindowTest, WithoutNoiseTheHistoryIsTheTruth) {
  open({{8, 60}});
  draw(1);
  EXPECT_EQ(0, memcmp(window.history, window.truth, kFrames * values() * sizeof(float)));
}

/* About 30,000 values: their deviation has an error of 1 / sqrt(2 n), 0.4%, their mean one of 0.6% of the
   deviation; 2.5% is four to six of those. */
TEST_F(WindowTest, NoiseIsARandomWalkOfTheVelocity) {
  open({{8, 2500}});
  options.least = options.most = 2500;
  options.noise = 3e-3;
  std::vector<double> square(kFrames), mean(kFrames);
  double product = 0, steps = 0;
  int64_t count = 0;
  for (uint64_t number = 0; number < 8; number++) {
    draw(number);
    size_t n = values();
    auto noise = [&](int f, size_t k) { return double(window.history[f * n + k]) - window.truth[f * n + k]; };
    for (size_t k = 0; k < n; k++) {
      if (window.type[k / kDim] == MOTE_KINEMATIC) {
        for (int f = 0; f < kFrames; f++) ASSERT_EQ(window.truth[f * n + k], window.history[f * n + k]);
        continue;
      }
      ASSERT_EQ(0, noise(0, k));
      count++;
      double before = 0;
      for (int f = 1; f < kFrames; f++) {
        double velocity = noise(f, k) - noise(f - 1, k);
        square[f] += velocity * velocity;
        mean[f] += velocity;
        if (f == 2) product += before * (velocity - before), steps += 1;
        before = velocity;
      }
    }
  }
  EXPECT_EQ(32000, count);
  for (int f = 1; f < kFrames; f++) {
    double expected = 3e-3 * std::sqrt(double(f) / (kFrames - 1));
    EXPECT_NEAR(expected, std::sqrt(square[f] / double(count)), 0.025 * expected) << f;
    EXPECT_NEAR(0, mean[f] / double(count), 0.025 * expected) << f;
  }
  /* Steps of the walk do not know of each other: their correlation is 0 within 1 / sqrt(n), 0.6%. */
  EXPECT_NEAR(0, product / steps / (3e-3 * 3e-3 / (kFrames - 1)), 0.03);
}

/* Each particle and axis has its own noise. */
TEST_F(WindowTest, NoiseIsOfNobodyElse) {
  open({{8, 500}});
  options.least = options.most = 500;
  options.noise = 3e-3;
  draw(0);
  std::set<float> seen;
  const float *last = window.history + (kFrames - 1) * values(),
              *truth = window.truth + (kFrames - 1) * values();
  int noisy = 0;
  for (size_t k = 0; k < values(); k++)
    if (window.type[k / kDim] != MOTE_KINEMATIC) seen.insert(last[k] - truth[k]), noisy++;
  EXPECT_EQ(800, noisy);
  EXPECT_GT(seen.size(), 780u); /* but for what float32 rounds to the same */
}

namespace {
const float kMean[3] = {1e-4f, -2e-4f, 9}, kDeviation[3] = {5e-4f, 2e-3f, 9};
}

/* The true second difference, normalised, at each step. float32 differences of numbers below 1 carry errors
   of 2e-7 at most; divided by a deviation of 5e-4, 4e-4. */
TEST_F(WindowTest, TargetsWithoutNoise) {
  std::vector<Length> lengths = {{9, 40}};
  open(lengths);
  draw(2);
  int start = origin(lengths).second;
  ASSERT_GE(start, 0);
  size_t n = values();
  for (int step = 0; step < kSteps; step++) {
    std::vector<float> target(n, NAN);
    const float *now = window.truth + (kFrames + step - 1) * n;
    mote_window_target(&window, step, now - n, now, kMean, kDeviation, target.data());
    for (size_t k = 0; k < n; k++) {
      int i = window.index[k / kDim], a = int(k % kDim), f = start + kFrames + step;
      double acceleration =
          double(position(0, f, i, a)) - 2.0 * position(0, f - 1, i, a) + position(0, f - 2, i, a);
      EXPECT_NEAR((acceleration - kMean[a]) / kDeviation[a], target[k], 4e-4) << step << " " << k;
    }
  }
}

/* One step with the target brings the velocity to the truth's, from the noisy place; of kinematic particles,
   which have no noise, the place as well. */
TEST_F(WindowTest, TargetsMakeTheVelocityGood) {
  open({{9, 200}});
  options.least = options.most = 200;
  options.noise = 0.02;
  draw(3);
  size_t n = values();
  std::vector<float> target(n);
  const float *now = window.history + (kFrames - 1) * n, *before = now - n;
  const float *next = window.truth + kFrames * n, *last = next - n;
  mote_window_target(&window, 0, before, now, kMean, kDeviation, target.data());
  double moved = 0;
  for (size_t k = 0; k < n; k++) {
    int a = int(k % kDim);
    double acceleration = double(target[k]) * kDeviation[a] + kMean[a];
    double stepped = double(now[k]) + (double(now[k]) - before[k]) + acceleration;
    EXPECT_NEAR(now[k] + (double(next[k]) - last[k]), stepped, 1e-6) << k;
    if (window.type[k / kDim] == MOTE_KINEMATIC) {
      EXPECT_NEAR(next[k], stepped, 1e-6) << k;
    }
    moved = std::max(moved, std::fabs(stepped - next[k]));
  }
  EXPECT_GT(moved, 0.01); /* the noise of the place stays */
}

TEST_F(WindowTest, TooShort) {
  open({{8, 40}, {5, 40}});
  int64_t trajectories, windows;
  EXPECT_EQ(MOTE_ERROR_FORMAT, mote_windows_count(reader, &options, &trajectories, &windows));
  EXPECT_NE(nullptr, strstr(mote_last_error(), "00001 has 5 frames: an example takes 6"))
      << mote_last_error();
  int failed = 0;
  for (uint64_t number = 0; number < 20; number++) {
    mote_status status = mote_window_draw(reader, &options, number, &window);
    EXPECT_TRUE(status == MOTE_OK || status == MOTE_ERROR_FORMAT) << mote_last_error();
    failed += status != MOTE_OK;
  }
  EXPECT_TRUE(failed > 0 && failed < 20);
  EXPECT_NE(MOTE_OK, mote_window_read(reader, &options, 0, 3, 0, &window)); /* its last frame is the 7th */
  MOTE_EXPECT_OK(mote_window_read(reader, &options, 0, 2, 0, &window));
}
