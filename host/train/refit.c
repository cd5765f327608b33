#include "host/train/refit.h"

#include "host/core/error.h"

mote_status mote_refit_reserve(mote_refit *f, const mote_reconstruction *r) {
  for (int l = 0; l < r->settings.levels; l++) {
    size_t bytes = (size_t)mote_lattice_size(&r->lattice[l]) * MOTE_AFFINE * sizeof(float);
    MOTE_TRY(mote_buffer_reserve(&f->field[l], r->device, bytes));
    MOTE_TRY(mote_buffer_reserve(&f->moment[l], r->device, bytes));
  }
  return mote_buffer_reserve(&f->global, r->device, sizeof(mote_global_fit));
}

void mote_refit_free(mote_refit *f) {
  for (int l = 0; l < MOTE_OPERATOR_LEVELS; l++) {
    mote_buffer_free(&f->field[l]);
    mote_buffer_free(&f->moment[l]);
  }
  mote_buffer_free(&f->global);
}

/* From the finest level to the coarsest: what each fit began with is the next one's field. */
static mote_status undo_fits(mote_refit *f, mote_reconstruction *r) {
  const struct mote_reconstruct_kernels *k = r->device->reconstruct;
  int last = r->settings.levels - 1;
  for (int l = 0; l <= last; l++) {
    MOTE_TRY(k->fit_nodes_backward(r->stream, &r->lattice[l], r->fit.data, r->radius, l, r->moments[l].data,
                                   f->field[l].data, mote_reconstruction_ridge(r, l), r->settings.shrink,
                                   f->moment[l].data, f->field[l].data));
    if (l < last)
      MOTE_TRY(k->blend_backward(r->stream, &r->lattice[l], &r->lattice[l + 1], r->fit.data, r->radius, l + 1,
                                 f->field[l].data, f->field[l + 1].data));
  }
  return MOTE_OK;
}

mote_status mote_refit_backward(mote_refit *f, mote_reconstruction *r, float *increment_slope) {
  const struct mote_reconstruct_kernels *k = r->device->reconstruct;
  int last = r->settings.levels - 1;
  int64_t n = r->options.sparse_count;
  MOTE_TRY(undo_fits(f, r));
  for (int l = last; l > 0; l--)
    MOTE_TRY(k->restrict_backward(r->stream, &r->lattice[l - 1], &r->lattice[l], r->fit.data, r->radius, l,
                                  f->moment[l].data, f->moment[l - 1].data));
  MOTE_TRY(k->splat_backward(r->stream, &r->lattice[0], r->fit.data, r->radius, n, r->sparse.data,
                             f->moment[0].data, increment_slope));
  return k->global_backward(r->stream, &r->lattice[last], r->fit.data, r->radius, last, n, r->sparse.data,
                            f->field[last].data, f->global.data, increment_slope);
}
