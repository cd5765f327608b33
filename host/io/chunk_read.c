/* Raw chunks: see chunk_read.h. The trick: chunks are taken in batches, read one after the other (HDF5 is
   serial), then unpacked and put in their places by all threads, each chunk's values going to places of its
   own. */
#include "host/io/chunk_read.h"

#include <stdlib.h>
#include <string.h>
#include <zlib.h>

#include "host/core/error.h"

#define BATCH 32

mote_status mote_chunked_open(mote_hdf5_file *file, hid_t set, int64_t file_size, mote_chunked *c, int *is) {
  hid_t list = H5Dget_create_plist(set), space = H5Dget_space(set), type = H5Dget_type(set);
  hsize_t size[MOTE_CHUNK_MOST_RANK], chunk[MOTE_CHUNK_MOST_RANK];
  *c = (mote_chunked){
      .file = file, .set = set, .file_size = file_size, .element = type >= 0 ? H5Tget_size(type) : 0};
  *is = list >= 0 && H5Pget_layout(list) == H5D_CHUNKED;
  c->rank = space >= 0 ? H5Sget_simple_extent_ndims(space) : -1;
  int ok = list >= 0 && c->element > 0 && c->rank >= 1 && c->rank <= MOTE_CHUNK_MOST_RANK &&
           H5Sget_simple_extent_dims(space, size, NULL) == c->rank;
  if (ok && *is) {
    c->filter_count = H5Pget_nfilters(list);
    ok = H5Pget_chunk(list, MOTE_CHUNK_MOST_RANK, chunk) == c->rank && c->filter_count >= 0 &&
         c->filter_count <= MOTE_CHUNK_MOST_FILTERS;
    for (int k = 0; ok && k < c->filter_count; k++) {
      unsigned flags, config;
      size_t values = 0;
      c->filters[k] = (int)H5Pget_filter2(list, (unsigned)k, &flags, &values, NULL, 0, NULL, &config);
    }
    for (int d = 0; ok && d < c->rank; d++) c->size[d] = (int64_t)size[d], c->chunk[d] = (int64_t)chunk[d];
  }
  if (type >= 0) H5Tclose(type);
  if (space >= 0) H5Sclose(space);
  if (list >= 0) H5Pclose(list);
  return ok ? MOTE_OK : mote_hdf5_fail(MOTE_ERROR_FORMAT, "its layout cannot be read");
}

/* One chunk of a batch. */
typedef struct piece {
  hsize_t corner[MOTE_CHUNK_MOST_RANK];
  unsigned char *packed, *plain, *spare;
  size_t packed_size;
  uint32_t skipped; /* HDF5's mask: bit k for a filter that was not applied */
  const char *failed;
} piece;

static size_t chunk_elements(const mote_chunked *c) {
  size_t count = 1;
  for (int d = 0; d < c->rank; d++) count *= (size_t)c->chunk[d];
  return count;
}

/* ---- Reading ---- */

static mote_status read_piece(const mote_chunked *c, piece *p) {
  hsize_t stored = 0;
  if (H5Dget_chunk_storage_size(c->set, p->corner, &stored) < 0)
    return mote_hdf5_fail(MOTE_ERROR_FORMAT, "a chunk is missing");
  if (stored == 0) return mote_fail(MOTE_ERROR_FORMAT, "a chunk was never written");
  if (stored > (hsize_t)c->file_size) return mote_fail(MOTE_ERROR_FORMAT, "a chunk is larger than the file");
  free(p->packed);
  p->packed_size = (size_t)stored;
  p->packed = malloc(p->packed_size);
  if (!p->packed)
    return mote_fail(MOTE_ERROR_MEMORY, "out of memory for a chunk of %zu bytes", p->packed_size);
  c->file->limit = p->packed_size;
  herr_t code = H5Dread_chunk(c->set, H5P_DEFAULT, p->corner, &p->skipped, p->packed);
  c->file->limit = 0;
  if (code < 0) return mote_hdf5_fail(MOTE_ERROR_FORMAT, "a chunk cannot be read");
  return MOTE_OK;
}

/* ---- Unpacking ---- */

static void unshuffle(const unsigned char *shuffled, size_t bytes, size_t element, unsigned char *plain) {
  size_t count = bytes / element, whole = count * element;
  for (size_t byte = 0; byte < element; byte++)
    for (size_t i = 0; i < count; i++) plain[i * element + byte] = shuffled[byte * count + i];
  memcpy(plain + whole, shuffled + whole, bytes - whole);
}

/* Undoes the filters, last first; the result lies in p->plain. */
static const char *unpack(const mote_chunked *c, piece *p) {
  size_t bytes = chunk_elements(c) * c->element;
  const unsigned char *from = p->packed;
  size_t from_size = p->packed_size;
  for (int k = c->filter_count - 1; k >= 0; k--) {
    if (p->skipped >> k & 1) continue;
    unsigned char *to = from == p->plain ? p->spare : p->plain;
    if (c->filters[k] == H5Z_FILTER_DEFLATE) {
      uLongf made = bytes;
      if (uncompress(to, &made, from, from_size) != Z_OK || made != bytes)
        return "a chunk does not unpack to its size";
    } else {
      if (from_size != bytes) return "a chunk is not of its size";
      unshuffle(from, bytes, c->element, to);
    }
    from = to;
    from_size = bytes;
  }
  if (from_size != bytes) return "a chunk is not of its size";
  if (from != p->plain) memcpy(p->plain, from, bytes);
  return NULL;
}

/* Copies what of the chunk lies within the rows, a run along the last dimension at a time. */
static void place(const mote_chunked *c, const piece *p, size_t width, int64_t first, int64_t count,
                  char *values) {
  int64_t low[MOTE_CHUNK_MOST_RANK] = {0}, high[MOTE_CHUNK_MOST_RANK] = {0}, at[MOTE_CHUNK_MOST_RANK] = {0};
  int last = c->rank - 1;
  for (int d = 0; d < c->rank; d++) {
    int64_t corner = (int64_t)p->corner[d], begin = d ? 0 : first, end = d ? c->size[d] : first + count;
    low[d] = begin > corner ? begin - corner : 0;
    high[d] = end - corner < c->chunk[d] ? end - corner : c->chunk[d];
    if (low[d] >= high[d]) return;
    at[d] = low[d];
  }
  for (;;) {
    int64_t from = 0, to = 0;
    for (int d = 0; d < c->rank; d++) {
      from = from * c->chunk[d] + at[d];
      to = to * c->size[d] + at[d] + (int64_t)p->corner[d] - (d ? 0 : first);
    }
    memcpy(values + (size_t)to * width, p->plain + (size_t)from * width,
           (size_t)(high[last] - low[last]) * width);
    int d = last - 1;
    while (d >= 0 && ++at[d] == high[d]) at[d] = low[d], d--;
    if (d < 0) return;
  }
}

/* ---- Batches ---- */

static mote_status reserve(const mote_chunked *c, size_t width, piece *pieces) {
  size_t bytes = chunk_elements(c) * (c->element > width ? c->element : width);
  for (int k = 0; k < BATCH; k++) {
    if (pieces[k].plain) continue;
    pieces[k].plain = malloc(bytes);
    pieces[k].spare = malloc(bytes);
    if (!pieces[k].plain || !pieces[k].spare)
      return k > 0 ? MOTE_OK : mote_fail(MOTE_ERROR_MEMORY, "out of memory for a chunk of %zu bytes", bytes);
    /* One piece is enough for chunks so large. */
    if (bytes > (size_t)16 << 20) return MOTE_OK;
  }
  return MOTE_OK;
}

static mote_status read_batch(const mote_chunked *c, hid_t memory, hid_t type, size_t width, int64_t first,
                              int64_t count, piece *pieces, int n, char *values) {
  for (int k = 0; k < n; k++) MOTE_TRY(read_piece(c, &pieces[k]));
#pragma omp parallel for schedule(dynamic) if (n > 1)
  for (int k = 0; k < n; k++) pieces[k].failed = unpack(c, &pieces[k]);
  for (int k = 0; k < n; k++)
    if (pieces[k].failed) return mote_fail(MOTE_ERROR_FORMAT, "%s", pieces[k].failed);
  for (int k = 0; type >= 0 && k < n; k++)
    if (H5Tconvert(type, memory, chunk_elements(c), pieces[k].plain, NULL, H5P_DEFAULT) < 0)
      return mote_hdf5_fail(MOTE_ERROR_FORMAT, "its numbers cannot be converted");
#pragma omp parallel for schedule(dynamic) if (n > 1)
  for (int k = 0; k < n; k++) place(c, &pieces[k], width, first, count, values);
  return MOTE_OK;
}

/* The next chunk that has some of the rows, in row-major order; 0 behind the last. */
static int advance(const mote_chunked *c, int64_t end, hsize_t corner[MOTE_CHUNK_MOST_RANK]) {
  for (int d = c->rank - 1; d >= 0; d--) {
    int64_t limit = d ? c->size[d] : end;
    corner[d] += (hsize_t)c->chunk[d];
    if ((int64_t)corner[d] < limit) return 1;
    if (d) corner[d] = 0;
  }
  return 0;
}

static mote_status read_all(const mote_chunked *c, hid_t memory, hid_t type, size_t width, int64_t first,
                            int64_t count, piece *pieces, char *values) {
  hsize_t corner[MOTE_CHUNK_MOST_RANK] = {(hsize_t)(first / c->chunk[0] * c->chunk[0])};
  int room = 0, more = 1;
  while (room < BATCH && pieces[room].spare) room++;
  while (more) {
    int n = 0;
    for (; more && n < room; n++) {
      memcpy(pieces[n].corner, corner, sizeof corner);
      more = advance(c, first + count, corner);
    }
    MOTE_TRY(read_batch(c, memory, type, width, first, count, pieces, n, values));
  }
  return MOTE_OK;
}

mote_status mote_chunked_read(const mote_chunked *c, hid_t memory, size_t width, int64_t first, int64_t count,
                              void *values) {
  piece pieces[BATCH] = {0};
  hid_t type = H5Dget_type(c->set);
  if (type < 0) return mote_hdf5_fail(MOTE_ERROR_FORMAT, "its type cannot be read");
  int same = H5Tequal(type, memory) > 0;
  mote_status status = reserve(c, width, pieces);
  if (status == MOTE_OK) status = read_all(c, memory, same ? -1 : type, width, first, count, pieces, values);
  for (int k = 0; k < BATCH; k++) {
    free(pieces[k].packed);
    free(pieces[k].plain);
    free(pieces[k].spare);
  }
  H5Tclose(type);
  return status;
}
