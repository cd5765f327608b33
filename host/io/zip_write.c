/* Writing ZIP archives: see zip.h. The trick: every member has the zip64 field, so sizes need not be known
   before its data has passed; they are patched into its header afterwards. Times are fixed: same content,
   same bytes. */
#include "host/io/zip.h"

#include <stdlib.h>
#include <string.h>

#include "host/core/error.h"

#define PACKED_SIZE ((size_t)256 << 10)
#define DATE_1980 0x21

static unsigned char *put(unsigned char *p, uint64_t value, int bytes) {
  for (int k = 0; k < bytes; k++) *p++ = (unsigned char)(value >> 8 * k);
  return p;
}

/* The local header without its name; 50 bytes with the zip64 field. */
static void local_header(const mote_zip_member *m, unsigned char header[30], unsigned char extra[20]) {
  unsigned char *p = put(header, 0x04034b50, 4);
  p = put(p, 45, 2), p = put(p, 0, 2), p = put(p, m->deflated ? 8 : 0, 2);
  p = put(p, 0, 2), p = put(p, DATE_1980, 2), p = put(p, m->crc, 4);
  p = put(p, UINT32_MAX, 4), p = put(p, UINT32_MAX, 4);
  p = put(p, strlen(m->name), 2), put(p, 20, 2);
  p = put(extra, 1, 2), p = put(p, 16, 2), p = put(p, (uint64_t)m->size, 8), put(p, (uint64_t)m->packed, 8);
}

mote_status mote_zip_begin(mote_zip_writer *zip, const char *name) {
  if (zip->count == zip->capacity) {
    int capacity = zip->capacity ? 2 * zip->capacity : 16;
    mote_zip_member *grown = realloc(zip->members, (size_t)capacity * sizeof *grown);
    if (!grown) return mote_fail(MOTE_ERROR_MEMORY, "out of memory to write %s", name);
    zip->members = grown;
    zip->capacity = capacity;
  }
  if (!zip->packed) zip->packed = malloc(PACKED_SIZE);
  mote_zip_member *m = &zip->members[zip->count];
  *m = (mote_zip_member){.name = strdup(name), .deflated = zip->level > 0, .header = zip->output->written};
  if (!m->name || !zip->packed || strlen(name) > 1000) {
    free(m->name);
    return mote_fail(MOTE_ERROR_MEMORY, "cannot write the member %.100s", name);
  }
  zip->count++;
  m->crc = (uint32_t)crc32(0, NULL, 0);
  if (m->deflated) {
    zip->stream = (z_stream){0};
    if (deflateInit2(&zip->stream, zip->level, Z_DEFLATED, -MAX_WBITS, 8, Z_DEFAULT_STRATEGY) != Z_OK)
      return mote_fail(MOTE_ERROR_MEMORY, "out of memory to compress %s", name);
    zip->streaming = 1;
  }
  unsigned char header[30], extra[20];
  local_header(m, header, extra);
  MOTE_TRY(mote_output_write(zip->output, header, sizeof header));
  MOTE_TRY(mote_output_write(zip->output, name, strlen(name)));
  return mote_output_write(zip->output, extra, sizeof extra);
}

static mote_status pack(mote_zip_writer *zip, const unsigned char *data, size_t size, int flush) {
  mote_zip_member *m = &zip->members[zip->count - 1];
  zip->stream.next_in = (unsigned char *)data;
  zip->stream.avail_in = (uInt)size;
  int code;
  do {
    zip->stream.next_out = zip->packed;
    zip->stream.avail_out = (uInt)PACKED_SIZE;
    code = deflate(&zip->stream, flush);
    size_t made = PACKED_SIZE - zip->stream.avail_out;
    MOTE_TRY(mote_output_write(zip->output, zip->packed, made));
    m->packed += (int64_t)made;
  } while (zip->stream.avail_out == 0 && code == Z_OK);
  return MOTE_OK;
}

mote_status mote_zip_write(mote_zip_writer *zip, const void *data, size_t size) {
  mote_zip_member *m = &zip->members[zip->count - 1];
  m->crc = (uint32_t)crc32_z(m->crc, data, size);
  m->size += (int64_t)size;
  if (!m->deflated) {
    m->packed += (int64_t)size;
    return mote_output_write(zip->output, data, size);
  }
  for (const unsigned char *p = data; size > 0;) {
    size_t step = size < (1u << 30) ? size : 1u << 30;
    MOTE_TRY(pack(zip, p, step, Z_NO_FLUSH));
    p += step, size -= step;
  }
  return MOTE_OK;
}

mote_status mote_zip_end(mote_zip_writer *zip) {
  mote_zip_member *m = &zip->members[zip->count - 1];
  if (m->deflated) {
    MOTE_TRY(pack(zip, NULL, 0, Z_FINISH));
    deflateEnd(&zip->stream);
    zip->streaming = 0;
  }
  unsigned char header[30], extra[20];
  local_header(m, header, extra);
  MOTE_TRY(mote_output_patch(zip->output, m->header, header, sizeof header));
  return mote_output_patch(zip->output, m->header + 30 + (int64_t)strlen(m->name), extra, sizeof extra);
}

static mote_status directory_entry(mote_output *o, const mote_zip_member *m) {
  unsigned char entry[46], extra[28], *p = put(entry, 0x02014b50, 4);
  p = put(p, 45, 2), p = put(p, 45, 2), p = put(p, 0, 2), p = put(p, m->deflated ? 8 : 0, 2);
  p = put(p, 0, 2), p = put(p, DATE_1980, 2), p = put(p, m->crc, 4);
  p = put(p, UINT32_MAX, 4), p = put(p, UINT32_MAX, 4);
  p = put(p, strlen(m->name), 2), p = put(p, sizeof extra, 2), p = put(p, 0, 2);
  p = put(p, 0, 4), p = put(p, 0, 4), put(p, UINT32_MAX, 4);
  p = put(extra, 1, 2), p = put(p, 24, 2), p = put(p, (uint64_t)m->size, 8);
  p = put(p, (uint64_t)m->packed, 8), put(p, (uint64_t)m->header, 8);
  MOTE_TRY(mote_output_write(o, entry, sizeof entry));
  MOTE_TRY(mote_output_write(o, m->name, strlen(m->name)));
  return mote_output_write(o, extra, sizeof extra);
}

mote_status mote_zip_finish(mote_zip_writer *zip) {
  uint64_t start = (uint64_t)zip->output->written, count = (uint64_t)zip->count;
  for (int k = 0; k < zip->count; k++) MOTE_TRY(directory_entry(zip->output, &zip->members[k]));
  uint64_t end = (uint64_t)zip->output->written, size = end - start;
  unsigned char record[56 + 20 + 22], *p = put(record, 0x06064b50, 4);
  p = put(p, 44, 8), p = put(p, 45, 2), p = put(p, 45, 2), p = put(p, 0, 4), p = put(p, 0, 4);
  p = put(p, count, 8), p = put(p, count, 8), p = put(p, size, 8), p = put(p, start, 8);
  p = put(p, 0x07064b50, 4), p = put(p, 0, 4), p = put(p, end, 8), p = put(p, 1, 4);
  uint64_t few = count < UINT16_MAX ? count : UINT16_MAX;
  p = put(p, 0x06054b50, 4), p = put(p, 0, 4), p = put(p, few, 2), p = put(p, few, 2);
  p = put(p, size < UINT32_MAX ? size : UINT32_MAX, 4),
  p = put(p, start < UINT32_MAX ? start : UINT32_MAX, 4);
  put(p, 0, 2);
  return mote_output_write(zip->output, record, sizeof record);
}

void mote_zip_release(mote_zip_writer *zip) {
  if (zip->streaming) deflateEnd(&zip->stream);
  for (int k = 0; k < zip->count; k++) free(zip->members[k].name);
  free(zip->members);
  free(zip->packed);
  *zip = (mote_zip_writer){0};
}
