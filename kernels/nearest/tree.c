/* The room that a tree of nearest neighbours takes; the same on every device. */
#include "kernels/nearest/nearest.h"

mote_status mote_nearest_reserve(mote_nearest_tree *tree, mote_device *device, int64_t n, int dim) {
  if (dim != 2 && dim != 3)
    return mote_fail(MOTE_ERROR_ARGUMENT, "nearest neighbours: dim is %d, expected 2 or 3", dim);
  if (n < 0 || n > INT32_MAX / 4)
    return mote_fail(MOTE_ERROR_ARGUMENT, "nearest neighbours: %lld points, expected 0 to %d", (long long)n,
                     INT32_MAX / 4);
  tree->dim = dim;
  tree->count = n;
  tree->leaves = 1;
  while (tree->leaves * MOTE_NEAREST_LEAF < n) tree->leaves *= 2;
  size_t room = (size_t)tree->leaves * MOTE_NEAREST_LEAF;
  MOTE_TRY(mote_buffer_reserve(&tree->state, device, sizeof(mote_nearest_state)));
  MOTE_TRY(mote_buffer_reserve(&tree->keys, device, 2 * (size_t)n * sizeof(uint32_t)));
  MOTE_TRY(mote_buffer_reserve(&tree->order, device, (size_t)n * sizeof(int32_t)));
  MOTE_TRY(mote_buffer_reserve(&tree->sorted, device, 3 * room * sizeof(float)));
  return mote_buffer_reserve(&tree->boxes, device, 2 * (size_t)tree->leaves * 6 * sizeof(float));
}

void mote_nearest_free(mote_nearest_tree *tree) {
  mote_buffer_free(&tree->state);
  mote_buffer_free(&tree->keys);
  mote_buffer_free(&tree->order);
  mote_buffer_free(&tree->sorted);
  mote_buffer_free(&tree->boxes);
  mote_buffer_free(&tree->scratch);
}
