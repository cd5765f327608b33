/* metadata.json as text: what the trajectory reader and writer share with metadata.c. */
#ifndef MOTE_IO_METADATA_H
#define MOTE_IO_METADATA_H

#include <stddef.h>

#include <mote/trajectory.h>

#ifdef __cplusplus
extern "C" {
#endif

/* Parses the text of a metadata.json; the error names the member. */
mote_status mote_metadata_parse(const char *text, size_t bytes, mote_metadata *metadata);

/* The text, to be freed by the caller; NULL when memory ran out. */
char *mote_metadata_print(const mote_metadata *metadata);

#ifdef __cplusplus
}
#endif
#endif
