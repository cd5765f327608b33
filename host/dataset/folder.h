/* The folder of a data set being made: which spec it belongs to, who works in it, and the finished
   trajectories in folder/.parts, SPLIT-NUMBER.ATTEMPT.h5 each. A file under such a name is whole. */
#ifndef MOTE_DATASET_FOLDER_H
#define MOTE_DATASET_FOLDER_H

#include "host/dataset/spec.h"

#ifdef __cplusplus
extern "C" {
#endif

typedef struct mote_dataset_folder {
  char *path;
  int fd; /* of the folder, locked; -1: not open */
} mote_dataset_folder;

/* Makes and locks the folder and its .parts, claims it for text[0, size) (the spec and its base, kept as
   spec.yaml) and `seed`, and removes what a killed call left half-written. MOTE_ERROR_ARGUMENT: it belongs to
   another spec, or to another process now. */
mote_status mote_folder_open(const char *path, const char *text, size_t size, int64_t seed,
                             mote_dataset_folder *folder);
void mote_folder_close(mote_dataset_folder *folder);

/* Whether all files of the spec's splits, and metadata.json, are there. */
int mote_folder_is_complete(const mote_dataset_folder *folder, const mote_spec *spec);

/* "folder/NAME", "folder/.parts/NAME", and the name of a finished trajectory; the caller frees them. NULL
   when memory is out. */
char *mote_folder_file(const mote_dataset_folder *folder, const char *name);
char *mote_folder_scratch(const mote_dataset_folder *folder, const char *name);
char *mote_folder_part(const mote_dataset_folder *folder, int split, int64_t number, int attempt);

/* The attempt under which a trajectory is there; -1: it is not. */
int mote_folder_find(const mote_dataset_folder *folder, const mote_spec *spec, int split, int64_t number);

/* Removes .parts with all in it. */
void mote_folder_clean(const mote_dataset_folder *folder);

#ifdef __cplusplus
}
#endif
#endif
