/* Files that are whole or absent: see file.h. The trick of the group rename: a hard link keeps the old file
   of each name until all renames are done, so that a failure in the middle can put everything back. */
#include "host/core/file.h"

#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>
#include <sys/random.h>
#include <sys/stat.h>
#include <time.h>
#include <unistd.h>

#include "host/core/error.h"

#define BUFFER_SIZE ((size_t)256 << 10)

/* ---- Paths ---- */

const char *mote_path_name(const char *path) {
  const char *slash = strrchr(path, '/');
  return slash ? slash + 1 : path;
}

char *mote_path_beside(const char *path, const char *name) {
  size_t folder = (size_t)(mote_path_name(path) - path), length = strlen(name);
  char *joined = malloc(folder + length + 1);
  if (!joined) return NULL;
  memcpy(joined, path, folder);
  memcpy(joined + folder, name, length + 1);
  return joined;
}

char *mote_path_join(const char *folder, const char *name) {
  size_t size = strlen(folder) + strlen(name) + 2;
  char *joined = malloc(size);
  if (joined) snprintf(joined, size, "%s/%s", folder, name);
  return joined;
}

char *mote_path_replace_extension(const char *path, const char *extension) {
  const char *name = mote_path_name(path), *dot = strrchr(name, '.');
  size_t stem = dot && dot != name ? (size_t)(dot - path) : strlen(path), length = strlen(extension);
  char *replaced = malloc(stem + length + 1);
  if (!replaced) return NULL;
  memcpy(replaced, path, stem);
  memcpy(replaced + stem, extension, length + 1);
  return replaced;
}

int mote_path_has_extension(const char *path, const char *extension) {
  size_t length = strlen(path), wanted = strlen(extension);
  return length > wanted && strcasecmp(path + length - wanted, extension) == 0;
}

/* ---- Bytes ---- */

int mote_pwrite_all(int fd, const void *data, size_t size, int64_t offset) {
  /* SIGXFSZ goes to the thread that writes, and kills by default. A library cannot choose the program's
     handler, but it can hold the signal back and take it away again. */
  sigset_t limit, before, pending;
  sigemptyset(&limit);
  sigaddset(&limit, SIGXFSZ);
  sigpending(&pending);
  int was_pending = sigismember(&pending, SIGXFSZ);
  pthread_sigmask(SIG_BLOCK, &limit, &before);
  int code = 0;
  const char *bytes = data;
  while (size > 0) {
    ssize_t done = pwrite(fd, bytes, size, (off_t)offset);
    if (done < 0 && errno == EINTR) continue;
    if (done <= 0) {
      code = done < 0 ? errno : ENOSPC;
      break;
    }
    bytes += done, size -= (size_t)done, offset += done;
  }
  if (code == EFBIG && !was_pending) {
    struct timespec none = {0, 0};
    while (sigtimedwait(&limit, NULL, &none) < 0 && errno == EINTR) {}
  }
  pthread_sigmask(SIG_SETMASK, &before, NULL);
  return code;
}

int mote_pread_all(int fd, void *data, size_t size, int64_t offset) {
  char *bytes = data;
  while (size > 0) {
    ssize_t done = pread(fd, bytes, size, (off_t)offset);
    if (done < 0 && errno == EINTR) continue;
    if (done < 0) return errno;
    if (done == 0) {
      memset(bytes, 0, size);
      return 0;
    }
    bytes += done, size -= (size_t)done, offset += done;
  }
  return 0;
}

/* ---- Reading ---- */

mote_status mote_file_open(const char *path, int *fd, int64_t *size) {
  struct stat about;
  /* O_NONBLOCK: a named pipe must be refused, not waited for. */
  *fd = open(path, O_RDONLY | O_CLOEXEC | O_NONBLOCK);
  if (*fd < 0) return mote_fail(MOTE_ERROR_IO, "cannot open %s: %s", path, strerror(errno));
  if (fstat(*fd, &about) != 0 || !S_ISREG(about.st_mode)) {
    close(*fd);
    *fd = -1;
    return mote_fail(MOTE_ERROR_IO, "cannot read %s: it is %s", path,
                     S_ISDIR(about.st_mode) ? "a folder" : "not a regular file");
  }
  *size = about.st_size;
  return MOTE_OK;
}

mote_status mote_file_read(const char *path, int64_t limit, char **data, size_t *size) {
  int fd;
  int64_t length;
  *data = NULL;
  *size = 0;
  MOTE_TRY(mote_file_open(path, &fd, &length));
  mote_status status = MOTE_OK;
  if (length > limit)
    status = mote_fail(MOTE_ERROR_FORMAT, "%s has %lld bytes; at most %lld are expected of such a file", path,
                       (long long)length, (long long)limit);
  char *bytes = status == MOTE_OK ? malloc((size_t)length + 1) : NULL;
  if (status == MOTE_OK && !bytes)
    status = mote_fail(MOTE_ERROR_MEMORY, "out of memory for the %lld bytes of %s", (long long)length, path);
  int code = bytes ? mote_pread_all(fd, bytes, (size_t)length, 0) : 0;
  if (code) status = mote_fail(MOTE_ERROR_IO, "cannot read %s: %s", path, strerror(code));
  close(fd);
  if (status != MOTE_OK) {
    free(bytes);
    return status;
  }
  bytes[length] = 0;
  *data = bytes;
  *size = (size_t)length;
  return MOTE_OK;
}

/* ---- Writing ---- */

/* The final name with symbolic links resolved, so that a link stays a link. */
static mote_status resolve(const char *path, char **resolved) {
  struct stat about;
  if (!*path || path[strlen(path) - 1] == '/')
    return mote_fail(MOTE_ERROR_ARGUMENT, "'%s' is not the name of a file", path);
  *resolved = stat(path, &about) == 0 ? realpath(path, NULL) : strdup(path);
  if (!*resolved) return mote_fail(MOTE_ERROR_IO, "cannot write %s: %s", path, strerror(errno));
  if (stat(*resolved, &about) == 0 && !S_ISREG(about.st_mode)) {
    free(*resolved);
    *resolved = NULL;
    return mote_fail(MOTE_ERROR_IO, "cannot write %s: it is %s; name a regular file", path,
                     S_ISDIR(about.st_mode) ? "a folder" : "not a regular file");
  }
  return MOTE_OK;
}

/* "PATH.tag-XXXXXXXX" with random digits. */
static char *random_sibling(const char *path, const char *tag) {
  uint32_t digits = 0;
  if (getrandom(&digits, sizeof digits, GRND_NONBLOCK) != (ssize_t)sizeof digits) {
    struct timespec now;
    clock_gettime(CLOCK_REALTIME, &now);
    digits = (uint32_t)now.tv_nsec ^ (uint32_t)getpid() * 2654435761u;
  }
  size_t size = strlen(path) + strlen(tag) + 16;
  char *name = malloc(size);
  if (name) snprintf(name, size, "%s.%s-%08x", path, tag, digits);
  return name;
}

mote_status mote_output_open(const char *path, mote_output *output) {
  *output = (mote_output){.fd = -1};
  MOTE_TRY(resolve(path, &output->path));
  output->buffer = malloc(BUFFER_SIZE);
  if (!output->buffer) {
    mote_output_discard(output, 1);
    return mote_fail(MOTE_ERROR_MEMORY, "out of memory to write %s", path);
  }
  int code = EEXIST;
  for (int attempt = 0; attempt < 100 && code == EEXIST; attempt++) {
    free(output->temporary);
    output->temporary = random_sibling(output->path, "tmp");
    if (!output->temporary) break;
    output->fd = open(output->temporary, O_RDWR | O_CREAT | O_EXCL | O_CLOEXEC, 0666);
    code = output->fd < 0 ? errno : 0;
  }
  if (output->fd >= 0) return MOTE_OK;
  free(output->temporary);
  output->temporary = NULL;
  mote_output_discard(output, 1);
  return mote_fail(MOTE_ERROR_IO, "cannot write %s: %s (is its folder there and writable?)", path,
                   strerror(code));
}

static mote_status flush(mote_output *o) {
  if (o->failed != MOTE_OK || o->used == 0) return o->failed;
  int code = mote_pwrite_all(o->fd, o->buffer, o->used, o->written - (int64_t)o->used);
  o->used = 0;
  if (code) o->failed = mote_fail(MOTE_ERROR_IO, "cannot write %s: %s", o->path, strerror(code));
  return o->failed;
}

mote_status mote_output_write(mote_output *o, const void *data, size_t size) {
  if (o->failed != MOTE_OK) return mote_fail(o->failed, "cannot write %s: an earlier write failed", o->path);
  if (o->used + size > BUFFER_SIZE) MOTE_TRY(flush(o));
  if (size > BUFFER_SIZE) {
    int code = mote_pwrite_all(o->fd, data, size, o->written);
    if (code) return o->failed = mote_fail(MOTE_ERROR_IO, "cannot write %s: %s", o->path, strerror(code));
  } else if (size) {
    memcpy(o->buffer + o->used, data, size);
    o->used += size;
  }
  o->written += (int64_t)size;
  return MOTE_OK;
}

mote_status mote_output_printf(mote_output *o, const char *format, ...) {
  char line[4096], *text = line;
  va_list arguments, again;
  va_start(arguments, format);
  va_copy(again, arguments);
  int length = vsnprintf(line, sizeof line, format, arguments);
  if (length >= (int)sizeof line && vasprintf(&text, format, again) < 0) length = -1;
  va_end(again);
  va_end(arguments);
  if (length < 0) return o->failed = mote_fail(MOTE_ERROR_MEMORY, "out of memory to write %s", o->path);
  mote_status status = mote_output_write(o, text, (size_t)length);
  if (text != line) free(text);
  return status;
}

mote_status mote_output_xml(mote_output *o, const char *text) {
  for (; *text; text++) {
    const char *written = *text == '&'   ? "&amp;"
                          : *text == '<' ? "&lt;"
                          : *text == '>' ? "&gt;"
                          : *text == '"' ? "&quot;"
                                         : NULL;
    char plain[2] = {(unsigned char)*text < 32 ? '?' : *text, 0};
    MOTE_TRY(mote_output_write(o, written ? written : plain, strlen(written ? written : plain)));
  }
  return MOTE_OK;
}

mote_status mote_output_patch(mote_output *o, int64_t offset, const void *data, size_t size) {
  MOTE_TRY(flush(o));
  int code = mote_pwrite_all(o->fd, data, size, offset);
  if (code) o->failed = mote_fail(MOTE_ERROR_IO, "cannot write %s: %s", o->path, strerror(code));
  return o->failed;
}

static void release(mote_output *o) {
  if (o->fd >= 0) close(o->fd);
  free(o->path);
  free(o->temporary);
  free(o->buffer);
  *o = (mote_output){.fd = -1};
}

void mote_output_discard(mote_output *outputs, int count) {
  for (int k = 0; k < count; k++) {
    if (!outputs[k].path) continue;
    if (outputs[k].temporary) unlink(outputs[k].temporary);
    release(&outputs[k]);
  }
}

mote_status mote_output_pause(mote_output *o) {
  MOTE_TRY(flush(o));
  close(o->fd);
  o->fd = -1;
  free(o->buffer);
  o->buffer = NULL;
  return MOTE_OK;
}

/* More files than this are synced with all of their file system at once, which costs what a few cost. */
#define SYNCED_SINGLY 16

static mote_status sync_one(mote_output *o, int singly) {
  int paused = o->fd < 0;
  if (o->failed != MOTE_OK) return mote_fail(o->failed, "cannot write %s: an earlier write failed", o->path);
  if (paused)
    o->fd = open(o->temporary, O_RDWR | O_CLOEXEC);
  else
    MOTE_TRY(flush(o));
  int code = o->fd < 0 ? errno : 0;
  if (singly && !code && fsync(o->fd) != 0 && errno != EINVAL) code = errno;
  if (paused && o->fd >= 0) {
    close(o->fd);
    o->fd = -1;
  }
  return code ? mote_fail(MOTE_ERROR_IO, "cannot write %s: %s", o->path, strerror(code)) : MOTE_OK;
}

static mote_status sync_all(mote_output *outputs, int count) {
  for (int k = 0; k < count; k++) MOTE_TRY(sync_one(&outputs[k], count <= SYNCED_SINGLY));
  if (count <= SYNCED_SINGLY) return MOTE_OK;
  int fd = open(outputs[0].temporary, O_RDONLY | O_CLOEXEC), failed = fd < 0 || syncfs(fd) != 0, code = errno;
  if (fd >= 0) close(fd);
  return failed ? mote_fail(MOTE_ERROR_IO, "cannot write %s: %s", outputs[0].path, strerror(code)) : MOTE_OK;
}

/* The rename outlives a power cut once the folder is synced; folders that cannot be are left alone. */
static void sync_folder(const char *path) {
  char *folder = mote_path_beside(path, ".");
  int fd = folder ? open(folder, O_RDONLY | O_DIRECTORY | O_CLOEXEC) : -1;
  if (fd >= 0) {
    (void)fsync(fd);
    close(fd);
  }
  free(folder);
}

/* Renames all or puts all back. saved[k] is the hard link to the old file k, NULL where there was none. */
static mote_status rename_all(mote_output *outputs, int count, char **saved) {
  int done = 0;
  mote_status status = MOTE_OK;
  for (; done < count && status == MOTE_OK; done++) {
    mote_output *o = &outputs[done];
    if (count > 1 && access(o->path, F_OK) == 0) {
      saved[done] = random_sibling(o->path, "old");
      if (saved[done] && link(o->path, saved[done]) != 0) {
        /* A file system without hard links: this one cannot be put back, all else still holds. */
        free(saved[done]);
        saved[done] = NULL;
      }
    }
    if (rename(o->temporary, o->path) != 0)
      status = mote_fail(MOTE_ERROR_IO, "cannot rename %s to %s: %s", o->temporary, o->path, strerror(errno));
  }
  if (status != MOTE_OK) {
    for (int k = 0; k < done - 1; k++)
      if (!saved[k] || rename(saved[k], outputs[k].path) != 0) unlink(outputs[k].path);
  }
  for (int k = 0; k < done; k++) {
    if (saved[k]) unlink(saved[k]);
    free(saved[k]);
    saved[k] = NULL;
  }
  return status;
}

mote_status mote_output_commit(mote_output *outputs, int count) {
  mote_status status = sync_all(outputs, count);
  char **saved = status == MOTE_OK ? calloc((size_t)count + 1, sizeof *saved) : NULL;
  if (status == MOTE_OK && !saved) status = mote_fail(MOTE_ERROR_MEMORY, "out of memory");
  if (status == MOTE_OK) status = rename_all(outputs, count, saved);
  free(saved);
  if (status != MOTE_OK) {
    mote_output_discard(outputs, count);
    return status;
  }
  if (count > 0) {
    sync_folder(outputs[0].path);
    sync_folder(outputs[count - 1].path);
  }
  for (int k = 0; k < count; k++) release(&outputs[k]);
  return MOTE_OK;
}

mote_status mote_file_write(const char *path, const void *data, size_t size) {
  mote_output output;
  MOTE_TRY(mote_output_open(path, &output));
  mote_status status = mote_output_write(&output, data, size);
  if (status == MOTE_OK) return mote_output_commit(&output, 1);
  mote_output_discard(&output, 1);
  return status;
}
