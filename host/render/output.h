/* Output that appears whole or not at all: written as NAME.tmp-XXXXXX beside its final name, then renamed. */
#ifndef MOTE_RENDER_OUTPUT_H
#define MOTE_RENDER_OUTPUT_H

#include <stdio.h>

#include <mote/status.h>

#ifdef __cplusplus
extern "C" {
#endif

typedef struct mote_output {
  char *path;      /* the final name */
  char *temporary; /* what is written meanwhile */
  FILE *file;      /* NULL when another program writes it */
} mote_output;

/* Makes the temporary file; with `open` it is also opened for writing. */
mote_status mote_output_begin(const char *path, int open, mote_output *output);

/* Flushes, closes and renames; on failure the temporary file is removed. Frees the names either way. */
mote_status mote_output_commit(mote_output *output);

/* Closes and removes the temporary file. */
void mote_output_abort(mote_output *output);

/* Writes `text` to `path` in this manner. */
mote_status mote_output_text(const char *path, const char *text);

#ifdef __cplusplus
}
#endif
#endif
