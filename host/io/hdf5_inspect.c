/* Checks of hostile data sets: see hdf5_inspect.h. The trick: deflate shrinks at most 1032 to 1, so a data
   set whose size is more than that times its bytes in the file is a lie, and is refused before anything is
   allocated. */
#include "host/io/hdf5_inspect.h"

#include "host/core/error.h"
#include "host/io/chunk_read.h"

#define LARGEST_RATIO 1100
#define SLACK (1 << 20)
#define LARGEST_CHUNK ((int64_t)1 << 30)

static mote_status refuse(const char *where, const char *name, const char *why) {
  H5Eclear2(H5E_DEFAULT);
  return mote_fail(MOTE_ERROR_FORMAT, "%s/%s: %s", where, name, why);
}

static mote_status inspect_type(const char *where, const char *name, hid_t type, mote_hdf5_array *array) {
  array->kind = H5Tget_class(type);
  size_t bytes = H5Tget_size(type);
  if ((array->kind != H5T_FLOAT && array->kind != H5T_INTEGER) || bytes < 1 || bytes > 8)
    return refuse(where, name, "expected numbers of at most 8 bytes");
  return MOTE_OK;
}

static mote_status inspect_space(const char *where, const char *name, hid_t space, int64_t *count,
                                 mote_hdf5_array *array) {
  hsize_t size[MOTE_HDF5_MOST_RANK];
  array->rank = H5Sget_simple_extent_type(space) == H5S_SIMPLE ? H5Sget_simple_extent_ndims(space) : -1;
  if (array->rank < 1 || array->rank > MOTE_HDF5_MOST_RANK)
    return refuse(where, name, "expected an array of 1 to 4 dimensions");
  if (H5Sget_simple_extent_dims(space, size, NULL) != array->rank)
    return refuse(where, name, "its dimensions cannot be read");
  *count = 1;
  for (int d = 0; d < array->rank; d++) {
    if (size[d] < 1) return refuse(where, name, "it is empty");
    if (size[d] > INT64_MAX / 16 || __builtin_mul_overflow(*count, (int64_t)size[d], count) ||
        *count > INT64_MAX / 16)
      return refuse(where, name, "its dimensions are beyond any file's size");
    array->size[d] = (int64_t)size[d];
  }
  return MOTE_OK;
}

static mote_status inspect_filters(const char *where, const char *name, hid_t list) {
  int filters = H5Pget_nfilters(list);
  unsigned options = 0;
  if (filters > MOTE_CHUNK_MOST_FILTERS) return refuse(where, name, "it has more filters than sense");
  if (H5Pget_chunk_opts(list, &options) < 0 || options != 0)
    return mote_fail(MOTE_ERROR_UNSUPPORTED,
                     "%s/%s: chunks at its edge are stored otherwise; convert the file with "
                     "h5repack -f GZIP=4",
                     where, name);
  for (int k = 0; k < filters; k++) {
    unsigned flags, config;
    size_t values = 0;
    char filter_name[64] = "";
    H5Z_filter_t filter = H5Pget_filter2(list, (unsigned)k, &flags, &values, NULL, 63, filter_name, &config);
    if (filter == H5Z_FILTER_DEFLATE || filter == H5Z_FILTER_SHUFFLE) continue;
    H5Eclear2(H5E_DEFAULT);
    return mote_fail(
        MOTE_ERROR_UNSUPPORTED,
        "%s/%s: compressed with filter %d (%.60s), which is not supported; convert the file with "
        "h5repack -f GZIP=4",
        where, name, (int)filter, filter_name);
  }
  return filters < 0 ? refuse(where, name, "its filters cannot be read") : MOTE_OK;
}

/* The product of a chunk's dimensions in bytes. */
static mote_status inspect_chunk(const char *where, const char *name, hid_t list, size_t element, int rank,
                                 int64_t stored) {
  hsize_t chunk[MOTE_HDF5_MOST_RANK];
  if (H5Pget_chunk(list, MOTE_HDF5_MOST_RANK, chunk) != rank)
    return refuse(where, name, "its chunks are of another rank");
  int64_t bytes = (int64_t)element;
  for (int d = 0; d < rank; d++)
    if (chunk[d] < 1 || chunk[d] > INT64_MAX / 16 ||
        __builtin_mul_overflow(bytes, (int64_t)chunk[d], &bytes) || bytes > LARGEST_CHUNK)
      return refuse(where, name, "its chunks are larger than 1 GiB");
  if (bytes > SLACK && bytes / LARGEST_RATIO > stored)
    return refuse(where, name, "its chunks are larger than the bytes in the file can hold");
  return MOTE_OK;
}

static mote_status inspect_storage(const char *where, const char *name, hid_t set, hid_t list,
                                   int64_t logical, size_t element, int64_t file_size, int rank) {
  hsize_t declared = H5Dget_storage_size(set);
  int64_t stored = declared > (hsize_t)file_size ? file_size : (int64_t)declared;
  int compressed = 0;
  switch (H5Pget_layout(list)) {
  case H5D_COMPACT: break;
  case H5D_CONTIGUOUS:
    if (H5Pget_external_count(list) != 0) return refuse(where, name, "its values lie in another file");
    if (declared > (hsize_t)file_size) return refuse(where, name, "it is larger than its file");
    break;
  case H5D_CHUNKED:
    MOTE_TRY(inspect_filters(where, name, list));
    MOTE_TRY(inspect_chunk(where, name, list, element, rank, stored));
    compressed = H5Pget_nfilters(list) > 0;
    break;
  default: return refuse(where, name, "its values lie in another file (a virtual data set)");
  }
  int64_t most = stored * (compressed ? LARGEST_RATIO : 1);
  if (logical > most) {
    H5Eclear2(H5E_DEFAULT);
    return mote_fail(
        MOTE_ERROR_FORMAT,
        "%s/%s: %lld bytes are declared but only %lld are stored: the file is truncated, was not "
        "written to its end, or is hostile",
        where, name, (long long)logical, (long long)stored);
  }
  return MOTE_OK;
}

static mote_status inspect_open(const char *where, const char *name, hid_t set, hid_t type, hid_t space,
                                hid_t list, int64_t file_size, mote_hdf5_array *array) {
  int64_t count = 0;
  if (type < 0 || space < 0 || list < 0) return refuse(where, name, "it cannot be read");
  MOTE_TRY(inspect_type(where, name, type, array));
  MOTE_TRY(inspect_space(where, name, space, &count, array));
  size_t element = H5Tget_size(type);
  return inspect_storage(where, name, set, list, count * (int64_t)element, element, file_size, array->rank);
}

mote_status mote_hdf5_inspect(const char *where, hid_t group, const char *name, int64_t file_size,
                              mote_hdf5_array *array) {
  *array = (mote_hdf5_array){0};
  H5L_info_t link;
  if (H5Lget_info(group, name, &link, H5P_DEFAULT) < 0) return refuse(where, name, "it is missing");
  if (link.type != H5L_TYPE_HARD)
    return refuse(where, name, "it is a link to elsewhere, which is not followed");
  hid_t set = H5Dopen2(group, name, H5P_DEFAULT);
  if (set < 0)
    return mote_hdf5_fail(MOTE_ERROR_FORMAT, "%s/%s: not a data set that can be read", where, name);
  hid_t type = H5Dget_type(set), space = H5Dget_space(set), list = H5Dget_create_plist(set);
  mote_status status = inspect_open(where, name, set, type, space, list, file_size, array);
  if (list >= 0) H5Pclose(list);
  if (space >= 0) H5Sclose(space);
  if (type >= 0) H5Tclose(type);
  H5Dclose(set);
  return status;
}
