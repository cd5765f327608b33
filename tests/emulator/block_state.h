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
};

struct block_state {
  kernel_call *call = nullptr;
  int count = 0, begun = 0, exited = 0, at_barrier = 0, predicates = 0, barrier_result = 0;
  int order_step = 1, order_start = 0;
  uint64_t random = 1;
  int ready_count = 0, idle_count = 0, fibers = 0;
  bool failed = false;
  int ready[block_limit];
  fiber *idle[block_limit + 1];
  uint3 index[block_limit];
  thread_state threads[block_limit];
};
extern block_state block;
extern run_options options;

int own_thread();
/* The thread may go on when its turn comes. */
void make_ready(int thread);
/* Lets others run until someone makes this thread ready. */
void wait_in_line(thread_state &self);
const char *wait_name(wait_kind kind);

} // namespace mote_emulator
#endif
