/* From finished trajectories to the files of a data set. */
#ifndef MOTE_DATASET_ASSEMBLE_H
#define MOTE_DATASET_ASSEMBLE_H

#include <mote/log.h>

#include "host/dataset/folder.h"

#ifdef __cplusplus
extern "C" {
#endif

/* Writes train.h5, valid.h5, test.h5 and metadata.json out of the parts, all or none. The statistics, those
   of train, stand in each of them. */
mote_status mote_dataset_assemble(const mote_dataset_folder *folder, const mote_spec *spec,
                                  const mote_monitor *monitor);

#ifdef __cplusplus
}
#endif
#endif
