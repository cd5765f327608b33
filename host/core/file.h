/* Output that is whole or not there: a file is written beside its final name and renamed when it is complete
   and on disk. What a killed run leaves behind is NAME.tmp-PID, never NAME. */
#ifndef MOTE_CORE_FILE_H
#define MOTE_CORE_FILE_H

#include <stddef.h>

#include <mote/status.h>

#ifdef __cplusplus
extern "C" {
#endif

#define MOTE_PATH_MAX 4096

/* temporary = "path.tmp-PID" with the process's number. */
mote_status mote_file_temporary(const char *path, char temporary[MOTE_PATH_MAX]);

/* Flushes `temporary` to disk and renames it to `path`; removes it on failure. */
mote_status mote_file_publish(const char *temporary, const char *path);

/* The path of a file beside `path`: its folder with another name, or its stem with another extension. */
mote_status mote_file_sibling(const char *path, const char *name, char sibling[MOTE_PATH_MAX]);
mote_status mote_file_with_extension(const char *path, const char *extension, char changed[MOTE_PATH_MAX]);

/* Writes all of `text` to `path`, whole or not at all. */
mote_status mote_file_write(const char *path, const char *text, size_t bytes);

/* Reads all of a file, at most `limit` bytes, into new memory that ends with a 0 byte. */
mote_status mote_file_read(const char *path, size_t limit, char **text, size_t *bytes);

#ifdef __cplusplus
}
#endif
#endif
