/* PLY: see frame_export.h. The trick: the header names one property a float, so a row is a plain copy of them
 * all. */
#include "host/io/frame_export.h"

#include <stdlib.h>
#include <string.h>

#include "host/core/error.h"

int mote_field_width(const mote_trajectory_field *f) {
  int width = 1;
  for (int d = 0; d < f->rank; d++) width *= f->shape[d];
  return width;
}

/* Position and velocity are three wide whatever the dimension. */
static int is_spatial(const mote_trajectory_field *f) {
  return strcmp(f->name, "position") == 0 || strcmp(f->name, "velocity") == 0;
}

static mote_status property_names(mote_output *o, const mote_trajectory_field *f) {
  int width = mote_field_width(f);
  if (is_spatial(f)) {
    const char *prefix = f->name[0] == 'v' ? "v" : "";
    return mote_output_printf(o, "property float %sx\nproperty float %sy\nproperty float %sz\n", prefix,
                              prefix, prefix);
  }
  if (width == 1) return mote_output_printf(o, "property float %s\n", f->name);
  for (int k = 0; k < width; k++) MOTE_TRY(mote_output_printf(o, "property float %s_%d\n", f->name, k));
  return MOTE_OK;
}

static mote_status header(mote_output *o, const mote_frame *frame) {
  MOTE_TRY(
      mote_output_printf(o, "ply\nformat binary_little_endian 1.0\ncomment time %.17g\nelement vertex %lld\n",
                         frame->time, (long long)frame->particles));
  for (int k = 0; k < frame->field_count; k++) MOTE_TRY(property_names(o, &frame->fields[k]));
  for (int k = 0; k < frame->label_count; k++)
    MOTE_TRY(mote_output_printf(o, "property int %s\n", frame->label_names[k]));
  return mote_output_printf(o, "end_header\n");
}

/* Words of four bytes, little-endian as this machine is checked to be. */
static size_t fill_row(const mote_frame *frame, int64_t i, uint32_t *row) {
  size_t at = 0;
  for (int k = 0; k < frame->field_count; k++) {
    int width = mote_field_width(&frame->fields[k]);
    memcpy(row + at, frame->values[k] + i * width, (size_t)width * 4);
    at += (size_t)width;
    if (is_spatial(&frame->fields[k]) && width == 2) row[at++] = 0;
  }
  for (int k = 0; k < frame->label_count; k++) memcpy(row + at++, frame->labels[k] + i, 4);
  return at;
}

mote_status mote_write_ply(mote_output *o, const mote_frame *frame) {
#if __BYTE_ORDER__ != __ORDER_LITTLE_ENDIAN__
  return mote_fail(MOTE_ERROR_UNSUPPORTED, "PLY is written on little-endian machines only");
#endif
  size_t words = (size_t)frame->label_count;
  for (int k = 0; k < frame->field_count; k++) words += (size_t)mote_field_width(&frame->fields[k]) + 1;
  uint32_t *row = malloc(words * sizeof *row + sizeof *row);
  if (!row) return mote_fail(MOTE_ERROR_MEMORY, "out of memory to write a frame");
  mote_status status = header(o, frame);
  for (int64_t i = 0; i < frame->particles && status == MOTE_OK; i++)
    status = mote_output_write(o, row, fill_row(frame, i, row) * sizeof *row);
  free(row);
  return status;
}
