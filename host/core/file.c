/* Files that are whole or not there: see file.h. */
#include "host/core/file.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "host/core/error.h"

static mote_status fit(const char *path, int length) {
  if (length < MOTE_PATH_MAX) return MOTE_OK;
  return mote_fail(MOTE_ERROR_ARGUMENT, "path too long: %.100s...", path);
}

mote_status mote_file_temporary(const char *path, char temporary[MOTE_PATH_MAX]) {
  return fit(path, snprintf(temporary, MOTE_PATH_MAX, "%s.tmp-%ld", path, (long)getpid()));
}

static int flush_to_disk(const char *path) {
  int file = open(path, O_RDONLY);
  if (file < 0) return -1;
  int result = fsync(file), reason = errno;
  close(file);
  errno = reason;
  return result;
}

mote_status mote_file_publish(const char *temporary, const char *path) {
  if (flush_to_disk(temporary) == 0 && rename(temporary, path) == 0) return MOTE_OK;
  mote_status status = mote_fail(MOTE_ERROR_IO, "cannot finish %s: %s", path, strerror(errno));
  unlink(temporary);
  return status;
}

mote_status mote_file_sibling(const char *path, const char *name, char sibling[MOTE_PATH_MAX]) {
  const char *slash = strrchr(path, '/');
  int folder = slash ? (int)(slash - path) + 1 : 0;
  return fit(path, snprintf(sibling, MOTE_PATH_MAX, "%.*s%s", folder, path, name));
}

mote_status mote_file_with_extension(const char *path, const char *extension, char changed[MOTE_PATH_MAX]) {
  const char *slash = strrchr(path, '/'), *dot = strrchr(path, '.');
  int stem = dot && (!slash || dot > slash + 1) && dot != path ? (int)(dot - path) : (int)strlen(path);
  return fit(path, snprintf(changed, MOTE_PATH_MAX, "%.*s%s", stem, path, extension));
}

mote_status mote_file_write(const char *path, const char *text, size_t bytes) {
  char temporary[MOTE_PATH_MAX];
  MOTE_TRY(mote_file_temporary(path, temporary));
  FILE *file = fopen(temporary, "wb");
  int failed = !file || fwrite(text, 1, bytes, file) != bytes;
  if (file && fclose(file)) failed = 1;
  if (!failed) return mote_file_publish(temporary, path);
  mote_status status = mote_fail(MOTE_ERROR_IO, "cannot write %s: %s", path, strerror(errno));
  if (file) unlink(temporary);
  return status;
}

mote_status mote_file_read(const char *path, size_t limit, char **text, size_t *bytes) {
  struct stat info;
  *text = NULL;
  FILE *file = fopen(path, "rb");
  if (!file) return mote_fail(MOTE_ERROR_IO, "cannot read %s: %s", path, strerror(errno));
  mote_status status = MOTE_OK;
  if (fstat(fileno(file), &info) || !S_ISREG(info.st_mode))
    status = mote_fail(MOTE_ERROR_IO, "cannot read %s: not a regular file", path);
  else if ((size_t)info.st_size > limit)
    status = mote_fail(MOTE_ERROR_FORMAT, "%s has %lld bytes, more than the %zu that are read", path,
                       (long long)info.st_size, limit);
  else if (!(*text = malloc((size_t)info.st_size + 1)))
    status = mote_fail(MOTE_ERROR_MEMORY, "out of memory reading %s", path);
  else {
    *bytes = fread(*text, 1, (size_t)info.st_size, file);
    (*text)[*bytes] = 0;
    if (*bytes != (size_t)info.st_size) status = mote_fail(MOTE_ERROR_IO, "cannot read all of %s", path);
  }
  fclose(file);
  if (status != MOTE_OK) {
    free(*text);
    *text = NULL;
  }
  return status;
}
