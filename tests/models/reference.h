/* Time-steppers in float64, written from their definition alone: every pair looked at, every latent point
   computed, [h_i, h_j, e] one behind the other. What each line computes: GIOROM (Viswanath et al., arXiv
   2407.03925, and its published checkpoints), GNS (Sanchez-Gonzalez et al., arXiv 2002.09405). Shares no code
   with the library. */
#ifndef MOTE_TESTS_MODELS_REFERENCE_H
#define MOTE_TESTS_MODELS_REFERENCE_H

#include "tests/support/checkpoint.h"

namespace mote_test {

struct Answer {
  std::vector<double> acceleration, next; /* (n, dim); normalised; m */
  int64_t edges;                          /* self-loops included */
};

Answer reference_step(const Checkpoint &checkpoint, const mote_metadata &metadata, const Cloud &cloud);

} // namespace mote_test
#endif
