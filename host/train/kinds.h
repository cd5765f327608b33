/* What mote_train() hands a run to, by its kind. */
#ifndef MOTE_TRAIN_KINDS_H
#define MOTE_TRAIN_KINDS_H

#include <mote/train.h>

#ifdef __cplusplus
extern "C" {
#endif

mote_status mote_train_operator(const char *run, const char *folder, const mote_train_options *options,
                                const mote_monitor *monitor, mote_train_summary *summary);
mote_status mote_train_joint(const char *run, const char *folder, const mote_train_options *options,
                             const mote_monitor *monitor, mote_train_summary *summary);
mote_status mote_train_constitutive(const char *run, const char *folder, const mote_train_options *options,
                                    const mote_monitor *monitor, mote_train_summary *summary);
mote_status mote_train_stepper(const char *run, const char *folder, const mote_train_options *options,
                               const mote_monitor *monitor, mote_train_summary *summary);

#ifdef __cplusplus
}
#endif
#endif
