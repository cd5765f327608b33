/* Particle sets: rest values, append, select, refusals. */
#include <mote/particles.h>

#include "tests/support/testing.h"

static mote_particles numbered(int64_t count, int dim, float offset) {
  mote_particles p;
  EXPECT_EQ(MOTE_OK, mote_particles_create(count, dim, &p)) << mote_last_error();
  for (int64_t i = 0; i < count; i++) {
    for (int d = 0; d < dim; d++) p.position[i * dim + d] = offset + float(i) + 0.125f * float(d);
    p.material[i] = int32_t(i);
    p.history[i] = offset - float(i);
  }
  return p;
}

TEST(Particles, StartAtRestWithTheIdentity) {
  for (int dim : {2, 3}) {
    mote_particles p;
    MOTE_ASSERT_OK(mote_particles_create(3, dim, &p));
    for (int i = 0; i < 3; i++)
      for (int a = 0; a < dim; a++)
        for (int b = 0; b < dim; b++)
          EXPECT_EQ(a == b ? 1.f : 0.f, p.deformation_gradient[(i * dim + a) * dim + b]);
    mote_particles_destroy(&p);
    EXPECT_EQ(nullptr, p.position);
  }
}

TEST(Particles, AppendKeepsBothInOrder) {
  mote_particles a = numbered(3, 2, 0), b = numbered(2, 2, 10);
  MOTE_ASSERT_OK(mote_particles_append(&a, &b));
  ASSERT_EQ(5, a.count);
  EXPECT_EQ(2.125f, a.position[5]);
  EXPECT_EQ(11.125f, a.position[9]);
  EXPECT_EQ(9.f, a.history[4]);
  mote_particles three = numbered(1, 3, 0);
  EXPECT_EQ(MOTE_ERROR_ARGUMENT, mote_particles_append(&a, &three));
  EXPECT_EQ(5, a.count);
  mote_particles_destroy(&a);
  mote_particles_destroy(&b);
  mote_particles_destroy(&three);
}

TEST(Particles, SelectTakesRowsAndRefusesStrayIndices) {
  mote_particles a = numbered(5, 3, 0), chosen;
  const int32_t index[] = {4, 1, 1};
  MOTE_ASSERT_OK(mote_particles_select(&a, index, 3, &chosen));
  EXPECT_EQ(4.25f, chosen.position[2]);
  EXPECT_EQ(1, chosen.material[2]);
  mote_particles_destroy(&chosen);
  const int32_t stray[] = {0, 5};
  EXPECT_EQ(MOTE_ERROR_ARGUMENT, mote_particles_select(&a, stray, 2, &chosen));
  mote_particles_destroy(&a);
}

TEST(Particles, AbsurdSizesAreRefused) {
  mote_particles p;
  EXPECT_EQ(MOTE_ERROR_ARGUMENT, mote_particles_create(-1, 3, &p));
  EXPECT_EQ(MOTE_ERROR_ARGUMENT, mote_particles_create(int64_t(1) << 40, 3, &p));
  EXPECT_EQ(MOTE_ERROR_ARGUMENT, mote_particles_create(1, 4, &p));
}
