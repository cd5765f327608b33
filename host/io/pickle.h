/* Pickles, read without executing anything: of the pickle machine only the instructions that arrays and
   dictionaries of them need, and of the world's callables only the few that rebuild them, a table a dialect.
 */
#ifndef MOTE_IO_PICKLE_H
#define MOTE_IO_PICKLE_H

#include <stddef.h>
#include <stdint.h>
#include <mote/status.h>

#ifdef __cplusplus
extern "C" {
#endif

typedef enum mote_pickle_kind {
  MOTE_PICKLE_NONE,
  MOTE_PICKLE_BOOL,
  MOTE_PICKLE_INT,
  MOTE_PICKLE_FLOAT,
  MOTE_PICKLE_BYTES,
  MOTE_PICKLE_TEXT,
  MOTE_PICKLE_TUPLE,
  MOTE_PICKLE_LIST,
  MOTE_PICKLE_DICT,   /* items: key, value, key, value, ... as they came */
  MOTE_PICKLE_GLOBAL, /* "module name" */
  MOTE_PICKLE_DTYPE,
  MOTE_PICKLE_ARRAY,
  MOTE_PICKLE_STORAGE, /* of torch; items: type (global), key, location, number of elements; unchecked */
  MOTE_PICKLE_TENSOR,  /* of torch; items: storage, offset, shape, strides; unchecked */
  MOTE_PICKLE_MARK
} mote_pickle_kind;

/* The element type of an array: 'f', 'i', 'u', 'b' of `size` bytes, or 'O' for objects. */
typedef struct mote_element {
  char kind;
  int size;
  int swapped; /* of the other byte order than this machine's */
} mote_element;

#define MOTE_ARRAY_MOST_RANK 8
typedef struct mote_value {
  mote_pickle_kind kind;
  int64_t integer;
  double number;
  const unsigned char *bytes; /* into the pickle, or owned by it */
  size_t size;                /* bytes, or items */
  size_t capacity;
  struct mote_value **items; /* of tuples, lists, dictionaries and arrays of objects */
  mote_element element;
  int rank, fortran;
  int64_t shape[MOTE_ARRAY_MOST_RANK];
} mote_value;

typedef struct mote_pickle mote_pickle;

/* What a pickle may call. */
typedef struct mote_pickle_dialect mote_pickle_dialect;
extern const mote_pickle_dialect mote_pickle_numpy; /* numpy's arrays, scalars and dtypes */
extern const mote_pickle_dialect mote_pickle_torch; /* PyTorch's tensors and dictionaries of them */

/* Reads one pickle; `name` is what errors call it. The bytes must outlive it. MOTE_ERROR_FORMAT;
   MOTE_ERROR_UNSUPPORTED when it wants anything executed but what the dialect knows. */
mote_status mote_pickle_read(const mote_pickle_dialect *dialect, const char *name, const unsigned char *bytes,
                             size_t size, mote_pickle **pickle, const mote_value **root);
void mote_pickle_free(mote_pickle *pickle);

/* "<f4", "|O", "=i8", ...; 0 when it is none of the types above. */
int mote_element_parse(const char *text, size_t size, mote_element *element);

/* Element `index` (in the order of memory) of a numeric array as a double. */
double mote_element_get(mote_element element, const unsigned char *bytes, size_t index);

/* The number of elements of a shape; -1 when it overflows. */
int64_t mote_shape_count(int rank, const int64_t *shape);

#ifdef __cplusplus
}
#endif
#endif
