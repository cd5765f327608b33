/* The verification switch and the counters that tests read: see control.h for the tests' side. */
#ifndef MOTE_EMULATOR_LAUNCH_H
#define MOTE_EMULATOR_LAUNCH_H

namespace mote_emulator {

struct settings {
  uint64_t seed = 0;
  bool verify = false;
  uint64_t launches = 0; /* so far */
  FILE *trace = nullptr; /* MOTE_EMU_TRACE: a line a launch */
};
settings &current_settings();

/* Dynamic shared memory of that size, its end at a guard page. */
void *dynamic_shared_of(size_t bytes);

/* Runs a call that is not being recorded: checks its configuration and arguments, then its grid. */
void run_call(kernel_call &call);

} // namespace mote_emulator
#endif
