/* `base: FILE` of a spec: another spec, which it differs from in what it says. Values are replaced key by
   key, as by a split (compose.c): those of the root, of `record` and `splits`, of the scene, of each of its
   mappings, and of each material and body; what lies deeper is replaced whole. */
#ifndef MOTE_DATASET_BASE_H
#define MOTE_DATASET_BASE_H

#include "host/scene/document.h"

#ifdef __cplusplus
extern "C" {
#endif

typedef struct mote_spec_base {
  char *path, *text; /* NULL: there is none */
  size_t size;
} mote_spec_base;

/* If the document's root has a `base`: reads it and puts it under the document, which no longer has the key;
   errors then name the right file. Names are relative to `folder` (NULL: a base is refused), which ends with
   a slash or is empty; a `file` in the base's is relative to it. A base may not have one. *base is to be
   freed on failure too, and must outlive the document. */
mote_status mote_spec_put_under(mote_document *document, const char *folder, mote_spec_base *base);
/* The same of a base's text at hand: `path` for errors, which must outlive the document, and `name` as the
   spec says it. */
mote_status mote_spec_join(mote_document *document, const char *text, size_t size, const char *path,
                           const char *name);
void mote_spec_base_free(mote_spec_base *base);

/* text[0, *size) with the base behind it, as comments; the caller frees it. NULL when memory is out. */
char *mote_spec_base_note(const mote_spec_base *base, const char *text, size_t *size);

#ifdef __cplusplus
}
#endif
#endif
