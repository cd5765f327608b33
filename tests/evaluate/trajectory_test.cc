/* Evaluation of trajectories and its reports: errors put in by hand come out. */
#include <mote/evaluate.h>

#include <algorithm>
#include <fstream>
#include <sstream>

#include <hdf5.h>

#include "host/core/stdio_output.h"
#include "tests/support/testing.h"
#include "tests/support/trajectories.h"

namespace {

using mote_test::write_trajectory;

class EvaluateTrajectory : public ::testing::Test {
protected:
  EvaluateTrajectory() : device("cpu") {
    EXPECT_EQ(MOTE_OK, mote_evaluator_create(device.device, &evaluator));
    mote_evaluate_options_defaults(&options);
    options.frame_time = 0.25;
  }
  ~EvaluateTrajectory() override {
    mote_evaluation_destroy(&evaluation);
    mote_evaluator_destroy(evaluator);
  }
  mote_status compare(const std::string &d, const std::string &t) {
    mote_trajectory_reader *a = nullptr, *b = nullptr;
    EXPECT_EQ(MOTE_OK, mote_trajectory_open(d.c_str(), &a)) << mote_last_error();
    EXPECT_EQ(MOTE_OK, mote_trajectory_open(t.c_str(), &b)) << mote_last_error();
    mote_status status = mote_evaluate_trajectory(evaluator, a, 0, b, 0, &options, nullptr, &evaluation);
    mote_trajectory_close(a);
    mote_trajectory_close(b);
    return status;
  }
  mote_test::TemporaryFolder folder;
  mote_test::Device device;
  mote_evaluator *evaluator = nullptr;
  mote_evaluate_options options;
  mote_evaluation evaluation = {};
};

/* 4 x 4 x 4 points a quarter apart; those of material 5 (x below a half) shift by 1/32 a frame, the others by
   half that. All are exact in float32, and below half a spacing, so RMSE = Chamfer = shift. */
float position(int frame, int i, int k, bool shifted) {
  int c = k == 0 ? i % 4 : k == 1 ? i / 4 % 4 : i / 16;
  float x = 0.25f * float(c);
  return shifted && k == 1 ? x + float(frame) / (i % 4 < 2 ? 32 : 64) : x;
}

void write_pair(const mote_test::TemporaryFolder &folder, int d_count = 64) {
  std::vector<int32_t> type(64);
  for (int i = 0; i < 64; i++) type[i] = i % 4 < 2 ? 5 : 6;
  write_trajectory(folder.file("t.h5"), 3, 64, 3, type,
                   [](int f, int i, int k) { return position(f, i, k, false); });
  type.resize(d_count);
  write_trajectory(folder.file("d.h5"), 3, d_count, 3, type,
                   [](int f, int i, int k) { return position(f, i, k, true); });
}

TEST_F(EvaluateTrajectory, ErrorsByFrameAndMaterial) {
  write_pair(folder);
  MOTE_ASSERT_OK(compare(folder.file("d.h5"), folder.file("t.h5")));
  ASSERT_EQ(evaluation.frames, 3);
  ASSERT_EQ(evaluation.group_count, 3);
  EXPECT_STREQ(evaluation.groups[1].name, "fluid");
  EXPECT_STREQ(evaluation.groups[2].name, "sand");
  for (int f = 0; f < 3; f++) {
    EXPECT_NEAR(evaluation.groups[1].frame[f].rmse, f / 32.0, 1e-12);
    EXPECT_NEAR(evaluation.groups[2].frame[f].rmse, f / 64.0, 1e-12);
    EXPECT_NEAR(evaluation.groups[1].frame[f].chamfer, f / 32.0, 1e-12);
    EXPECT_NEAR(evaluation.groups[0].frame[f].chamfer, f * (1 / 32.0 + 1 / 64.0) / 2, 1e-12);
    EXPECT_NEAR(evaluation.groups[0].frame[f].maximum, f / 32.0, 1e-12);
  }
  EXPECT_NEAR(evaluation.groups[1].mean.rmse, 1 / 32.0, 1e-12);
  EXPECT_NEAR(evaluation.groups[1].worst.rmse, 2 / 32.0, 1e-12);
}

TEST_F(EvaluateTrajectory, DifferentNumbersOfParticles) {
  write_pair(folder, 48);
  MOTE_ASSERT_OK(compare(folder.file("d.h5"), folder.file("t.h5")));
  EXPECT_TRUE(std::isnan(evaluation.groups[0].mean.rmse));
  EXPECT_TRUE(std::isnan(evaluation.groups[1].frame[0].rmse));
  /* Frame 0: 48 of D lie on points of T; the 16 of T without one are a quarter away. */
  EXPECT_NEAR(evaluation.groups[0].frame[0].chamfer, 0.25 * 16 / 64 / 2, 1e-12);
}

/* Mote's writer refuses such a value, so another program's file is imitated through HDF5. */
static void spoil(const std::string &path, hsize_t frame, hsize_t particle) {
  hid_t file = H5Fopen(path.c_str(), H5F_ACC_RDWR, H5P_DEFAULT),
        set = H5Dopen2(file, "00000/position", H5P_DEFAULT);
  hid_t space = H5Dget_space(set), one = H5Screate(H5S_SCALAR);
  hsize_t at[3] = {frame, particle, 0}, count[3] = {1, 1, 1};
  float value = NAN;
  H5Sselect_hyperslab(space, H5S_SELECT_SET, at, nullptr, count, nullptr);
  EXPECT_GE(H5Dwrite(set, H5T_NATIVE_FLOAT, one, space, H5P_DEFAULT, &value), 0);
  H5Sclose(one), H5Sclose(space), H5Dclose(set), H5Fclose(file);
}

TEST_F(EvaluateTrajectory, NotFiniteNamesTheFrame) {
  std::vector<int32_t> type(8, 5);
  auto at = [](int, int i, int k) { return float(i + k); };
  write_trajectory(folder.file("d.h5"), 4, 8, 3, type, at);
  write_trajectory(folder.file("t.h5"), 4, 8, 3, type, at);
  spoil(folder.file("d.h5"), 2, 5);
  EXPECT_EQ(MOTE_ERROR_NUMERIC, compare(folder.file("d.h5"), folder.file("t.h5")));
  std::string message = mote_last_error();
  EXPECT_NE(message.find("frame 2"), std::string::npos) << message;
  EXPECT_NE(message.find("particle 5"), std::string::npos) << message;
  write_trajectory(folder.file("flat.h5"), 4, 8, 2, type, [](int, int i, int k) { return float(i + k); });
  EXPECT_EQ(MOTE_ERROR_ARGUMENT, compare(folder.file("flat.h5"), folder.file("t.h5")));
}

TEST_F(EvaluateTrajectory, Reports) {
  write_pair(folder);
  options.name = "affine, \"no\" learning";
  options.chamfer_stride = 2;
  MOTE_ASSERT_OK(compare(folder.file("d.h5"), folder.file("t.h5")));
  char *text = nullptr;
  MOTE_ASSERT_OK(mote_evaluation_table(&evaluation, 1, &text));
  std::istringstream table(text);
  free(text);
  std::vector<std::string> lines;
  for (std::string line; std::getline(table, line);) lines.push_back(line);
  ASSERT_EQ(lines.size(), 6u);
  for (size_t k = 3; k < lines.size(); k++) EXPECT_EQ(lines[k].size(), lines[0].size()) << lines[k];
  EXPECT_NE(lines[4].find("31.2500"), std::string::npos) << lines[4]; /* the fluid's mean RMSE, mm */

  std::string csv = folder.file("errors.csv");
  MOTE_ASSERT_OK(mote_evaluation_write_csv(&evaluation, 1, csv.c_str()));
  std::ifstream file(csv);
  lines.clear();
  for (std::string line; std::getline(file, line);) lines.push_back(line);
  ASSERT_EQ(lines.size(), 1u + 3 * 3);
  EXPECT_EQ(lines[0], "name,group,frame,time,relative_l2,rmse,maximum,chamfer,position,sinkhorn,kinetic,"
                      "kinetic_truth,beyond,beyond_truth,inside,inside_truth,trajectory");
  EXPECT_EQ(lines[5].rfind("\"affine, \"\"no\"\" learning\",fluid,1,0.25,", 0), 0u) << lines[5];
  /* No Chamfer in frame 1, nor a Sinkhorn distance; v = 1/32 m in a quarter of a second. */
  EXPECT_EQ(lines[5].substr(lines[5].find(",0.03125,0.03125,")),
            ",0.03125,0.03125,,0.03125,,0.0078125,0,0,0,1,1,")
      << lines[5];

  MOTE_EXPECT_OK(mote_evaluation_plot(&evaluation, 1, MOTE_METRIC_CHAMFER, 0, folder.file("e.png").c_str()));
  MOTE_EXPECT_OK(
      mote_evaluation_plot(&evaluation, 1, MOTE_METRIC_RELATIVE_L2, 1, folder.file("l.png").c_str()));
  EXPECT_EQ(MOTE_ERROR_IO,
            mote_evaluation_write_csv(&evaluation, 1, (folder.path + "/no/such/errors.csv").c_str()));
  EXPECT_EQ(MOTE_ERROR_IO, mote_evaluation_write_csv(&evaluation, 1, "/dev/full/errors.csv"));
}

} // namespace
