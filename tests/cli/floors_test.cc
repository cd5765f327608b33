/* scripts/kernel_floors.py on a profile whose floors are known. */
#include <filesystem>
#include <fstream>

#include "tests/cli/command.h"
#include "tests/support/testing.h"

using namespace mote_test;

namespace {

const char *kScript = "scripts/kernel_floors.py";

Answer floors(const std::string &arguments) {
  Answer answer = {-1, ""};
  FILE *pipe = popen((std::string("python3 ") + kScript + " " + arguments + " 2>&1 </dev/null").c_str(), "r");
  char line[512];
  while (pipe && fgets(line, sizeof line, pipe)) answer.text += line;
  const int result = pipe ? pclose(pipe) : -1;
  if (WIFEXITED(result)) answer.code = WEXITSTATUS(result);
  return answer;
}

#define REQUIRE_SCRIPT()                                                                                     \
  if (!std::filesystem::exists(kScript) || std::system("python3 --version > /dev/null 2>&1"))                \
  GTEST_SKIP() << "no python3, or not started where " << kScript << " is"

void write(const std::string &path, const std::string &text) {
  std::ofstream(path) << text;
}

/* A row as Nsight Compute prints it. */
std::string row(int id, const char *kernel, const char *metric, const char *value) {
  return "\"" + std::to_string(id) + "\",\"" + kernel + "\",\"" + metric + "\",\"u\",\"" + value + "\"\n";
}

/* 100 GB/s, 1 Tflop/s, 8 Tflop/s of tensor cores. */
const char *kPeaks =
    R"({"measured_bandwidth_gbs": 100, "measured_gflops": 1000, "measured_tensor_gflops": 8192, "precision": "bfloat16x3"})";

} // namespace

TEST(KernelFloors, ArePartsOfTime) {
  REQUIRE_SCRIPT();
  TemporaryFolder folder;
  const std::string profile = folder.file("p.csv"), peaks = folder.file("b.json");
  std::string text =
      "==PROF== Connected\n\"ID\",\"Kernel Name\",\"Metric Name\",\"Metric Unit\",\"Metric Value\"\n";
  for (int id : {0, 1}) { /* 1 MB in 20 us: a floor of 10, half of it */
    text += row(id, "void copy<4, 3>(const float *, int)", "gpu__time_duration.sum", "20,000");
    text += row(id, "void copy<4, 3>(const float *, int)", "dram__bytes.sum", "1,000,000");
    text +=
        row(id, "void copy<4, 3>(const float *, int)", "sm__inst_executed_pipe_tensor_op_hmma.sum", "n/a");
  }
  /* 1000 tiles of 4096 operations: 0.5 us of 100; a million multiply-adds and as many sums: 3 us */
  text += row(2, "multiply(float *)", "gpu__time_duration.sum", "100000");
  text += row(2, "multiply(float *)", "smsp__sass_thread_inst_executed_op_ffma_pred_on.sum", "1000000");
  text += row(2, "multiply(float *)", "smsp__sass_thread_inst_executed_op_fadd_pred_on.sum", "1000000");
  text += row(2, "multiply(float *)", "sm__inst_executed_pipe_tensor_op_hmma.sum", "1000");
  write(profile, text);
  write(peaks, kPeaks);
  Answer answer = floors(profile + " --peaks " + peaks);
  ASSERT_EQ(0, answer.code) << answer.text;
  const size_t first = answer.text.find("multiply"), second = answer.text.find("copy<4, 3>");
  ASSERT_NE(std::string::npos, first) << answer.text;
  EXPECT_LT(first, second) << "the costliest gap comes first: " << answer.text;
  EXPECT_TRUE(has(answer, "100.0      3.00     3.0%  float32")) << answer.text;
  EXPECT_TRUE(has(answer, "20.0     10.00    50.0%  memory")) << answer.text;
  EXPECT_TRUE(has(answer, "2 kernels, 3 launches, 0.140 ms, of which the floors are 0.023")) << answer.text;
  text += row(3, "tiles()", "gpu__time_duration.sum", "1000");
  text += row(3, "tiles()", "sm__inst_executed_pipe_tensor_op_hmma.sum", "1000");
  write(profile, text);
  EXPECT_TRUE(has(floors(profile + " --peaks " + peaks), "1.0      0.50    50.0%  tensor"));
}

TEST(KernelFloors, MistakesAreAnswered) {
  REQUIRE_SCRIPT();
  TemporaryFolder folder;
  const std::string profile = folder.file("p.csv"), peaks = folder.file("b.json");
  EXPECT_TRUE(has(floors("--metrics"), "gpu__time_duration.sum,dram__bytes.sum"));
  EXPECT_EQ(2, floors(profile).code);
  write(profile, "==ERROR== no permission\n");
  EXPECT_TRUE(has(floors(profile + " --peaks " + peaks), "b.json"));
  write(peaks, kPeaks);
  Answer answer = floors(profile + " --peaks " + peaks);
  EXPECT_EQ(1, answer.code);
  EXPECT_TRUE(has(answer, "no table of Nsight Compute")) << answer.text;
  write(peaks, "{}");
  write(profile, "\"ID\",\"Kernel Name\",\"Metric Name\",\"Metric Unit\",\"Metric Value\"\n" +
                     row(0, "k()", "gpu__time_duration.sum", "5"));
  answer = floors(profile + " --peaks " + peaks);
  EXPECT_EQ(1, answer.code);
  EXPECT_TRUE(has(answer, "measured_bandwidth_gbs")) << answer.text;
}
