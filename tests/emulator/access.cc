/* The checked build: the compiler's thread sanitizer announces each load and store of a kernel, and the
   functions it calls are these instead of its own. They keep, for every four bytes of device and shared
   memory, who touched it last, and fail the kernel at
     - two threads of a block at one place, one of them writing, with no barrier or warp operation between
   them
     - the same from two blocks of a grid
     - a read of shared memory that its block did not write
     - an access that is not all inside an allocation, to the byte; a write to host memory
   Two atomics are no race; an atomic and a plain access are, and so are two writes of the same value.
   Not seen: accesses by memcpy() and memset() calls that the compiler did not expand, and library calls
   (sort, BLAS). Blocks that hand over through __threadfence() and an atomic counter are reported all the
   same. */
#ifdef MOTE_EMULATOR_CHECKED

#include <sys/mman.h>

#include "tests/emulator/block_state.h"
#include "tests/emulator/launch.h"
#include "tests/emulator/memory.h"

namespace mote_emulator {
namespace {

struct toucher {
  uint32_t scope; /* the grid for device memory, the block for shared memory; 0: nobody */
  uint32_t serial;
  uint16_t thread, barriers, warp_clock;
  unsigned char mask; /* of the four bytes */
  bool atomic;
};
struct cell {
  toucher write, first_read, last_read;
  uint32_t written_by;        /* the block whose bytes the next field counts */
  unsigned char written_mask; /* shared memory only */
};

/* Cells for a range of addresses, from memory that is zero and there only where it was touched. */
class shadow {
public:
  shadow() = default;
  shadow(const shadow &) = delete;
  ~shadow() {
    if (cells_) munmap(cells_, size());
  }
  cell &at(uintptr_t address, uintptr_t start, size_t bytes) {
    if (start != start_ || bytes > bytes_) map(start, bytes);
    return cells_[(address - start) / 4];
  }

private:
  size_t size() const { return (bytes_ / 4 + 2) * sizeof(cell); }
  void map(uintptr_t start, size_t bytes) {
    if (cells_) munmap(cells_, size());
    start_ = start;
    bytes_ = bytes;
    void *fresh =
        mmap(nullptr, size(), PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0);
    if (fresh == MAP_FAILED) abort();
    cells_ = static_cast<cell *>(fresh);
  }
  uintptr_t start_ = 0;
  size_t bytes_ = 0;
  cell *cells_ = nullptr;
};

/* The cells of an allocation, whose start is a multiple of 16. */
struct shadowed {
  uintptr_t handle = 0;
  size_t bytes = 0;
  shadow cells;
};

/* The allocation of an address that kernels saw; those that were freed are forgotten. */
shadowed *find_shadowed(uintptr_t handle) {
  static std::map<uintptr_t, shadowed> all;
  static shadowed *last = nullptr;
  static uint64_t version = 0;
  if (version != memory_version()) {
    last = nullptr;
    version = memory_version();
    for (auto each = all.begin(); each != all.end();)
      each = memory_all().count(each->first) ? std::next(each) : all.erase(each);
  }
  if (last && handle - last->handle < last->bytes) return last;
  const allocation *a = memory_find(handle);
  if (!a || handle - a->handle >= a->bytes) return nullptr;
  last = &all[a->handle];
  last->handle = a->handle;
  last->bytes = a->bytes;
  return last;
}

void check_bounds(uintptr_t address, size_t bytes, const char *did) {
  uintptr_t handle = address - memory_seen(0);
  const shadowed *found = find_shadowed(handle);
  if (!found)
    kernel_fail(cudaErrorIllegalAddress, "%s %zu bytes at 0x%zx, out of bounds of device memory", did, bytes,
                size_t(address));
  if (handle + bytes > found->handle + found->bytes)
    kernel_fail(cudaErrorIllegalAddress,
                "%s %zu bytes, of which %zu past the end of an allocation of %zu bytes", did, bytes,
                handle + bytes - found->handle - found->bytes, found->bytes);
}

bool ordered(const toucher &before, const toucher &now, bool shared_memory) {
  if (before.scope != now.scope) return true;
  if (before.serial != now.serial) return shared_memory;
  if (before.thread == now.thread || before.barriers != now.barriers) return true;
  return before.thread / 32 == now.thread / 32 && before.warp_clock < now.warp_clock;
}

void compare(const toucher &before, const toucher &now, bool shared_memory, const char *what) {
  if (!(before.mask & now.mask) || (before.atomic && now.atomic) || ordered(before, now, shared_memory))
    return;
  const char *where = shared_memory ? "shared" : "device";
  if (before.serial != now.serial)
    kernel_fail(cudaErrorLaunchFailure,
                "a race between blocks: %s in %s memory that another block's thread %u touched", what, where,
                before.thread);
  kernel_fail(cudaErrorLaunchFailure,
              "a race: %s in %s memory that thread %u of the block touched, with no barrier between", what,
              where, before.thread);
}

void check_written(cell &c, const toucher &now, const unsigned char *at, size_t bytes) {
  if (c.written_by == block.serial && (c.written_mask & now.mask) == now.mask) return;
  /* What came by an unseen way is no longer the poison. */
  const auto *pattern = reinterpret_cast<const unsigned char *>(&options.poison);
  for (size_t i = 0; i < bytes; i++)
    if (at[i] != pattern[i & 1]) return; /* both halves of the word are equal */
  kernel_fail(cudaErrorLaunchFailure, "read shared memory that its block did not write");
}

/* All within one cell. */
void touch(cell &c, toucher now, bool write, bool shared_memory, const unsigned char *at, size_t bytes) {
  if (write) {
    compare(c.write, now, shared_memory, "wrote");
    compare(c.first_read, now, shared_memory, "wrote");
    compare(c.last_read, now, shared_memory, "wrote");
    c.write = now;
    c.written_mask =
        static_cast<unsigned char>((c.written_by == block.serial ? c.written_mask : 0) | now.mask);
    c.written_by = block.serial;
    return;
  }
  if (shared_memory) check_written(c, now, at, bytes);
  compare(c.write, now, shared_memory, "read");
  if (ordered(c.first_read, now, shared_memory)) c.first_read = now;
  c.last_read = now;
}

bool inside(uintptr_t address, const void *start, size_t bytes) {
  return address - reinterpret_cast<uintptr_t>(start) < bytes;
}

void on_access(const void *pointer, size_t bytes, bool write, bool atomic) {
  fiber *f = fiber_current();
  if (!f || f->thread < 0 || !block.call || block.call->is_library) return;
  auto address = reinterpret_cast<uintptr_t>(pointer);
  if (fiber_stack_holds(*f, address)) return;
  static shadow static_cells, dynamic_cells;
  memory_span statics = static_shared();
  bool device = memory_is_seen(address), is_static = inside(address, statics.data, statics.bytes);
  void *dynamic = block.call->shared ? dynamic_shared() : nullptr;
  bool is_dynamic = dynamic && inside(address, dynamic, block.call->shared);
  if (!device && !is_static && !is_dynamic) {
    if (write)
      kernel_fail(cudaErrorIllegalAddress, "wrote %zu bytes of host memory at 0x%zx", bytes, size_t(address));
    return; /* constants, or what will fault */
  }
  int thread = f->thread;
  toucher now = {device ? block.run : block.serial,
                 block.serial,
                 uint16_t(thread),
                 block.barriers,
                 block.threads[thread].warp_clock,
                 0,
                 atomic};
  if (device) check_bounds(address, bytes, write ? "wrote" : "read");
  shadowed *memory = device ? find_shadowed(address - memory_seen(0)) : nullptr;
  shadow &cells = device ? memory->cells : is_static ? static_cells : dynamic_cells;
  uintptr_t start = device      ? memory_seen(memory->handle)
                    : is_static ? (reinterpret_cast<uintptr_t>(statics.data) & ~uintptr_t(3))
                                : reinterpret_cast<uintptr_t>(dynamic);
  size_t room = device ? memory->bytes : is_static ? statics.bytes : block.call->shared;
  for (uintptr_t at = address; at < address + bytes;) {
    size_t part = std::min<size_t>(4 - (at & 3), address + bytes - at);
    now.mask = static_cast<unsigned char>(((1u << part) - 1) << (at & 3));
    cell &c = cells.at(at & ~uintptr_t(3), start, room);
    touch(c, now, write, !device, reinterpret_cast<const unsigned char *>(at), part);
    at += part;
  }
}

} // namespace

void note_atomic(const void *address, size_t bytes) {
  on_access(address, bytes, true, true);
}

} // namespace mote_emulator

using mote_emulator::on_access;

/* The names are the compiler's. */
extern "C" {
void __tsan_init() {}
void __tsan_func_entry(void *) {}
void __tsan_func_exit() {}
void __tsan_vptr_update(void **, void *) {}
void __tsan_vptr_read(void **) {}
#define HOOKS(bytes)                                                                                         \
  void __tsan_read##bytes(void *at) {                                                                        \
    on_access(at, bytes, false, false);                                                                      \
  }                                                                                                          \
  void __tsan_write##bytes(void *at) {                                                                       \
    on_access(at, bytes, true, false);                                                                       \
  }                                                                                                          \
  void __tsan_unaligned_read##bytes(void *at) {                                                              \
    on_access(at, bytes, false, false);                                                                      \
  }                                                                                                          \
  void __tsan_unaligned_write##bytes(void *at) {                                                             \
    on_access(at, bytes, true, false);                                                                       \
  }
HOOKS(1)
HOOKS(2)
HOOKS(4)
HOOKS(8)
HOOKS(16)
void __tsan_read_range(void *at, size_t bytes) {
  on_access(at, bytes, false, false);
}
void __tsan_write_range(void *at, size_t bytes) {
  on_access(at, bytes, true, false);
}
/* Reference counts of host code that shares a file with kernels. */
int __tsan_atomic32_fetch_add(volatile int *at, int value, int) {
  return __atomic_fetch_add(at, value, __ATOMIC_SEQ_CST);
}
unsigned char __tsan_atomic8_load(const volatile unsigned char *at, int) {
  return __atomic_load_n(at, __ATOMIC_SEQ_CST);
}
int __tsan_atomic32_load(const volatile int *at, int) {
  return __atomic_load_n(at, __ATOMIC_SEQ_CST);
}
long __tsan_atomic64_load(const volatile long *at, int) {
  return __atomic_load_n(at, __ATOMIC_SEQ_CST);
}
}

#endif
