/* A pass of messages and its reverse in float64, written from the definition. */
#ifndef MOTE_TESTS_MESSAGE_PASS64_H
#define MOTE_TESTS_MESSAGE_PASS64_H

#include "kernels/message/message.h"
#include "tests/support/trainable.h"

namespace mote_test {

struct PassCase {
  Shape shape; /* of the chain from edge states to messages */
  std::vector<int> degree;
  bool update = false, mean = false, length = false, factor = false;
  bool d_state = true, d_receiver = true, d_sender = true;
  int64_t spare = 3, senders = 7; /* capacity beyond the edges */
};

/* All that a pass takes and the gradients by it, in float64; rows without gaps. Sums are of receivers,
   states of edges. */
struct Pass64 {
  PassCase test;
  Chain64 chain;
  int64_t receivers, senders, edges = 0;
  int in, hidden, width;
  std::vector<int32_t> offsets = {0}, sender, receiver;
  Vector state, receiver_part, sender_part, length, factor, d_sum, d_next; /* d_next: by the state after */
  Vector d_state, d_receiver, d_sender, d_length, d_factor;

  Pass64(const PassCase &test, uint64_t stream)
      : test(test), chain(test.shape, stream), receivers(int64_t(test.degree.size())), senders(test.senders),
        in(test.shape.width[0]), hidden(test.shape.width[1]), width(test.shape.width.back()) {
    for (int64_t i = 0; i < receivers; i++) {
      for (int k = 0; k < test.degree[i]; k++) {
        sender.push_back(int32_t(mote_random_below(3, stream + i, k, uint64_t(senders))));
        receiver.push_back(int32_t(i));
      }
      offsets.push_back(int32_t(sender.size()));
    }
    edges = int64_t(sender.size());
    state = widened(noise(edges * in, stream + 1));
    receiver_part = widened(noise(receivers * hidden, stream + 2));
    sender_part = widened(noise(senders * hidden, stream + 3));
    length = widened(noise(edges, stream + 4));
    for (double &l : length) l = std::fabs(l);
    factor = widened(noise(senders * width, stream + 5));
    d_sum = widened(noise(receivers * width, stream + 6));
    d_next = widened(noise(edges * in, stream + 7));
    d_state = test.update ? d_next : Vector(edges * in);
    d_receiver.resize(receivers * hidden), d_sender.resize(senders * hidden), d_length.resize(edges);
    d_factor.resize(senders * width);
  }

  double scale(int64_t e) const { return test.mean ? 1.0 / test.degree[receiver[e]] : 1; }
  double weight(int64_t e) const { return test.length ? 1 / (1 + length[e]) : 1; }
  double factor_of(int64_t e, int c) const { return test.factor ? factor[sender[e] * width + c] : 1; }
  Vector start(int64_t e) const {
    Vector sum(hidden);
    for (int c = 0; c < hidden; c++)
      sum[c] = receiver_part[receiver[e] * hidden + c] + sender_part[sender[e] * hidden + c];
    return sum;
  }
  Vector row(int64_t e) const { return Vector(&state[e * in], &state[e * in] + in); }

  /* What the gradients are of: sums and states after the pass, each times its own factor. */
  double loss() const {
    double sum = 0;
    for (int64_t e = 0; e < edges; e++) {
      Vector from = start(e), x = row(e), m = chain.forward(x, &from);
      for (int c = 0; c < width; c++) {
        sum += scale(e) * weight(e) * m[c] * factor_of(e, c) * d_sum[receiver[e] * width + c];
        if (test.update) sum += (x[c] + m[c]) * d_next[e * in + c];
      }
    }
    return sum;
  }

  void backward() {
    for (int64_t e = 0; e < edges; e++) {
      Vector from = start(e), x = row(e), m = chain.forward(x, &from), d(width), d_start(hidden);
      for (int c = 0; c < width; c++) {
        double by_term = scale(e) * d_sum[receiver[e] * width + c];
        d[c] = by_term * weight(e) * factor_of(e, c) + (test.update && test.d_state ? d_next[e * in + c] : 0);
        d_factor[sender[e] * width + c] += by_term * weight(e) * m[c];
        d_length[e] -= by_term * m[c] * factor_of(e, c) * weight(e) * weight(e);
      }
      Vector d_x = chain.backward(x, d, &from, &d_start);
      for (int c = 0; c < in; c++) d_state[e * in + c] += d_x[c];
      for (int c = 0; c < hidden; c++) {
        d_receiver[receiver[e] * hidden + c] += d_start[c];
        d_sender[sender[e] * hidden + c] += d_start[c];
      }
    }
  }
};

} // namespace mote_test

#endif
