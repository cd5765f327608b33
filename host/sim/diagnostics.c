/* Conserved quantities and energies: sums a chunk of particles from the device, added here in their order. */
#include <stdlib.h>
#include <string.h>

#include "host/core/error.h"
#include "host/sim/state.h"

static void move_origin(const float lower[3], mote_diagnostics *d) {
  const double *p = d->linear_momentum;
  for (int k = 0; k < 3; k++) {
    int a = (k + 1) % 3, b = (k + 2) % 3;
    d->angular_momentum[k] += (double)lower[a] * p[b] - (double)lower[b] * p[a];
    d->center_of_mass[k] = (d->mass > 0 ? d->center_of_mass[k] / d->mass : 0) + (double)lower[k];
  }
}

mote_status mote_simulation_diagnose(mote_simulation *s, mote_diagnostics *d) {
  const mote_transfer_view *t = &s->transfer.view;
  size_t chunks = ((size_t)t->count + MOTE_TRANSFER_CHUNK - 1) / MOTE_TRANSFER_CHUNK;
  size_t bytes = (chunks ? chunks : 1) * MOTE_TRANSFER_SUMS * sizeof(double);
  *d = (mote_diagnostics){0};
  if (!s->host_sums && !(s->host_sums = malloc(bytes)))
    return mote_fail(MOTE_ERROR_MEMORY, "out of memory for diagnostics");
  MOTE_TRY(mote_buffer_reserve(&s->sums, s->device, bytes));
  MOTE_TRY(s->device->transfer->diagnose(s->stream, &s->transfer, s->sums.data));
  MOTE_TRY(
      mote_download(s->stream, s->host_sums, s->sums.data, chunks * MOTE_TRANSFER_SUMS * sizeof(double)));
  for (size_t c = 0; c < chunks; c++) {
    const double *row = s->host_sums + c * MOTE_TRANSFER_SUMS;
    d->mass += row[0];
    for (int k = 0; k < 3; k++) {
      d->linear_momentum[k] += row[1 + k];
      d->angular_momentum[k] += row[4 + k];
      d->center_of_mass[k] += row[10 + k];
    }
    d->kinetic_energy += row[7];
    d->elastic_energy += row[8];
    d->potential_energy += row[9];
    if (row[13] > d->largest_speed) d->largest_speed = row[13];
  }
  move_origin(t->lower, d);
  return MOTE_OK;
}
