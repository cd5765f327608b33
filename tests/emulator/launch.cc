/* A launch: configuration and arguments checked, pointers translated, the grid run once, or three times and
   compared (MOTE_EMU_VERIFY). MOTE_EMU_TRACE=FILE has a line a launch written there. */
#include "tests/emulator/launch.h"

#include <sys/mman.h>

#include "tests/emulator/block.h"
#include "tests/emulator/memory.h"

namespace mote_emulator {

settings &current_settings() {
  static settings chosen = [] {
    settings initial;
    if (const char *text = getenv("MOTE_EMU_SEED")) initial.seed = strtoull(text, nullptr, 0);
    if (const char *text = getenv("MOTE_EMU_VERIFY")) initial.verify = atoi(text) != 0;
    if (const char *path = getenv("MOTE_EMU_TRACE")) initial.trace = fopen(path, "w");
    return initial;
  }();
  return chosen;
}

void *dynamic_shared_of(size_t bytes) {
  constexpr size_t room = 256 * 1024, page = 4096;
  static unsigned char *base = [] {
    void *at = mmap(nullptr, room + page, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
    if (at == MAP_FAILED) abort();
    mprotect(static_cast<unsigned char *>(at) + room, page, PROT_NONE);
    return static_cast<unsigned char *>(at);
  }();
  return base + room - (bytes + 15) / 16 * 16;
}

namespace {

bool fail(cudaError_t error, const kernel_call &call, const std::string &what) {
  set_error(error, ("kernel " + call.name + ": " + what).c_str());
  return false;
}

std::string hex(uintptr_t address) {
  char text[32];
  snprintf(text, sizeof text, "0x%zx", size_t(address));
  return text;
}

bool check_configuration(const kernel_call &call) {
  uint64_t threads = uint64_t(call.block.x) * call.block.y * call.block.z;
  if (!threads || threads > 1024 || call.block.z > 64)
    return fail(cudaErrorInvalidConfiguration, call,
                std::to_string(threads) + " threads a block: expected 1 to 1024");
  if (!call.grid.x || !call.grid.y || !call.grid.z || call.grid.x > 0x7fffffffu || call.grid.y > 65535 ||
      call.grid.z > 65535)
    return fail(cudaErrorInvalidConfiguration, call,
                "a grid of " + std::to_string(call.grid.x) + " x " + std::to_string(call.grid.y) + " x " +
                    std::to_string(call.grid.z) + " blocks: x may be 2^31-1, y and z 65535");
  if (call.shared > 227 * 1024)
    return fail(cudaErrorInvalidValue, call,
                std::to_string(call.shared) + " bytes of shared memory: expected at most 227 KiB");
  return true;
}

/* A pointer parameter has to be NULL, in an allocation, or at the end of one. */
bool translate_pointer(const kernel_call &call, size_t number, uintptr_t &word) {
  if (!word) return true;
  if (memory_find(word)) {
    word = memory_seen(word);
    return true;
  }
  std::string what = "argument " + std::to_string(number) + " is the pointer " + hex(word) + ", ";
  what += memory_is_handle(word) ? memory_describe(memory_seen(word)) + " (freed, or out of bounds)"
                                 : "which is host memory or nothing, not device memory";
  return fail(cudaErrorInvalidDevicePointer, call, what);
}

/* A small integer with what padding holds above it is none. */
bool may_be_address(uintptr_t word) {
  return word > 0xffffffffu && (word & 0xffffffffu) >= 0x10000;
}

/* In a struct only what is an address is one: device memory is translated, host memory refused. */
bool translate_words(const kernel_call &call, size_t number, const argument &each) {
  for (size_t at = 0; at + 8 <= each.bytes; at += 8) {
    uintptr_t word;
    memcpy(&word, static_cast<char *>(each.data) + at, 8);
    if (memory_find(word)) {
      word = memory_seen(word);
      memcpy(static_cast<char *>(each.data) + at, &word, 8);
    } else if (!memory_is_handle(word) && may_be_address(word) && memory_host_mapped(word)) {
      return fail(cudaErrorInvalidDevicePointer, call,
                  "argument " + std::to_string(number) + " is a struct with host memory (" + hex(word) +
                      ") at byte " + std::to_string(at));
    }
  }
  return true;
}

bool translate_arguments(kernel_call &call) {
  std::vector<argument> list = call.fresh_arguments();
  for (size_t i = 0; i < list.size(); i++) {
    bool function = call.is_library && i == 0; /* the body, whose captures are the host's own */
    if (list[i].is_pointer) {
      uintptr_t word;
      memcpy(&word, list[i].data, sizeof word);
      if (!translate_pointer(call, i, word)) return false;
      memcpy(list[i].data, &word, sizeof word);
    } else if (!function && !translate_words(call, i, list[i])) {
      return false;
    }
  }
  return true;
}

bool run_once(kernel_call &call, const run_options &options) {
  if (!run_grid(call, options)) return false;
  std::string damage = memory_damage(false);
  if (damage.empty()) return true;
  return fail(cudaErrorIllegalAddress, call, damage);
}

using snapshot = std::vector<std::vector<unsigned char>>;

snapshot save() {
  snapshot saved;
  for (const auto &[handle, a] : memory_all()) saved.emplace_back(a.data(), a.data() + a.bytes);
  return saved;
}

void restore(const snapshot &saved) {
  size_t i = 0;
  for (const auto &[handle, a] : memory_all()) {
    memcpy(a.data(), saved[i].data(), a.bytes);
    i++;
  }
}

/* "" or where device memory differs from what an earlier run left. */
std::string difference(const snapshot &before) {
  size_t i = 0;
  for (const auto &[handle, a] : memory_all()) {
    const std::vector<unsigned char> &old = before[i++];
    if (!memcmp(old.data(), a.data(), a.bytes)) continue;
    size_t at = size_t(std::mismatch(old.begin(), old.end(), a.data()).first - old.begin()) / 4 * 4;
    uint32_t words[2] = {};
    memcpy(&words[0], &old[at], std::min<size_t>(4, a.bytes - at));
    memcpy(&words[1], a.data() + at, std::min<size_t>(4, a.bytes - at));
    float values[2];
    memcpy(values, words, sizeof values);
    char text[256];
    snprintf(text, sizeof text,
             "at byte %zu of an allocation of %zu bytes: 0x%08x (float %g) and 0x%08x (float %g)", at,
             a.bytes, words[0], double(values[0]), words[1], double(values[1]));
    return text;
  }
  return "";
}

bool run_verified(kernel_call &call, uint64_t seed) {
  const run_options ways[3] = {{0, poison_one}, {1, poison_other}, {seed, poison_one}};
  snapshot before = save(), first;
  for (int way = 0; way < 3; way++) {
    if (way) restore(before);
    if (!run_once(call, ways[way])) return false;
    if (!way) {
      first = save();
      continue;
    }
    std::string found = difference(first);
    if (!found.empty())
      return fail(
          cudaErrorLaunchFailure, call,
          "the result depends on the order of its threads and blocks, or on unwritten shared memory: " +
              found);
  }
  return true;
}

} // namespace

namespace {

/* kernel, blocks, threads a block, bytes of dynamic shared memory */
void write_trace(FILE *trace, const kernel_call &call) {
  fprintf(trace, "%s %lld %u %zu\n", call.name.c_str(),
          static_cast<long long>(call.grid.x) * call.grid.y * call.grid.z,
          call.block.x * call.block.y * call.block.z, call.shared);
  fflush(trace);
}

} // namespace

void run_call(kernel_call &call) {
  settings &s = current_settings();
  if (s.trace) write_trace(s.trace, call);
  uint64_t seed = (s.seed + 1) * 0x100000001b3u + ++s.launches + 2;
  if (!check_configuration(call) || !translate_arguments(call)) return;
  watch_faults();
  if (s.verify && !call.is_library)
    run_verified(call, seed);
  else
    run_once(call, {seed, poison_one});
}

} // namespace mote_emulator

/* ---- For tests, by name: see control.h ---- */

extern "C" {
int mote_emulator_verify(int verify) {
  return std::exchange(mote_emulator::current_settings().verify, verify != 0);
}
int mote_emulator_is_checked() {
#ifdef MOTE_EMULATOR_CHECKED
  return 1;
#else
  return 0;
#endif
}
uint64_t mote_emulator_seed(uint64_t seed) {
  mote_emulator::current_settings().launches = 0;
  return std::exchange(mote_emulator::current_settings().seed, seed);
}
}
