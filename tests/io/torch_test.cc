/* Checkpoints of PyTorch: tensors come out as they went in, whatever their type and strides; and files that
   lie, want something run, or are damaged are refused. */
#include "tests/support/testing.h"

#include <random>

#include "host/io/torch_archive.h"
#include "tests/io/files.h"
#include "tests/support/torch_file.h"

using namespace mote_test;

namespace {

struct Opened {
  explicit Opened(const std::string &path) : status(mote_torch_open(path.c_str(), &archive)) {}
  ~Opened() { mote_torch_close(archive); }
  Opened(const Opened &) = delete;
  Opened &operator=(const Opened &) = delete;
  std::vector<float> read(const char *name) {
    const mote_torch_tensor *t = archive ? mote_torch_find(archive, name) : nullptr;
    if (!t) {
      ADD_FAILURE() << name << " is missing: " << mote_last_error();
      return {};
    }
    std::vector<float> values(size_t(t->count), -1);
    MOTE_EXPECT_OK(mote_torch_read(archive, t, values.data()));
    return values;
  }
  mote_torch *archive = nullptr;
  mote_status status;
};

std::vector<float> count(size_t n, float from = 0) {
  std::vector<float> values(n);
  for (size_t k = 0; k < n; k++) values[k] = from + float(k);
  return values;
}

TorchFile small() {
  TorchFile file;
  file.add("b.weight", {2, 3}, count(6, 1));
  file.add("a.bias", {2}, {0.5f, -0.25f});
  return file;
}

bool says(const char *part) {
  return strstr(mote_last_error(), part) != nullptr;
}

/* Opens and reads all; the first error. */
mote_status read_all(const std::string &path) {
  Opened file(path);
  mote_status status = file.status;
  for (int k = 0; file.archive && k < mote_torch_count(file.archive) && status == MOTE_OK; k++) {
    const mote_torch_tensor *t = mote_torch_get(file.archive, k);
    std::vector<float> values(size_t(t->count) + 1);
    status = mote_torch_read(file.archive, t, values.data());
  }
  return status;
}

} // namespace

TEST(torch, reads_what_was_written) {
  TemporaryFolder folder;
  std::string path = folder.file("m.pt");
  for (int level : {0, 6})
    for (const char *inner : {"archive/", "a model-0.1/", ""}) {
      TorchFile file = small();
      file.level = level;
      file.folder = inner;
      file.write(path);
      Opened opened(path);
      MOTE_ASSERT_OK(opened.status);
      ASSERT_EQ(mote_torch_count(opened.archive), 2);
      EXPECT_STREQ(mote_torch_get(opened.archive, 0)->name, "a.bias");
      EXPECT_EQ(mote_torch_get(opened.archive, 2), nullptr);
      EXPECT_EQ(mote_torch_find(opened.archive, "c"), nullptr);
      EXPECT_EQ(mote_torch_find(opened.archive, "b.weight")->shape[1], 3);
      EXPECT_EQ(opened.read("b.weight"), count(6, 1));
      EXPECT_EQ(opened.read("a.bias"), (std::vector<float>{0.5f, -0.25f}));
    }
}

/* Views of one storage: a transpose, a slice with an offset, a step, a scalar, nothing. */
TEST(torch, honours_strides_and_offsets) {
  TemporaryFolder folder;
  TorchFile file;
  file.storages.emplace_back("7", bytes_of(count(24)));
  file.add("transposed", View{"7", 24, 0, {4, 6}, {1, 4}});
  file.add("sliced", View{"7", 24, 13, {2, 3}, {6, 1}});
  file.add("stepped", View{"7", 24, 1, {3}, {7}});
  file.add("spatial", View{"7", 24, 1, {2, 1, 3}, {2, 1000000000000, 8}});
  file.add("scalar", View{"7", 24, 23, {}, {}});
  file.add("nothing", View{"7", 24, 24, {5, 0}, {1, 1}});
  file.write(folder.file("m.pt"));
  Opened opened(folder.file("m.pt"));
  MOTE_ASSERT_OK(opened.status);
  std::vector<float> transposed;
  for (int i = 0; i < 4; i++)
    for (int j = 0; j < 6; j++) transposed.push_back(float(i + 4 * j));
  EXPECT_EQ(opened.read("transposed"), transposed);
  EXPECT_EQ(opened.read("sliced"), (std::vector<float>{13, 14, 15, 19, 20, 21}));
  EXPECT_EQ(opened.read("stepped"), (std::vector<float>{1, 8, 15}));
  EXPECT_EQ(opened.read("spatial"), (std::vector<float>{1, 9, 17, 3, 11, 19}));
  EXPECT_EQ(opened.read("scalar"), (std::vector<float>{23}));
  EXPECT_EQ(opened.read("nothing"), std::vector<float>{});
}

TEST(torch, widens_and_narrows_to_float32) {
  TemporaryFolder folder;
  TorchFile file;
  file.storages = {{"half", bytes_of(std::vector<uint16_t>{0x3c00, 0xc100, 0x0001, 0x7bff})},
                   {"brain", bytes_of(std::vector<uint16_t>{0x3f80, 0xc020, 0x0001, 0x7f7f})},
                   {"double", bytes_of(std::vector<double>{0.1, -1e-300})},
                   {"long", bytes_of(std::vector<int64_t>{3})},
                   {"infinite", bytes_of(std::vector<double>{1, 1e300})},
                   {"nan", bytes_of(std::vector<uint32_t>{0x7fc00000})}};
  file.add("half", View{"half", 4, 0, {4}, {1}, "HalfStorage"});
  file.add("brain", View{"brain", 4, 0, {4}, {1}, "BFloat16Storage"});
  file.add("double", View{"double", 2, 0, {2}, {1}, "DoubleStorage"});
  file.add("long", View{"long", 1, 0, {1}, {1}, "LongStorage"});
  file.add("infinite", View{"infinite", 2, 0, {2}, {1}, "DoubleStorage"});
  file.add("nan", View{"nan", 1, 0, {1}, {1}});
  file.write(folder.file("m.pt"));
  Opened opened(folder.file("m.pt"));
  MOTE_ASSERT_OK(opened.status);
  EXPECT_EQ(opened.read("half"), (std::vector<float>{1, -2.5f, 0x1p-24f, 65504}));
  EXPECT_EQ(opened.read("brain"), (std::vector<float>{1, -2.5f, 0x1p-133f, 0x1.fep127f}));
  EXPECT_EQ(opened.read("double"), (std::vector<float>{0.1f, -0.0f}));
  float values[2];
  EXPECT_EQ(mote_torch_read(opened.archive, mote_torch_find(opened.archive, "long"), values),
            MOTE_ERROR_FORMAT);
  EXPECT_TRUE(says("'long'") && says("I64"));
  for (const char *name : {"infinite", "nan"}) {
    EXPECT_EQ(mote_torch_read(opened.archive, mote_torch_find(opened.archive, name), values),
              MOTE_ERROR_NUMERIC);
    EXPECT_TRUE(says(name));
  }
}

TEST(torch, big_endian_files) {
  TemporaryFolder folder;
  TorchFile file;
  file.byte_order = "big";
  file.storages.emplace_back("0", std::string("\x3f\x80\0\0\xc0\0\0\0", 8));
  file.add("w", View{"0", 2, 0, {2}, {1}});
  file.write(folder.file("m.pt"));
  EXPECT_EQ(Opened(folder.file("m.pt")).read("w"), (std::vector<float>{1, -2}));
  file.byte_order = "middle";
  file.write(folder.file("m.pt"));
  EXPECT_EQ(read_all(folder.file("m.pt")), MOTE_ERROR_FORMAT);
}

/* Under a key of a checkpoint, amid what trainers keep; as parameters; with the names of data parallel
   training. */
TEST(torch, finds_the_state_dict) {
  TemporaryFolder folder;
  std::string path = folder.file("m.pt");
  TorchFile file = small();
  std::string optimizer = "}(" + text("state") + "}" + integer(0) + View{"0", 6, 0, {6}, {1}}.pickle() + "s" +
                          text("groups") + "](" + integer(0) + integer(1) + "e" + integer(2) + "au";
  for (const char *key : {"state_dict", "model_state_dict", "model"}) {
    file.write(path, "\x80\x02}(" + text("epoch") + "K\x05" + text("loss") + "G?\xe0" + std::string(6, '\0') +
                         text("rng") + View{"0", 6, 0, {6}, {1}}.pickle() + text("device") +
                         global("torch", "device") + text("cpu") + "\x85R" + text("shape") +
                         global("torch", "Size") + tuple({2, 3}) + "\x85R" + text("seen") +
                         global("__builtin__", "set") + "]K\x01" + "a\x85R" + text("type") +
                         global("torch", "float32") + text("none") + "N" + text("optimizer") + optimizer +
                         text(key) + file.state_dict() + "u.");
    Opened opened(path);
    MOTE_ASSERT_OK(opened.status);
    EXPECT_EQ(mote_torch_count(opened.archive), 2) << key;
    EXPECT_EQ(opened.read("a.bias"), (std::vector<float>{0.5f, -0.25f}));
  }
  TorchFile parallel;
  parallel.add("module.w", {1}, {3});
  parallel.items += text("module.p") + global("torch._utils", "_rebuild_parameter") +
                    View{"0", 1, 0, {1}, {1}}.pickle() + "\x88" + ordered_dict() + "\x87R";
  parallel.write(path);
  Opened opened(path);
  EXPECT_EQ(opened.read("w"), (std::vector<float>{3}));
  EXPECT_EQ(opened.read("p"), (std::vector<float>{3}));
  parallel.add("other", {1}, {4});
  parallel.write(path);
  EXPECT_EQ(Opened(path).read("module.w"), (std::vector<float>{3})) << "only where all names have it";
}

TEST(torch, tensors_that_lie) {
  TemporaryFolder folder;
  std::string path = folder.file("m.pt");
  const int64_t huge = int64_t(1) << 62;
  struct {
    View view;
    const char *why;
  } cases[] = {{{"0", 7, 0, {7}, {1}}, "smaller"},
               {{"0", huge, 0, {1}, {1}}, "smaller"},
               {{"0", -1, 0, {0}, {1}}, "smaller"},
               {{"0", 6, 0, {4}, {1}, "DoubleStorage"}, "smaller"},
               {{"0", 6, 0, {7}, {1}}, "more elements"},
               {{"0", 6, 0, {7}, {0}}, "more elements"},
               {{"0", 6, 0, {1 << 20, 1 << 20}, {0, 0}}, "more elements"},
               {{"0", 6, 0, {huge, huge, 4}, {1, 1, 1}}, "more elements"},
               {{"0", 6, 1, {6}, {1}}, "beyond"},
               {{"0", 6, 6, {}, {}}, "beyond"},
               {{"0", 6, huge, {1}, {1}}, "beyond"},
               {{"0", 6, INT64_MAX, {2}, {1}}, "beyond"},
               {{"0", 6, 0, {2}, {6}}, "beyond"},
               {{"0", 6, 0, {2, 2, 1}, {huge, huge, huge}}, "beyond"},
               {{"0", 6, 0, {3, 2}, {INT64_MAX, 1}}, "beyond"},
               {{"0", 6, -1, {1}, {1}}, "an offset"},
               {{"0", 6, 0, {-1}, {1}}, "an offset"},
               {{"0", 6, 0, {2}, {-1}}, "an offset"},
               {{"0", 6, 0, {2}, {1, 1}}, "an offset"},
               {{"0", 6, 0, {1, 1, 1, 1, 1, 1, 1, 1, 1}, {1, 1, 1, 1, 1, 1, 1, 1, 1}}, "an offset"},
               {{"1", 6, 0, {6}, {1}}, "has no data/1"},
               {{"../data/0", 6, 0, {6}, {1}}, "has no data/"},
               {{std::string("0\0", 2), 6, 0, {6}, {1}}, "no name"},
               {{std::string(300, 'k'), 6, 0, {6}, {1}}, "no name"},
               {{"", 6, 0, {6}, {1}}, "has no data/"},
               {{"0", 1, 0, {1}, {1}, "ComplexFloatStorage"}, "ComplexFloatStorage"}};
  for (auto &c : cases) {
    TorchFile file;
    file.storages.emplace_back("0", bytes_of(count(6)));
    file.add("the.weight", c.view);
    file.write(path);
    EXPECT_NE(read_all(path), MOTE_OK) << c.why;
    EXPECT_TRUE(says(c.why) && says("'the.weight'")) << c.why << ": " << mote_last_error();
  }
}

TEST(torch, state_dicts_that_lie) {
  TemporaryFolder folder;
  std::string path = folder.file("m.pt"), tensor = View{"0", 6, 0, {6}, {1}}.pickle();
  TorchFile file;
  file.storages.emplace_back("0", bytes_of(count(6)));
  struct {
    std::string pickle;
    mote_status status;
    const char *why;
  } cases[] = {{"N.", MOTE_ERROR_FORMAT, "no state dict"},
               {"}.", MOTE_ERROR_FORMAT, "no state dict"},
               {tensor + ".", MOTE_ERROR_FORMAT, "no state dict"},
               {text("state_dict") + ".", MOTE_ERROR_FORMAT, "no state dict"},
               {tuple({1, 2}) + ".", MOTE_ERROR_FORMAT, "no state dict"},
               {"}(" + text("step") + integer(3) + text("lr\x1b[31m") + integer(3) + "u.", MOTE_ERROR_FORMAT,
                "it has step, lr?[31m"},
               {"}(" + text("w") + tensor + text("w") + tensor + "u.", MOTE_ERROR_FORMAT,
                "'w': its name stands twice"},
               {"}(" + text("w\n") + tensor + "u.", MOTE_ERROR_FORMAT, "name is no text"},
               {"}(" + text(std::string("w\0", 2)) + tensor + "u.", MOTE_ERROR_FORMAT, "name is no text"},
               {"}(" + text(std::string(2000, 'w')) + tensor + "u.", MOTE_ERROR_FORMAT, "name is no text"},
               {"}(" + text("w") + "u.", MOTE_ERROR_FORMAT, "no dictionary"},
               {"](" + text("w") + tensor + "u.", MOTE_ERROR_FORMAT, "no dictionary"},
               {"}" + tensor + "s.", MOTE_ERROR_FORMAT, "no dictionary"},
               {"]" + text("w") + tensor + "s.", MOTE_ERROR_FORMAT, "no dictionary"},
               {"}s.", MOTE_ERROR_FORMAT, "stack is empty"},
               {"u.", MOTE_ERROR_FORMAT, "mark is missing"},
               {"Q.", MOTE_ERROR_FORMAT, "stack is empty"},
               {"NQ.", MOTE_ERROR_FORMAT, "no storage"},
               {"(" + text("module") + "NNNNtQ.", MOTE_ERROR_FORMAT, "no storage"},
               {"(" + text("storage") + "NNNtQ.", MOTE_ERROR_FORMAT, "no storage"},
               {"}" + text("w") + global("torch._utils", "_rebuild_tensor_v2") + "(" + integer(0) + "NNNtRs.",
                MOTE_ERROR_FORMAT, "without a storage"},
               {"}" + text("w") + global("torch._utils", "_rebuild_tensor_v2") + ")Rs.", MOTE_ERROR_FORMAT,
                "without a storage"},
               {"}" + text("w") + global("torch._utils", "_rebuild_tensor_v2") + "((" + text("storage") +
                    "NNNNtQNNNtRs.",
                MOTE_ERROR_UNSUPPORTED, "'w'"},
               {global("torch._utils", "_rebuild_parameter") + "N\x85R.", MOTE_ERROR_FORMAT, "no tensor"},
               {global("torch", "Size") + "N\x85R.", MOTE_ERROR_FORMAT, "no tuple"},
               {global("collections", "OrderedDict") + "]\x85R.", MOTE_ERROR_FORMAT, "begin empty"},
               {tensor + "}b.", MOTE_ERROR_FORMAT, "no dictionary"},
               {global("os", "system") + text("true") + "\x85R.", MOTE_ERROR_UNSUPPORTED, "'os system'"},
               {global("builtins", "eval") + text("1") + "\x85R.", MOTE_ERROR_UNSUPPORTED, "not executed"},
               {global("gns.learned_simulator", "LearnedSimulator") + ")\x81}b.", MOTE_ERROR_UNSUPPORTED,
                "LearnedSimulator"},
               {"}" + text("w") + global("numpy.core.multiarray", "_reconstruct") + ")Rs.",
                MOTE_ERROR_UNSUPPORTED, "torch.save(model.state_dict()"},
               {"cos\nsystem\n(" + text("true") + "o.", MOTE_ERROR_UNSUPPORTED, "state dicts need"},
               /* A dictionary that holds itself, where its state dict should be and as its own state. */
               {"}q\x01" + text("model") + "h\x01s.", MOTE_ERROR_FORMAT, "no state dict"},
               {"}q\x01" + text("model") + "h\x01sh\x01" + "b.", MOTE_ERROR_FORMAT, "no state dict"},
               {"]q\x01h\x01" + std::string("a") + "\x85q\x02}" + text("model") + "h\x02s.",
                MOTE_ERROR_FORMAT, "no state dict"},
               {std::string(100000, '}') + ".", MOTE_ERROR_FORMAT, "too deep"},
               {std::string(100000, '('), MOTE_ERROR_FORMAT, "too deep"}};
  for (auto &c : cases) {
    file.write(path, c.pickle);
    EXPECT_EQ(read_all(path), c.status) << c.why;
    EXPECT_TRUE(says(c.why)) << c.why << ": " << mote_last_error();
  }
  /* A chain of dictionaries, each in the one before, is read without a step of recursion. */
  std::string chain = "}q" + std::string(1, '\0');
  for (int k = 0; k < 100000; k++)
    chain += "}r" + little_endian(uint64_t(k) + 1, 4) + text("model") + "j" + little_endian(uint64_t(k), 4) +
             "s0j" + little_endian(uint64_t(k) + 1, 4);
  file.write(path, chain + ".");
  EXPECT_EQ(read_all(path), MOTE_ERROR_FORMAT);
}

TEST(torch, files_that_are_none) {
  TemporaryFolder folder;
  std::string path = folder.file("m.pt");
  spill(path, std::string("\x80\x02\x8a\nl\xfc\x9c"
                          "F\xf9 j\xa8P\x19.\x80\x02M\xe9\x03.",
                          20));
  EXPECT_EQ(read_all(path), MOTE_ERROR_UNSUPPORTED);
  EXPECT_TRUE(says("before PyTorch 1.6") && says("torch.save(torch.load(")) << mote_last_error();
  for (const char *text : {"", "P", "hello", "\x80\x02}."}) {
    spill(path, text);
    EXPECT_EQ(read_all(path), MOTE_ERROR_FORMAT);
    EXPECT_TRUE(says("no checkpoint")) << mote_last_error();
  }
  EXPECT_EQ(read_all(folder.file("absent.pt")), MOTE_ERROR_IO);
  EXPECT_EQ(read_all(folder.path), MOTE_ERROR_IO);
  TorchFile file = small();
  file.folder = "a/b/";
  file.write(path);
  EXPECT_EQ(read_all(path), MOTE_ERROR_FORMAT);
  EXPECT_TRUE(says("no data.pkl")) << mote_last_error();
  file = small();
  struct {
    const char *name;
    mote_status status;
    const char *why;
  } cases[] = {{"archive/data/data.pkl", MOTE_OK, ""},
               {"archive/more/constants.pkl", MOTE_OK, ""},
               {"archive/data/0", MOTE_ERROR_FORMAT, "stands twice"},
               {"other/data.pkl", MOTE_ERROR_FORMAT, "two pickles"},
               {"data.pkl", MOTE_ERROR_FORMAT, "two pickles"},
               {"archive/constants.pkl", MOTE_ERROR_UNSUPPORTED, "TorchScript"}};
  for (auto &c : cases) {
    file = small();
    file.others.emplace_back(c.name, "");
    file.write(path);
    EXPECT_EQ(read_all(path), c.status) << c.name;
    EXPECT_TRUE(!*c.why || says(c.why)) << mote_last_error();
  }
}

TEST(torch, truncated_anywhere_and_changed) {
  TemporaryFolder folder;
  for (int level : {0, 6}) {
    TorchFile file = small();
    file.level = level;
    file.write(folder.file("m.pt"));
    std::string seed = slurp(folder.file("m.pt"));
    ScratchFile scratch("t.pt");
    for (size_t size = 0; size < seed.size(); size += 3) {
      spill(scratch.path, seed.substr(0, size));
      EXPECT_EQ(read_all(scratch.path), MOTE_ERROR_FORMAT) << size;
    }
    for (int k = 0; k < 1500; k++) {
      std::mt19937 random(k);
      std::string bytes = seed;
      for (int changes = 1 + random() % 4; changes > 0; changes--)
        bytes[random() % bytes.size()] = char(random());
      spill(scratch.path, bytes);
      read_all(scratch.path);
    }
  }
}

/* The sums of a ZIP archive hide the pickle from changed bytes; here they reach it. */
TEST(torch, changed_and_truncated_pickles) {
  TorchFile file = small();
  std::string seed = "\x80\x02" + file.state_dict() + ".";
  ScratchFile scratch("p.pt");
  for (size_t cut = 1; cut < seed.size(); cut++) {
    file.write(scratch.path, seed.substr(0, cut));
    EXPECT_EQ(read_all(scratch.path), MOTE_ERROR_FORMAT) << cut;
  }
  for (int k = 0; k < 2000; k++) {
    std::mt19937 random(k);
    std::string bytes = seed;
    for (int changes = 1 + random() % 3; changes > 0; changes--)
      bytes[random() % bytes.size()] = char(random());
    file.write(scratch.path, bytes);
    read_all(scratch.path);
  }
}
