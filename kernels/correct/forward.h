/* The networks of a few nodes at once, on the CPU: a weight that is loaded serves them all, and there are
   enough sums on the way to hide the latency of one. */
#ifndef MOTE_KERNELS_CORRECT_FORWARD_H
#define MOTE_KERNELS_CORRECT_FORWARD_H

#include "kernels/correct/basis.h"
#include "kernels/dense/vector.h"

/* Nodes at once: eight sums, in vectors of 8 lanes or of 16. */
#define MOTE_TOGETHER (MOTE_LANES / 4)

MOTE_VECTOR mote_v mote_v_silu(mote_v x) {
  return x / (1.f + mote_v_exp(-x));
}

/* to = from * weights + bias, each a row of `out` numbers a node; weights (in, out), then bias. */
MOTE_VECTOR void mote_forward_layer(int in, int out, const float *weights, const float (*from)[MOTE_HIDDEN],
                                    float (*to)[MOTE_HIDDEN]) {
  mote_v sum[MOTE_TOGETHER][MOTE_HIDDEN / MOTE_LANES];
  int parts = out / MOTE_LANES;
  for (int node = 0; node < MOTE_TOGETHER; node++)
    for (int j = 0; j < parts; j++) sum[node][j] = mote_v_load(weights + in * out + j * MOTE_LANES);
  for (int i = 0; i < in; i++)
    for (int node = 0; node < MOTE_TOGETHER; node++) {
      mote_v x = mote_v_set(from[node][i]);
      for (int j = 0; j < parts; j++) sum[node][j] += x * mote_v_load(weights + i * out + j * MOTE_LANES);
    }
  for (int node = 0; node < MOTE_TOGETHER; node++)
    for (int j = 0; j < parts; j++) mote_v_store(to[node] + j * MOTE_LANES, sum[node][j]);
}

MOTE_VECTOR void mote_forward_silu(float (*x)[MOTE_HIDDEN]) {
  float *value = x[0];
  for (int k = 0; k < MOTE_TOGETHER * MOTE_HIDDEN; k += MOTE_LANES)
    mote_v_store(value + k, mote_v_silu(mote_v_load(value + k)));
}

/* bounded[node] = 2 tanh(o / 2), o the MOTE_OUTPUTS outputs of the expert p with the features given. */
static inline void mote_forward_together(const float *p, const float *norm,
                                         const float *const feature[MOTE_TOGETHER],
                                         float bounded[MOTE_TOGETHER][MOTE_HIDDEN]) {
  float a[MOTE_TOGETHER][MOTE_HIDDEN], b[MOTE_TOGETHER][MOTE_HIDDEN];
  for (int node = 0; node < MOTE_TOGETHER; node++)
    for (int k = 0; k < MOTE_FEATURES; k++) a[node][k] = mote_normalise(norm, feature[node], k);
  mote_forward_layer(MOTE_FEATURES, MOTE_HIDDEN, p, (const float(*)[MOTE_HIDDEN])a, b);
  mote_forward_silu(b);
  mote_forward_layer(MOTE_HIDDEN, MOTE_HIDDEN, p + MOTE_WEIGHTS_2, (const float(*)[MOTE_HIDDEN])b, a);
  mote_forward_silu(a);
  mote_forward_layer(MOTE_HIDDEN, MOTE_OUTPUTS, p + MOTE_WEIGHTS_3, (const float(*)[MOTE_HIDDEN])a, bounded);
  for (int node = 0; node < MOTE_TOGETHER; node++)
    for (int k = 0; k < MOTE_OUTPUTS; k += MOTE_LANES) {
      mote_v o = mote_v_load(bounded[node] + k);
      mote_v_store(bounded[node] + k, 4.f / (1.f + mote_v_exp(-o)) - 2.f);
    }
}

/* field row += weight * basis, summed over the bases in vectors first. */
static inline void mote_add_bases_fast(const float *weight, const float *basis, float *field) {
  float sum[MOTE_AFFINE] = {0};
  for (int k = 0; k < MOTE_BASES; k++)
    for (int i = 0; i < MOTE_AFFINE; i++) sum[i] += weight[k] * basis[k * MOTE_AFFINE + i];
  for (int c = 0; c < 3; c++) {
    field[c] += sum[c];
    for (int a = 0; a < 3; a++) field[4 * (a + 1) + c] += sum[3 + 3 * c + a];
  }
}

#endif
