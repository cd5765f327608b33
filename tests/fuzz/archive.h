/* A ZIP archive of stored members whose sums are right: the sums would hide what is in them from changed
   bytes. */
#ifndef MOTE_TESTS_FUZZ_ARCHIVE_H
#define MOTE_TESTS_FUZZ_ARCHIVE_H

#include <stdint.h>
#include <string.h>
#include <zlib.h>

typedef struct archive {
  uint8_t bytes[90000], directory[4096]; /* enough for 60000 bytes in a few members */
  size_t size, directory_size, count;
} archive;

static void put(uint8_t **at, uint64_t value, int bytes) {
  for (int k = 0; k < bytes; k++) *(*at)++ = (uint8_t)(value >> 8 * k);
}

static void add_member(archive *a, const char *name, const uint8_t *data, size_t size) {
  size_t length = strlen(name), start = a->size;
  uint32_t sum = (uint32_t)crc32(crc32(0, NULL, 0), data, (uInt)size);
  uint8_t *at = a->bytes + a->size, *entry = a->directory + a->directory_size;
  put(&at, 0x04034b50, 4), put(&at, 20, 2), put(&at, 0, 8), put(&at, sum, 4), put(&at, size, 4);
  put(&at, size, 4), put(&at, length, 2), put(&at, 0, 2);
  memcpy(at, name, length), at += length;
  memcpy(at, data, size), at += size;
  put(&entry, 0x02014b50, 4), put(&entry, 20, 2), put(&entry, 20, 2), put(&entry, 0, 8), put(&entry, sum, 4);
  put(&entry, size, 4), put(&entry, size, 4), put(&entry, length, 2), put(&entry, 0, 8), put(&entry, 0, 4);
  put(&entry, start, 4);
  memcpy(entry, name, length), entry += length;
  a->size = (size_t)(at - a->bytes);
  a->directory_size = (size_t)(entry - a->directory);
  a->count++;
}

static void finish_archive(archive *a) {
  uint8_t *at = a->bytes + a->size;
  memcpy(at, a->directory, a->directory_size), at += a->directory_size;
  put(&at, 0x06054b50, 4), put(&at, 0, 4), put(&at, a->count, 2), put(&at, a->count, 2);
  put(&at, a->directory_size, 4), put(&at, a->size, 4), put(&at, 0, 2);
  a->size = (size_t)(at - a->bytes);
}

#endif
