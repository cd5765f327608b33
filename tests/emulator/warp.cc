/* Warp operations: a lane leaves its value and waits; the last lane of the mask to come works out everyone's
   result, before any of them can go on and leave the next value. */
#include "tests/emulator/block_state.h"

namespace mote_emulator {

unsigned own_lane() {
  return unsigned(own_thread()) % lanes;
}

namespace {

uint64_t combine(wait_kind kind, uint64_t a, uint64_t b) {
  switch (kind) {
  case wait_kind::sum: return uint32_t(a + b);
  case wait_kind::minimum: return int32_t(b) < int32_t(a) ? b : a;
  case wait_kind::maximum: return int32_t(b) > int32_t(a) ? b : a;
  case wait_kind::unsigned_minimum: return b < a ? b : a;
  case wait_kind::unsigned_maximum: return b > a ? b : a;
  case wait_kind::bit_and:
  case wait_kind::all: return a & b;
  case wait_kind::bit_or:
  case wait_kind::any: return a | b;
  default: return a ^ b;
  }
}

/* The lane that a shuffle reads; its own where the distance leaves the segment (as PTX shfl does). */
int source_lane(const thread_state &self, int lane) {
  int first = lane / self.width * self.width;
  int from = lane;
  switch (self.kind) {
  case wait_kind::shuffle: return first + (self.parameter & (self.width - 1));
  case wait_kind::shuffle_up: from = lane - self.parameter; break;
  case wait_kind::shuffle_down: from = lane + self.parameter; break;
  default:
    from = lane ^ self.parameter; /* xor may read an earlier segment, not a later one */
    return from < first + self.width ? from : lane;
  }
  return from >= first && from < first + self.width ? from : lane;
}

struct collected {
  warp_body body;
  void *own;
};
void run_collected(thread_state *warp) {
  void *own[lanes];
  collected each = {};
  for (int i = 0; i < lanes; i++) {
    memcpy(&each, reinterpret_cast<const void *>(warp[i].value), sizeof each);
    own[i] = each.own;
  }
  each.body(own);
}

void complete_warp_wait(thread_state *warp, int present, unsigned mask) {
  wait_kind kind = warp[__builtin_ctz(mask)].kind;
  if (kind == wait_kind::collect) run_collected(warp);
  uint64_t total = 0;
  uint16_t clock = 0;
  for (int i = 0; i < present; i++) clock = std::max(clock, warp[i].warp_clock);
  bool begun = false;
  unsigned ballot = 0;
  for (int i = 0; i < present; i++) {
    if (!(mask >> i & 1u)) continue;
    total = begun ? combine(kind, total, warp[i].value) : warp[i].value;
    begun = true;
    ballot |= unsigned(warp[i].value != 0) << i;
  }
  for (int i = 0; i < present; i++) {
    if (!(mask >> i & 1u)) continue;
    thread_state &self = warp[i];
    self.result = total;
    self.warp_clock = uint16_t(clock + 1);
    if (kind >= wait_kind::shuffle && kind <= wait_kind::shuffle_xor) {
      int from = source_lane(self, i);
      bool there = from < present && (mask >> from & 1u);
      self.result = there ? warp[from].value : uint64_t(options.poison) << 32 | options.poison;
    } else if (kind == wait_kind::ballot) {
      self.result = ballot;
    } else if (kind == wait_kind::match_any) {
      self.result = 0;
      for (int j = 0; j < present; j++)
        if (mask >> j & 1u && warp[j].value == self.value) self.result |= uint64_t(1) << j;
    }
  }
}

} // namespace

void warp_collect(warp_body body, void *own, const char *file, int line) {
  const collected leaves = {body, own};
  if (block.count - own_thread() / lanes * lanes < lanes)
    kernel_fail(cudaErrorLaunchFailure, "a product of a warp (%s:%d) in a warp of fewer than 32 threads",
                file, line);
  warp_wait(wait_kind::collect, 0xffffffffu, reinterpret_cast<uint64_t>(&leaves), 0, 32, {file, line});
}

uint64_t warp_wait(wait_kind kind, unsigned mask, uint64_t value, int parameter, int width, place at) {
  int own = own_thread(), first = own / lanes * lanes;
  int present = std::min(lanes, block.count - first);
  thread_state *warp = block.threads + first;
  thread_state &self = block.threads[own];
  if (!(mask >> (own - first) & 1u))
    kernel_fail(cudaErrorLaunchFailure, "%s (%s:%d) has the mask %08x, without the lane that calls it",
                wait_name(kind), at.file, at.line, mask);
  if (width < 1 || width > 32 || (width & (width - 1)))
    kernel_fail(cudaErrorLaunchFailure, "%s (%s:%d) has the width %d: not a power of two to 32",
                wait_name(kind), at.file, at.line, width);
  self.kind = kind;
  self.mask = mask;
  self.value = value;
  self.parameter = parameter;
  self.width = width;
  self.at = at;
  self.state = status::waiting;
  if (present < lanes) mask &= (1u << present) - 1;
  bool complete = true;
  for (int i = 0; i < present; i++) {
    const thread_state &other = warp[i];
    if (!(mask >> i & 1u) || i == own - first) continue;
    if (other.state == status::exited)
      kernel_fail(cudaErrorLaunchFailure, "%s (%s:%d) names lane %d, which has left the kernel",
                  wait_name(kind), at.file, at.line, i);
    bool meets = other.state == status::waiting && other.kind == kind && other.mask == self.mask;
    complete &= meets;
    /* One that waits for a mask without this lane may still come; one that waits for this lane cannot. */
    if (!meets && other.state == status::waiting && other.kind != wait_kind::barrier &&
        other.mask >> (own - first) & 1u)
      kernel_fail(cudaErrorLaunchFailure,
                  "%s (%s:%d) meets lane %d at %s (%s:%d) with the masks %08x and %08x", wait_name(kind),
                  at.file, at.line, i, wait_name(other.kind), other.at.file, other.at.line, self.mask,
                  other.mask);
  }
  if (complete) {
    complete_warp_wait(warp, present, mask);
    for (int i = 0; i < present; i++)
      if (mask >> i & 1u) make_ready(first + i);
  }
  wait_in_line(self);
  return self.result;
}

} // namespace mote_emulator
