/* The emulator's device memory. The trick: an allocation has two addresses. Host code holds its handle, in a
   range where nothing is ever mapped, so host code that reads device memory stops at once; kernels see
   handle + distance, where the pages are, between guard pages. */
#ifndef MOTE_EMULATOR_MEMORY_H
#define MOTE_EMULATOR_MEMORY_H

namespace mote_emulator {

struct allocation {
  uintptr_t handle = 0; /* 16-byte aligned, and so placed that the end touches the guard page */
  size_t bytes = 0;
  uintptr_t pages = 0; /* as kernels see them */
  size_t page_bytes = 0;
  unsigned char *data() const;
};

/* Words that are NaN as float, double, half and bfloat16, and far out of range as an index. */
constexpr uint32_t poison_one = 0x7ffd7ffdu, poison_other = 0xfffafffau;
void poison(void *memory, size_t bytes, uint32_t word);

/* NULL when memory ran out. */
void *memory_allocate(size_t bytes);
/* False where `handle` is no allocation's start; `damage` is then or else what was found around it. */
bool memory_release(void *handle, std::string *damage);

/* The allocation that holds the handle or ends at it; NULL if none does. */
const allocation *memory_find(uintptr_t handle);
const std::map<uintptr_t, allocation> &memory_all();
size_t memory_in_use();

/* Whether the address lies in the range of handles (or of what kernels see), in an allocation or not. */
bool memory_is_handle(uintptr_t address);
bool memory_is_seen(uintptr_t address);
uintptr_t memory_seen(uintptr_t handle);

/* "" or a description of the bytes outside of allocations that changed. Thorough looks before them also. */
std::string memory_damage(bool thorough);

/* "12 bytes past the end of the allocation of 400 bytes": for an address that kernels saw. */
std::string memory_describe(uintptr_t seen);

/* Whether host memory is mapped at the address. */
bool memory_host_mapped(uintptr_t address);

} // namespace mote_emulator
#endif
