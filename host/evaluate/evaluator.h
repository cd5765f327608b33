/* An evaluator's inside, for the files of this folder. */
#ifndef MOTE_EVALUATE_EVALUATOR_H
#define MOTE_EVALUATE_EVALUATOR_H

#include <mote/evaluate.h>

#include "host/graph/nearest.h"

struct mote_evaluator {
  mote_stream *stream;
  mote_nearest_search search;
  mote_buffer points[2], indices;
  int32_t *nearest; /* host copy of indices */
  int64_t nearest_capacity;
};

#endif
