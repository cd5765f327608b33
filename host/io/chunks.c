/* Chunk shapes and packing: see chunks.h. The trick: HDF5 filters one chunk at a time, but takes chunks that
   are filtered already (H5Dwrite_chunk); the format of both filters is public: bytes transposed by their
   place in the element, then a zlib stream. */
#include "host/io/chunks.h"

#include <stdlib.h>
#include <string.h>
#include <zlib.h>

#include "host/core/error.h"

#define CHUNK_PARTICLES 16384
#define CHUNK_FRAMES 16
#define GROUPED_BYTES (64 << 10)

mote_chunk_shape mote_choose_chunks(int64_t particles, int dim) {
  int64_t frame = particles * dim * (int64_t)sizeof(float), frames = GROUPED_BYTES / frame;
  if (frames > CHUNK_FRAMES) frames = CHUNK_FRAMES;
  if (frames < 1) frames = 1;
  /* Equal blocks: the last is padded to a whole chunk. */
  int64_t blocks = (particles + CHUNK_PARTICLES - 1) / CHUNK_PARTICLES;
  return (mote_chunk_shape){frames, (particles + blocks - 1) / blocks};
}

size_t mote_chunk_bytes(mote_chunk_shape shape, int width) {
  return (size_t)(shape.frames * shape.particles) * (size_t)width * sizeof(float);
}

size_t mote_chunk_bound(mote_chunk_shape shape, int width) {
  return compressBound(mote_chunk_bytes(shape, width));
}

/* The chunk as it lies in memory: rows that are not there stay zero. */
static void collect(const mote_chunk *c, void *plain) {
  size_t row = (size_t)c->shape.particles * (size_t)c->width;
  memset(plain, 0, mote_chunk_bytes(c->shape, c->width));
  for (int64_t t = 0; t < c->frames; t++)
    memcpy((float *)plain + (size_t)t * row, c->source + t * c->frame_stride,
           (size_t)c->rows * (size_t)c->width * sizeof(float));
}

static void shuffle(const unsigned char *plain, size_t elements, unsigned char *shuffled) {
  for (size_t byte = 0; byte < 4; byte++)
    for (size_t i = 0; i < elements; i++) shuffled[byte * elements + i] = plain[i * 4 + byte];
}

static int pack(mote_chunk *c, int level) {
  size_t bytes = mote_chunk_bytes(c->shape, c->width);
  if (level == 0) {
    collect(c, c->packed);
    c->packed_size = bytes;
    return 0;
  }
  unsigned char *plain = malloc(2 * bytes);
  if (!plain) return 1;
  collect(c, plain);
  shuffle(plain, bytes / 4, plain + bytes);
  uLongf size = compressBound(bytes);
  int code = compress2(c->packed, &size, plain + bytes, bytes, level);
  c->packed_size = size;
  free(plain);
  return code != Z_OK;
}

mote_status mote_chunks_pack(mote_chunk *chunks, int count, int level) {
#pragma omp parallel for schedule(dynamic)
  for (int k = 0; k < count; k++) chunks[k].failed = pack(&chunks[k], level);
  for (int k = 0; k < count; k++)
    if (chunks[k].failed) return mote_fail(MOTE_ERROR_MEMORY, "out of memory to compress a frame");
  return MOTE_OK;
}
