/* Finds each dense point's kin, once: the sparse particles nearest to it at the first frame. */
#include "host/core/error.h"
#include "host/graph/nearest.h"
#include "host/models/reconstruction.h"

mote_status mote_reconstruction_find_kin(mote_reconstruction *r) {
  const mote_reconstruction_options *o = &r->options;
  size_t entries = (size_t)o->dense_count * MOTE_KIN;
  mote_nearest_search search = {0};
  mote_buffer nearest = {0};
  MOTE_TRY(mote_buffer_reserve(&r->kin_index, r->device, entries * 4));
  MOTE_TRY(mote_buffer_reserve(&r->kin_weight, r->device, entries * 4));
  mote_status status = mote_buffer_reserve(&nearest, r->device, entries * 4);
  if (status == MOTE_OK)
    status = mote_nearest_search_on(&search, r->stream, r->start.data, o->sparse_count, r->dense_start.data,
                                    o->dense_count, o->dim, MOTE_KIN, nearest.data, NULL);
  if (status == MOTE_OK)
    status = r->device->kin->weigh(r->stream, o->dim, o->dense_count, nearest.data, r->dense_start.data,
                                   r->start.data, r->radius / r->settings.radius, r->kin_index.data,
                                   r->kin_weight.data);
  if (status == MOTE_OK) status = mote_stream_synchronize(r->stream);
  mote_nearest_search_free(&search);
  mote_buffer_free(&nearest);
  return status;
}
