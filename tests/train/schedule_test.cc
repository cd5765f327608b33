/* The learning rate as a function of the step. */
#include "host/train/schedule.h"

#include <gtest/gtest.h>

#include <cmath>

namespace {

mote_schedule make(mote_schedule_kind kind) {
  mote_schedule s = {};
  s.kind = kind;
  s.rate = 2e-3;
  s.floor = 1e-5;
  s.decay = 0.1;
  s.warmup = 20;
  s.decay_steps = 100;
  s.steps = 420;
  return s;
}
const mote_schedule_kind kKinds[] = {MOTE_SCHEDULE_CONSTANT, MOTE_SCHEDULE_EXPONENTIAL, MOTE_SCHEDULE_COSINE};

} // namespace

/* Linear in the step, above 0 from the first step on, and the full rate right behind it. */
TEST(Schedule, Warmup) {
  for (mote_schedule_kind kind : kKinds) {
    mote_schedule s = make(kind);
    for (int64_t step = 0; step <= 20; step++)
      EXPECT_NEAR(2e-3 * double(step + 1) / 21, mote_schedule_rate(&s, step), 1e-15) << kind << " " << step;
    s.warmup = 0;
    EXPECT_NEAR(2e-3, mote_schedule_rate(&s, 0), 1e-15) << kind;
  }
}

TEST(Schedule, Constant) {
  mote_schedule s = make(MOTE_SCHEDULE_CONSTANT);
  for (int64_t step : {20, 100, 419, 100000}) EXPECT_EQ(2e-3, mote_schedule_rate(&s, step));
}

TEST(Schedule, Exponential) {
  mote_schedule s = make(MOTE_SCHEDULE_EXPONENTIAL);
  EXPECT_NEAR(2e-4, mote_schedule_rate(&s, 120), 1e-15);
  EXPECT_NEAR(2e-3 * std::sqrt(0.1), mote_schedule_rate(&s, 70), 1e-15); /* smoothly */
  EXPECT_NEAR(2e-5, mote_schedule_rate(&s, 220), 1e-15);
  EXPECT_EQ(1e-5, mote_schedule_rate(&s, 320)); /* 2e-6 without the floor */
}

TEST(Schedule, Cosine) {
  mote_schedule s = make(MOTE_SCHEDULE_COSINE);
  EXPECT_NEAR((2e-3 + 1e-5) / 2, mote_schedule_rate(&s, 220), 1e-15);
  EXPECT_NEAR(1e-5 + (2e-3 - 1e-5) * (1 + std::sqrt(0.5)) / 2, mote_schedule_rate(&s, 120), 1e-15);
  EXPECT_NEAR(1e-5, mote_schedule_rate(&s, 420), 1e-15);
  EXPECT_NEAR(1e-5, mote_schedule_rate(&s, 5000), 1e-15); /* does not rise again */
}

/* Never up behind the rise, never below the floor, whatever the length. */
TEST(Schedule, FallsMonotonically) {
  for (mote_schedule_kind kind : kKinds)
    for (int64_t steps : {21, 22, 300}) {
      mote_schedule s = make(kind);
      s.steps = steps;
      for (int64_t step = 20; step < 2 * steps; step++) {
        double now = mote_schedule_rate(&s, step), next = mote_schedule_rate(&s, step + 1);
        EXPECT_LE(next, now) << kind << " " << step;
        EXPECT_GE(next, 1e-5 * (1 - 1e-12)) << kind << " " << step;
      }
    }
}
