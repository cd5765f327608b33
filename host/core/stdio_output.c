/* Whole-or-absent outputs as stdio streams: the stream has a descriptor of its own on the temporary file. */
#include "host/core/stdio_output.h"

#include <errno.h>
#include <string.h>
#include <unistd.h>

#include "host/core/error.h"

mote_status mote_stdio_begin(const char *path, int open, mote_stdio_output *output) {
  *output = (mote_stdio_output){0};
  MOTE_TRY(mote_output_open(path, &output->output));
  if (!open) return MOTE_OK;
  int descriptor = dup(output->output.fd);
  if (descriptor >= 0 && (output->file = fdopen(descriptor, "wb"))) return MOTE_OK;
  if (descriptor >= 0) close(descriptor);
  mote_stdio_abort(output);
  return mote_fail(MOTE_ERROR_MEMORY, "%s: out of memory", path);
}

mote_status mote_stdio_commit(mote_stdio_output *output) {
  int reason = 0;
  if (output->file) {
    if (fflush(output->file) || ferror(output->file)) reason = errno ? errno : EIO;
    if (fclose(output->file) && !reason) reason = errno;
    output->file = NULL;
  }
  if (!reason) return mote_output_commit(&output->output, 1);
  mote_status status =
      mote_fail(MOTE_ERROR_IO, "%s: cannot write it: %s", output->output.path, strerror(reason));
  mote_stdio_abort(output);
  return status;
}

void mote_stdio_abort(mote_stdio_output *output) {
  if (output->file) fclose(output->file);
  output->file = NULL;
  mote_output_discard(&output->output, 1);
}
