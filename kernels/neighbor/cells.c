/* The room that a grid of cells takes; the same on every device. */
#include "kernels/neighbor/neighbor.h"

/* Vector code on the CPU may read past the last point, never use what it reads. */
#define PADDING 32

mote_status mote_cell_order_reserve(mote_cell_order *order, mote_device *device, int64_t count) {
  order->count = count;
  order->stride = (count + 15) / 16 * 16;
  MOTE_TRY(mote_buffer_reserve(&order->keys, device, (size_t)count * sizeof(uint32_t)));
  MOTE_TRY(mote_buffer_reserve(&order->order, device, (size_t)(count + PADDING) * sizeof(int32_t)));
  return mote_buffer_reserve(&order->sorted, device, (size_t)(3 * order->stride + PADDING) * sizeof(float));
}

void mote_cell_order_free(mote_cell_order *order) {
  mote_buffer_free(&order->keys);
  mote_buffer_free(&order->order);
  mote_buffer_free(&order->sorted);
  order->count = 0;
}

/* Four buckets a point: a body that fills a quarter of its box still gets a dense grid at one point a cell.
 */
static int table_bits_for(int64_t n) {
  int bits = 6;
  while (bits < 30 && (int64_t)1 << bits < 4 * n) bits++;
  return bits;
}

mote_status mote_cells_reserve(mote_cells *cells, mote_device *device, int64_t n, int dim, float radius) {
  if (dim != 2 && dim != 3)
    return mote_fail(MOTE_ERROR_ARGUMENT, "neighbour search: dim is %d, expected 2 or 3", dim);
  if (!(radius >= 1e-18f && radius <= 1e18f))
    return mote_fail(MOTE_ERROR_ARGUMENT, "neighbour search: radius is %g, expected 1e-18 to 1e18", radius);
  if (n < 0 || n > INT32_MAX - 64)
    return mote_fail(MOTE_ERROR_ARGUMENT, "neighbour search: %lld points, expected 0 to %d", (long long)n,
                     INT32_MAX - 64);
  cells->dim = dim;
  cells->radius = radius;
  cells->table_bits = table_bits_for(n);
  MOTE_TRY(mote_cell_order_reserve(&cells->points, device, n));
  MOTE_TRY(mote_buffer_reserve(&cells->state, device, sizeof(mote_cells_state)));
  return mote_buffer_reserve(&cells->start, device, (((size_t)1 << cells->table_bits) + 1) * sizeof(int32_t));
}

void mote_cells_free(mote_cells *cells) {
  mote_cell_order_free(&cells->points);
  mote_buffer_free(&cells->state);
  mote_buffer_free(&cells->start);
  mote_buffer_free(&cells->scratch);
}
