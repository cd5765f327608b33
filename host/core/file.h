/* Files that are whole or absent: output is written beside its final name (NAME.tmp-XXXXXXXX), synced, and
   renamed when complete. What a killed program leaves is a temporary with a name of its own, which nothing
   reads and which may be deleted at any time. */
#ifndef MOTE_CORE_FILE_H
#define MOTE_CORE_FILE_H

#include <stddef.h>
#include <stdint.h>
#include <mote/status.h>

#ifdef __cplusplus
extern "C" {
#endif

/* One file being written. Zero-initialise; owned memory is freed by commit or discard. */
typedef struct mote_output {
  char *path;      /* the final name, symbolic links resolved */
  char *temporary; /* what is written meanwhile, in the same folder; other writers (a library, a child
                      process) may open it by this name */
  int fd;          /* open for reading and writing on `temporary` */
  char *buffer;
  size_t used;
  int64_t written; /* bytes handed to mote_output_write so far */
  mote_status failed;
} mote_output;

/* Creates the temporary. MOTE_ERROR_IO when the folder is absent or unwritable, or when `path` names
   something other than a regular file (a device, a folder). */
mote_status mote_output_open(const char *path, mote_output *output);

/* Appends bytes, buffered. After a failure every later call fails as well. */
mote_status mote_output_write(mote_output *output, const void *data, size_t size);
mote_status mote_output_printf(mote_output *output, const char *format, ...)
    __attribute__((format(printf, 2, 3)));

/* Appends text with what XML reserves escaped; control characters, which XML cannot hold, become '?'. */
mote_status mote_output_xml(mote_output *output, const char *text);

/* Overwrites bytes written before, at `offset`. */
mote_status mote_output_patch(mote_output *output, int64_t offset, const void *data, size_t size);

/* Flushes and closes the descriptor; commit opens it again. For those who write thousands of files at once.
 */
mote_status mote_output_pause(mote_output *output);

/* Flushes and syncs all, then renames all, in order. When one rename fails the earlier ones are taken back:
   what lay under the names before lies there again. Frees all either way. */
mote_status mote_output_commit(mote_output *outputs, int count);

/* Removes the temporaries and frees all; outputs that were never opened are passed over. */
void mote_output_discard(mote_output *outputs, int count);

/* pwrite of all of it at `offset`; 0 or an errno. A file-size limit gives EFBIG, not the signal. */
int mote_pwrite_all(int fd, const void *data, size_t size, int64_t offset);

/* pread of all of it; bytes beyond the end of the file read as zero. 0 or an errno. */
int mote_pread_all(int fd, void *data, size_t size, int64_t offset);

/* Opens a regular file for reading and gives its size. */
mote_status mote_file_open(const char *path, int *fd, int64_t *size);

/* Reads a whole file into memory that the caller frees, with a 0 behind it that `size` does not count.
   MOTE_ERROR_FORMAT when it is larger than `limit`. */
mote_status mote_file_read(const char *path, int64_t limit, char **data, size_t *size);

/* Writes a whole file, whole or not at all. */
mote_status mote_file_write(const char *path, const void *data, size_t size);

/* "folder/of/path/" + name, in memory that the caller frees; NULL when memory is out. */
char *mote_path_beside(const char *path, const char *name);

/* "folder/name", in memory that the caller frees; NULL when memory is out. */
char *mote_path_join(const char *folder, const char *name);

/* The part of a path after its last slash. */
const char *mote_path_name(const char *path);

/* `path` with its extension (if it has one) replaced by `extension` (".xdmf"); the caller frees it. */
char *mote_path_replace_extension(const char *path, const char *extension);

/* Whether the path ends in `extension` (".h5"), upper and lower case alike. */
int mote_path_has_extension(const char *path, const char *extension);

#ifdef __cplusplus
}
#endif
#endif
