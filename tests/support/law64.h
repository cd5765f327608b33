/* The laws and their reverse in float64: the same text as the kernels', compiled with doubles. Parameters are
   those of a mote_law in the order of mote_law_parameter. */
#ifndef MOTE_TESTS_SUPPORT_LAW64_H
#define MOTE_TESTS_SUPPORT_LAW64_H

#include <array>

namespace double_law {

constexpr int PARAMETERS = 14;

/* A particle before a step. */
struct Particle {
  int kind, dim;
  double dt;
  std::array<double, PARAMETERS> law;
  std::array<double, 9> C, F;
  double history;
};

/* Of a particle, and by its state: the same members. */
struct Gradient {
  std::array<double, 9> F{}, C{};
  double history = 0;
  std::array<double, PARAMETERS> law{};
};

std::array<double, 9> stress(const Particle &particle);
/* F and history after the step. */
void advance(const Particle &particle, std::array<double, 9> &F, double &history);
/* Adds to `gradient`. */
void stress_backward(const Particle &particle, const std::array<double, 9> &d_tau, Gradient &gradient);
/* gradient.F and history by the state after, then before; adds to the others. */
void return_backward(const Particle &particle, Gradient &gradient);
/* Whether the step leaves F at the trial value, which is then in `trial`. */
bool passes(const Particle &particle, std::array<double, 9> &trial);

} // namespace double_law
#endif
