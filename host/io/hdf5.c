/* HDF5 made quiet: see hdf5.h. */
#include "host/io/hdf5.h"

#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "host/core/error.h"

mote_hdf5_quiet mote_hdf5_silence(void) {
  mote_hdf5_quiet quiet;
  H5Eget_auto2(H5E_DEFAULT, &quiet.function, &quiet.data);
  H5Eset_auto2(H5E_DEFAULT, NULL, NULL);
  return quiet;
}

void mote_hdf5_restore(mote_hdf5_quiet quiet) {
  H5Eset_auto2(H5E_DEFAULT, quiet.function, quiet.data);
}

static herr_t innermost(unsigned depth, const H5E_error2_t *error, void *text) {
  (void)depth;
  snprintf(text, 256, "%s", error->desc ? error->desc : "unknown");
  return 0;
}

mote_status mote_hdf5_fail(mote_status status, const char *format, ...) {
  char reason[256] = "", message[1024];
  H5Ewalk2(H5E_DEFAULT, H5E_WALK_DOWNWARD, innermost, reason);
  H5Eclear2(H5E_DEFAULT);
  va_list arguments;
  va_start(arguments, format);
  vsnprintf(message, sizeof message, format, arguments);
  va_end(arguments);
  return mote_fail(status, "%s%s%s%s", message, *reason ? " (HDF5: " : "", reason, *reason ? ")" : "");
}

char *mote_hdf5_read_text(hid_t object, const char *name) {
  if (H5Aexists(object, name) <= 0) return NULL;
  hid_t attribute = H5Aopen(object, name, H5P_DEFAULT), type = H5Aget_type(attribute);
  size_t bytes =
      type >= 0 && H5Tget_class(type) == H5T_STRING && H5Tis_variable_str(type) == 0 ? H5Tget_size(type) : 0;
  hid_t space = H5Aget_space(attribute);
  int one = H5Sget_simple_extent_npoints(space) == 1;
  char *text = one && bytes > 0 && bytes <= 1 << 20 ? calloc(bytes + 1, 1) : NULL;
  if (text && H5Aread(attribute, type, text) < 0) {
    free(text);
    text = NULL;
  }
  H5Sclose(space);
  H5Tclose(type);
  H5Aclose(attribute);
  return text;
}

int mote_hdf5_write_text(hid_t object, const char *name, const char *text) {
  hid_t type = H5Tcopy(H5T_C_S1), space = H5Screate(H5S_SCALAR);
  H5Tset_size(type, strlen(text) + 1);
  hid_t attribute = H5Acreate2(object, name, type, space, H5P_DEFAULT, H5P_DEFAULT);
  int failed = attribute < 0 || H5Awrite(attribute, type, text) < 0;
  if (attribute >= 0) H5Aclose(attribute);
  H5Sclose(space);
  H5Tclose(type);
  return failed ? -1 : 0;
}
