/* What the tests share: the devices to test on, arrays on a device, error measures, and the folder with the
   optional reference data. A kernel test is a TEST_P over mote_test::devices(). */
#ifndef MOTE_TESTS_SUPPORT_TESTING_H
#define MOTE_TESTS_SUPPORT_TESTING_H

#include <gtest/gtest.h>

#include <cmath>
#include <string>
#include <vector>

#include "host/core/device.h"

#define MOTE_ASSERT_OK(call) ASSERT_EQ(MOTE_OK, (call)) << mote_last_error()
#define MOTE_EXPECT_OK(call) EXPECT_EQ(MOTE_OK, (call)) << mote_last_error()

namespace mote_test {

/* "cpu", then "emu" and "cuda:0" where this build and machine have them. */
std::vector<std::string> devices();

/* Whether the CPU multiplies terms of weights (kernels/dense/terms.h); then the second names "cpu-fma" as
   well, the same without; and each other device at "bfloat16x3", as in "emu-bfloat16x3". The third names
   these at the coarser precisions, too. */
bool cpu_has_terms();
std::vector<std::string> devices_and_products();
std::vector<std::string> devices_and_precisions();
inline bool is_cpu(const std::string &name) {
  return name.rfind("cpu", 0) == 0;
}

/* The path of a file below the folder of reference data ($MOTE_SHARED, else a folder "shared" beside or above
   the working directory); "" when it is not there. */
std::string shared_file(const std::string &relative);
#define MOTE_REQUIRE_SHARED(variable, relative)                                                              \
  std::string variable = mote_test::shared_file(relative);                                                   \
  if (variable.empty()) GTEST_SKIP() << "no reference data: shared/" << relative << " is absent"

/* A folder that is removed, with all in it, at the end of the test. */
class TemporaryFolder {
public:
  TemporaryFolder();
  ~TemporaryFolder();
  std::string file(const std::string &name) const { return path + "/" + name; }
  std::string path;
};

/* An open device with one stream. */
class Device {
public:
  explicit Device(const std::string &name, int threads = 0);
  ~Device();
  Device(const Device &) = delete;
  Device &operator=(const Device &) = delete;
  mote_device *device = nullptr;
  mote_stream *stream = nullptr;
  mote_device *operator->() { return device; }
  /* Rounding of a product of the device's precision, in those of float32 sums: what tolerances are times. */
  double coarseness() const;
};

/* An array in device memory. */
template <typename T> class Array {
public:
  Array(Device &device, size_t count) : device_(device), count_(count) {
    EXPECT_EQ(MOTE_OK, mote_buffer_reserve(&buffer_, device.device, (count ? count : 1) * sizeof(T)))
        << mote_last_error();
  }
  Array(Device &device, const std::vector<T> &values) : Array(device, values.size()) {
    EXPECT_EQ(MOTE_OK, mote_upload(device.stream, buffer_.data, values.data(), values.size() * sizeof(T)))
        << mote_last_error();
  }
  ~Array() { mote_buffer_free(&buffer_); }
  Array(const Array &) = delete;
  Array &operator=(const Array &) = delete;
  T *data() { return static_cast<T *>(buffer_.data); }
  operator T *() { return data(); }
  std::vector<T> host() {
    std::vector<T> values(count_);
    EXPECT_EQ(MOTE_OK, mote_download(device_.stream, values.data(), buffer_.data, count_ * sizeof(T)))
        << mote_last_error();
    return values;
  }

private:
  Device &device_;
  size_t count_;
  mote_buffer buffer_ = {};
};

/* ||a - b|| / ||b|| in float64; NaN anywhere gives NaN, which no tolerance passes. */
template <typename A, typename B> double relative_l2(const std::vector<A> &a, const std::vector<B> &b) {
  EXPECT_EQ(a.size(), b.size());
  double difference = 0, norm = 0;
  for (size_t i = 0; i < a.size() && i < b.size(); i++) {
    double d = double(a[i]) - double(b[i]);
    difference += d * d;
    norm += double(b[i]) * double(b[i]);
  }
  return std::sqrt(difference) / (norm > 0 ? std::sqrt(norm) : 1.0);
}

class OnDevice : public ::testing::TestWithParam<std::string> {};
#define MOTE_ON_DEVICES(suite) MOTE_ON(suite, mote_test::devices())
#define MOTE_ON_DEVICES_AND_PRODUCTS(suite) MOTE_ON(suite, mote_test::devices_and_products())
#define MOTE_ON_DEVICES_AND_PRECISIONS(suite) MOTE_ON(suite, mote_test::devices_and_precisions())
#define MOTE_ON(suite, names)                                                                                \
  INSTANTIATE_TEST_SUITE_P(devices, suite, ::testing::ValuesIn(names), [](const auto &info) {                \
    std::string name = info.param;                                                                           \
    for (char &c : name)                                                                                     \
      if (c == ':' || c == '-') c = '_';                                                                     \
    return name;                                                                                             \
  })

} // namespace mote_test
#endif
