/* The terms of packed weights (kernels/dense/dense.h), kept beside them on devices that multiply these. */
#ifndef MOTE_NN_TERMS_H
#define MOTE_NN_TERMS_H

#include "host/core/device.h"
#include "kernels/dense/dense.h"

#ifdef __cplusplus
extern "C" {
#endif

/* Those of an arena of `floats`, in `room`, which grows in the first call. Other devices leave both empty. */
mote_status mote_terms_keep(mote_stream *stream, int64_t floats, const float *packed, mote_buffer *room,
                            mote_terms *terms);

#ifdef __cplusplus
}
#endif
#endif
