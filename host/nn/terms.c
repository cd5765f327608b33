#include "host/nn/terms.h"

#include "host/core/error.h"

mote_status mote_terms_keep(mote_stream *stream, int64_t floats, const float *packed, mote_buffer *room,
                            mote_terms *terms) {
  const struct mote_dense_kernels *k = stream->device->dense;
  const int count = k->term_count ? k->term_count(stream->device->precision) : 0;
  if (!count) return MOTE_OK;
  MOTE_TRY(mote_buffer_reserve(room, stream->device, k->terms_room(count, floats)));
  *terms = (mote_terms){room->data, count};
  return k->make_terms(stream, floats, packed, count, room->data);
}
