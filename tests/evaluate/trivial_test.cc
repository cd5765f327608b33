/* Trivial predictors, kinetic energies and what else needs more than two clouds: trajectories whose errors
   are known by hand. Positions are multiples of powers of two, exact in float32, so that most of them are
   exact. */
#include <mote/evaluate.h>

#include <algorithm>
#include <cstring>
#include <fstream>
#include <sstream>

#include "tests/support/testing.h"
#include "tests/support/trajectories.h"

namespace {

using mote_test::write_trajectory;
const int kParticles = 16, kFrames = 12;
const double kDt = 0.25;

using Adjust = std::function<void(mote_metadata &, mote_trajectory_options &)>;
using At = std::function<float(int, int, int)>;

class EvaluateTrivial : public ::testing::Test {
protected:
  EvaluateTrivial() : device("cpu", 2) {
    EXPECT_EQ(MOTE_OK, mote_evaluator_create(device.device, &evaluator));
    mote_evaluate_options_defaults(&options);
    options.frame_time = kDt;
    options.history = 4;
  }
  ~EvaluateTrivial() override {
    mote_evaluation_destroy(&e);
    mote_evaluator_destroy(evaluator);
  }
  void write(const char *name, const At &at, int type = 1, const Adjust &adjust = {}, int n = kParticles,
             int frames = kFrames) {
    std::vector<int32_t> types(n, type);
    write_trajectory(folder.file(name), frames, n, 2, types, at, [&](auto &metadata, auto &writer) {
      metadata.dt = kDt / 5;
      metadata.write_every = 5;
      for (int a = 0; a < 2; a++) metadata.bounds[a][0] = -64, metadata.bounds[a][1] = 64;
      if (adjust) adjust(metadata, writer);
    });
  }
  mote_status compare(const char *d = "d.h5", const char *t = "t.h5") {
    mote_trajectory_reader *a = nullptr, *b = nullptr;
    mote_evaluation_destroy(&e);
    EXPECT_EQ(MOTE_OK, mote_trajectory_open(folder.file(d).c_str(), &a)) << mote_last_error();
    EXPECT_EQ(MOTE_OK, mote_trajectory_open(folder.file(t).c_str(), &b)) << mote_last_error();
    mote_status status = mote_evaluate_trajectory(evaluator, a, 0, b, 0, &options, nullptr, &e);
    mote_trajectory_close(a);
    mote_trajectory_close(b);
    return status;
  }
  double trivial(mote_trivial which, int frame) const { return e.trivial[which].frame[frame].position; }
  mote_test::TemporaryFolder folder;
  mote_test::Device device;
  mote_evaluator *evaluator = nullptr;
  mote_evaluate_options options;
  mote_evaluation e = {};
};

bool mentions(const char *part) {
  return std::string(mote_last_error()).find(part) != std::string::npos;
}

/* Free fall: second differences of (0, -g), g = 1/8 m a frame^2; each particle with a velocity of its own. */
float falling(int f, int i, int a) {
  float start = a == 0 ? 0.25f * float(i % 4) : 0.25f * float(i / 4);
  float v = a == 0 ? 0.125f : 0.0625f * float(i % 3);
  return start + v * float(f) - (a == 1 ? 0.125f * float(f * (f - 1)) / 2 : 0);
}
/* The same, off by a 32nd of a metre a frame behind the history. */
float off(int f, int i, int a) {
  return falling(f, i, a) + (a == 0 && f > 3 ? float(f - 3) / 32 : 0);
}

TEST_F(EvaluateTrivial, FreeFallIsBallistic) {
  write("t.h5", falling);
  write("d.h5", off);
  MOTE_ASSERT_OK(compare());
  ASSERT_EQ(e.trivial_count, MOTE_TRIVIALS);
  EXPECT_EQ(e.gravity_source, MOTE_GRAVITY_ESTIMATED);
  EXPECT_EQ(e.gravity[0], 0);
  EXPECT_EQ(e.gravity[1], -0.125);
  double sum = 0, worst = 0;
  for (int f = 0; f < kFrames; f++) {
    if (f < 4) {
      EXPECT_TRUE(std::isnan(trivial(MOTE_TRIVIAL_STAY, f)));
      continue;
    }
    int k = f - 3;
    double stay = 0, velocity = 0;
    for (int i = 0; i < kParticles; i++)
      stay +=
          std::hypot(falling(f, i, 0) - falling(3, i, 0), falling(f, i, 1) - falling(3, i, 1)) / kParticles;
    velocity = 0.125 * k * (k + 1) / 2;
    EXPECT_NEAR(trivial(MOTE_TRIVIAL_STAY, f), stay, 1e-6); /* hypot of floats */
    EXPECT_EQ(trivial(MOTE_TRIVIAL_VELOCITY, f), velocity);
    EXPECT_EQ(trivial(MOTE_TRIVIAL_BALLISTIC, f), 0);
    EXPECT_EQ(trivial(MOTE_TRIVIAL_BOUNDED, f), 0);
    EXPECT_EQ(e.groups[0].frame[f].position, k / 32.0);
    sum += k / 32.0 / (kFrames - 4);
    worst = k / 32.0;
  }
  EXPECT_NEAR(e.groups[0].mean.position, sum, 1e-15); /* the history does not count */
  EXPECT_EQ(e.groups[0].worst.position, worst);
  EXPECT_EQ(e.best, MOTE_TRIVIAL_BALLISTIC);
  EXPECT_EQ(e.advantage, 0);
}

/* The predictors' kinetic energy: none for stay, and the truth's for a ballistic one. */
TEST_F(EvaluateTrivial, KineticEnergies) {
  write("t.h5", falling);
  write("d.h5", off);
  MOTE_ASSERT_OK(compare());
  EXPECT_TRUE(std::isnan(e.groups[0].frame[0].kinetic));
  double difference = 0, total = 0, square = 0;
  for (int f = 1; f < kFrames; f++) {
    double energy[2] = {0, 0};
    for (int i = 0; i < kParticles; i++)
      for (int a = 0; a < 2; a++) {
        double v[2] = {double(off(f, i, a)) - off(f - 1, i, a),
                       double(falling(f, i, a)) - falling(f - 1, i, a)};
        for (int side = 0; side < 2; side++) energy[side] += v[side] * v[side] / (2 * kDt * kDt * kParticles);
      }
    EXPECT_NEAR(e.groups[0].frame[f].kinetic, energy[0], 1e-12);
    EXPECT_NEAR(e.groups[0].frame[f].kinetic_truth, energy[1], 1e-12);
    if (f < 4) continue;
    EXPECT_EQ(e.trivial[MOTE_TRIVIAL_STAY].frame[f].kinetic, 0);
    EXPECT_NEAR(e.trivial[MOTE_TRIVIAL_BALLISTIC].frame[f].kinetic, energy[1], 1e-12);
    difference += std::fabs(energy[0] - energy[1]);
    square += std::pow(energy[0] - energy[1], 2) / (kFrames - 4);
    total += energy[1];
  }
  EXPECT_NEAR(e.groups[0].kinetic_relative, difference / total, 1e-12);
  EXPECT_NEAR(e.groups[0].kinetic_mse, square, 1e-12);
  EXPECT_EQ(e.trivial[MOTE_TRIVIAL_STAY].kinetic_relative, 1);
  EXPECT_NEAR(e.trivial[MOTE_TRIVIAL_BALLISTIC].kinetic_relative, 0, 1e-12);
}

TEST_F(EvaluateTrivial, GravityIsGivenOrTheMetadatas) {
  write("t.h5", falling, 1,
        [](mote_metadata &m, auto &) { m.gravity[1] = -2; }); /* -2 m/s^2 is -1/8 a frame^2 */
  write("d.h5", off);
  MOTE_ASSERT_OK(compare());
  EXPECT_EQ(e.gravity_source, MOTE_GRAVITY_METADATA);
  EXPECT_EQ(e.gravity[1], -0.125);
  EXPECT_EQ(trivial(MOTE_TRIVIAL_BALLISTIC, 11), 0);
  options.has_gravity = 1;
  options.gravity[1] = -4;
  MOTE_ASSERT_OK(compare());
  EXPECT_EQ(e.gravity_source, MOTE_GRAVITY_GIVEN);
  EXPECT_EQ(trivial(MOTE_TRIVIAL_BALLISTIC, 11), 0.125 * 8 * 9 / 2);
  /* A history of two frames alone tells no gravity. */
  options.has_gravity = 0;
  options.history = 2;
  write("t.h5", falling);
  MOTE_ASSERT_OK(compare());
  EXPECT_EQ(e.gravity_source, MOTE_GRAVITY_NONE);
  EXPECT_EQ(e.trivial_count, MOTE_TRIVIAL_BALLISTIC);
}

/* A floor at -1 that the truth rests on. */
TEST_F(EvaluateTrivial, BoundsStopABallisticPrediction) {
  auto truth = [](int f, int i, int a) {
    return a == 1 ? std::max(falling(f, i, a), -1.0f) : falling(f, i, a);
  };
  write("t.h5", truth, 1, [](mote_metadata &m, auto &) { m.bounds[1][0] = -1; });
  write("d.h5", falling);
  options.history = 4;
  MOTE_ASSERT_OK(compare());
  EXPECT_GT(trivial(MOTE_TRIVIAL_BALLISTIC, 11), 1);
  EXPECT_EQ(trivial(MOTE_TRIVIAL_BOUNDED, 11), 0);
  EXPECT_EQ(e.best, MOTE_TRIVIAL_BOUNDED);
  int inside = 0;
  for (int i = 0; i < kParticles; i++) inside += falling(6, i, 1) >= -1;
  ASSERT_TRUE(inside > 0 && inside < kParticles) << inside;
  EXPECT_EQ(e.groups[0].frame[6].inside, double(inside) / kParticles);
  EXPECT_EQ(e.groups[0].frame[6].inside_truth, 1);
  double lowest = 0;
  for (int i = 0; i < kParticles; i++) lowest = std::min(lowest, double(falling(6, i, 1)));
  EXPECT_DOUBLE_EQ(e.groups[0].frame[6].beyond, -1 - lowest);
  EXPECT_EQ(e.groups[0].frame[6].beyond_truth, 0);
  EXPECT_EQ(e.groups[0].worst.inside, 0);
  EXPECT_EQ(e.trivial[MOTE_TRIVIAL_BOUNDED].worst.inside, 1);
}

/* Matter that the data have beyond the walls is inside; `beyond` tells of the walls still. */
TEST_F(EvaluateTrivial, InsideReachesAsFarAsTheData) {
  auto out = [](int f, int i, int a) { return a == 1 && f > 4 ? -1 - float(i % 4) / 8 : 0.0f; };
  write("t.h5", out, 1, [](mote_metadata &m, auto &) { m.bounds[1][0] = -1; });
  write("d.h5",
        [&](int f, int i, int a) { return out(f, i, a) - (a == 1 && f > 4 && i % 4 == 3 ? 0.125f : 0); });
  MOTE_ASSERT_OK(compare());
  EXPECT_EQ(e.groups[0].frame[4].inside, 1);
  EXPECT_EQ(e.groups[0].frame[6].inside_truth, 1) << "its own farthest, 3/8 m";
  EXPECT_EQ(e.groups[0].frame[6].beyond_truth, 0.375);
  EXPECT_EQ(e.groups[0].frame[6].inside, 0.75);
  EXPECT_EQ(e.groups[0].frame[6].beyond, 0.5);
  options.reach = 0.125;
  MOTE_ASSERT_OK(compare());
  EXPECT_EQ(e.groups[0].frame[6].inside, 0.5);
  EXPECT_EQ(e.groups[0].frame[6].inside_truth, 0.5);
}

/* They are told where kinematic particles go, and kinetic energies leave those out. */
TEST_F(EvaluateTrivial, KinematicParticlesAreGiven) {
  std::vector<int32_t> type(8, 1);
  std::fill(type.begin(), type.begin() + 4, 3);
  auto at = [](int f, int i, int a) {
    return i < 4 ? float(f * f * (a + 1)) : 0.5f * float(i) + (a == 0 ? 0.25f * float(f) : 0);
  };
  for (const char *name : {"t.h5", "d.h5"}) write_trajectory(folder.file(name), 8, 8, 2, type, at);
  options.per_material = 0;
  options.frame_time = 1;
  MOTE_ASSERT_OK(compare());
  EXPECT_EQ(trivial(MOTE_TRIVIAL_STAY, 7), 0.25 * 4 / 2); /* half of the particles stand off */
  EXPECT_EQ(trivial(MOTE_TRIVIAL_VELOCITY, 7), 0);
  EXPECT_EQ(e.groups[0].frame[7].kinetic_truth, 0.25 * 0.25 / 2);
}

/* Round a domain of 16 m: neither velocities nor errors know where it is cut. */
TEST_F(EvaluateTrivial, PeriodicDomains) {
  auto wrapped = [](float x) { return x - 16 * std::floor(x / 16); };
  auto round = [](mote_metadata &m, auto &) {
    for (int a = 0; a < 2; a++) m.bounds[a][0] = 0, m.bounds[a][1] = 16, m.periodic[a] = 1;
  };
  auto at = [](int f, int i, int a) { return float(i + a) + 2.5f * float(f); };
  write(
      "t.h5", [&](int f, int i, int a) { return wrapped(at(f, i, a)); }, 1, round);
  write(
      "d.h5", [&](int f, int i, int a) { return wrapped(at(f, i, a) + 0.25f); }, 1, round);
  MOTE_ASSERT_OK(compare());
  EXPECT_NEAR(e.groups[0].worst.maximum, 0.25 * std::sqrt(2), 1e-6);
  EXPECT_NEAR(e.groups[0].kinetic_relative, 0, 1e-12);
  EXPECT_EQ(trivial(MOTE_TRIVIAL_VELOCITY, 11), 0);
}

TEST_F(EvaluateTrivial, TheHistoryIsTheFilesOwn) {
  options.history = MOTE_HISTORY_OF_FILE;
  write("t.h5", falling);
  write("d.h5", off);
  MOTE_ASSERT_OK(compare());
  EXPECT_EQ(e.history, 6);
  write("d.h5", off, 1, [](mote_metadata &m, auto &) { m.history_frames = 4; });
  MOTE_ASSERT_OK(compare());
  EXPECT_EQ(e.history, 4);
  write("d.h5", off, 1, {}, kParticles, 5);
  MOTE_ASSERT_OK(compare());
  EXPECT_EQ(e.history, 0); /* no more frames than that */
  EXPECT_EQ(e.trivial_count, 0);
  EXPECT_EQ(e.truth_frames, kFrames);
  for (int wrong : {1, 5, -2}) {
    options.history = wrong;
    EXPECT_EQ(MOTE_ERROR_ARGUMENT, compare());
    EXPECT_TRUE(mentions("history")) << mote_last_error();
  }
}

/* D holds every second frame from the second on; its history's last frame, D's second, is T's fourth. */
TEST_F(EvaluateTrivial, FramesAreMatchedByTheirTimes) {
  options.history = 2;
  write("t.h5", falling);
  mote_metadata metadata = {};
  metadata.dim = 2;
  for (int a = 0; a < 2; a++) metadata.bounds[a][0] = -64, metadata.bounds[a][1] = 64;
  mote_trajectory_options writing = {};
  writing.particles = kParticles, writing.dim = 2, writing.metadata = &metadata;
  auto save = [&](double first, double step) {
    mote_trajectory_writer *writer = nullptr;
    MOTE_ASSERT_OK(mote_trajectory_create(folder.file("d.h5").c_str(), &writing, &writer));
    for (int f = 0; f < 5; f++) {
      std::vector<float> x(kParticles * 2);
      for (int k = 0; k < kParticles * 2; k++) x[k] = falling(1 + 2 * f, k / 2, k % 2);
      const float *values = x.data();
      MOTE_ASSERT_OK(mote_trajectory_append(writer, first + step * f, &values));
    }
    MOTE_ASSERT_OK(mote_trajectory_finish(writer));
  };
  save(kDt, 2 * kDt);
  MOTE_ASSERT_OK(compare());
  EXPECT_EQ(e.frames, 5);
  EXPECT_EQ(e.frame_time, 2 * kDt);
  EXPECT_EQ(e.start_time, kDt);
  EXPECT_EQ(e.groups[0].worst.maximum, 0);
  EXPECT_EQ(e.groups[0].kinetic_relative, 0);
  EXPECT_EQ(e.trivial[MOTE_TRIVIAL_BALLISTIC].worst.maximum, 0);
  EXPECT_EQ(trivial(MOTE_TRIVIAL_VELOCITY, 4), 0.125 * 6 * 7 / 2);
  save(kDt, 1.5 * kDt);
  EXPECT_EQ(MOTE_ERROR_ARGUMENT, compare());
  EXPECT_TRUE(mentions("times do not fit")) << mote_last_error();
  save(-kDt, kDt);
  EXPECT_EQ(MOTE_ERROR_ARGUMENT, compare());
}

TEST_F(EvaluateTrivial, TheLabelIndexPairsASparseTrajectory) {
  std::vector<int32_t> index = {1, 4, 5, 9, 14};
  auto sparse = [&](int f, int i, int a) { return off(f, index[i], a); };
  Adjust with_index = [&](auto &, mote_trajectory_options &o) { o.index = index.data(); };
  write("t.h5", falling);
  write("d.h5", sparse, 1, with_index, 5);
  MOTE_ASSERT_OK(compare());
  EXPECT_TRUE(e.by_index);
  EXPECT_EQ(e.groups[0].frame[11].maximum, 8 / 32.0);
  EXPECT_EQ(trivial(MOTE_TRIVIAL_BALLISTIC, 11), 0);
  index[4] = kParticles;
  write(
      "d.h5", [](int, int, int) { return 0.0f; }, 1, with_index, 5);
  EXPECT_EQ(MOTE_ERROR_ARGUMENT, compare());
  EXPECT_TRUE(mentions("particle 4 is number 16")) << mote_last_error();
}

/* Shifted as a whole behind the history, by 1/32 m a frame: the Sinkhorn distance is the shift, of all points
   and of those drawn. To 1e-4: the blur's share of the tolerance. */
TEST_F(EvaluateTrivial, SinkhornDistancesOfFluids) {
  write("t.h5", falling);
  write("d.h5", off);
  options.sinkhorn = MOTE_SINKHORN_FLUIDS;
  MOTE_ASSERT_OK(compare());
  EXPECT_EQ(e.sinkhorn_blur, 0); /* no fluid */
  EXPECT_TRUE(std::isnan(e.groups[0].mean.sinkhorn));
  write("t.h5", falling, 5);
  for (int points : {1000, 9}) {
    options.sinkhorn_points = points;
    MOTE_ASSERT_OK(compare());
    EXPECT_NEAR(e.sinkhorn_blur, 0.05 * (points == 9 ? 4.0 / 3 : 1), 1e-12); /* half of dx = 0.1 */
    EXPECT_EQ(e.sinkhorn_points, std::min(points, kParticles));
    for (int f = 4; f < kFrames; f++) EXPECT_NEAR(e.groups[0].frame[f].sinkhorn, (f - 3) / 32.0, 1e-4) << f;
  }
  EXPECT_TRUE(std::isnan(e.groups[0].frame[3].sinkhorn));
  /* By the kind of material, where the type does not say so; without dx by the nearest neighbours. */
  options.sinkhorn_points = 1000;
  std::vector<int32_t> material(kParticles, 1);
  write("t.h5", falling, 1, [&](mote_metadata &m, mote_trajectory_options &o) {
    m.material_count = 2;
    m.dx = 0;
    strcpy(m.materials[0].kind, "fixed_corotated");
    strcpy(m.materials[1].kind, "herschel_bulkley");
    o.material = material.data();
  });
  MOTE_ASSERT_OK(compare());
  EXPECT_NEAR(e.groups[0].frame[11].sinkhorn, 8 / 32.0, 1e-4);
  EXPECT_NEAR(e.sinkhorn_blur, 0.125, 1e-6);
  options.sinkhorn = MOTE_SINKHORN_NEVER;
  MOTE_ASSERT_OK(compare());
  EXPECT_TRUE(std::isnan(e.groups[0].mean.sinkhorn));
}

TEST_F(EvaluateTrivial, MeansOverTrajectories) {
  write("t.h5", falling);
  mote_evaluation parts[2] = {};
  write("d.h5", off, 1, {}, kParticles, 8);
  MOTE_ASSERT_OK(compare());
  parts[0] = e, e = {};
  write("d.h5", falling);
  MOTE_ASSERT_OK(compare());
  parts[1] = e, e = {};
  MOTE_ASSERT_OK(mote_evaluation_average(parts, 2, &e));
  EXPECT_EQ(e.trajectories, 2);
  EXPECT_EQ(e.frames, kFrames);
  EXPECT_EQ(e.groups[0].frame[7].position, 4 / 32.0 / 2); /* both have it */
  EXPECT_EQ(e.groups[0].frame[11].position, 0);           /* the second alone */
  EXPECT_EQ(e.groups[0].mean.position, (1 + 2 + 3 + 4) / 4.0 / 32 / 2);
  EXPECT_EQ(e.groups[0].worst.position, 4 / 32.0);
  EXPECT_EQ(e.groups[0].worst.inside, 1);
  EXPECT_EQ(e.trivial_count, MOTE_TRIVIALS);
  EXPECT_EQ(e.best, MOTE_TRIVIAL_BALLISTIC);
  char *text = nullptr;
  for (mote_evaluation &part : parts) strcpy(part.trajectory, &part == parts ? "00000" : "00001");
  mote_evaluation all[3] = {e, parts[0], parts[1]};
  MOTE_ASSERT_OK(mote_evaluation_table(all, 3, &text));
  std::string table = text;
  free(text);
  for (const char *part :
       {"\n  00000 ", "\n  00001 ", "00000: ends after 8 of 12", "\n  ballistic in bounds "})
    EXPECT_NE(table.find(part), std::string::npos) << part << "\n" << table;
  for (mote_evaluation &part : parts) mote_evaluation_destroy(&part);
}

} // namespace
