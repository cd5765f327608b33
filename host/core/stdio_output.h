/* A whole-or-absent output (host/core/file.h) as a stdio stream, for libraries that write to a FILE, or as a
   name, for programs that write a file themselves. */
#ifndef MOTE_CORE_STDIO_OUTPUT_H
#define MOTE_CORE_STDIO_OUTPUT_H

#include <stdio.h>

#include "host/core/file.h"

#ifdef __cplusplus
extern "C" {
#endif

typedef struct mote_stdio_output {
  mote_output output; /* output.temporary is what another program writes */
  FILE *file;         /* NULL when another program writes it */
} mote_stdio_output;

/* Makes the temporary file; with `open` it is also opened as a stream. */
mote_status mote_stdio_begin(const char *path, int open, mote_stdio_output *output);

/* Flushes, closes, syncs and renames; on failure the temporary file is removed. */
mote_status mote_stdio_commit(mote_stdio_output *output);

/* Closes and removes the temporary file. */
void mote_stdio_abort(mote_stdio_output *output);

#ifdef __cplusplus
}
#endif
#endif
