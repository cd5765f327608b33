/* A neural law in float64, written plainly: polar decomposition by Newton's iteration, singular values from
   an eigenproblem, layers as sums. */
#ifndef MOTE_TESTS_SUPPORT_NEURAL64_H
#define MOTE_TESTS_SUPPORT_NEURAL64_H

#include "host/models/neural_law.h"
#include "tests/support/network.h"

namespace mote_test {
namespace neural64 {

/* ---- small matrices in float64, d x d ---- */

inline Vector times(int d, const Vector &a, const Vector &b, bool turn_a = false, bool turn_b = false) {
  Vector c(size_t(d * d));
  for (int i = 0; i < d; i++)
    for (int j = 0; j < d; j++)
      for (int k = 0; k < d; k++)
        c[i * d + j] += (turn_a ? a[k * d + i] : a[i * d + k]) * (turn_b ? b[j * d + k] : b[k * d + j]);
  return c;
}

inline double determinant(int d, const Vector &F) {
  if (d == 2) return F[0] * F[3] - F[1] * F[2];
  return F[0] * (F[4] * F[8] - F[5] * F[7]) - F[1] * (F[3] * F[8] - F[5] * F[6]) +
         F[2] * (F[3] * F[7] - F[4] * F[6]);
}

/* Gauss-Jordan without pivots, for matrices near a rotation. */
inline Vector inverse(int d, Vector a) {
  Vector b(size_t(d * d));
  for (int i = 0; i < d; i++) b[i * d + i] = 1;
  for (int p = 0; p < d; p++) {
    int best = p;
    for (int r = p; r < d; r++)
      if (std::fabs(a[r * d + p]) > std::fabs(a[best * d + p])) best = r;
    for (int k = 0; k < d; k++) {
      std::swap(a[p * d + k], a[best * d + k]);
      std::swap(b[p * d + k], b[best * d + k]);
    }
    double pivot = a[p * d + p];
    for (int k = 0; k < d; k++) a[p * d + k] /= pivot, b[p * d + k] /= pivot;
    for (int r = 0; r < d; r++) {
      double factor = a[r * d + p];
      for (int k = 0; k < d && r != p; k++) {
        a[r * d + k] -= factor * a[p * d + k];
        b[r * d + k] -= factor * b[p * d + k];
      }
    }
  }
  return b;
}

/* The rotation next to F, det F > 0 (Higham 1986). */
inline Vector polar(int d, const Vector &F) {
  Vector R = F;
  for (int step = 0; step < 14; step++) {
    Vector other = inverse(d, R);
    for (int i = 0; i < d; i++)
      for (int j = 0; j < d; j++)
        if (i <= j) {
          double a = 0.5 * (R[i * d + j] + other[j * d + i]), b = 0.5 * (R[j * d + i] + other[i * d + j]);
          R[i * d + j] = a;
          if (i != j) R[j * d + i] = b;
        }
  }
  return R;
}

/* Singular values, descending: roots of the eigenvalues of F^T F by Jacobi's rotations. */
inline Vector stretches(int d, const Vector &F) {
  Vector A = times(d, F, F, true), s;
  for (int sweep = 0; sweep < 8; sweep++)
    for (int p = 0; p < d; p++)
      for (int q = p + 1; q < d; q++) {
        double angle = 0.5 * std::atan2(2 * A[p * d + q], A[q * d + q] - A[p * d + p]);
        Vector J(size_t(d * d));
        for (int i = 0; i < d; i++) J[i * d + i] = 1;
        J[p * d + p] = J[q * d + q] = std::cos(angle);
        J[p * d + q] = std::sin(angle);
        J[q * d + p] = -std::sin(angle);
        A = times(d, times(d, J, A, true), J);
      }
  for (int i = 0; i < d; i++) s.push_back(std::sqrt(A[i * d + i]));
  std::sort(s.rbegin(), s.rend());
  return s;
}

/* ---- the law in float64 ---- */

struct Law64 {
  mote_neural_config config;
  struct Layer {
    int in, out;
    size_t at;
  };
  std::vector<Layer> elasticity, plasticity;
  Vector value;

  explicit Law64(const mote_neural_law *law) : config(law->config) {
    const mote_parameters &p = law->parameters;
    value.assign(p.value, p.value + p.floats);
    for (int t = 0; t < p.tensors; t++) {
      auto &chain = std::string(p.tensor[t].name.text)[0] == 'e' ? elasticity : plasticity;
      chain.push_back({int(p.tensor[t].shape[1]), int(p.tensor[t].shape[0]), size_t(p.tensor[t].first)});
    }
  }

  /* The form of invariants, from the strain E = (R^T F - I) / strain_scale without its values: what the
     network sees, and S. */
  double trace(const Vector &A) const {
    double sum = 0;
    for (int i = 0; i < config.dim; i++) sum += A[i * config.dim + i];
    return sum;
  }
  Vector strain_of(const Vector &R, const Vector &F) const {
    Vector E = times(config.dim, R, F, true);
    for (int i = 0; i < config.dim * config.dim; i++)
      E[i] = (E[i] - (i % (config.dim + 1) == 0)) / config.strain_scale;
    return E;
  }
  Vector invariants(const Vector &E) const {
    const int d = config.dim;
    const double t = trace(E);
    Vector off = E;
    for (int i = 0; i < d; i++) off[i * d + i] -= t / d;
    const Vector square = times(d, off, off);
    const double q = trace(square), cubes = trace(times(d, square, off));
    return {t / std::sqrt(1 + t * t), q / (1 + q), cubes / std::pow(1 + q, 1.5), 1};
  }
  Vector of_coefficients(const Vector &E, const Vector &y, double scale) const {
    const int d = config.dim;
    const Vector square = times(d, E, E);
    const double t = trace(E), size = trace(square), q = size - t * t / d;
    Vector S(size_t(d * d));
    for (int i = 0; i < d * d; i++)
      S[i] = scale * (y[1] * E[i] + y[2] * square[i] / std::sqrt(1 + size) +
                      (i % (d + 1) == 0 ? y[0] * t + y[3] * q / std::sqrt(1 + q) : 0));
    return S;
  }

  Vector matrix_inputs(const Vector &F) const {
    const int d = config.dim;
    Vector x, C = times(d, F, F, true);
    for (double s : stretches(d, F)) x.push_back(s - 1);
    for (int i = 0; i < d * d; i++) x.push_back(C[i] - (i % (d + 1) == 0));
    x.push_back(determinant(d, F) - 1);
    for (double &v : x) v /= config.strain_scale;
    return x;
  }

  /* R S */
  Vector answer(const std::vector<Layer> &chain, double scale, const Vector &F) const {
    const int d = config.dim;
    const Vector R = polar(d, F), E = strain_of(R, F);
    Vector x = config.invariants ? invariants(E) : matrix_inputs(F);
    for (size_t l = 0; l < chain.size(); l++) {
      Vector y(size_t(chain[l].out));
      for (int o = 0; o < chain[l].out; o++) {
        for (int k = 0; k < chain[l].in; k++) y[o] += value[chain[l].at + o * chain[l].in + k] * x[k];
        if (l + 1 < chain.size()) y[o] *= 0.5 * std::erfc(-y[o] / std::sqrt(2.0));
      }
      x = y;
    }
    if (config.invariants) return times(d, R, of_coefficients(E, x, scale));
    Vector S(size_t(d * d));
    for (int i = 0; i < d; i++)
      for (int j = 0; j < d; j++) S[i * d + j] = 0.5 * scale * (x[i * d + j] + x[j * d + i]);
    return times(d, R, S);
  }
  Vector stress(const Vector &F) const {
    return times(config.dim, answer(elasticity, config.elasticity_scale, F), F, false, true);
  }
  Vector flow(const Vector &F) const {
    Vector G = answer(plasticity, config.plasticity_scale, F);
    for (size_t k = 0; k < G.size(); k++) G[k] += F[k];
    return G;
  }
};

} // namespace neural64
} // namespace mote_test
#endif
