/* Making data sets: the same bytes whatever the threads and wherever it was stopped or killed, right
   statistics, claims of folders, scenes that blow up; and reading them, those of others too. */
#include <fcntl.h>
#include <functional>
#include <sys/file.h>

#include <hdf5.h>
#include <mote/convert.h>
#include <mote/dataset.h>
#include <mote/record.h>

#include "tests/cli/command.h"
#include "tests/dataset/spec_text.h"
#include "tests/io/files.h"
#include "tests/support/testing.h"
#include "tests/support/trajectories.h"

using mote_test::names_in;
using mote_test::slurp;
using mote_test::small_spec;
using mote_test::TemporaryFolder;
using mote_test::write_text;

namespace {

const std::vector<std::string> whole = {"metadata.json", "spec.yaml", "test.h5", "train.h5", "valid.h5"};

/* Asks to stop at the n-th report of progress, and keeps what was logged. */
struct Listener {
  explicit Listener(long long n = -1) : left(n) {}
  mote_monitor monitor() {
    return {[](void *user, mote_log_level, const char *line) {
              static_cast<Listener *>(user)->log += std::string(line) + "\n";
            },
            [](void *user, const char *, const char *, long long, long long) {
              return int(--static_cast<Listener *>(user)->left == 0);
            },
            this};
  }
  long long left;
  std::string log;
};

mote_status make(const std::string &spec, const std::string &folder, mote_dataset_summary *summary = nullptr,
                 int threads = 1, Listener *listener = nullptr, int64_t seed = 0) {
  mote_dataset_options options = {"cpu", threads, seed};
  Listener silent;
  mote_monitor monitor = (listener ? listener : &silent)->monitor();
  return mote_dataset_make(spec.c_str(), folder.c_str(), &options, &monitor, summary);
}

void expect_same(const std::string &a, const std::string &b) {
  EXPECT_EQ(whole, names_in(a));
  EXPECT_EQ(whole, names_in(b));
  for (const std::string &name : whole)
    EXPECT_TRUE(slurp(a + "/" + name) == slurp(b + "/" + name)) << name << " differs";
}

/* A trajectory read back. */
struct Read {
  Read(const std::string &path, int split, int index) {
    mote_trajectory_reader *reader = nullptr;
    EXPECT_EQ(MOTE_OK, mote_dataset_open(path.c_str(), split, &reader)) << mote_last_error();
    if (!reader) return;
    count = mote_trajectory_count(reader);
    EXPECT_EQ(MOTE_OK, mote_trajectory_get_info(reader, index, &info)) << mote_last_error();
    EXPECT_EQ(MOTE_OK, mote_trajectory_read_metadata(reader, &metadata)) << mote_last_error();
    position.resize(size_t(info.frames * info.particles * info.dim));
    type.resize(size_t(info.particles));
    EXPECT_EQ(MOTE_OK,
              mote_trajectory_read_frames(reader, index, "position", 0, info.frames, position.data()));
    EXPECT_EQ(MOTE_OK, mote_trajectory_read_labels(reader, index, "particle_type", type.data()));
    velocity_width = mote_trajectory_field_width(reader, index, "velocity");
    has_index = mote_trajectory_has_labels(reader, index, "index");
    mote_trajectory_close(reader);
  }
  int count = 0, velocity_width = 0, has_index = 0;
  mote_trajectory_info info = {};
  mote_metadata metadata = {};
  std::vector<float> position;
  std::vector<int32_t> type;
};

} // namespace

TEST(Dataset, SameBytesWithAnyThreads) {
  TemporaryFolder at;
  std::string spec = write_text(at.file("spec.yaml"), small_spec());
  mote_dataset_summary summary;
  MOTE_ASSERT_OK(make(spec, at.file("one"), &summary));
  EXPECT_EQ(6, summary.scenes);
  EXPECT_EQ(6, summary.done);
  EXPECT_EQ(6, summary.simulated);
  EXPECT_EQ(6 * 7, summary.frames);
  EXPECT_EQ(0, summary.redrawn);
  MOTE_ASSERT_OK(make(spec, at.file("two"), nullptr, 2));
  expect_same(at.file("one"), at.file("two"));
  MOTE_ASSERT_OK(make(spec, at.file("one"), &summary)); /* there already */
  EXPECT_EQ(0, summary.simulated);
  EXPECT_EQ(6, summary.done);
  expect_same(at.file("one"), at.file("two"));
}

/* What a trajectory holds is what recording its scene by itself gives. */
TEST(Dataset, TrajectoriesAreThoseOfTheirScenes) {
  TemporaryFolder at;
  std::string spec = write_text(at.file("spec.yaml"), small_spec() + "record: {velocity: true}\n");
  MOTE_ASSERT_OK(make(spec, at.file("set")));
  mote_scene scene;
  mote_test::Device cpu("cpu");
  mote_record_options options = {};
  MOTE_ASSERT_OK(mote_dataset_scene(spec.c_str(), 0, MOTE_TEST, 1, &scene));
  MOTE_EXPECT_OK(mote_record(&scene, cpu.device, at.file("alone.h5").c_str(), &options, nullptr, nullptr));
  mote_scene_destroy(&scene);
  Read a(at.file("set"), MOTE_TEST, 1), b(at.file("alone.h5"), MOTE_TEST, 0),
      train(at.file("set"), MOTE_TRAIN, 1);
  EXPECT_EQ(2, a.count);
  EXPECT_EQ(2, a.velocity_width);
  EXPECT_EQ(a.position, b.position);
  EXPECT_EQ(a.type, b.type);
  EXPECT_EQ(MOTE_TYPE_ELASTIC, a.type[0]);
  EXPECT_NE(a.position, train.position);
}

TEST(Dataset, StoppedAnywhereGoesOn) {
  TemporaryFolder at;
  std::string spec = write_text(at.file("spec.yaml"), small_spec());
  MOTE_ASSERT_OK(make(spec, at.file("whole")));
  mote_dataset_summary summary;
  for (int stop : {1, 9, 17, 1, 10}) { /* reports of progress into each call */
    Listener listener(stop);
    MOTE_ASSERT_OK(make(spec, at.file("parts"), &summary, 1, &listener));
    EXPECT_EQ((std::vector<std::string>{".parts", "spec.yaml"}), names_in(at.file("parts"))) << stop;
    EXPECT_LT(summary.done, summary.scenes);
    EXPECT_EQ(0, summary.frames);
  }
  EXPECT_EQ(4, summary.done);
  MOTE_ASSERT_OK(make(spec, at.file("parts"), &summary, 2));
  EXPECT_EQ(2, summary.simulated);
  expect_same(at.file("whole"), at.file("parts"));
  Listener listener(25);
  MOTE_ASSERT_OK(make(spec, at.file("together"), &summary, 3, &listener));
  MOTE_ASSERT_OK(make(spec, at.file("together"), nullptr, 3));
  expect_same(at.file("whole"), at.file("together"));
}

/* kill -9 of the command, later and later, until it gets to its end. */
TEST(Dataset, KilledAnywhereGoesOn) {
  TemporaryFolder at;
  std::string spec = write_text(at.file("spec.yaml"), small_spec());
  MOTE_ASSERT_OK(make(spec, at.file("whole")));
  std::string self = std::filesystem::read_symlink("/proc/self/exe").parent_path().parent_path().string();
  int kills = 0, code = -1;
  for (int ms = 5; code != 0 && ms < 20000; ms += ms < 200 ? 12 : ms / 2) {
    char seconds[16];
    snprintf(seconds, sizeof seconds, "%.3f", ms / 1000.0);
    std::string command = std::string("timeout -s KILL ") + seconds + " " + self + "/mote dataset " + spec +
                          " -o " + at.file("killed") + " --device cpu -q 2>/dev/null";
    code = std::system(command.c_str());
    kills += code != 0;
    if (code != 0 && std::filesystem::exists(at.file("killed")))
      for (const char *name : {"train.h5", "valid.h5", "test.h5"}) {
        mote_trajectory_reader *reader = nullptr;
        if (!std::filesystem::exists(at.file("killed/") + name)) continue;
        MOTE_EXPECT_OK(mote_trajectory_open((at.file("killed/") + name).c_str(), &reader));
        mote_trajectory_close(reader);
      }
  }
  EXPECT_EQ(0, code);
  EXPECT_GE(kills, 1);
  MOTE_ASSERT_OK(make(spec, at.file("killed")));
  expect_same(at.file("whole"), at.file("killed"));
}

TEST(Dataset, FoldersAreClaimed) {
  TemporaryFolder at;
  std::string spec = write_text(at.file("spec.yaml"), small_spec());
  std::string other = write_text(at.file("other.yaml"), small_spec() + "# a comment\n");
  Listener stop(3);
  MOTE_ASSERT_OK(make(spec, at.file("set"), nullptr, 1, &stop));
  EXPECT_EQ(MOTE_ERROR_ARGUMENT, make(other, at.file("set")));
  EXPECT_NE(nullptr, strstr(mote_last_error(), "another spec")) << mote_last_error();
  EXPECT_EQ(MOTE_ERROR_ARGUMENT, make(spec, at.file("set"), nullptr, 1, nullptr, 9));
  EXPECT_NE(nullptr, strstr(mote_last_error(), "seed")) << mote_last_error();
  int fd = open(at.file("set").c_str(), O_RDONLY | O_DIRECTORY);
  ASSERT_EQ(0, flock(fd, LOCK_EX));
  EXPECT_EQ(MOTE_ERROR_ARGUMENT, make(spec, at.file("set")));
  EXPECT_NE(nullptr, strstr(mote_last_error(), "another process")) << mote_last_error();
  close(fd);
  MOTE_ASSERT_OK(make(spec, at.file("set")));
  EXPECT_EQ(MOTE_ERROR_ARGUMENT, make(other, at.file("set")));
  EXPECT_EQ(whole, names_in(at.file("set"))); /* untouched */
  std::filesystem::create_directory(at.file("foreign"));
  write_text(at.file("foreign/train.h5"), "not ours");
  EXPECT_EQ(MOTE_ERROR_ARGUMENT, make(spec, at.file("foreign")));
  EXPECT_NE(nullptr, strstr(mote_last_error(), "made otherwise")) << mote_last_error();
  EXPECT_EQ("not ours", slurp(at.file("foreign/train.h5")));
  EXPECT_EQ(MOTE_ERROR_IO, make(at.file("none.yaml"), at.file("set")));
  EXPECT_EQ(MOTE_ERROR_IO, make(spec, at.file("no/such/folder")));
}

/* In float64, in one pass over all frames of train, written anew. */
TEST(Dataset, StatisticsAreThoseOfTrain) {
  TemporaryFolder at;
  std::string spec = write_text(at.file("spec.yaml"), small_spec());
  MOTE_ASSERT_OK(make(spec, at.file("set")));
  double sum[2][2] = {}, square[2][2] = {}, count[2] = {}, reach = 0;
  for (int k = 0; k < 3; k++) {
    Read t(at.file("set"), MOTE_TRAIN, k);
    int64_t row = t.info.particles * 2;
    for (int64_t i = 0; i < t.info.frames * row; i++)
      for (int side = 0; side < 2; side++)
        reach = std::max(reach, (side ? 1 : -1) * (double(t.position[i]) - t.metadata.bounds[i % 2][side]));
    for (int64_t i = row; i < t.info.frames * row; i++) {
      double v = double(t.position[i]) - double(t.position[i - row]);
      sum[0][i % 2] += v, square[0][i % 2] += v * v, count[0] += 0.5;
      if (i < 2 * row) continue;
      double a = v - (double(t.position[i - row]) - double(t.position[i - 2 * row]));
      sum[1][i % 2] += a, square[1][i % 2] += a * a, count[1] += 0.5;
    }
  }
  mote_metadata metadata;
  MOTE_ASSERT_OK(mote_metadata_read(at.file("set/metadata.json").c_str(), &metadata));
  ASSERT_TRUE(metadata.has_statistics);
  for (int d = 0; d < 2; d++) {
    double v = sum[0][d] / count[0], a = sum[1][d] / count[1];
    EXPECT_NEAR(v, metadata.velocity_mean[d], 1e-12);
    EXPECT_NEAR(a, metadata.acceleration_mean[d], 1e-12);
    EXPECT_NEAR(std::sqrt(square[0][d] / count[0] - v * v), metadata.velocity_std[d], 1e-10);
    EXPECT_NEAR(std::sqrt(square[1][d] / count[1] - a * a), metadata.acceleration_std[d], 1e-10);
  }
  EXPECT_EQ(reach, metadata.reach);
  EXPECT_EQ(7, metadata.sequence_length);
  EXPECT_NEAR(0.01, metadata.dt * metadata.write_every, 1e-7);
  EXPECT_NEAR(1.0 / 32, metadata.dx, 2e-3);
  EXPECT_NEAR(3.0 / 16, metadata.bounds[0][0], 1e-6);
  for (int split = 0; split < MOTE_SPLITS; split++) {
    Read t(at.file("set"), split, 0);
    EXPECT_EQ(metadata.velocity_std[1], t.metadata.velocity_std[1]) << split;
    EXPECT_EQ(metadata.reach, t.metadata.reach) << split;
    EXPECT_EQ(metadata.acceleration_mean[0], t.metadata.acceleration_mean[0]) << split;
  }
}

/* With a step of 2 ms, blocks of 40 m/s cannot be simulated: every second draw, more or less. */
TEST(Dataset, WhatBlowsUpIsDrawnAnew) {
  TemporaryFolder at;
  std::string text =
      small_spec("    a: {material: jelly, shape: {kind: sphere, radius: 0.1}, velocity: {choose: "
                 "[[0, 0], [0, 40]]}}\n",
                 "  train: 8\n");
  text.replace(text.find("frame_interval: 0.01"), 20, "step: 0.002, steps_per_frame: 5");
  std::string spec = write_text(at.file("spec.yaml"), text);
  mote_dataset_summary summary;
  Listener listener;
  MOTE_ASSERT_OK(make(spec, at.file("set"), &summary, 1, &listener));
  EXPECT_EQ(8, summary.simulated);
  EXPECT_GT(summary.redrawn, 0);
  EXPECT_NE(std::string::npos, listener.log.find("drawn anew")) << listener.log;
  Listener stop(20);
  MOTE_ASSERT_OK(make(spec, at.file("parts"), nullptr, 1, &stop));
  mote_dataset_summary resumed;
  MOTE_ASSERT_OK(make(spec, at.file("parts"), &resumed));
  EXPECT_EQ(summary.redrawn, resumed.redrawn); /* those of the call before count */
  EXPECT_TRUE(slurp(at.file("set/train.h5")) == slurp(at.file("parts/train.h5")));
  text.replace(text.find("[[0, 0], [0, 40]]"), 17, "[[0, 40]]");
  spec = write_text(at.file("hopeless.yaml"), "tries: 3\n" + text);
  EXPECT_EQ(MOTE_ERROR_NUMERIC, make(spec, at.file("hopeless"), &summary));
  for (const char *part : {"train 0", "3 draws", "stable"})
    EXPECT_NE(nullptr, strstr(mote_last_error(), part)) << mote_last_error();
  EXPECT_EQ((std::vector<std::string>{".parts", "spec.yaml"}), names_in(at.file("hopeless")));
}

TEST(Dataset, KeepsASample) {
  TemporaryFolder at;
  std::string spec =
      write_text(at.file("spec.yaml"), small_spec() + "record: {keep: {count: 20, method: farthest}}\n");
  MOTE_ASSERT_OK(make(spec, at.file("set")));
  Read t(at.file("set"), MOTE_VALID, 0);
  EXPECT_EQ(20, t.info.particles);
  EXPECT_EQ(7, t.info.frames);
  EXPECT_TRUE(t.has_index);
}

/* Held-out shapes from a file beside the spec: a tetrahedron where training has boxes. */
TEST(Dataset, MeshesLieBesideTheSpec) {
  TemporaryFolder at;
  write_text(at.file("tetrahedron.obj"),
             "v 0 0 0\nv 1 0 0\nv 0 1 0\nv 0 0 1\nf 1 3 2\nf 1 2 4\nf 1 4 3\nf 2 3 4\n");
  std::string text =
      "scene:\n  domain: {lower: [0, 0, 0], upper: [1, 1, 1], cells: 16}\n"
      "  time: {frame_interval: 0.005, frames: 3}\n  materials: {jelly: {kind: neo_hookean}}\n"
      "  bodies:\n    a: {material: jelly, rotation: random, form: {shape: {kind: box, size: [0.2, "
      "0.2, 0.2]}}}\nsplits:\n  train: 1\n"
      "  test: {count: 1, scene: {bodies: {a: {form: {mesh: {file: tetrahedron.obj, size: 0.4}}}}}}\n";
  std::string spec = write_text(at.file("spec.yaml"), text);
  MOTE_ASSERT_OK(make(spec, at.file("set")));
  Read train(at.file("set"), MOTE_TRAIN, 0), test(at.file("set"), MOTE_TEST, 0);
  /* Volumes over that of a particle, (1/32)^3 m^3; a lattice is off by a layer of its surface. */
  EXPECT_NEAR(0.008 * 32768, double(train.info.particles), 90);
  EXPECT_NEAR(0.064 / 6 * 32768, double(test.info.particles), 90);
  std::string lost = write_text(at.file("lost.yaml"), text.replace(text.find("tetrahedron"), 3, "oct"));
  EXPECT_NE(MOTE_OK, make(lost, at.file("lost")));
  EXPECT_NE(nullptr, strstr(mote_last_error(), "octrahedron.obj")) << mote_last_error();
  EXPECT_NE(nullptr, strstr(mote_last_error(), "lost.yaml:9:")) << mote_last_error();
}

/* A data set as LagrangeBench publishes them: no metadata in the files, packed positions, types of 64 bits.
 */
TEST(Dataset, ReadsLagrangeBench) {
  TemporaryFolder at;
  const hsize_t size[3] = {5, 4, 3}, chunk[3] = {1, 4, 3}, n = 4;
  for (const char *name : {"train", "valid"}) {
    hid_t file =
        H5Fcreate(at.file(std::string(name) + ".h5").c_str(), H5F_ACC_TRUNC, H5P_DEFAULT, H5P_DEFAULT);
    for (int k = 0; k < 2; k++) {
      char group_name[8];
      snprintf(group_name, sizeof group_name, "%05d", k);
      hid_t group = H5Gcreate2(file, group_name, H5P_DEFAULT, H5P_DEFAULT, H5P_DEFAULT);
      hid_t space = H5Screate_simple(3, size, nullptr), list = H5Pcreate(H5P_DATASET_CREATE);
      H5Pset_chunk(list, 3, chunk);
      H5Pset_deflate(list, 4);
      hid_t set = H5Dcreate2(group, "position", H5T_IEEE_F32LE, space, H5P_DEFAULT, list, H5P_DEFAULT);
      std::vector<float> x(60);
      for (int i = 0; i < 60; i++) x[size_t(i)] = 0.01f * float(i) + float(k);
      ASSERT_GE(H5Dwrite(set, H5T_NATIVE_FLOAT, H5S_ALL, H5S_ALL, H5P_DEFAULT, x.data()), 0);
      H5Dclose(set), H5Pclose(list), H5Sclose(space);
      space = H5Screate_simple(1, &n, nullptr);
      set = H5Dcreate2(group, "particle_type", H5T_STD_I64LE, space, H5P_DEFAULT, H5P_DEFAULT, H5P_DEFAULT);
      const int64_t type[4] = {0, 1, 2, 3};
      ASSERT_GE(H5Dwrite(set, H5T_NATIVE_INT64, H5S_ALL, H5S_ALL, H5P_DEFAULT, type), 0);
      H5Dclose(set), H5Sclose(space), H5Gclose(group);
    }
    H5Fclose(file);
  }
  write_text(
      at.file("metadata.json"),
      R"({"case": "TGV", "solver": "SPH", "dim": 3, "dx": 0.05, "dt": 0.0004, "t_end": 5, "viscosity": 0.01,
"artificial_alpha": 0.0, "sequence_length_train": 5, "num_trajs_train": 2, "sequence_length_test": 5,
"num_trajs_test": 2, "num_particles_max": 4, "periodic_boundary_conditions": [true, true, true],
"bounds": [[0.0, 1.0], [0.0, 1.0], [0.0, 2.0]], "write_every": 100, "default_connectivity_radius": 0.0725,
"vel_mean": [0.1, 0.2, 0.3], "vel_std": [1, 2, 3], "acc_mean": [0, 0, 0], "acc_std": [4, 5, 6]})");
  Read t(at.path, MOTE_VALID, 1);
  EXPECT_EQ(2, t.count);
  EXPECT_EQ(5, t.info.frames);
  EXPECT_EQ(3, t.info.dim);
  EXPECT_EQ((std::vector<int32_t>{0, 1, 2, 3}), t.type);
  EXPECT_FLOAT_EQ(1 + 0.59f, t.position[59]);
  EXPECT_EQ(1, t.metadata.periodic[2]);
  EXPECT_EQ(2, t.metadata.bounds[2][1]);
  EXPECT_EQ(0.0725, t.metadata.connectivity_radius);
  EXPECT_EQ(100, t.metadata.write_every);
  EXPECT_EQ(3, t.metadata.velocity_std[2]);
  mote_trajectory_reader *reader;
  float window[24];
  MOTE_ASSERT_OK(mote_dataset_open(at.path.c_str(), MOTE_TRAIN, &reader));
  MOTE_EXPECT_OK(mote_trajectory_read_frames(reader, 0, "position", 2, 2, window));
  EXPECT_FLOAT_EQ(0.24f, window[0]);
  EXPECT_FLOAT_EQ(0.47f, window[23]);
  mote_trajectory_close(reader);
  EXPECT_EQ(MOTE_ERROR_IO, mote_dataset_open(at.path.c_str(), MOTE_TEST, &reader));
  EXPECT_NE(nullptr, strstr(mote_last_error(), "test.h5")) << mote_last_error();
  EXPECT_EQ(MOTE_ERROR_ARGUMENT, mote_dataset_open(at.path.c_str(), 3, &reader));
}

/* GNS keeps its trajectories in NPZ: converted, they are a split like any other, in 2-D and 3-D. */
TEST(Dataset, ReadsGnsOnceConverted) {
  for (int dim = 2; dim <= 3; dim++) {
    TemporaryFolder at;
    auto place = [](int t, int i, int d) {
      return 0.1f * float(d) + 0.02f * float(i) + 0.001f * float(t * t);
    };
    mote_test::write_trajectory(at.file("first.h5"), 6, 5, dim, {5, 5, 3, 5, 5}, place);
    mote_convert_options options = {};
    options.all_trajectories = 1;
    MOTE_ASSERT_OK(
        mote_convert(at.file("first.h5").c_str(), at.file("train.npz").c_str(), &options, nullptr));
    std::filesystem::create_directory(at.file("set"));
    MOTE_ASSERT_OK(
        mote_convert(at.file("train.npz").c_str(), at.file("set/train.h5").c_str(), &options, nullptr));
    Read t(at.file("set"), MOTE_TRAIN, 0);
    EXPECT_EQ(6, t.info.frames);
    EXPECT_EQ(dim, t.info.dim);
    EXPECT_EQ((std::vector<int32_t>{5, 5, 3, 5, 5}), t.type);
    EXPECT_EQ(place(5, 4, 1), t.position[size_t((5 * 5 + 4) * dim + 1)]);
    EXPECT_TRUE(t.metadata.has_statistics);
    EXPECT_NEAR(0.002, t.metadata.acceleration_mean[0], 1e-7);
  }
}

TEST(Dataset, CommandAnswers) {
  using mote_test::has;
  using mote_test::mote;
  TemporaryFolder at;
  std::string spec = write_text(at.file("spec.yaml"), small_spec());
  std::string wrong = write_text(at.file("wrong.yaml"), "sede: 3\n");
  EXPECT_TRUE(has(mote("dataset --help"), "SPEC.yaml"));
  EXPECT_TRUE(has(mote("dataset " + spec), "--output is required"));
  mote_test::Answer answer = mote("dataset " + wrong + " -o " + at.file("set"));
  EXPECT_EQ(1, answer.code);
  EXPECT_TRUE(has(answer, "wrong.yaml:1:1: unknown key 'sede'")) << answer.text;
  EXPECT_FALSE(std::filesystem::exists(at.file("set"))); /* nothing is begun */
  answer = mote("dataset " + spec + " -o " + at.file("set") + " --threads 1");
  EXPECT_EQ(0, answer.code);
  EXPECT_TRUE(has(answer, "simulate: 36 frames") && has(answer, "6 trajectories")) << answer.text;
  answer = mote("dataset " + spec + " -o " + at.file("quiet") + " -q");
  EXPECT_EQ("", answer.text);
}
