/* Writing NPZ data sets: see npz.h. The trick: the pickle of an array of two arrays is a fixed text with the
   shapes and the data in their places, so frames stream through it. */
#include "host/io/npz.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "host/core/error.h"

/* A growing text of instructions. */
typedef struct script {
  unsigned char bytes[1024];
  size_t size;
} script;

static void raw(script *s, const void *bytes, size_t size) {
  memcpy(s->bytes + s->size, bytes, size);
  s->size += size;
}

static void text(script *s, const char *characters) {
  raw(s, characters, strlen(characters));
}

static void little(script *s, uint64_t value, int bytes) {
  for (int k = 0; k < bytes; k++) s->bytes[s->size++] = (unsigned char)(value >> 8 * k);
}

/* LONG1 of 8 bytes: any extent. */
static void integer(script *s, int64_t value) {
  text(s, "\x8a\x08");
  little(s, (uint64_t)value, 8);
}

/* numpy's call that makes an empty array, up to the beginning of its state: (1, shape, dtype, False, ... */
static void begin_array(script *s, int rank, const int64_t *shape, const char *type, const char *order,
                        int flags) {
  text(s, "cnumpy.core.multiarray\n_reconstruct\ncnumpy\nndarray\nK");
  little(s, 0, 1);
  text(s, "\x85"
          "C\x01"
          "b\x87R(K\x01(");
  for (int d = 0; d < rank; d++) integer(s, shape[d]);
  text(s, "tcnumpy\ndtype\nX");
  little(s, strlen(type), 4);
  text(s, type);
  text(s, "\x89\x88\x87R(K\x03X");
  little(s, 1, 4);
  text(s, order);
  text(s, "NNNJ\xff\xff\xff\xffJ\xff\xff\xff\xffK");
  little(s, (uint64_t)flags, 1);
  text(s, "tb\x89");
}

mote_status mote_npz_begin(mote_zip_writer *zip, const char *name, mote_trajectory_info info) {
  char member[256], header[128];
  script s = {.size = 0};
  int64_t two = 2, shape[3] = {info.frames, info.particles, info.dim};
  snprintf(member, sizeof member, "%.200s.npy", name);
  MOTE_TRY(mote_zip_begin(zip, member));
  int length = snprintf(header, sizeof header, "{'descr': '|O', 'fortran_order': False, 'shape': (2,), }");
  memset(header + length, ' ', sizeof header - (size_t)length);
  header[117] = '\n'; /* 10 + 118 bytes: a multiple of 64 */
  raw(&s, "\x93NUMPY\x01\x00\x76\x00", 10);
  raw(&s, header, 118);
  text(&s, "\x80\x04");
  begin_array(&s, 1, &two, "O8", "|", 63);
  text(&s, "](");
  begin_array(&s, 3, shape, "f4", "<", 0);
  text(&s, "\x8e");
  little(&s, (uint64_t)(info.frames * info.particles * info.dim) * sizeof(float), 8);
  return mote_zip_write(zip, s.bytes, s.size);
}

mote_status mote_npz_frame(mote_zip_writer *zip, mote_trajectory_info info, const float *position) {
  return mote_zip_write(zip, position, (size_t)info.particles * (size_t)info.dim * sizeof(float));
}

mote_status mote_npz_end(mote_zip_writer *zip, mote_trajectory_info info, const int32_t *particle_type) {
  script s = {.size = 0};
  text(&s, "tb");
  begin_array(&s, 1, &info.particles, "i8", "<", 0);
  text(&s, "\x8e");
  little(&s, (uint64_t)info.particles * 8, 8);
  MOTE_TRY(mote_zip_write(zip, s.bytes, s.size));
  int64_t *wide = malloc((size_t)info.particles * sizeof *wide);
  if (!wide)
    return mote_fail(MOTE_ERROR_MEMORY, "out of memory for %lld particles", (long long)info.particles);
  for (int64_t i = 0; i < info.particles; i++) wide[i] = particle_type[i];
  mote_status status = mote_zip_write(zip, wide, (size_t)info.particles * sizeof *wide);
  free(wide);
  if (status != MOTE_OK) return status;
  MOTE_TRY(mote_zip_write(zip, "tbetb.", 6));
  return mote_zip_end(zip);
}
