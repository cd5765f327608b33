/* Writes what torch.save writes, without PyTorch: the pickle's instructions by hand, and the archive around
   it. */
#ifndef MOTE_TESTS_SUPPORT_TORCH_FILE_H
#define MOTE_TESTS_SUPPORT_TORCH_FILE_H

#include <cstring>
#include <string>
#include <utility>
#include <vector>

#include "host/io/zip.h"
#include "tests/support/testing.h"

namespace mote_test {

inline std::string little_endian(uint64_t value, int bytes) {
  std::string s;
  for (int k = 0; k < bytes; k++) s += char(value >> 8 * k);
  return s;
}

template <typename T> std::string bytes_of(const std::vector<T> &values) {
  return std::string(reinterpret_cast<const char *>(values.data()), values.size() * sizeof(T));
}

/* ---- Pieces of a pickle (protocol 2) ---- */

inline std::string text(const std::string &s) {
  return "X" + little_endian(s.size(), 4) + s;
}
inline std::string integer(int64_t n) {
  return n == int32_t(n) ? "J" + little_endian(uint64_t(n), 4) : "\x8a\x08" + little_endian(uint64_t(n), 8);
}
inline std::string global(const std::string &module, const std::string &name) {
  return "c" + module + "\n" + name + "\n";
}
inline std::string tuple(const std::vector<int64_t> &numbers) {
  std::string s = "(";
  for (int64_t n : numbers) s += integer(n);
  return s + "t";
}
inline std::string ordered_dict() {
  return global("collections", "OrderedDict") + ")R";
}

inline std::vector<int64_t> row_major(const std::vector<int64_t> &shape) {
  std::vector<int64_t> stride(shape.size());
  int64_t step = 1;
  for (size_t d = shape.size(); d-- > 0; step *= shape[d]) stride[d] = step;
  return stride;
}

/* A view of the storage `key` of `extent` elements. */
struct View {
  std::string key;
  int64_t extent, offset;
  std::vector<int64_t> shape, stride;
  std::string type = "FloatStorage";
  std::string pickle() const {
    return global("torch._utils", "_rebuild_tensor_v2") + "((" + text("storage") + global("torch", type) +
           text(key) + text("cpu") + integer(extent) + "tQ" + integer(offset) + tuple(shape) + tuple(stride) +
           "\x89" + ordered_dict() + "tR";
  }
};

/* ---- The file ---- */

struct TorchFile {
  std::string items;                                         /* of the state dict: name, tensor, ... */
  std::vector<std::pair<std::string, std::string>> storages; /* by key */
  std::vector<std::pair<std::string, std::string>> others;   /* by name in the archive */
  std::string folder = "archive/", byte_order = "little";
  int level = 0; /* of compression */

  void add(const std::string &name, const View &view) { items += text(name) + view.pickle(); }

  /* A row-major float32 tensor with a storage of its own. */
  void add(const std::string &name, const std::vector<int64_t> &shape, const std::vector<float> &values) {
    std::string key = std::to_string(storages.size());
    storages.emplace_back(key, bytes_of(values));
    add(name, View{key, int64_t(values.size()), 0, shape, row_major(shape)});
  }

  /* An OrderedDict with its _metadata, as Module.state_dict() gives it. */
  std::string state_dict() const {
    return ordered_dict() + "(" + items + "u}" + text("_metadata") + ordered_dict() + text("") + "}" +
           text("version") + "K\x01sssb";
  }

  /* The whole pickle is the state dict unless another is given. */
  void write(const std::string &path, std::string pickle = "") const {
    if (pickle.empty()) pickle = "\x80\x02" + state_dict() + ".";
    mote_output output;
    MOTE_ASSERT_OK(mote_output_open(path.c_str(), &output));
    mote_zip_writer zip = {};
    zip.output = &output;
    zip.level = level;
    put(zip, folder + "data.pkl", pickle);
    if (!byte_order.empty()) put(zip, folder + "byteorder", byte_order);
    for (const auto &[key, bytes] : storages) put(zip, folder + "data/" + key, bytes);
    for (const auto &[name, bytes] : others) put(zip, name, bytes);
    put(zip, folder + "version", "3\n");
    MOTE_ASSERT_OK(mote_zip_finish(&zip));
    mote_zip_release(&zip);
    MOTE_ASSERT_OK(mote_output_commit(&output, 1));
  }

private:
  static void put(mote_zip_writer &zip, const std::string &name, const std::string &bytes) {
    MOTE_ASSERT_OK(mote_zip_begin(&zip, name.c_str()));
    MOTE_ASSERT_OK(mote_zip_write(&zip, bytes.data(), bytes.size()));
    MOTE_ASSERT_OK(mote_zip_end(&zip));
  }
};

} // namespace mote_test
#endif
