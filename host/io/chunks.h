/* The chunks of a (T, n, width) float data set: their shape, and their compression on all threads. */
#ifndef MOTE_IO_CHUNKS_H
#define MOTE_IO_CHUNKS_H

#include <stddef.h>
#include <stdint.h>
#include <mote/status.h>

#ifdef __cplusplus
extern "C" {
#endif

/* A frame of many particles is split, so that threads share it; frames of few particles lie together, at most
   16 and at most 64 KiB of them, so that a frame alone is still cheap to read. */
typedef struct mote_chunk_shape {
  int64_t frames;
  int64_t particles;
} mote_chunk_shape;
mote_chunk_shape mote_choose_chunks(int64_t particles, int dim);

/* One chunk being packed: frames x particles x width floats of a larger array. */
typedef struct mote_chunk {
  const float *source;  /* the chunk's first value */
  int64_t frame_stride; /* floats between frames of the source */
  int64_t frames, rows; /* what is there; the rest of the chunk is zero */
  int width;
  mote_chunk_shape shape;
  unsigned char *packed; /* mote_chunk_bound bytes */
  size_t packed_size;
  int failed;
} mote_chunk;

size_t mote_chunk_bytes(mote_chunk_shape shape, int width);
size_t mote_chunk_bound(mote_chunk_shape shape, int width);

/* Packs all of them in parallel the way HDF5's filters shuffle and deflate do (level 0: neither). */
mote_status mote_chunks_pack(mote_chunk *chunks, int count, int level);

#ifdef __cplusplus
}
#endif
#endif
