/* See copy.h: a queue a thread of the block. */
#include "tests/emulator/copy.h"

#include <deque>

#include "tests/emulator/block_state.h"

namespace mote_emulator {
namespace {

struct copy_queue {
  uint32_t serial = 0; /* of the block that it belongs to */
  int groups = 0;      /* committed so far */
  std::deque<std::pair<int, late_copy>> copies;
};

copy_queue &own_queue() {
  static std::vector<copy_queue> all(block_limit);
  copy_queue &own = all[size_t(own_thread())];
  if (own.serial != block.serial) {
    own.serial = block.serial;
    own.groups = 0;
    own.copies.clear();
  }
  return own;
}

} // namespace

void copy_later(const late_copy &copy) {
  copy_queue &own = own_queue();
  own.copies.emplace_back(own.groups, copy);
}

void copy_commit() {
  own_queue().groups++;
}

bool copy_due(int pending, late_copy *copy) {
  copy_queue &own = own_queue();
  if (own.copies.empty() || own.copies.front().first >= own.groups - pending) return false;
  *copy = own.copies.front().second;
  own.copies.pop_front();
  return true;
}

} // namespace mote_emulator
