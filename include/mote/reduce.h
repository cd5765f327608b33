/* From a dense trajectory file to a sparse one, and back: what stands between the time-stepper and the files.
 */
#ifndef MOTE_REDUCE_H
#define MOTE_REDUCE_H

#include <mote/device.h>
#include <mote/log.h>
#include <mote/operator.h>
#include <mote/sample.h>

#ifdef __cplusplus
extern "C" {
#endif

/* Writes the chosen particles of trajectory `index` of `input` to `output`, all frames, with the label
   "index": which particles they are. The choice looks at the first frame alone. `per_body`: each body gets
   its share. `chosen` (may be NULL): how many. */
mote_status mote_reduce_trajectory(const char *input, int index, const mote_sample_options *options,
                                   int per_body, const char *output, const mote_monitor *monitor,
                                   int64_t *chosen);

typedef struct mote_reconstruct_summary {
  int64_t frames, sparse, dense;
  double seconds;       /* in the operator, uploads and downloads included */
  double first_seconds; /* of that, the first step, which allocates and records */
} mote_reconstruct_summary;

/* Reconstructs all particles of `reference` (its first frame alone is read) from the sparse trajectory
   `sparse`, whose first frame is at the same time, and writes `output`, frame by frame. `learned` (may be
   NULL) corrects the matter that it has been trained on, by the labels "material" and the metadata of the
   sparse file; `settings` should then be its own. */
mote_status mote_reconstruct_trajectory(const char *sparse, const char *reference, mote_device *device,
                                        const mote_operator_settings *settings, const mote_operator *learned,
                                        const char *output, const mote_monitor *monitor,
                                        mote_reconstruct_summary *summary);

#ifdef __cplusplus
}
#endif
#endif
