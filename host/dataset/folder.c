/* The folder of a data set: see folder.h. */
#include "host/dataset/folder.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/file.h>
#include <sys/stat.h>
#include <unistd.h>

#include "host/core/error.h"
#include "host/core/file.h"

/* ---- names ---- */

static char *join(const char *folder, const char *middle, const char *name) {
  char *path;
  return asprintf(&path, "%s%s%s", folder, middle, name) < 0 ? NULL : path;
}

char *mote_folder_file(const mote_dataset_folder *f, const char *name) {
  return join(f->path, "/", name);
}

char *mote_folder_scratch(const mote_dataset_folder *f, const char *name) {
  return join(f->path, "/.parts/", name);
}

char *mote_folder_part(const mote_dataset_folder *f, int split, int64_t number, int attempt) {
  char name[64];
  snprintf(name, sizeof name, "%s-%05lld.%d.h5", mote_split_names[split], (long long)number, attempt);
  return mote_folder_scratch(f, name);
}

static int is_there(char *path) {
  int there = path && access(path, F_OK) == 0;
  free(path);
  return there;
}

int mote_folder_find(const mote_dataset_folder *f, const mote_spec *spec, int split, int64_t number) {
  for (int attempt = 0; attempt < spec->tries; attempt++)
    if (is_there(mote_folder_part(f, split, number, attempt))) return attempt;
  return -1;
}

static int has_split(const mote_dataset_folder *f, int split) {
  char name[16];
  snprintf(name, sizeof name, "%s.h5", mote_split_names[split]);
  return is_there(mote_folder_file(f, name));
}

int mote_folder_is_complete(const mote_dataset_folder *f, const mote_spec *spec) {
  for (int k = 0; k < MOTE_SPLITS; k++)
    if (spec->splits[k].count && !has_split(f, k)) return 0;
  return is_there(mote_folder_file(f, "metadata.json"));
}

/* ---- cleaning ---- */

/* Removes what lies in a folder, all or the temporaries of our own names. */
static void sweep(const char *folder, int all) {
  static const char *const ours[] = {"train",     "valid",   "test", "metadata.json",
                                     "spec.yaml", "running", "dense"};
  DIR *entries = opendir(folder);
  struct dirent *entry;
  while (entries && (entry = readdir(entries))) {
    int is_ours = 0;
    for (size_t k = 0; k < sizeof ours / sizeof *ours; k++)
      is_ours |= strncmp(entry->d_name, ours[k], strlen(ours[k])) == 0 && strstr(entry->d_name, ".tmp-");
    if ((all || is_ours) && entry->d_name[0] != '.') (void)unlinkat(dirfd(entries), entry->d_name, 0);
  }
  if (entries) closedir(entries);
}

void mote_folder_clean(const mote_dataset_folder *f) {
  char *parts = mote_folder_file(f, ".parts");
  if (!parts) return;
  sweep(parts, 1);
  (void)rmdir(parts);
  free(parts);
}

/* ---- opening ---- */

static mote_status make(const char *path) {
  if (mkdir(path, 0777) == 0 || errno == EEXIST) return MOTE_OK;
  return mote_fail(MOTE_ERROR_IO, "cannot make the folder %s: %s", path, strerror(errno));
}

static mote_status lock(mote_dataset_folder *f) {
  f->fd = open(f->path, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
  if (f->fd < 0) return mote_fail(MOTE_ERROR_IO, "cannot open the folder %s: %s", f->path, strerror(errno));
  /* File systems without such locks are worked in unlocked. */
  if (flock(f->fd, LOCK_EX | LOCK_NB) == 0 || errno != EWOULDBLOCK) return MOTE_OK;
  return mote_fail(MOTE_ERROR_ARGUMENT, "another process is making a data set in %s", f->path);
}

/* spec.yaml is the claim: the seed in a comment, and the spec. */
static mote_status claim(const mote_dataset_folder *f, const char *text, size_t size, int64_t seed) {
  char *path = mote_folder_file(f, "spec.yaml"), *claim = malloc(size + 64), *there = NULL;
  size_t length;
  mote_status status = MOTE_OK;
  if (!path || !claim) {
    status = mote_fail(MOTE_ERROR_MEMORY, "out of memory for the spec");
  } else {
    int head = snprintf(claim, 64, "# mote dataset --seed %lld\n", (long long)seed);
    memcpy(claim + head, text, size);
    size += (size_t)head;
    if (access(path, F_OK) == 0) {
      status = mote_file_read(path, 4 * MOTE_DOCUMENT_LIMIT + 256, &there, &length);
      if (status == MOTE_OK && (length != size || memcmp(there, claim, size)))
        status = mote_fail(MOTE_ERROR_ARGUMENT,
                           "%s was begun with another spec or seed, see %s: name another folder, or remove "
                           "this one",
                           f->path, path);
    } else if (has_split(f, MOTE_TRAIN) || has_split(f, MOTE_VALID) || has_split(f, MOTE_TEST)) {
      status = mote_fail(MOTE_ERROR_ARGUMENT,
                         "%s holds a data set that was made otherwise: name another folder", f->path);
    } else {
      status = mote_file_write(path, claim, size);
    }
  }
  free(there);
  free(claim);
  free(path);
  return status;
}

static mote_status prepare(mote_dataset_folder *f, const char *text, size_t size, int64_t seed) {
  char *parts = mote_folder_file(f, ".parts");
  if (!parts) return mote_fail(MOTE_ERROR_MEMORY, "out of memory for a path");
  mote_status status = lock(f);
  if (status == MOTE_OK) status = claim(f, text, size, seed);
  if (status == MOTE_OK) status = make(parts);
  if (status == MOTE_OK) {
    sweep(f->path, 0);
    sweep(parts, 0);
  }
  free(parts);
  return status;
}

mote_status mote_folder_open(const char *path, const char *text, size_t size, int64_t seed,
                             mote_dataset_folder *f) {
  *f = (mote_dataset_folder){.fd = -1};
  MOTE_TRY(make(path));
  f->path = strdup(path);
  if (!f->path) return mote_fail(MOTE_ERROR_MEMORY, "out of memory for %s", path);
  mote_status status = prepare(f, text, size, seed);
  if (status != MOTE_OK) mote_folder_close(f);
  return status;
}

void mote_folder_close(mote_dataset_folder *f) {
  if (f->fd >= 0) close(f->fd);
  free(f->path);
  *f = (mote_dataset_folder){.fd = -1};
}
