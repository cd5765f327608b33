/* What a test may say to the emulated device; on other devices it does nothing.

     mote_test::Verified guard(device);   until the end of the scope, each launch runs in several orders and
                                          fails when a bit of its outcome depends on them */
#ifndef MOTE_TESTS_EMULATOR_CONTROL_H
#define MOTE_TESTS_EMULATOR_CONTROL_H

#include <dlfcn.h>

#include "tests/support/testing.h"

namespace mote_test {

/* A function of the device's shared object; NULL where there is none of that name. */
template <typename Function> Function *plugin_function(Device &device, const char *name) {
  return device.device->library ? reinterpret_cast<Function *>(dlsym(device.device->library, name)) : nullptr;
}

class Verified {
public:
  explicit Verified(Device &device, bool verify = true)
      : set_(plugin_function<int(int)>(device, "mote_emulator_verify")) {
    if (set_) before_ = set_(verify);
  }
  ~Verified() {
    if (set_) set_(before_);
  }
  Verified(const Verified &) = delete;
  Verified &operator=(const Verified &) = delete;

private:
  int (*set_)(int);
  int before_ = 0;
};

/* Another sequence of orders for the launches to come; the same seed gives the same ones again. */
inline void shuffle_orders(Device &device, uint64_t seed) {
  if (auto *set = plugin_function<uint64_t(uint64_t)>(device, "mote_emulator_seed")) set(seed);
}

} // namespace mote_test
#endif
