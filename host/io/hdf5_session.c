/* The lock, the silence and the file driver: see hdf5_session.h. The trick: a driver whose writes cannot fail
   keeps HDF5's own state whole, so that a full disk is an error of ours and not the library's end. */
#include "host/io/hdf5_session.h"

#include <errno.h>
#include <pthread.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "host/core/error.h"
#include "host/core/file.h"

/* HDF5's state is the process's, so its lock must be too: the one mutable global of the folder. */
static pthread_mutex_t library = PTHREAD_MUTEX_INITIALIZER;

void mote_hdf5_begin(mote_hdf5_session *session) {
  pthread_mutex_lock(&library);
  if (H5Eget_auto2(H5E_DEFAULT, &session->print, &session->print_data) < 0) session->print = NULL;
  H5Eset_auto2(H5E_DEFAULT, NULL, NULL);
}

void mote_hdf5_end(mote_hdf5_session *session) {
  H5Eclear2(H5E_DEFAULT);
  H5Eset_auto2(H5E_DEFAULT, session->print, session->print_data);
  pthread_mutex_unlock(&library);
}

static herr_t first_description(unsigned n, const H5E_error2_t *error, void *text) {
  (void)n;
  snprintf(text, 256, "%s", error->desc ? error->desc : "unknown error");
  return 1;
}

mote_status mote_hdf5_fail(mote_status status, const char *format, ...) {
  char what[768], why[256] = "";
  va_list arguments;
  va_start(arguments, format);
  vsnprintf(what, sizeof what, format, arguments);
  va_end(arguments);
  H5Ewalk2(H5E_DEFAULT, H5E_WALK_UPWARD, first_description, why);
  H5Eclear2(H5E_DEFAULT);
  return mote_fail(status, "%s%s%s", what, why[0] ? ": " : "", why);
}

/* ---- The driver ---- */

typedef struct driver_file {
  H5FD_t base; /* HDF5's part, first */
  mote_hdf5_file *file;
  haddr_t end_of_allocation, end_of_file;
} driver_file;

/* The driver's open gets no argument of ours but the access list's driver info: a pointer to the file. */
static H5FD_t *driver_open(const char *name, unsigned flags, hid_t access, haddr_t limit) {
  (void)name, (void)flags, (void)limit;
  mote_hdf5_file *const *info = H5Pget_driver_info(access);
  struct stat about;
  if (!info || fstat((*info)->fd, &about) != 0) return NULL;
  driver_file *d = calloc(1, sizeof *d);
  if (!d) return NULL;
  d->file = *info;
  d->end_of_file = (haddr_t)about.st_size;
  return &d->base;
}

static herr_t driver_close(H5FD_t *base) {
  free(base);
  return 0;
}

static int driver_compare(const H5FD_t *a, const H5FD_t *b) {
  const void *x = ((const driver_file *)a)->file, *y = ((const driver_file *)b)->file;
  return x < y ? -1 : x > y;
}

static herr_t driver_query(const H5FD_t *base, unsigned long *flags) {
  (void)base;
  *flags = H5FD_FEAT_AGGREGATE_METADATA | H5FD_FEAT_ACCUMULATE_METADATA | H5FD_FEAT_DATA_SIEVE |
           H5FD_FEAT_AGGREGATE_SMALLDATA | H5FD_FEAT_DEFAULT_VFD_COMPATIBLE;
  return 0;
}

static haddr_t driver_get_eoa(const H5FD_t *base, H5FD_mem_t type) {
  (void)type;
  return ((const driver_file *)base)->end_of_allocation;
}

static herr_t driver_set_eoa(H5FD_t *base, H5FD_mem_t type, haddr_t address) {
  (void)type;
  ((driver_file *)base)->end_of_allocation = address;
  return 0;
}

static haddr_t driver_get_eof(const H5FD_t *base, H5FD_mem_t type) {
  (void)type;
  return ((const driver_file *)base)->end_of_file;
}

static int outside(const driver_file *d, haddr_t address, size_t size) {
  return address > d->end_of_allocation || size > d->end_of_allocation - address;
}

static herr_t driver_read(H5FD_t *base, H5FD_mem_t type, hid_t list, haddr_t address, size_t size,
                          void *data) {
  (void)list;
  driver_file *d = (driver_file *)base;
  if (outside(d, address, size)) return -1;
  if (type == H5FD_MEM_DRAW && d->file->limit && size > d->file->limit) return -1;
  int code = mote_pread_all(d->file->fd, data, size, (int64_t)address);
  if (!code) return 0;
  if (!d->file->error) d->file->error = code;
  return -1;
}

static herr_t driver_write(H5FD_t *base, H5FD_mem_t type, hid_t list, haddr_t address, size_t size,
                           const void *data) {
  (void)type, (void)list;
  driver_file *d = (driver_file *)base;
  if (outside(d, address, size)) return -1;
  if (!d->file->error) d->file->error = mote_pwrite_all(d->file->fd, data, size, (int64_t)address);
  if (address + size > d->end_of_file) d->end_of_file = address + size;
  return 0;
}

static herr_t driver_truncate(H5FD_t *base, hid_t list, hbool_t closing) {
  (void)list, (void)closing;
  driver_file *d = (driver_file *)base;
  if (d->end_of_file == d->end_of_allocation) return 0;
  /* Grown by a byte at its end rather than by ftruncate, so that a limit shows as EFBIG and no signal. */
  if (!d->file->error && d->end_of_allocation > d->end_of_file)
    d->file->error = mote_pwrite_all(d->file->fd, "", 1, (int64_t)d->end_of_allocation - 1);
  else if (!d->file->error && ftruncate(d->file->fd, (off_t)d->end_of_allocation) != 0)
    d->file->error = EIO;
  d->end_of_file = d->end_of_allocation;
  return 0;
}

static const H5FD_class_t driver = {
#ifdef H5FD_CLASS_VERSION
    .version = H5FD_CLASS_VERSION,
    .value = (H5FD_class_value_t)600,
#endif
    .name = "mote",
    .maxaddr = (haddr_t)INT64_MAX,
    .fc_degree = H5F_CLOSE_STRONG,
    .fapl_size = sizeof(mote_hdf5_file *),
    .open = driver_open,
    .close = driver_close,
    .cmp = driver_compare,
    .query = driver_query,
    .get_eoa = driver_get_eoa,
    .set_eoa = driver_set_eoa,
    .get_eof = driver_get_eof,
    .read = driver_read,
    .write = driver_write,
    .truncate = driver_truncate,
    .fl_map = H5FD_FLMAP_DICHOTOMY,
};

/* The access list with our driver; negative on failure. */
static hid_t access_list(mote_hdf5_file *file) {
  file->driver = H5FDregister(&driver);
  hid_t list = H5Pcreate(H5P_FILE_ACCESS);
  if (file->driver >= 0 && list >= 0 && H5Pset_driver(list, file->driver, &file) >= 0) return list;
  if (list >= 0) H5Pclose(list);
  return -1;
}

mote_status mote_hdf5_open(const char *path, int fd, mote_hdf5_file *file) {
  *file = (mote_hdf5_file){.fd = fd, .id = -1};
  hid_t list = access_list(file);
  file->id = list >= 0 ? H5Fopen(path, H5F_ACC_RDONLY, list) : -1;
  if (list >= 0) H5Pclose(list);
  if (file->id >= 0) return MOTE_OK;
  mote_status status = file->error
                           ? mote_fail(MOTE_ERROR_IO, "cannot read %s: %s", path, strerror(file->error))
                           : mote_hdf5_fail(MOTE_ERROR_FORMAT, "%s is not a whole HDF5 file", path);
  mote_hdf5_close(file);
  return status;
}

mote_status mote_hdf5_create(const char *path, int fd, mote_hdf5_file *file) {
  *file = (mote_hdf5_file){.fd = fd, .id = -1};
  hid_t list = access_list(file);
  file->id = list >= 0 ? H5Fcreate(path, H5F_ACC_TRUNC, H5P_DEFAULT, list) : -1;
  if (list >= 0) H5Pclose(list);
  if (file->id >= 0) return MOTE_OK;
  mote_status status = file->error
                           ? mote_fail(MOTE_ERROR_IO, "cannot write %s: %s", path, strerror(file->error))
                           : mote_hdf5_fail(MOTE_ERROR_IO, "cannot create the HDF5 file %s", path);
  mote_hdf5_close(file);
  return status;
}

void mote_hdf5_close(mote_hdf5_file *file) {
  if (file->id >= 0) H5Fclose(file->id);
  /* Only now: closing a file looks at its driver after having let go of it. */
  if (file->driver > 0) H5FDunregister(file->driver);
  file->id = -1;
  file->driver = 0;
}

int mote_hdf5_put_text(mote_hdf5_file *file, const char *name, const char *text) {
  hid_t type = H5Tcopy(H5T_C_S1), space = H5Screate(H5S_SCALAR);
  int ok = type >= 0 && space >= 0 && H5Tset_size(type, strlen(text) + 1) >= 0 &&
           H5Tset_cset(type, H5T_CSET_UTF8) >= 0;
  hid_t attribute = ok ? H5Acreate2(file->id, name, type, space, H5P_DEFAULT, H5P_DEFAULT) : -1;
  ok = attribute >= 0 && H5Awrite(attribute, type, text) >= 0;
  if (attribute >= 0) H5Aclose(attribute);
  if (space >= 0) H5Sclose(space);
  if (type >= 0) H5Tclose(type);
  return ok && !file->error;
}
