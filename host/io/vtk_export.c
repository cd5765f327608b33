/* VTK files: see frame_export.h. The trick: both kinds hold the same blocks (points, vertices, arrays), so
   one loop feeds them: big-endian behind a line each in the legacy file, raw behind a length each in the XML
   one. */
#include "host/io/frame_export.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "host/core/error.h"

/* A field as VTK takes it: 2-D vectors padded to 3, all else as it is. */
static int padded_width(const mote_frame *frame, int k) {
  int width = mote_field_width(&frame->fields[k]);
  return frame->fields[k].rank == 1 && width == 2 ? 3 : width;
}

#define BLOCK 4096

static uint32_t swapped(uint32_t word) {
  return __builtin_bswap32(word);
}

/* Rows of `width` words as rows of `padded`, in batches. */
static mote_status write_words(mote_output *o, const void *values, int64_t rows, int width, int padded,
                               int big) {
  int64_t batch = BLOCK / padded > 0 ? BLOCK / padded : 1;
  uint32_t *buffer = calloc((size_t)(batch * padded), sizeof *buffer);
  if (!buffer) return mote_fail(MOTE_ERROR_MEMORY, "out of memory to write a frame");
  mote_status status = MOTE_OK;
  for (int64_t start = 0; start < rows && status == MOTE_OK; start += batch) {
    int64_t count = rows - start < batch ? rows - start : batch;
    for (int64_t i = 0; i < count; i++)
      memcpy(buffer + i * padded, (const uint32_t *)values + (start + i) * width, (size_t)width * 4);
    for (int64_t k = 0; big && k < count * padded; k++) buffer[k] = swapped(buffer[k]);
    status = mote_output_write(o, buffer, (size_t)(count * padded) * 4);
  }
  free(buffer);
  return status;
}

/* offset, offset + step, ...: connectivity and offsets. */
static mote_status write_counts(mote_output *o, int64_t rows, int32_t first, int pairs, int big) {
  uint32_t buffer[2 * BLOCK];
  for (int64_t start = 0; start < rows; start += BLOCK) {
    int64_t count = rows - start < BLOCK ? rows - start : BLOCK;
    size_t words = 0;
    for (int64_t i = 0; i < count; i++) {
      if (pairs) buffer[words++] = 1;
      buffer[words++] = (uint32_t)(first + start + i);
    }
    for (size_t k = 0; big && k < words; k++) buffer[k] = swapped(buffer[k]);
    MOTE_TRY(mote_output_write(o, buffer, words * 4));
  }
  return MOTE_OK;
}

/* ---- Legacy ---- */

static mote_status legacy_arrays(mote_output *o, const mote_frame *f) {
  long long n = f->particles;
  MOTE_TRY(mote_output_printf(o, "\nPOINT_DATA %lld\nFIELD particles %d\n", n,
                              f->field_count - 1 + f->label_count));
  for (int k = 1; k < f->field_count; k++) {
    int width = mote_field_width(&f->fields[k]), padded = padded_width(f, k);
    MOTE_TRY(mote_output_printf(o, "%s %d %lld float\n", f->fields[k].name, padded, n));
    MOTE_TRY(write_words(o, f->values[k], f->particles, width, padded, 1));
    MOTE_TRY(mote_output_printf(o, "\n"));
  }
  for (int k = 0; k < f->label_count; k++) {
    MOTE_TRY(mote_output_printf(o, "%s 1 %lld int\n", f->label_names[k], n));
    MOTE_TRY(write_words(o, f->labels[k], f->particles, 1, 1, 1));
    MOTE_TRY(mote_output_printf(o, "\n"));
  }
  return MOTE_OK;
}

mote_status mote_write_vtk(mote_output *o, const mote_frame *f) {
  long long n = f->particles;
  MOTE_TRY(mote_output_printf(o, "# vtk DataFile Version 3.0\nMote, time %.17g s\nBINARY\nDATASET POLYDATA\n",
                              f->time));
  MOTE_TRY(mote_output_printf(o, "POINTS %lld float\n", n));
  MOTE_TRY(write_words(o, f->values[0], f->particles, f->dim, 3, 1));
  MOTE_TRY(mote_output_printf(o, "\nVERTICES %lld %lld\n", n, 2 * n));
  MOTE_TRY(write_counts(o, f->particles, 0, 1, 1));
  return legacy_arrays(o, f);
}

/* ---- XML ---- */

static mote_status declare(mote_output *o, const char *type, const char *name, int width, int64_t *offset,
                           int64_t n) {
  MOTE_TRY(
      mote_output_printf(o,
                         "<DataArray type=\"%s\" Name=\"%s\" NumberOfComponents=\"%d\" format=\"appended\" "
                         "offset=\"%lld\"/>\n",
                         type, name, width, (long long)*offset));
  *offset += 8 + n * width * 4;
  return MOTE_OK;
}

static mote_status block_size(mote_output *o, int64_t n, int width) {
  uint64_t bytes = (uint64_t)(n * width * 4);
  return mote_output_write(o, &bytes, sizeof bytes);
}

static mote_status xml_header(mote_output *o, const mote_frame *f) {
  int64_t offset = 0, n = f->particles;
  MOTE_TRY(mote_output_printf(o,
                              "<?xml version=\"1.0\"?>\n<VTKFile type=\"PolyData\" version=\"1.0\" "
                              "byte_order=\"LittleEndian\" header_type=\"UInt64\">\n<PolyData>\n"
                              "<Piece NumberOfPoints=\"%lld\" NumberOfVerts=\"%lld\" NumberOfLines=\"0\" "
                              "NumberOfStrips=\"0\" NumberOfPolys=\"0\">\n<Points>\n",
                              (long long)n, (long long)n));
  MOTE_TRY(declare(o, "Float32", "position", 3, &offset, n));
  MOTE_TRY(mote_output_printf(o, "</Points>\n<Verts>\n"));
  MOTE_TRY(declare(o, "Int32", "connectivity", 1, &offset, n));
  MOTE_TRY(declare(o, "Int32", "offsets", 1, &offset, n));
  MOTE_TRY(mote_output_printf(o, "</Verts>\n<PointData>\n"));
  for (int k = 1; k < f->field_count; k++)
    MOTE_TRY(declare(o, "Float32", f->fields[k].name, padded_width(f, k), &offset, n));
  for (int k = 0; k < f->label_count; k++) MOTE_TRY(declare(o, "Int32", f->label_names[k], 1, &offset, n));
  return mote_output_printf(o, "</PointData>\n</Piece>\n</PolyData>\n<AppendedData encoding=\"raw\">\n_");
}

mote_status mote_write_vtp(mote_output *o, const mote_frame *f) {
#if __BYTE_ORDER__ != __ORDER_LITTLE_ENDIAN__
  return mote_fail(MOTE_ERROR_UNSUPPORTED, "VTP is written on little-endian machines only");
#endif
  int64_t n = f->particles;
  MOTE_TRY(xml_header(o, f));
  MOTE_TRY(block_size(o, n, 3));
  MOTE_TRY(write_words(o, f->values[0], n, f->dim, 3, 0));
  MOTE_TRY(block_size(o, n, 1));
  MOTE_TRY(write_counts(o, n, 0, 0, 0));
  MOTE_TRY(block_size(o, n, 1));
  MOTE_TRY(write_counts(o, n, 1, 0, 0));
  for (int k = 1; k < f->field_count; k++) {
    MOTE_TRY(block_size(o, n, padded_width(f, k)));
    MOTE_TRY(write_words(o, f->values[k], n, mote_field_width(&f->fields[k]), padded_width(f, k), 0));
  }
  for (int k = 0; k < f->label_count; k++) {
    MOTE_TRY(block_size(o, n, 1));
    MOTE_TRY(write_words(o, f->labels[k], n, 1, 1, 0));
  }
  return mote_output_printf(o, "\n</AppendedData>\n</VTKFile>\n");
}

mote_status mote_write_pvd(mote_output *o, int64_t count, const char *const *names, const double *times) {
  MOTE_TRY(mote_output_printf(o, "<?xml version=\"1.0\"?>\n<VTKFile type=\"Collection\" version=\"0.1\" "
                                 "byte_order=\"LittleEndian\">\n<Collection>\n"));
  for (int64_t k = 0; k < count; k++) {
    MOTE_TRY(mote_output_printf(o, "<DataSet timestep=\"%.17g\" part=\"0\" file=\"", times[k]));
    MOTE_TRY(mote_output_xml(o, names[k]));
    MOTE_TRY(mote_output_printf(o, "\"/>\n"));
  }
  return mote_output_printf(o, "</Collection>\n</VTKFile>\n");
}
