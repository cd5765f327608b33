/* Barriers and warp operations: where a thread waits for others. Every call carries its source line, so that
   threads that wait at different places are told apart. */
#ifndef MOTE_EMULATOR_WARP_H
#define MOTE_EMULATOR_WARP_H

namespace mote_emulator {

enum class wait_kind : unsigned char {
  barrier,
  warp_sync,
  shuffle,
  shuffle_up,
  shuffle_down,
  shuffle_xor,
  ballot,
  any,
  all,
  match_any,
  sum, /* the reductions, over sums of 32-bit words */
  minimum,
  maximum,
  unsigned_minimum,
  unsigned_maximum,
  bit_and,
  bit_or,
  bit_xor,
  collect /* a function of what all lanes leave */
};

struct place {
  const char *file;
  int line;
};
/* Waits for the block; counts the threads for which `predicate` holds. */
int block_wait(int predicate, place at);
/* Waits for the lanes of `mask`, and gives this lane's result of the operation on all lanes' values. */
uint64_t warp_wait(wait_kind kind, unsigned mask, uint64_t value, int lane_or_distance, int width, place at);
unsigned own_lane();
/* Waits for the whole warp; body(pointers of all lanes) runs once, before any of them goes on. */
typedef void (*warp_body)(void *const *lanes);
void warp_collect(warp_body body, void *own, const char *file = __builtin_FILE(),
                  int line = __builtin_LINE());

template <typename T>
T shuffled(wait_kind kind, unsigned mask, T value, int lane_or_distance, int width, place at) {
  static_assert(sizeof(T) <= 8 && std::is_trivially_copyable_v<T>, "a shuffle moves at most 8 bytes");
  uint64_t word = 0;
  memcpy(&word, &value, sizeof value);
  word = warp_wait(kind, mask, word, lane_or_distance, width, at);
  memcpy(&value, &word, sizeof value);
  return value;
}

} // namespace mote_emulator

#define MOTE_EMULATOR_PLACE const char *file = __builtin_FILE(), int line = __builtin_LINE()
#define MOTE_EMULATOR_HERE                                                                                   \
  ::mote_emulator::place {                                                                                   \
    file, line                                                                                               \
  }

inline void __syncthreads(MOTE_EMULATOR_PLACE) {
  mote_emulator::block_wait(0, MOTE_EMULATOR_HERE);
}
inline int __syncthreads_count(int predicate, MOTE_EMULATOR_PLACE) {
  return mote_emulator::block_wait(predicate, MOTE_EMULATOR_HERE);
}
inline int __syncthreads_or(int predicate, MOTE_EMULATOR_PLACE) {
  return mote_emulator::block_wait(predicate, MOTE_EMULATOR_HERE) != 0;
}
inline int __syncthreads_and(int predicate, MOTE_EMULATOR_PLACE) {
  return mote_emulator::block_wait(!predicate, MOTE_EMULATOR_HERE) == 0;
}
inline void __syncwarp(unsigned mask = 0xffffffffu, MOTE_EMULATOR_PLACE) {
  mote_emulator::warp_wait(mote_emulator::wait_kind::warp_sync, mask, 0, 0, 32, MOTE_EMULATOR_HERE);
}
template <typename T> T __shfl_sync(unsigned mask, T value, int lane, int width = 32, MOTE_EMULATOR_PLACE) {
  return mote_emulator::shuffled(mote_emulator::wait_kind::shuffle, mask, value, lane, width,
                                 MOTE_EMULATOR_HERE);
}
template <typename T>
T __shfl_up_sync(unsigned mask, T value, unsigned delta, int width = 32, MOTE_EMULATOR_PLACE) {
  return mote_emulator::shuffled(mote_emulator::wait_kind::shuffle_up, mask, value, int(delta), width,
                                 MOTE_EMULATOR_HERE);
}
template <typename T>
T __shfl_down_sync(unsigned mask, T value, unsigned delta, int width = 32, MOTE_EMULATOR_PLACE) {
  return mote_emulator::shuffled(mote_emulator::wait_kind::shuffle_down, mask, value, int(delta), width,
                                 MOTE_EMULATOR_HERE);
}
template <typename T>
T __shfl_xor_sync(unsigned mask, T value, int bits, int width = 32, MOTE_EMULATOR_PLACE) {
  return mote_emulator::shuffled(mote_emulator::wait_kind::shuffle_xor, mask, value, bits, width,
                                 MOTE_EMULATOR_HERE);
}
inline unsigned __ballot_sync(unsigned mask, int predicate, MOTE_EMULATOR_PLACE) {
  return unsigned(mote_emulator::warp_wait(mote_emulator::wait_kind::ballot, mask, predicate != 0, 0, 32,
                                           MOTE_EMULATOR_HERE));
}
inline int __any_sync(unsigned mask, int predicate, MOTE_EMULATOR_PLACE) {
  return int(mote_emulator::warp_wait(mote_emulator::wait_kind::any, mask, predicate != 0, 0, 32,
                                      MOTE_EMULATOR_HERE));
}
inline int __all_sync(unsigned mask, int predicate, MOTE_EMULATOR_PLACE) {
  return int(mote_emulator::warp_wait(mote_emulator::wait_kind::all, mask, predicate != 0, 0, 32,
                                      MOTE_EMULATOR_HERE));
}
template <typename T> unsigned __match_any_sync(unsigned mask, T value, MOTE_EMULATOR_PLACE) {
  uint64_t word = 0;
  memcpy(&word, &value, sizeof value);
  return unsigned(
      mote_emulator::warp_wait(mote_emulator::wait_kind::match_any, mask, word, 0, 32, MOTE_EMULATOR_HERE));
}
#define MOTE_EMULATOR_REDUCE(type, name, kind)                                                               \
  inline type name(unsigned mask, type value, MOTE_EMULATOR_PLACE) {                                         \
    return type(mote_emulator::warp_wait(mote_emulator::wait_kind::kind, mask, unsigned(value), 0, 32,       \
                                         MOTE_EMULATOR_HERE));                                               \
  }
MOTE_EMULATOR_REDUCE(int, __reduce_add_sync, sum)
MOTE_EMULATOR_REDUCE(unsigned, __reduce_add_sync, sum)
MOTE_EMULATOR_REDUCE(int, __reduce_min_sync, minimum)
MOTE_EMULATOR_REDUCE(unsigned, __reduce_min_sync, unsigned_minimum)
MOTE_EMULATOR_REDUCE(int, __reduce_max_sync, maximum)
MOTE_EMULATOR_REDUCE(unsigned, __reduce_max_sync, unsigned_maximum)
MOTE_EMULATOR_REDUCE(unsigned, __reduce_and_sync, bit_and)
MOTE_EMULATOR_REDUCE(unsigned, __reduce_or_sync, bit_or)
MOTE_EMULATOR_REDUCE(unsigned, __reduce_xor_sync, bit_xor)
#undef MOTE_EMULATOR_REDUCE

/* Which lanes happen to run together is never promised; each one alone is the least helpful answer. */
inline unsigned __activemask() {
  return 1u << mote_emulator::own_lane();
}

#endif
