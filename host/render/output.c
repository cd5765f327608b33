/* Output that appears whole or not at all. The trick: mkstemp in the folder of the final name, because a
   rename is atomic within one file system only. */
#include "host/render/output.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "host/core/error.h"

static void forget(mote_output *output) {
  free(output->path);
  free(output->temporary);
  *output = (mote_output){0};
}

mote_status mote_output_begin(const char *path, int open, mote_output *output) {
  *output = (mote_output){0};
  output->path = strdup(path);
  if (!output->path || asprintf(&output->temporary, "%s.tmp-XXXXXX", path) < 0) {
    free(output->path);
    *output = (mote_output){0};
    return mote_fail(MOTE_ERROR_MEMORY, "%s: out of memory", path);
  }
  int descriptor = mkstemp(output->temporary);
  if (descriptor < 0) {
    int reason = errno;
    forget(output);
    return mote_fail(MOTE_ERROR_IO,
                     "%s: cannot create a file there: %s; check the folder and its permissions", path,
                     strerror(reason));
  }
  mode_t mask = umask(0);
  umask(mask);
  (void)!fchmod(descriptor, 0666 & ~mask); /* mkstemp makes it private; a picture is not */
  if (open && (output->file = fdopen(descriptor, "wb"))) return MOTE_OK;
  close(descriptor);
  if (!open) return MOTE_OK;
  mote_output_abort(output);
  return mote_fail(MOTE_ERROR_MEMORY, "%s: out of memory", path);
}

mote_status mote_output_commit(mote_output *output) {
  int reason = 0;
  if (output->file) {
    if (fflush(output->file) || ferror(output->file) || fsync(fileno(output->file)))
      reason = errno ? errno : EIO;
    if (fclose(output->file) && !reason) reason = errno;
    output->file = NULL;
  }
  if (!reason && rename(output->temporary, output->path)) reason = errno;
  mote_status status = MOTE_OK;
  if (reason) {
    unlink(output->temporary);
    status = mote_fail(MOTE_ERROR_IO, "%s: cannot write it: %s", output->path, strerror(reason));
  }
  forget(output);
  return status;
}

void mote_output_abort(mote_output *output) {
  if (!output->temporary) return;
  if (output->file) fclose(output->file);
  unlink(output->temporary);
  forget(output);
}

mote_status mote_output_text(const char *path, const char *text) {
  mote_output output;
  MOTE_TRY(mote_output_begin(path, 1, &output));
  fputs(text, output.file);
  return mote_output_commit(&output);
}
