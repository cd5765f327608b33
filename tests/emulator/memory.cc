/* Device memory between guard pages: see memory.h. Addresses are not reused until the range is used up, so a
   freed allocation is recognised for long. */
#include "tests/emulator/memory.h"

#include <sys/mman.h>
#include <unistd.h>

namespace mote_emulator {
namespace {

constexpr size_t page = 4096, range_bytes = size_t(1) << 38;
constexpr unsigned char canary = 0xca;

struct memory_range {
  uintptr_t handles = 0, next = 0;
  uintptr_t distance = 0; /* from handles to what kernels see */
  size_t in_use = 0;
  std::map<uintptr_t, allocation> all; /* by handle */
};

uintptr_t reserve(uintptr_t where) {
  void *at = mmap(reinterpret_cast<void *>(where), range_bytes, PROT_NONE,
                  MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0);
  return at == MAP_FAILED ? 0 : reinterpret_cast<uintptr_t>(at);
}

/* Handles have a high low word (a negative int) and an odd high word, so that two numbers side by side in a
   struct argument are not taken for one. */
uintptr_t skip_low_words(uintptr_t address) {
  return (address & 0xffffffffu) < 0x80000000u ? (address & ~uintptr_t(0xffffffffu)) | 0x80000000u : address;
}

memory_range &range() {
  static memory_range *made = [] {
    auto *fresh = new memory_range;
    fresh->handles = reserve(0x4d5a00000000u);
    uintptr_t seen = reserve(0x3d5a00000000u);
    if (!fresh->handles || !seen) {
      fprintf(stderr, "emulated device: could not reserve address space\n");
      abort();
    }
    fresh->distance = seen - fresh->handles;
    fresh->next = skip_low_words(fresh->handles);
    return fresh;
  }();
  return *made;
}

uintptr_t first_page(const allocation &a) {
  return a.pages - range().distance;
}

/* Room for `bytes` with its guard pages: after all others, else in the first gap. */
uintptr_t find_room(size_t bytes) {
  memory_range &r = range();
  uintptr_t end = r.handles + range_bytes;
  if (r.next + bytes <= end) {
    uintptr_t at = r.next;
    r.next = skip_low_words(at + bytes);
    return at;
  }
  uintptr_t at = skip_low_words(r.handles);
  for (const auto &[handle, a] : r.all) {
    if (at + bytes + page <= first_page(a)) return at;
    at = skip_low_words(first_page(a) + a.page_bytes + page);
  }
  return at + bytes <= end ? at : 0;
}

size_t physical_memory() {
  return size_t(sysconf(_SC_PHYS_PAGES)) * size_t(sysconf(_SC_PAGESIZE));
}

size_t count_changed(const unsigned char *from, const unsigned char *to) {
  return size_t(to - from) - size_t(std::count(from, to, canary));
}

std::string damage_of(const allocation &a, bool thorough) {
  const unsigned char *end = a.data() + a.bytes;
  const unsigned char *first = reinterpret_cast<unsigned char *>(a.pages);
  size_t after = count_changed(end, first + a.page_bytes);
  size_t before = thorough ? count_changed(first, a.data()) : 0;
  if (!after && !before) return "";
  return std::to_string(after ? after : before) + " bytes were written just " +
         (after ? "past the end" : "before the start") + " of an allocation of " + std::to_string(a.bytes) +
         " bytes";
}

} // namespace

unsigned char *allocation::data() const {
  return reinterpret_cast<unsigned char *>(handle + range().distance);
}

void poison(void *memory, size_t bytes, uint32_t word) {
  auto *to = static_cast<unsigned char *>(memory);
  size_t i = 0;
  for (; i + 4 <= bytes; i += 4) memcpy(to + i, &word, 4);
  memcpy(to + i, &word, bytes - i);
}

void *memory_allocate(size_t bytes) {
  memory_range &r = range();
  if (bytes > physical_memory() || r.in_use + bytes > physical_memory()) return nullptr;
  size_t page_bytes = (bytes + page - 1) / page * page;
  uintptr_t room = find_room(page_bytes + 2 * page);
  if (!room) return nullptr;
  allocation a;
  a.bytes = bytes;
  a.page_bytes = page_bytes;
  a.pages = room + page + r.distance;
  a.handle = room + page + page_bytes - (bytes + 15) / 16 * 16;
  if (mmap(reinterpret_cast<void *>(a.pages), page_bytes, PROT_READ | PROT_WRITE,
           MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE | MAP_FIXED, -1, 0) == MAP_FAILED)
    return nullptr;
  auto *first = reinterpret_cast<unsigned char *>(a.pages);
  memset(first, canary, size_t(a.data() - first));
  poison(a.data(), bytes, poison_one);
  memset(a.data() + bytes, canary, size_t(first + page_bytes - (a.data() + bytes)));
  r.in_use += bytes;
  r.all[a.handle] = a;
  return reinterpret_cast<void *>(a.handle);
}

bool memory_release(void *handle, std::string *damage) {
  memory_range &r = range();
  auto found = r.all.find(reinterpret_cast<uintptr_t>(handle));
  if (found == r.all.end()) return false;
  const allocation &a = found->second;
  *damage = damage_of(a, true);
  mmap(reinterpret_cast<void *>(a.pages), a.page_bytes, PROT_NONE,
       MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE | MAP_FIXED, -1, 0);
  r.in_use -= a.bytes;
  r.all.erase(found);
  return true;
}

const allocation *memory_find(uintptr_t handle) {
  auto after = range().all.upper_bound(handle);
  if (after == range().all.begin()) return nullptr;
  const allocation &a = std::prev(after)->second;
  return handle - a.handle <= a.bytes ? &a : nullptr;
}

const std::map<uintptr_t, allocation> &memory_all() {
  return range().all;
}
size_t memory_in_use() {
  return range().in_use;
}
bool memory_is_handle(uintptr_t address) {
  return address - range().handles < range_bytes;
}
bool memory_is_seen(uintptr_t address) {
  return memory_is_handle(address - range().distance);
}
uintptr_t memory_seen(uintptr_t handle) {
  return handle + range().distance;
}

std::string memory_damage(bool thorough) {
  for (const auto &[handle, a] : range().all) {
    std::string found = damage_of(a, thorough);
    if (!found.empty()) return found;
  }
  return "";
}

std::string memory_describe(uintptr_t seen) {
  uintptr_t handle = seen - range().distance;
  auto after = range().all.upper_bound(handle);
  const allocation *before = after == range().all.begin() ? nullptr : &std::prev(after)->second;
  const allocation *next = after == range().all.end() ? nullptr : &after->second;
  if (before && handle - before->handle < before->bytes) return "inside an allocation";
  bool nearer_next = next && (!before || next->handle - handle < handle - (before->handle + before->bytes));
  const allocation *near = nearer_next ? next : before;
  if (!near) return "in device memory, of which nothing is allocated";
  size_t distance = nearer_next ? near->handle - handle : handle - (near->handle + near->bytes);
  return std::to_string(distance) + " bytes " + (nearer_next ? "before the start" : "past the end") +
         " of an allocation of " + std::to_string(near->bytes) + " bytes";
}

bool memory_host_mapped(uintptr_t address) {
  if (address < 65536 || address >> 47) return false;
  unsigned char resident;
  return mincore(reinterpret_cast<void *>(address & ~uintptr_t(page - 1)), page, &resident) == 0;
}

} // namespace mote_emulator
