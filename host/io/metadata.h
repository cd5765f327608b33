/* metadata.json as text: what the file's own copy and the one beside it share. */
#ifndef MOTE_IO_METADATA_H
#define MOTE_IO_METADATA_H

#include <stddef.h>
#include <mote/trajectory.h>

#ifdef __cplusplus
extern "C" {
#endif

/* Parses JSON text; `name` is what errors call it. */
mote_status mote_metadata_parse(const char *name, const char *text, size_t size, mote_metadata *metadata);

/* Formats as JSON; `file` (or NULL) is the name of the trajectory file it belongs to. The caller frees the
   text with cJSON_free. NULL when memory is out. */
char *mote_metadata_format(const mote_metadata *metadata, const char *file);

/* Reads NAME.metadata.json, else metadata.json, beside the trajectory file `path`. MOTE_ERROR_IO when neither
   is there. */
mote_status mote_metadata_read_beside(const char *path, mote_metadata *metadata);

/* Where the metadata of the trajectory file `path` goes when nothing else is said: see metadata_path in
   mote/trajectory.h. The caller frees it; NULL when memory is out. */
char *mote_metadata_default_path(const char *path);

#ifdef __cplusplus
}
#endif
#endif
