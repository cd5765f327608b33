/* `mote-bench train` as a user meets it: mistakes and their answers, and what it leaves in files. Its
   gradients are tested in tests/models/tape_test.cc, and against PyTorch by bench/peers/training_peer.py. */
#include <filesystem>
#include <fstream>
#include <sstream>

#include "host/io/safetensors.h"
#include "tests/cli/command.h"
#include "tests/support/testing.h"
#include "tests/support/trajectories.h"

using namespace mote_test;

namespace {

const std::string kSmall = "train --quick --device cpu --threads 2 ";

Answer bench(const std::string &arguments) {
  return run("mote-bench", arguments);
}

std::string bytes_of(const std::string &path) {
  std::ifstream file(path, std::ios::binary);
  std::stringstream all;
  all << file.rdbuf();
  return all.str();
}

void expect_complaint(const std::string &arguments, const std::string &part) {
  Answer answer = bench(arguments);
  EXPECT_EQ(2, answer.code) << arguments;
  EXPECT_TRUE(has(answer, part)) << arguments << ": " << answer.text;
}

/* The failure of a case that has begun. */
void expect_failure(const std::string &arguments, const std::string &part) {
  Answer answer = bench(kSmall + arguments);
  EXPECT_EQ(1, answer.code) << arguments;
  EXPECT_TRUE(has(answer, "mote-bench: train: ") && has(answer, part)) << arguments << ": " << answer.text;
}

/* Every tensor of the model, in its shape, and some of it not zero. */
void expect_layout_of(const std::string &model, const std::string &gradients) {
  mote_safetensors *own = nullptr, *other = nullptr;
  ASSERT_EQ(MOTE_OK, mote_safetensors_open(gradients.c_str(), &own)) << mote_last_error();
  ASSERT_EQ(MOTE_OK, mote_safetensors_open(model.c_str(), &other)) << mote_last_error();
  double squares = 0;
  int count = 0;
  for (; const mote_tensor *t = mote_safetensors_tensor(other, count); count++) {
    const mote_tensor *found = mote_safetensors_find(own, t->name);
    ASSERT_NE(nullptr, found) << t->name;
    std::vector<float> value(size_t(t->count));
    ASSERT_EQ(MOTE_OK, mote_safetensors_read(own, t->name, t->rank, t->shape, value.data()))
        << mote_last_error();
    for (float x : value) squares += double(x) * x;
  }
  EXPECT_GT(count, 100);
  EXPECT_EQ(nullptr, mote_safetensors_tensor(own, count)) << "more than the model has";
  EXPECT_GT(squares, 0);
  mote_safetensors_close(own);
  mote_safetensors_close(other);
}

} // namespace

/* What is saved is read again to the same bits, whether an example has one thread or all of them. */
TEST(BenchTrain, TimesAStepAndLeavesModelExamplesAndGradients) {
  TemporaryFolder folder;
  std::string model = folder.file("model"), first = folder.file("first"), again = folder.file("again");
  Answer made =
      bench(kSmall + "--size 30 --batch 2 --model giorom --save " + model + " --gradients " + first);
  ASSERT_EQ(0, made.code) << made.text;
  for (const char *part : {"forward", "backward", "update", "step"})
    EXPECT_TRUE(has(made, std::string("train/giorom, ") + part)) << made.text;
  EXPECT_TRUE(has(made, "samples/s"));
  expect_layout_of(model + "/model.safetensors", first);
  Answer read = bench(kSmall + "--batch 1 --model " + model + " --input " + model + "/batch.h5 --gradients " +
                      again + " --json " + folder.file("out.json"));
  ASSERT_EQ(0, read.code) << read.text;
  EXPECT_EQ(bytes_of(first), bytes_of(again));
  std::string json = bytes_of(folder.file("out.json"));
  for (const char *key :
       {"\"batch\":\t1", "\"edges\"", "\"latent_pairs\"", "\"first_loss\"", "\"rate_unit\""})
    EXPECT_NE(std::string::npos, json.find(key)) << key << json;
  std::string input = " --input " + model + "/batch.h5";
  expect_failure("--model " + model + input + " --batch 3", "there are 2 trajectories: --batch asks for 3");
  std::string flat = folder.file("flat.h5");
  write_trajectory(flat, 7, 9, 2, std::vector<int32_t>(9, 0),
                   [](int, int i, int a) { return 0.3f + 0.05f * float(a ? i / 3 : i % 3); });
  expect_failure("--model " + model + " --input " + flat, "is 2-D, the model 3-D");
}

TEST(BenchTrain, MistakesAreAnswered) {
  TemporaryFolder folder;
  expect_complaint("train --batch 0", "--batch is '0': expected 1 to 4096");
  expect_complaint("train --batch two", "--batch is 'two'");
  expect_complaint("train --size -3", "--size is '-3'");
  expect_complaint("train --threads x", "--threads is 'x'");
  expect_complaint("train --model", "unknown or incomplete argument '--model'");
  expect_complaint("neighbor --model gns", "are of the case 'train': name it");
  expect_complaint("--batch 4", "are of the case 'train': name it");
  expect_complaint("train --input a.h5", "--input is for the model of a folder");
  expect_complaint("train --model gns --input a.h5", "--input is for the model of a folder");
  expect_complaint("train --model DIR --input a.h5 --size 5", "--size is of made-up particles");
  expect_complaint("train --gradients g", "--gradients is of one model");
  expect_complaint("train --save DIR", "--save is of one model");
  expect_failure("--model " + folder.file("nowhere"), "nowhere");
  expect_failure("--size 30 --model gns --save " + folder.file("no/such"), "cannot make the folder");
}
