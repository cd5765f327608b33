/* Reading ZIP archives: see zip.h (APPNOTE 6.3.9 of PKWARE, sections 4.3 and 4.5.3). The trick: only the
   directory at the end is believed, and each member's size is weighed against its packed bytes before memory
   is spent. */
#include "host/io/zip.h"

#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "host/core/error.h"

#define LARGEST_DIRECTORY ((int64_t)64 << 20)
#define LARGEST_RATIO 1100
#define SLACK 65536
#define END_SIZE 22

static uint64_t little(const unsigned char *p, int bytes) {
  uint64_t value = 0;
  for (int k = bytes - 1; k >= 0; k--) value = value << 8 | p[k];
  return value;
}

static mote_status broken(const mote_zip *zip, const char *why) {
  return mote_fail(MOTE_ERROR_FORMAT, "%s is not a whole ZIP archive: %s", zip->path, why);
}

static mote_status read_at(const mote_zip *zip, int64_t offset, void *data, size_t size) {
  if (offset < 0 || offset > zip->file_size || (int64_t)size > zip->file_size - offset)
    return broken(zip, "it ends too early (truncated?)");
  int code = mote_pread_all(zip->fd, data, size, offset);
  return code ? mote_fail(MOTE_ERROR_IO, "cannot read %s: %s", zip->path, strerror(code)) : MOTE_OK;
}

typedef struct directory {
  uint64_t count, size, offset;
} directory;

/* zip64: a locator before the end record gives the place of a larger one. */
static mote_status find_large(const mote_zip *zip, int64_t end, directory *d) {
  unsigned char locator[20], record[56];
  if (end < 20) return MOTE_OK;
  MOTE_TRY(read_at(zip, end - 20, locator, sizeof locator));
  if (little(locator, 4) != 0x07064b50) return MOTE_OK;
  uint64_t place = little(locator + 8, 8);
  if (place > INT64_MAX) return broken(zip, "its zip64 record lies nowhere");
  MOTE_TRY(read_at(zip, (int64_t)place, record, sizeof record));
  if (little(record, 4) != 0x06064b50) return broken(zip, "its zip64 record is missing");
  *d = (directory){little(record + 32, 8), little(record + 40, 8), little(record + 48, 8)};
  return MOTE_OK;
}

static mote_status find_directory(const mote_zip *zip, directory *d) {
  unsigned char tail[END_SIZE + 65535];
  int64_t size = zip->file_size < (int64_t)sizeof tail ? zip->file_size : (int64_t)sizeof tail;
  if (size < END_SIZE) return broken(zip, "it is too short");
  MOTE_TRY(read_at(zip, zip->file_size - size, tail, (size_t)size));
  int64_t at = size - END_SIZE;
  while (at >= 0 &&
         !(little(tail + at, 4) == 0x06054b50 && at + END_SIZE + (int64_t)little(tail + at + 20, 2) <= size))
    at--;
  if (at < 0) return broken(zip, "its directory is missing (truncated?)");
  if (little(tail + at + 4, 2) != 0) return broken(zip, "it is one part of a split archive");
  *d = (directory){little(tail + at + 10, 2), little(tail + at + 12, 4), little(tail + at + 16, 4)};
  return find_large(zip, zip->file_size - size + at, d);
}

/* Sizes that do not fit 32 bits lie in the extra field of kind 1, in this order. */
static mote_status read_extra(const mote_zip *zip, const unsigned char *extra, size_t length, uint64_t *size,
                              uint64_t *packed, uint64_t *header) {
  uint64_t *values[3] = {size, packed, header};
  while (length >= 4) {
    size_t kind = little(extra, 2), field = little(extra + 2, 2);
    if (field > length - 4) return broken(zip, "an extra field is cut off");
    const unsigned char *p = extra + 4;
    size_t left = field;
    for (int k = 0; kind == 1 && k < 3; k++) {
      if (*values[k] != UINT32_MAX) continue;
      if (left < 8) return broken(zip, "a zip64 field is cut off");
      *values[k] = little(p, 8);
      p += 8, left -= 8;
    }
    extra += 4 + field;
    length -= 4 + field;
  }
  return MOTE_OK;
}

static mote_status check_member(const mote_zip *zip, const mote_zip_member *m, int method, int flags) {
  if (flags & 1) return mote_fail(MOTE_ERROR_UNSUPPORTED, "%s: %.200s is encrypted", zip->path, m->name);
  if (method != 0 && method != 8)
    return mote_fail(MOTE_ERROR_UNSUPPORTED, "%s: %.200s is compressed by method %d; expected deflate",
                     zip->path, m->name, method);
  if (m->packed < 0 || m->size < 0 || m->header < 0 || m->packed > zip->file_size ||
      m->header > zip->file_size)
    return broken(zip, "a member lies outside of it");
  if (method == 0 ? m->size != m->packed : m->size > m->packed * LARGEST_RATIO + SLACK)
    return broken(zip, "a member's size does not fit its bytes");
  return MOTE_OK;
}

static mote_status read_member(mote_zip *zip, const unsigned char *p, size_t left, size_t *used) {
  if (left < 46 || little(p, 4) != 0x02014b50) return broken(zip, "its directory is damaged");
  size_t name = little(p + 28, 2), extra = little(p + 30, 2), comment = little(p + 32, 2);
  if (46 + name + extra + comment > left) return broken(zip, "its directory is cut off");
  uint64_t packed = little(p + 20, 4), size = little(p + 24, 4), header = little(p + 42, 4);
  MOTE_TRY(read_extra(zip, p + 46 + name, extra, &size, &packed, &header));
  if (packed > INT64_MAX / 2048 || size > INT64_MAX / 2048 || header > INT64_MAX / 2048)
    return broken(zip, "a member's size is absurd");
  mote_zip_member *m = &zip->members[zip->count++];
  *m = (mote_zip_member){.deflated = little(p + 10, 2) == 8,
                         .crc = (uint32_t)little(p + 16, 4),
                         .packed = (int64_t)packed,
                         .size = (int64_t)size,
                         .header = (int64_t)header};
  m->name = strndup((const char *)p + 46, name);
  if (!m->name) return mote_fail(MOTE_ERROR_MEMORY, "out of memory to open %s", zip->path);
  *used = 46 + name + extra + comment;
  return check_member(zip, m, (int)little(p + 10, 2), (int)little(p + 8, 2));
}

static mote_status read_directory(mote_zip *zip) {
  directory d;
  MOTE_TRY(find_directory(zip, &d));
  if (d.size > (uint64_t)LARGEST_DIRECTORY || d.offset > (uint64_t)zip->file_size || d.count > d.size / 46)
    return broken(zip, "its directory's size is absurd");
  unsigned char *bytes = malloc((size_t)d.size + 1), *p = bytes;
  zip->members = calloc((size_t)d.count + 1, sizeof *zip->members);
  mote_status status = bytes && zip->members
                           ? read_at(zip, (int64_t)d.offset, bytes, (size_t)d.size)
                           : mote_fail(MOTE_ERROR_MEMORY, "out of memory to open %s", zip->path);
  size_t left = (size_t)d.size, used = 0;
  for (uint64_t k = 0; k < d.count && status == MOTE_OK; k++) {
    status = read_member(zip, p, left, &used);
    if (status == MOTE_OK) p += used, left -= used;
  }
  free(bytes);
  return status;
}

mote_status mote_zip_open(const char *path, mote_zip *zip) {
  *zip = (mote_zip){.fd = -1};
  zip->path = strdup(path);
  if (!zip->path) return mote_fail(MOTE_ERROR_MEMORY, "out of memory to open %s", path);
  mote_status status = mote_file_open(path, &zip->fd, &zip->file_size);
  if (status == MOTE_OK) status = read_directory(zip);
  if (status != MOTE_OK) mote_zip_close(zip);
  return status;
}

void mote_zip_close(mote_zip *zip) {
  for (int k = 0; k < zip->count; k++) free(zip->members[k].name);
  free(zip->members);
  free(zip->path);
  if (zip->fd >= 0) close(zip->fd);
  *zip = (mote_zip){.fd = -1};
}

static int inflate_all(unsigned char *packed, size_t packed_size, unsigned char *data, size_t size) {
  z_stream s = {0};
  if (inflateInit2(&s, -MAX_WBITS) != Z_OK) return 0;
  int code = Z_OK;
  size_t in = 0, out = 0;
  unsigned char none = 0;
  while (code == Z_OK) {
    size_t feed = packed_size - in < (1u << 30) ? packed_size - in : 1u << 30;
    size_t room = size - out < (1u << 30) ? size - out : 1u << 30;
    s.next_in = packed + in, s.avail_in = (uInt)feed;
    s.next_out = room ? data + out : &none, s.avail_out = (uInt)(room ? room : 1);
    size_t offered = s.avail_out;
    code = inflate(&s, Z_NO_FLUSH);
    in += feed - s.avail_in;
    if (!room && s.avail_out == 0)
      code = Z_DATA_ERROR; /* more data than was declared */
    else if (room)
      out += offered - s.avail_out;
    if (code == Z_OK && feed == s.avail_in && offered == s.avail_out) code = Z_BUF_ERROR;
  }
  inflateEnd(&s);
  return code == Z_STREAM_END && out == size;
}

static uint32_t sum(const unsigned char *data, size_t size) {
  return (uint32_t)crc32_z(crc32_z(0, NULL, 0), data, size);
}

mote_status mote_zip_read(const mote_zip *zip, int member, unsigned char **data, size_t *size) {
  const mote_zip_member *m = &zip->members[member];
  unsigned char local[30], *packed, *plain;
  *data = NULL;
  *size = 0;
  MOTE_TRY(read_at(zip, m->header, local, sizeof local));
  if (little(local, 4) != 0x04034b50) return broken(zip, "a member's header is damaged");
  int64_t at = m->header + 30 + (int64_t)little(local + 26, 2) + (int64_t)little(local + 28, 2);
  if (at > zip->file_size || m->packed > zip->file_size - at)
    return broken(zip, "a member is cut off (truncated?)");
  packed = malloc((size_t)m->packed + 1);
  plain = m->deflated && packed ? malloc((size_t)m->size + 1) : packed;
  mote_status status =
      packed && plain ? read_at(zip, at, packed, (size_t)m->packed)
                      : mote_fail(MOTE_ERROR_MEMORY, "out of memory for %.200s of %s", m->name, zip->path);
  if (status == MOTE_OK && m->deflated && !inflate_all(packed, (size_t)m->packed, plain, (size_t)m->size))
    status = mote_fail(MOTE_ERROR_FORMAT, "%s: %.200s is damaged: it does not unpack", zip->path, m->name);
  if (status == MOTE_OK && sum(plain, (size_t)m->size) != m->crc)
    status = mote_fail(MOTE_ERROR_FORMAT, "%s: %.200s is damaged: its sum is wrong", zip->path, m->name);
  if (plain != packed) free(packed);
  if (status != MOTE_OK) {
    free(plain);
    return status;
  }
  *data = plain;
  *size = (size_t)m->size;
  return MOTE_OK;
}
