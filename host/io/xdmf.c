/* XDMF 3: a temporal collection of polyvertex grids; each frame is a hyperslab of the (T, n, ...) data sets.
 */
#include "host/io/xdmf.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "host/core/error.h"
#include "host/core/file.h"

typedef struct place {
  const char *h5_name, *group;
  int64_t frames, particles;
} place;

/* "n" or "n w" or "n h w": the dimensions of one frame of a field. */
static void print_shape(FILE *out, const mote_trajectory_field *f, int64_t particles) {
  fprintf(out, "%lld", (long long)particles);
  for (int k = 0; k < f->rank; k++) fprintf(out, " %d", f->shape[k]);
}

/* Frame `t` of a field, as a data item of its own shape. */
static void print_slab(FILE *out, const place *p, const mote_trajectory_field *f, int64_t t) {
  int rank = 2 + f->rank;
  fprintf(out, "<DataItem ItemType=\"HyperSlab\" Type=\"HyperSlab\" Dimensions=\"1 ");
  print_shape(out, f, p->particles);
  fprintf(out, "\"><DataItem Dimensions=\"3 %d\" Format=\"XML\">%lld", rank, (long long)t);
  for (int k = 1; k < rank; k++) fprintf(out, " 0");
  for (int k = 0; k < rank; k++) fprintf(out, " 1");
  fprintf(out, " 1 ");
  print_shape(out, f, p->particles);
  fprintf(out, "</DataItem><DataItem Dimensions=\"%lld ", (long long)p->frames);
  print_shape(out, f, p->particles);
  fprintf(out, "\" NumberType=\"Float\" Precision=\"4\" Format=\"HDF\">%s:/%s/%s</DataItem></DataItem>",
          p->h5_name, p->group, f->name);
}

static void print_labels(FILE *out, const place *p, const char *name) {
  fprintf(out,
          "<Attribute Name=\"%s\" AttributeType=\"Scalar\" Center=\"Node\"><DataItem Dimensions=\"%lld\" "
          "NumberType=\"Int\" Precision=\"4\" Format=\"HDF\">%s:/%s/%s</DataItem></Attribute>\n",
          name, (long long)p->particles, p->h5_name, p->group, name);
}

static const char *attribute_type(const mote_trajectory_field *f) {
  if (f->rank == 0) return "Scalar";
  if (f->rank == 1 && f->shape[0] == 3) return "Vector";
  return f->rank == 2 && f->shape[0] == 3 && f->shape[1] == 3 ? "Tensor" : "Matrix";
}

static void print_grid(FILE *out, const place *p, const mote_trajectory_options *o, int64_t t, double time) {
  fprintf(out,
          "<Grid Name=\"frame %lld\" GridType=\"Uniform\"><Time Value=\"%.9g\"/>"
          "<Topology TopologyType=\"Polyvertex\" NumberOfElements=\"%lld\"/>\n<Geometry GeometryType=\"%s\">",
          (long long)t, time, (long long)p->particles, o->dim == 3 ? "XYZ" : "XY");
  print_slab(out, p, &o->fields[0], t);
  fprintf(out, "</Geometry>\n");
  for (int k = 1; k < o->field_count; k++) {
    fprintf(out, "<Attribute Name=\"%s\" AttributeType=\"%s\" Center=\"Node\">", o->fields[k].name,
            attribute_type(&o->fields[k]));
    print_slab(out, p, &o->fields[k], t);
    fprintf(out, "</Attribute>\n");
  }
  print_labels(out, p, "particle_type");
  if (o->material) print_labels(out, p, "material");
  fprintf(out, "</Grid>\n");
}

mote_status mote_xdmf_write(const char *path, const char *h5_name, const char *group,
                            const mote_trajectory_options *options, int64_t frames, const double *times) {
  char *text = NULL;
  size_t bytes = 0;
  FILE *out = open_memstream(&text, &bytes);
  if (!out) return mote_fail(MOTE_ERROR_MEMORY, "out of memory writing %s", path);
  place p = {h5_name, group, frames, options->particles};
  fprintf(out, "<?xml version=\"1.0\"?>\n<Xdmf Version=\"3.0\"><Domain>\n"
               "<Grid Name=\"particles\" GridType=\"Collection\" CollectionType=\"Temporal\">\n");
  for (int64_t t = 0; t < frames; t++) print_grid(out, &p, options, t, times[t]);
  fprintf(out, "</Grid>\n</Domain></Xdmf>\n");
  mote_status status = fclose(out) ? mote_fail(MOTE_ERROR_MEMORY, "out of memory writing %s", path) : MOTE_OK;
  if (status == MOTE_OK) status = mote_file_write(path, text, bytes);
  free(text);
  return status;
}
