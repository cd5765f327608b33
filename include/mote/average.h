/* The mean of models' weights. Models that were trained on from a common one lie in one valley of the loss,
   each to a side of it; their mean lies nearer to its floor than any of them, at one model's cost (Izmailov
   et al. 2018, "Averaging weights leads to wider optima"; Wortsman et al. 2022, "Model soups"). Of models
   that have no common ancestor the mean is of no use. */
#ifndef MOTE_AVERAGE_H
#define MOTE_AVERAGE_H

#include <mote/status.h>

#ifdef __cplusplus
extern "C" {
#endif

/* Writes the model `out`, a folder, whose every tensor is sum_k share[k] tensor_k / sum_k share[k] over the
   `count` models `folders` (time-steppers, operators or laws), summed in float64 and written as float32.
   share: `count` numbers, 0 or more and not all 0; NULL: all alike. config.json and, where there is one,
   metadata.json must say the same of all; they are the new model's, too. Its files appear together or not at
   all, and `out` may be one of `folders`. MOTE_ERROR_ARGUMENT: no models, other shares, or models that differ
   in more than their weights; the error says in what. MOTE_ERROR_IO, MOTE_ERROR_FORMAT: a model that cannot
   be read. */
mote_status mote_average_models(int count, const char *const *folders, const double *share, const char *out);

#ifdef __cplusplus
}
#endif
#endif
