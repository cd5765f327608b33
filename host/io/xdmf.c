/* XDMF: see xdmf.h. The trick: a HyperSlab picks frame t out of the (T, n, ...) data set, so no data is
 * copied. */
#include "host/io/xdmf.h"

#include <stdio.h>
#include <string.h>

#define OUT(...)                                                                                             \
  do {                                                                                                       \
    mote_status out_status_ = mote_output_printf(o, __VA_ARGS__);                                            \
    if (out_status_ != MOTE_OK) return out_status_;                                                          \
  } while (0)

#define ESCAPED(text)                                                                                        \
  do {                                                                                                       \
    mote_status escaped_status_ = mote_output_xml(o, text);                                                  \
    if (escaped_status_ != MOTE_OK) return escaped_status_;                                                  \
  } while (0)

typedef struct place {
  const char *file;
  const mote_xdmf_trajectory *trajectory;
} place;

static mote_status reference(mote_output *o, place p, const char *dataset) {
  ESCAPED(p.file);
  if (strcmp(p.trajectory->name, "/") != 0) {
    OUT(":/");
    ESCAPED(p.trajectory->name);
  } else {
    OUT(":");
  }
  OUT("/");
  ESCAPED(dataset);
  return MOTE_OK;
}

/* Frame t of a field of `rank` dimensions a particle. */
static mote_status slab(mote_output *o, place p, const mote_trajectory_field *f, long long t) {
  long long n = p.trajectory->particles, frames = p.trajectory->frames;
  char tail[48] = "", zeros[8] = "", ones[8] = "";
  for (int k = 0; k < f->rank; k++) {
    snprintf(tail + strlen(tail), sizeof tail - strlen(tail), " %d", f->shape[k]);
    strcat(zeros, " 0");
    strcat(ones, " 1");
  }
  /* A matrix is one row a particle to the reader. */
  char shape[48] = "";
  if (f->rank == 1) snprintf(shape, sizeof shape, " %d", f->shape[0]);
  if (f->rank == 2) snprintf(shape, sizeof shape, " %d", f->shape[0] * f->shape[1]);
  OUT("<DataItem ItemType=\"HyperSlab\" Dimensions=\"%lld%s\">", n, shape);
  OUT("<DataItem Dimensions=\"3 %d\" NumberType=\"Int\" Format=\"XML\">%lld 0%s 1 1%s 1 %lld%s</DataItem>",
      f->rank + 2, t, zeros, ones, n, tail);
  OUT("<DataItem Dimensions=\"%lld %lld%s\" NumberType=\"Float\" Precision=\"4\" Format=\"HDF\">", frames, n,
      tail);
  mote_status status = reference(o, p, f->name);
  if (status != MOTE_OK) return status;
  OUT("</DataItem></DataItem>");
  return MOTE_OK;
}

static mote_status whole(mote_output *o, place p, const char *name, const char *kind) {
  long long n = p.trajectory->particles;
  OUT("        <Attribute Name=\"");
  ESCAPED(name);
  OUT("\" AttributeType=\"Scalar\" Center=\"Node\"><DataItem Dimensions=\"%lld\" NumberType=\"%s\" "
      "Precision=\"4\" Format=\"HDF\">",
      n, kind);
  mote_status status = reference(o, p, name);
  if (status != MOTE_OK) return status;
  OUT("</DataItem></Attribute>\n");
  return MOTE_OK;
}

static const char *attribute_type(const mote_trajectory_field *f) {
  if (f->rank == 0) return "Scalar";
  /* VTK reads "Matrix" as one row; "Vector" takes any number of components. */
  return f->rank == 2 && f->shape[0] == 3 && f->shape[1] == 3 ? "Tensor" : "Vector";
}

static mote_status frame(mote_output *o, place p, long long t) {
  const mote_xdmf_trajectory *r = p.trajectory;
  mote_status status = MOTE_OK;
  OUT("      <Grid Name=\"frame %lld\" GridType=\"Uniform\">\n        <Time Value=\"%.17g\"/>\n", t,
      r->times[t]);
  OUT("        <Topology TopologyType=\"Polyvertex\" NumberOfElements=\"%lld\" NodesPerElement=\"1\"/>\n",
      (long long)r->particles);
  OUT("        <Geometry GeometryType=\"%s\">", r->dim == 3 ? "XYZ" : "XY");
  for (int k = 0; k < r->field_count && status == MOTE_OK; k++)
    if (strcmp(r->fields[k].name, "position") == 0) status = slab(o, p, &r->fields[k], t);
  if (status != MOTE_OK) return status;
  OUT("</Geometry>\n");
  for (int k = 0; k < r->field_count; k++) {
    if (strcmp(r->fields[k].name, "position") == 0) continue;
    OUT("        <Attribute Name=\"");
    ESCAPED(r->fields[k].name);
    OUT("\" AttributeType=\"%s\" Center=\"Node\">", attribute_type(&r->fields[k]));
    status = slab(o, p, &r->fields[k], t);
    if (status != MOTE_OK) return status;
    OUT("</Attribute>\n");
  }
  for (int k = 0; k < r->label_count && status == MOTE_OK; k++) status = whole(o, p, r->labels[k], "Int");
  for (int k = 0; k < r->constant_count && status == MOTE_OK; k++)
    status = whole(o, p, r->constants[k], "Float");
  if (status != MOTE_OK) return status;
  OUT("      </Grid>\n");
  return MOTE_OK;
}

mote_status mote_xdmf_write(mote_output *o, const char *file, const mote_xdmf_trajectory *trajectories,
                            int count) {
  OUT("<?xml version=\"1.0\"?>\n<!DOCTYPE Xdmf SYSTEM \"Xdmf.dtd\" []>\n<Xdmf Version=\"2.0\">\n  "
      "<Domain>\n");
  for (int k = 0; k < count; k++) {
    OUT("    <Grid Name=\"");
    ESCAPED(trajectories[k].name);
    OUT("\" GridType=\"Collection\" CollectionType=\"Temporal\">\n");
    place p = {file, &trajectories[k]};
    for (int64_t t = 0; t < trajectories[k].frames; t++) {
      mote_status status = frame(o, p, t);
      if (status != MOTE_OK) return status;
    }
    OUT("    </Grid>\n");
  }
  OUT("  </Domain>\n</Xdmf>\n");
  return MOTE_OK;
}
