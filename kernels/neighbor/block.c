/* The sorts of crowded places: merges of what is already in order. */
#include "kernels/neighbor/block.h"

/* An index and where in the block it was; they sort as one integer. */
static uint64_t entry(const mote_block *block, int place) {
  return (uint64_t)(uint32_t)block->index[place] << 32 | (uint32_t)place;
}

static void merge(const uint64_t *a, const uint64_t *a_end, const uint64_t *b, const uint64_t *b_end,
                  uint64_t *to) {
  while (a < a_end && b < b_end) *to++ = *a < *b ? *a++ : *b++;
  while (a < a_end) *to++ = *a++;
  while (b < b_end) *to++ = *b++;
}

/* Merges neighbouring runs [runs[k], runs[k+1]) until one is left; returns which of the two holds it. */
static uint64_t *merge_runs(uint64_t *from, uint64_t *to, int *runs, int run_count) {
  while (run_count > 1) {
    int kept = 0, end = runs[run_count];
    for (int k = 0; k < run_count; k += 2) {
      int middle = runs[k + 1], last = k + 2 <= run_count ? runs[k + 2] : middle;
      merge(from + runs[k], from + middle, from + middle, from + last, to + runs[k]);
      runs[kept++] = runs[k];
    }
    runs[kept] = end;
    run_count = kept;
    uint64_t *other = from;
    from = to;
    to = other;
  }
  return from;
}

void mote_block_sort(mote_block *block, int *pieces, int piece_count) {
  uint64_t a[BLOCK_ROOM], b[BLOCK_ROOM];
  float moved[BLOCK_ROOM];
  if (piece_count < 2) return;
  int n = block->count;
  for (int i = 0; i < n; i++) a[i] = entry(block, i);
  const uint64_t *sorted = merge_runs(a, b, pieces, piece_count);
  float *axes[3] = {block->x, block->y, block->z};
  for (int axis = 0; axis < 3; axis++) {
    memcpy(moved, axes[axis], (size_t)n * sizeof *moved);
    for (int i = 0; i < n; i++) axes[axis][i] = moved[(uint32_t)sorted[i]];
  }
  for (int i = 0; i < n; i++) block->index[i] = (int32_t)(sorted[i] >> 32);
}

void mote_row_sort_long(int32_t *row, int count, int32_t *to) {
  uint64_t a[BLOCK_ROOM], b[BLOCK_ROOM];
  int runs[BLOCK_ROOM + 1], run_count = 0;
  for (int i = 0; i < count; i++) {
    a[i] = (uint32_t)row[i];
    if (!i || row[i] < row[i - 1]) runs[run_count++] = i;
  }
  runs[run_count] = count;
  const uint64_t *sorted = merge_runs(a, b, runs, run_count);
  for (int i = 0; i < count; i++) to[i] = (int32_t)sorted[i];
}
