/* TFRecord framing, and of protocol buffers the little that an Event of scalars takes:

     Event   1 wall_time, double (s since 1970)   2 step, int64   3 file_version, string   5 summary, Summary
     Summary 1 value, a Value each
     Value   1 tag, string   2 simple_value, float */
#include "host/train/event_file.h"

#include <errno.h>
#include <fcntl.h>
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

#include "host/core/error.h"
#include "host/core/file.h"

#define VERSION "brain.Event:2"
#define HEAD 12               /* bytes of a record before its data: length, sum of the length */
#define FOOT 4                /* and behind: sum of the data */
#define EVENT_LIMIT (1 << 20) /* bytes of an event that is read; ours have a few hundred */

/* ---- sums ---- */

uint32_t mote_crc32c(const void *data, int64_t size) {
  const unsigned char *byte = data;
  uint32_t table[16], crc = ~0u; /* half a byte at a time */
  for (uint32_t k = 0; k < 16; k++) {
    table[k] = k;
    for (int bit = 0; bit < 4; bit++) table[k] = table[k] >> 1 ^ (table[k] & 1 ? 0x82f63b78u : 0);
  }
  for (int64_t k = 0; k < size; k++) {
    crc ^= byte[k];
    crc = crc >> 4 ^ table[crc & 15];
    crc = crc >> 4 ^ table[crc & 15];
  }
  return ~crc;
}

/* Sums that are stored with what they sum up are masked, as a sum over a sum would be of no use. */
static uint32_t masked(const void *data, int64_t size) {
  uint32_t crc = mote_crc32c(data, size);
  return (crc >> 15 | crc << 17) + 0xa282ead8u;
}

/* ---- bytes, the least significant first whatever the machine ---- */

typedef struct bytes {
  unsigned char at[HEAD + 16 + (MOTE_EVENT_TAG + 16) * MOTE_EVENT_SCALARS + 32 + FOOT];
  int size;
} bytes;

static void put_fixed(bytes *b, uint64_t value, int width) {
  for (int k = 0; k < width; k++) b->at[b->size++] = (unsigned char)(value >> 8 * k);
}

static void put_varint(bytes *b, uint64_t value) {
  for (; value >= 128; value >>= 7) b->at[b->size++] = (unsigned char)(value | 128);
  b->at[b->size++] = (unsigned char)value;
}

/* A field's key: wire types are 0 varint, 1 eight bytes, 2 a length and so many bytes, 5 four bytes. */
static void put_key(bytes *b, int field, int wire) {
  put_varint(b, (uint64_t)(field << 3 | wire));
}

static void put_block(bytes *b, int field, const void *data, int size) {
  put_key(b, field, 2);
  put_varint(b, (uint64_t)size);
  memcpy(b->at + b->size, data, (size_t)size);
  b->size += size;
}

static uint64_t get_fixed(const unsigned char *at, int width) {
  uint64_t value = 0;
  for (int k = 0; k < width; k++) value |= (uint64_t)at[k] << 8 * k;
  return value;
}

/* ---- events ---- */

static void put_wall_time(bytes *b) {
  struct timespec now;
  uint64_t bits;
  clock_gettime(CLOCK_REALTIME, &now);
  double seconds = (double)now.tv_sec + 1e-9 * (double)now.tv_nsec;
  memcpy(&bits, &seconds, sizeof bits);
  put_key(b, 1, 1);
  put_fixed(b, bits, 8);
}

static void put_scalar(bytes *summary, const mote_event_scalar *scalar) {
  bytes value = {.size = 0};
  float x = (float)scalar->value;
  uint32_t bits;
  memcpy(&bits, &x, sizeof bits);
  put_block(&value, 1, scalar->tag, (int)strnlen(scalar->tag, MOTE_EVENT_TAG - 1));
  put_key(&value, 2, 5);
  put_fixed(&value, bits, 4);
  put_block(summary, 1, value.at, value.size);
}

/* The event in its frame. */
static void frame(const bytes *event, bytes *record) {
  record->size = 0;
  put_fixed(record, (uint64_t)event->size, 8);
  put_fixed(record, masked(record->at, 8), 4);
  memcpy(record->at + record->size, event->at, (size_t)event->size);
  record->size += event->size;
  put_fixed(record, masked(event->at, event->size), 4);
}

static void version_record(bytes *record) {
  bytes event = {.size = 0};
  put_wall_time(&event);
  put_block(&event, 3, VERSION, (int)strlen(VERSION));
  frame(&event, record);
}

/* ---- what an old file has ---- */

/* The varint at *at; 0 where there is none. */
static int get_varint(const unsigned char *data, int64_t size, int64_t *at, uint64_t *value) {
  *value = 0;
  for (int k = 0; k < 10 && *at < size; k++) {
    unsigned char byte = data[(*at)++];
    *value |= (uint64_t)(byte & 127) << 7 * k;
    if (byte < 128) return 1;
  }
  return 0;
}

/* The step of an event, 0 where it tells none; 0 is returned for what is no event. */
static int read_step(const unsigned char *data, int64_t size, int64_t *step) {
  uint64_t key, value = 0;
  *step = 0;
  for (int64_t at = 0; at < size;) {
    if (!get_varint(data, size, &at, &key)) return 0;
    int wire = (int)(key & 7);
    if (wire == 0 || wire == 2) {
      if (!get_varint(data, size, &at, &value)) return 0;
      if (key == (2 << 3 | 0)) *step = (int64_t)value;
    }
    uint64_t skip = wire == 1 ? 8 : wire == 2 ? value : wire == 5 ? 4 : 0;
    if ((wire != 0 && wire != 1 && wire != 2 && wire != 5) || skip > (uint64_t)(size - at)) return 0;
    at += (int64_t)skip;
  }
  return 1;
}

/* The record at the stream's place into memory of HEAD + EVENT_LIMIT + FOOT bytes; its length, 0 where there
   is no whole one. */
static int64_t read_record(FILE *old, unsigned char *record, int64_t *step) {
  if (fread(record, 1, HEAD, old) != HEAD || get_fixed(record + 8, 4) != masked(record, 8)) return 0;
  uint64_t length = get_fixed(record, 8);
  if (length > EVENT_LIMIT || fread(record + HEAD, 1, length + FOOT, old) != length + FOOT) return 0;
  if (get_fixed(record + HEAD + length, 4) != masked(record + HEAD, (int64_t)length)) return 0;
  return read_step(record + HEAD, (int64_t)length, step) ? HEAD + (int64_t)length + FOOT : 0;
}

/* Copies the records of steps up to `step`. */
static mote_status copy_records(FILE *old, int64_t step, mote_output *output) {
  unsigned char *record = malloc(HEAD + EVENT_LIMIT + FOOT);
  int64_t size, at;
  mote_status status = MOTE_OK;
  if (!record) return mote_fail(MOTE_ERROR_MEMORY, "out of memory for %s", output->path);
  while (status == MOTE_OK && (size = read_record(old, record, &at)) > 0)
    if (at <= step) status = mote_output_write(output, record, (size_t)size);
  free(record);
  return status;
}

/* The new file's beginning: what is kept of the old one, or else the version. */
static mote_status begin(const mote_event_file *file, int64_t step, mote_output *output) {
  bytes version;
  int fd;
  int64_t size;
  if (step > 0 && access(file->path, F_OK) == 0) {
    MOTE_TRY(mote_file_open(file->path, &fd, &size));
    FILE *old = fdopen(fd, "rb");
    mote_status status = old ? copy_records(old, step, output)
                             : mote_fail(MOTE_ERROR_MEMORY, "out of memory for %s", file->path);
    old ? (void)fclose(old) : (void)close(fd);
    MOTE_TRY(status);
  }
  if (output->written) return MOTE_OK;
  version_record(&version);
  return mote_output_write(output, version.at, (size_t)version.size);
}

/* A kill in between leaves `beside`, a name that readers do not take for an event file. */
static mote_status rewrite(mote_event_file *file, const char *beside, int64_t step) {
  mote_output output = {0};
  MOTE_TRY(mote_output_open(beside, &output));
  mote_status status = begin(file, step, &output);
  file->size = output.written;
  if (status != MOTE_OK) {
    mote_output_discard(&output, 1);
    return status;
  }
  MOTE_TRY(mote_output_commit(&output, 1));
  if (rename(beside, file->path) == 0) return MOTE_OK;
  status = mote_fail(MOTE_ERROR_IO, "cannot write %s: %s", file->path, strerror(errno));
  unlink(beside);
  return status;
}

/* ---- the file ---- */

mote_status mote_event_file_open(const char *folder, int64_t step, mote_event_file *file) {
  size_t size = strlen(folder) + 64;
  char beside[size];
  *file = (mote_event_file){.fd = -1, .path = malloc(size)};
  if (!file->path) return mote_fail(MOTE_ERROR_MEMORY, "out of memory for a name");
  snprintf(file->path, size, "%s/" MOTE_EVENT_FILE, folder);
  snprintf(beside, size, "%s/events.cut", folder);
  mote_status status = rewrite(file, beside, step);
  if (status == MOTE_OK) {
    file->fd = open(file->path, O_WRONLY | O_CLOEXEC);
    if (file->fd < 0) status = mote_fail(MOTE_ERROR_IO, "cannot write %s: %s", file->path, strerror(errno));
  }
  if (status != MOTE_OK) (void)mote_event_file_close(file);
  return status;
}

mote_status mote_event_file_append(mote_event_file *file, int64_t step, const mote_event_scalar *scalars,
                                   int count) {
  bytes event = {.size = 0}, summary = {.size = 0}, record;
  for (int k = 0; k < count && k < MOTE_EVENT_SCALARS; k++)
    if (!isnan(scalars[k].value)) put_scalar(&summary, &scalars[k]);
  if (!summary.size) return MOTE_OK;
  put_wall_time(&event);
  put_key(&event, 2, 0);
  put_varint(&event, (uint64_t)step);
  put_block(&event, 5, summary.at, summary.size);
  frame(&event, &record);
  int code = mote_pwrite_all(file->fd, record.at, (size_t)record.size, file->size);
  if (code) return mote_fail(MOTE_ERROR_IO, "cannot write %s: %s", file->path, strerror(code));
  file->size += record.size;
  return MOTE_OK;
}

mote_status mote_event_file_close(mote_event_file *file) {
  mote_status status = MOTE_OK;
  if (file->path && file->fd >= 0 && close(file->fd) != 0)
    status = mote_fail(MOTE_ERROR_IO, "cannot write %s: %s", file->path, strerror(errno));
  free(file->path);
  *file = (mote_event_file){.fd = -1};
  return status;
}
