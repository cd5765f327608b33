/* The block that runs, as its barriers (block.cc) and warp operations (warp.cc) see it. */
#ifndef MOTE_EMULATOR_BLOCK_STATE_H
#define MOTE_EMULATOR_BLOCK_STATE_H

#include "tests/emulator/block.h"
#include "tests/emulator/fiber.h"

namespace mote_emulator {

constexpr int block_limit = 1024, lanes = 32;

enum class status : unsigned char { fresh, running, ready, waiting, exited };

struct thread_state {
  status state;
  wait_kind kind;
  unsigned mask;
  uint64_t value, result;
  int parameter, width;
  place at;
  fiber *on;
  uint16_t warp_clock; /* warp operations it took part in, in its warp's count */
};

struct block_state {
  kernel_call *call = nullptr;
  int count = 0, begun = 0, exited = 0, at_barrier = 0, predicates = 0, barrier_result = 0;
  int order_step = 1, order_start = 0;
  uint64_t random = 1;
  int ready_count = 0, idle_count = 0, fibers = 0;
  bool failed = false;
  uint32_t run = 0;      /* counts grids */
  uint32_t serial = 0;   /* counts blocks of all grids */
  uint16_t barriers = 0; /* that this block has passed */
  int ready[block_limit];
  fiber *idle[block_limit + 1];
  uint3 index[block_limit];
  thread_state threads[block_limit];
};
extern block_state block;
extern run_options options;

/* This shared object's thread-local block, which is where static __shared__ variables are. */
struct memory_span {
  unsigned char *data;
  size_t bytes;
};
memory_span static_shared();

int own_thread();
/* The thread may go on when its turn comes. */
void make_ready(int thread);
/* Lets others run until someone makes this thread ready. */
void wait_in_line(thread_state &self);
const char *wait_name(wait_kind kind);

} // namespace mote_emulator
#endif
