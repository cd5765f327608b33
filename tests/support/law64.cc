/* See law64.h. mote_law differs from the library's here: nothing of it leaves this file. */
#define MOTE_REAL_DOUBLE
#include "kernels/constitutive/law_backward.h"

#include "tests/support/law64.h"

namespace double_law {

static_assert(PARAMETERS == MOTE_LAW_PARAMETERS);

static mote_law law_of(const Particle &p) {
  mote_law law;
  law.kind = p.kind;
  for (int i = 0; i < PARAMETERS; i++) (&law.mu)[i] = p.law[size_t(i)];
  return law;
}

std::array<double, 9> stress(const Particle &p) {
  mote_law law = law_of(p);
  std::array<double, 9> tau{};
  if (p.dim == 3)
    mote_law_stress3(&law, p.C.data(), p.F.data(), p.history, tau.data());
  else
    mote_law_stress2(&law, p.C.data(), p.F.data(), p.history, tau.data());
  return tau;
}

void advance(const Particle &p, std::array<double, 9> &F, double &history) {
  mote_law law = law_of(p);
  double tau[9];
  F = p.F;
  history = p.history;
  if (p.dim == 3)
    mote_law_step3(&law, p.dt, p.C.data(), F.data(), &history, tau);
  else
    mote_law_step2(&law, p.dt, p.C.data(), F.data(), &history, tau);
}

void stress_backward(const Particle &p, const std::array<double, 9> &d_tau, Gradient &g) {
  mote_law law = law_of(p);
  mote_law_stress_backward(p.dim, &law, p.C.data(), p.F.data(), p.history, d_tau.data(), g.F.data(),
                           g.C.data(), &g.history, g.law.data());
}

void return_backward(const Particle &p, Gradient &g) {
  mote_law law = law_of(p);
  mote_law_return_backward(p.dim, &law, p.dt, p.C.data(), p.F.data(), p.history, g.F.data(), g.C.data(),
                           &g.history, g.law.data());
}

bool passes(const Particle &p, std::array<double, 9> &trial) {
  std::array<double, 9> after;
  double history;
  trial = p.F;
  mote_deform(p.dim, p.dt, p.C.data(), trial.data());
  advance(p, after, history);
  return after == trial;
}

} // namespace double_law
