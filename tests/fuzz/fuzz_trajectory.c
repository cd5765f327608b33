/* libFuzzer: a recipe for an HDF5 file, carried out through HDF5's own interface: groups, links, data sets of
   any shape, type, layout and filters, raw chunks of any bytes, attributes of any text. What is hostile here
   is what the file says, not how it is encoded; that is what Mote's checks must withstand. */
#include <hdf5.h>
#include <string.h>

#include "tests/fuzz/read_trajectory.h"
#include "tests/fuzz/scratch.h"

typedef struct recipe {
  const uint8_t *at, *end;
} recipe;

static unsigned take(recipe *r) {
  return r->at < r->end ? *r->at++ : 0;
}

/* At most `most` bytes as they are; their number in *length. */
static const uint8_t *take_bytes(recipe *r, size_t most, size_t *length) {
  const uint8_t *bytes = r->at;
  size_t left = (size_t)(r->end - r->at);
  *length = most < left ? most : left;
  r->at += *length;
  return bytes;
}

static const char *take_name(recipe *r) {
  static const char *const names[] = {"position", "particle_type", "velocity", "time",
                                      "volume",   "material",      "00000",    "00001",
                                      "stress",   "metadata",      "x",        "position"};
  return names[take(r) % (sizeof names / sizeof *names)];
}

static hsize_t take_size(recipe *r) {
  static const hsize_t sizes[] = {
      1, 2, 3, 4, 5, 6, 7, 16, 33, 0, 1000, 100000, 1u << 31, (hsize_t)1 << 40, (hsize_t)1 << 62, 3};
  unsigned k = take(r);
  return k < 240 ? sizes[k % 9] : sizes[k % 16];
}

static hid_t take_type(recipe *r) {
  unsigned k = take(r);
  hid_t types[] = {H5T_IEEE_F32LE, H5T_IEEE_F64LE, H5T_IEEE_F32BE, H5T_STD_I32LE,
                   H5T_STD_I64LE,  H5T_STD_U8LE,   H5T_C_S1,       H5T_STD_REF_OBJ};
  return k < 128 ? (k % 2 ? H5T_STD_I32LE : H5T_IEEE_F32LE) : types[k % 8];
}

/* Chunks, filters and the storage's other kinds. (Not scale-offset: HDF5 1.10 overruns when it writes it.) */
static void set_layout(recipe *r, hid_t list, int rank, const hsize_t *size) {
  hsize_t chunk[6];
  unsigned kind = take(r) % 8;
  for (int d = 0; d < rank; d++) {
    chunk[d] = take(r) % 3 ? size[d] : take_size(r);
    if (chunk[d] > 100000 || chunk[d] == 0) chunk[d] = 1;
  }
  if (kind == 0) H5Pset_layout(list, H5D_COMPACT);
  if (kind == 1) H5Pset_external(list, "/proc/self/maps", 0, 1 << 20);
  if (kind < 3 || H5Pset_chunk(list, rank, chunk) < 0) return;
  unsigned filters = take(r);
  if (filters & 1) H5Pset_shuffle(list);
  if (filters & 2) H5Pset_deflate(list, 1);
  if ((filters & 0xf0) == 0xf0) H5Pset_fletcher32(list);
  if (take(r) > 250) H5Pset_chunk_opts(list, H5D_CHUNK_DONT_FILTER_PARTIAL_CHUNKS);
}

/* Values through HDF5, or raw chunks of whatever bytes follow. */
static void fill(recipe *r, hid_t set, int rank, const hsize_t *size) {
  hsize_t count = 1, corner[6] = {0}, chunk[6];
  static float zero[1 << 16];
  for (int d = 0; d < rank; d++) {
    if (size[d] > 1 << 16) return;
    count *= size[d];
  }
  unsigned how = take(r);
  if (count <= 1 << 16 && how < 160) H5Dwrite(set, H5T_NATIVE_FLOAT, H5S_ALL, H5S_ALL, H5P_DEFAULT, zero);
  hid_t list = H5Dget_create_plist(set);
  int chunked =
      rank > 0 && count > 0 && H5Pget_layout(list) == H5D_CHUNKED && H5Pget_chunk(list, 6, chunk) == rank;
  H5Pclose(list);
  for (unsigned k = how % 4; chunked && how >= 100 && k > 0; k--) {
    /* Corners of chunks alone: HDF5's writer itself crashes on others. */
    for (int d = 0; d < rank; d++) corner[d] = take(r) % ((size[d] + chunk[d] - 1) / chunk[d]) * chunk[d];
    uint32_t skipped = take(r) % 4 ? 0 : take(r);
    size_t length, most = take(r);
    const uint8_t *bytes = take_bytes(r, most, &length);
    if (length) H5Dwrite_chunk(set, H5P_DEFAULT, skipped, corner, length, bytes);
  }
}

static void add_set(recipe *r, hid_t group) {
  const char *name = take_name(r);
  static const int ranks[] = {3, 3, 3, 1, 1, 2, 4, 0, 5};
  int rank = ranks[take(r) % 9];
  hsize_t size[6], most[6];
  for (int d = 0; d < rank; d++) size[d] = most[d] = take_size(r);
  if (rank) most[0] = H5S_UNLIMITED;
  hid_t list = H5Pcreate(H5P_DATASET_CREATE), type = take_type(r);
  set_layout(r, list, rank, size);
  hid_t space = rank ? H5Screate_simple(rank, size, H5Pget_layout(list) == H5D_CHUNKED ? most : NULL)
                     : H5Screate(H5S_SCALAR);
  hid_t set = space >= 0 ? H5Dcreate2(group, name, type, space, H5P_DEFAULT, list, H5P_DEFAULT) : -1;
  if (set >= 0) fill(r, set, rank, size);
  if (set >= 0) H5Dclose(set);
  if (space >= 0) H5Sclose(space);
  H5Pclose(list);
}

static void add_metadata(recipe *r, hid_t file) {
  char text[256] = "{\"bounds\":[[0,1],[0,1]]";
  size_t length, at = take(r) % 2 ? strlen(text) : 0, most = take(r) % (sizeof text - 1 - at);
  const uint8_t *bytes = take_bytes(r, most, &length);
  memcpy(text + at, bytes, length);
  hid_t type = H5Tcopy(take(r) % 8 ? H5T_C_S1 : H5T_STD_I32LE), space = H5Screate(H5S_SCALAR);
  if (H5Tget_class(type) == H5T_STRING) H5Tset_size(type, take(r) % 8 ? at + length + 1 : H5T_VARIABLE);
  hid_t attribute = H5Acreate2(file, "metadata", type, space, H5P_DEFAULT, H5P_DEFAULT);
  if (attribute >= 0 && H5Tis_variable_str(type) <= 0 && at + length < sizeof text)
    H5Awrite(attribute, type, text);
  if (attribute >= 0) H5Aclose(attribute);
  H5Sclose(space);
  H5Tclose(type);
}

static void cook(recipe *r, hid_t file) {
  hid_t group = take(r) % 4 ? H5Gcreate2(file, "00000", H5P_DEFAULT, H5P_DEFAULT, H5P_DEFAULT)
                            : H5Gopen2(file, "/", H5P_DEFAULT);
  for (int k = 0; k < 12 && r->at < r->end; k++) switch (take(r) % 8) {
    case 0:
      H5Lcreate_soft(take(r) % 2 ? "/00000/position" : "/loop", group, take_name(r), H5P_DEFAULT,
                     H5P_DEFAULT);
      break;
    case 1:
      H5Lcreate_hard(file, take(r) % 2 ? "/" : "/00000/position", group, take_name(r), H5P_DEFAULT,
                     H5P_DEFAULT);
      break;
    case 2:
      if (take(r) % 4 == 0)
        H5Lcreate_external("/etc/passwd", "/x", group, take_name(r), H5P_DEFAULT, H5P_DEFAULT);
      else
        add_metadata(r, file);
      break;
    default: add_set(r, group);
    }
  if (group >= 0) H5Gclose(group);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size) {
  static uint8_t image[4 << 20];
  recipe r = {data, data + size};
  H5Eset_auto2(H5E_DEFAULT, NULL, NULL);
  hid_t list = H5Pcreate(H5P_FILE_ACCESS);
  H5Pset_fapl_core(list, 1 << 16, 0);
  if (take(&r) % 2) H5Pset_libver_bounds(list, H5F_LIBVER_LATEST, H5F_LIBVER_LATEST);
  hid_t file = H5Fcreate("recipe", H5F_ACC_TRUNC, H5P_DEFAULT, list);
  H5Pclose(list);
  if (file < 0) abort();
  cook(&r, file);
  H5Fflush(file, H5F_SCOPE_LOCAL);
  ssize_t bytes = H5Fget_file_image(file, NULL, 0);
  int fits =
      bytes > 0 && bytes <= (ssize_t)sizeof image && H5Fget_file_image(file, image, (size_t)bytes) == bytes;
  H5Fclose(file);
  if (fits) read_file(scratch_file(image, (size_t)bytes));
  return 0;
}
