/* Fibers for the threads of a block, over Boost.Context's bare switch. They are never unwound: a fiber whose
   kernel failed is reset and its stack used again. */
#ifndef MOTE_EMULATOR_FIBER_H
#define MOTE_EMULATOR_FIBER_H

namespace mote_emulator {

struct fiber {
  void *context = nullptr; /* where it goes on; NULL: at its beginning */
  unsigned char *stack = nullptr;
  void *fake_stack = nullptr; /* AddressSanitizer's */
  int thread = -1;            /* the block's thread that it is in the middle of */
};
constexpr size_t fiber_stack_bytes = 256 * 1024;

/* The fiber of that number (0 ... 1024), made on first use. */
fiber &fiber_get(int number);
/* From outside of fibers: goes on with f, or begins body() on it, until it calls fiber_leave(). */
void fiber_enter(fiber &f, void (*body)());
/* From a fiber: back to where it was entered. Returns when it is entered again. */
void fiber_leave();
/* The same for a fiber that will not be entered again as it stands. */
[[noreturn]] void fiber_abandon();
fiber *fiber_current();
/* An address on its stack from which a fault may call fiber_abandon(). */
void *fiber_spare_stack(const fiber &f);
bool fiber_stack_holds(const fiber &f, uintptr_t address);

} // namespace mote_emulator
#endif
