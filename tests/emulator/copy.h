/* Copies that are done late (cuda/async.h): a thread keeps them until it waits for their group, so that one
   that does not wait finds what was there before. The copying itself is the kernel's, whose loads and stores
   are watched. */
#ifndef MOTE_EMULATOR_COPY_H
#define MOTE_EMULATOR_COPY_H

namespace mote_emulator {

struct late_copy {
  float *to;
  const float *from; /* four floats each; zeros unless they are there */
  bool there;
};

void copy_later(const late_copy &copy);
void copy_commit();
/* A copy to be done now, so that at most the latest `pending` groups are left; false when there is none. */
bool copy_due(int pending, late_copy *copy);

} // namespace mote_emulator
#endif
