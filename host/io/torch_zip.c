/* See torch_zip.h. */
#include "host/io/torch_zip.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "host/core/error.h"

#define LONGEST_FOLDER 1000

static int by_member(const void *a, const void *b, void *zip) {
  const mote_zip_member *members = ((const mote_zip *)zip)->members;
  return strcmp(members[*(const int *)a].name, members[*(const int *)b].name);
}

static mote_status sort_members(mote_torch_zip *t) {
  t->members = malloc(((size_t)t->zip.count + 1) * sizeof *t->members);
  if (!t->members) return mote_fail(MOTE_ERROR_MEMORY, "out of memory to open %s", t->zip.path);
  for (int k = 0; k < t->zip.count; k++) t->members[k] = k;
  qsort_r(t->members, (size_t)t->zip.count, sizeof *t->members, by_member, &t->zip);
  for (int k = 1; k < t->zip.count; k++)
    if (by_member(&t->members[k - 1], &t->members[k], &t->zip) == 0)
      return mote_fail(MOTE_ERROR_FORMAT, "%s: the member %.200s stands twice in the archive", t->zip.path,
                       t->zip.members[t->members[k]].name);
  return MOTE_OK;
}

static int find_member(const mote_torch_zip *t, const char *name) {
  int low = 0, high = t->zip.count - 1;
  while (low <= high) {
    int middle = low + (high - low) / 2, order = strcmp(t->zip.members[t->members[middle]].name, name);
    if (order == 0) return t->members[middle];
    if (order < 0)
      low = middle + 1;
    else
      high = middle - 1;
  }
  return -1;
}

int mote_torch_zip_find(const mote_torch_zip *t, const char *name) {
  char path[LONGEST_FOLDER + 256];
  int length = snprintf(path, sizeof path, "%s%s", t->folder, name);
  return length > 0 && length < (int)sizeof path ? find_member(t, path) : -1;
}

mote_status mote_torch_no_checkpoint(const char *path, const char *why) {
  return mote_fail(
      MOTE_ERROR_FORMAT,
      "%s is no checkpoint of PyTorch: %s; expected what torch.save(model.state_dict(), ...) writes", path,
      why);
}

/* What is no ZIP archive may be a file of before PyTorch 1.6: a pickle that begins with an agreed number. */
static mote_status check_kind(const char *path) {
  static const unsigned char legacy[] = {0x80, 0x02, 0x8a, 0x0a, 0x6c, 0xfc, 0x9c,
                                         0x46, 0xf9, 0x20, 0x6a, 0xa8, 0x50, 0x19};
  unsigned char head[sizeof legacy] = {0};
  int fd;
  int64_t size;
  MOTE_TRY(mote_file_open(path, &fd, &size));
  int code = mote_pread_all(fd, head, sizeof head, 0);
  close(fd);
  if (code) return mote_fail(MOTE_ERROR_IO, "cannot read %s: %s", path, strerror(code));
  if (memcmp(head, legacy, sizeof legacy) == 0)
    return mote_fail(MOTE_ERROR_UNSUPPORTED,
                     "%s is in the format of before PyTorch 1.6; save it anew with any later version: "
                     "torch.save(torch.load(\"OLD.pt\", map_location=\"cpu\"), \"NEW.pt\")",
                     path);
  return head[0] == 'P' && head[1] == 'K' ? MOTE_OK : mote_torch_no_checkpoint(path, "it is no ZIP archive");
}

/* The one folder/data.pkl, or data.pkl at the top. */
static mote_status find_folder(mote_torch_zip *t) {
  static const char pickle[] = "data.pkl";
  const char *found = NULL;
  for (int k = 0; k < t->zip.count; k++) {
    const char *name = t->zip.members[k].name, *slash = strchr(name, '/');
    if (strcmp(slash ? slash + 1 : name, pickle) != 0) continue;
    if (found) return mote_torch_no_checkpoint(t->zip.path, "it holds two pickles named data.pkl");
    found = name;
  }
  if (!found) return mote_torch_no_checkpoint(t->zip.path, "the archive has no data.pkl");
  t->folder = strndup(found, strlen(found) - strlen(pickle));
  if (!t->folder) return mote_fail(MOTE_ERROR_MEMORY, "out of memory to open %s", t->zip.path);
  if (strlen(t->folder) > LONGEST_FOLDER)
    return mote_torch_no_checkpoint(t->zip.path, "its folder's name is absurdly long");
  if (mote_torch_zip_find(t, "constants.pkl") >= 0)
    return mote_fail(MOTE_ERROR_UNSUPPORTED,
                     "%s is a TorchScript program; save its tensors alone: "
                     "torch.save(torch.jit.load(\"OLD.pt\").state_dict(), \"NEW.pt\")",
                     t->zip.path);
  return MOTE_OK;
}

/* "little" or "big"; files of before it was recorded are little. */
static mote_status read_byte_order(mote_torch_zip *t) {
  int member = mote_torch_zip_find(t, "byteorder");
  unsigned char *text;
  size_t size;
  if (member < 0) return MOTE_OK;
  MOTE_TRY(mote_zip_read(&t->zip, member, &text, &size));
  t->big_endian = size == 3 && memcmp(text, "big", 3) == 0;
  int known = t->big_endian || (size == 6 && memcmp(text, "little", 6) == 0);
  free(text);
  return known ? MOTE_OK : mote_torch_no_checkpoint(t->zip.path, "its byte order is neither little nor big");
}

static mote_status open_zip(const char *path, mote_torch_zip *t) {
  MOTE_TRY(check_kind(path));
  MOTE_TRY(mote_zip_open(path, &t->zip));
  MOTE_TRY(sort_members(t));
  MOTE_TRY(find_folder(t));
  return read_byte_order(t);
}

mote_status mote_torch_zip_open(const char *path, mote_torch_zip *t) {
  *t = (mote_torch_zip){.zip.fd = -1};
  mote_status status = open_zip(path, t);
  if (status != MOTE_OK) mote_torch_zip_close(t);
  return status;
}

void mote_torch_zip_close(mote_torch_zip *t) {
  mote_zip_close(&t->zip);
  free(t->folder);
  free(t->members);
  *t = (mote_torch_zip){.zip.fd = -1};
}
