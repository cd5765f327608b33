/* mote info: what is in a trajectory file. */
#include "host/cli/cli.h"

#include <stdlib.h>

#include <mote/trajectory.h>

static void print_axes(const char *name, const double *values, int dim) {
  printf("  %-20s", name);
  for (int a = 0; a < dim; a++) printf(" %12.5g", values[a]);
  printf("\n");
}

static void print_metadata(const mote_metadata *m) {
  double low[3], high[3];
  for (int a = 0; a < m->dim; a++) {
    low[a] = m->bounds[a][0];
    high[a] = m->bounds[a][1];
  }
  printf("metadata\n");
  print_axes("lower bounds, m", low, m->dim);
  print_axes("upper bounds, m", high, m->dim);
  printf("  %-20s %12.5g s, a frame every %d steps\n", "time step", m->dt, m->write_every);
  printf("  %-20s %12.5g m\n", "particle spacing", m->dx);
  printf("  %-20s %12.5g m\n", "radius", m->connectivity_radius);
  if (!m->has_statistics) return;
  print_axes("velocity mean", m->velocity_mean, m->dim);
  print_axes("velocity std", m->velocity_std, m->dim);
  print_axes("acceleration mean", m->acceleration_mean, m->dim);
  print_axes("acceleration std", m->acceleration_std, m->dim);
}

static mote_status print_trajectory(mote_trajectory_reader *reader, int index) {
  mote_trajectory_info info;
  mote_status status = mote_trajectory_get_info(reader, index, &info);
  if (status != MOTE_OK) return status;
  printf("%s: %lld frames of %lld particles, %d-D;", mote_trajectory_name(reader, index),
         (long long)info.frames, (long long)info.particles, info.dim);
  const char *fields[] = {"position", "velocity", "deformation_gradient"};
  for (int k = 0; k < 3; k++)
    if (mote_trajectory_field_width(reader, index, fields[k])) printf(" %s", fields[k]);
  printf("\n");
  return MOTE_OK;
}

int cli_info(int argc, char **argv) {
  cli_usage usage = {"info", "T.h5", "Says what is in a trajectory file.", NULL, 1, 1};
  cli_common common;
  const char *path;
  int count;
  int code = cli_parse(&usage, NULL, &common, argc, argv, &path, &count);
  if (code >= 0) return code;
  mote_trajectory_reader *reader;
  mote_metadata metadata;
  mote_status status = mote_trajectory_open(path, &reader);
  if (status != MOTE_OK) return cli_fail("info");
  printf("%s: %d trajector%s\n", path, mote_trajectory_count(reader),
         mote_trajectory_count(reader) == 1 ? "y" : "ies");
  for (int k = 0; k < mote_trajectory_count(reader) && status == MOTE_OK; k++)
    status = print_trajectory(reader, k);
  if (status == MOTE_OK && mote_trajectory_read_metadata(reader, &metadata) == MOTE_OK)
    print_metadata(&metadata);
  mote_trajectory_close(reader);
  return status == MOTE_OK ? CLI_OK : cli_fail("info");
}
