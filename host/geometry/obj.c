/* Wavefront OBJ: see mesh.h. A line at a time; v and f are read, the rest of the format's statements is known
   by name and passed over, anything else is an error. */
#include <stdlib.h>
#include <string.h>
#include <mote/mesh.h>

#include "host/core/error.h"
#include "host/core/text.h"

#define COUNT_LIMIT (1 << 27)

typedef struct obj_reader {
  const char *at, *end, *name;
  int64_t line;
  mote_mesh *mesh;
  int64_t vertex_capacity, triangle_capacity;
} obj_reader;

static mote_status wrong(const obj_reader *r, const char *what) {
  return mote_fail(MOTE_ERROR_FORMAT, "%s:%lld: %s", r->name, (long long)r->line, what);
}

/* Makes room for one more row of `row` bytes; grows by doubling. */
static mote_status reserve(obj_reader *r, void **array, int64_t count, int64_t *capacity, size_t row) {
  if (count < *capacity) return MOTE_OK;
  if (count >= COUNT_LIMIT) return wrong(r, "more than 2^27 vertices or triangles");
  int64_t wanted = *capacity ? *capacity * 2 : 1024;
  void *grown = realloc(*array, (size_t)wanted * row);
  if (!grown)
    return mote_fail(MOTE_ERROR_MEMORY, "%s: out of memory for %lld rows", r->name, (long long)wanted);
  *array = grown;
  *capacity = wanted;
  return MOTE_OK;
}

/* Skips blanks, and line ends behind a backslash; 0 at the end of the line. */
static int skip_blanks(obj_reader *r) {
  for (; r->at < r->end; r->at++) {
    if (*r->at == ' ' || *r->at == '\t' || *r->at == '\r') continue;
    const char *next = r->at + 1;
    if (next < r->end && *next == '\r') next++;
    if (*r->at == '\\' && next < r->end && *next == '\n') {
      r->at = next;
      r->line++;
      continue;
    }
    return *r->at != '\n' && *r->at != '#';
  }
  return 0;
}

static void skip_line(obj_reader *r) {
  const char *end = memchr(r->at, '\n', (size_t)(r->end - r->at));
  r->at = end ? end + 1 : r->end;
  r->line++;
}

static int ends_word(const obj_reader *r) {
  return r->at == r->end || strchr(" \t\r\n\\#", *r->at);
}

static mote_status read_vertex(obj_reader *r) {
  mote_mesh *mesh = r->mesh;
  double x[3];
  for (int d = 0; d < 3; d++) {
    size_t used = skip_blanks(r) ? mote_parse_number(r->at, (size_t)(r->end - r->at), &x[d]) : 0;
    r->at += used;
    if (!used || !ends_word(r) || !(x[d] > -1e30 && x[d] < 1e30))
      return wrong(r, "v: expected three finite numbers");
  }
  for (double ignored; skip_blanks(r);) { /* a weight or a colour */
    size_t used = mote_parse_number(r->at, (size_t)(r->end - r->at), &ignored);
    r->at += used;
    if (!used || !ends_word(r)) return wrong(r, "v: expected numbers only");
  }
  MOTE_TRY(reserve(r, (void **)&mesh->vertices, mesh->vertex_count, &r->vertex_capacity, 3 * sizeof(float)));
  for (int d = 0; d < 3; d++) mesh->vertices[3 * mesh->vertex_count + d] = (float)x[d];
  mesh->vertex_count++;
  return MOTE_OK;
}

static int read_integer(obj_reader *r, int64_t *value) {
  int negative = r->at < r->end && *r->at == '-';
  const char *start = r->at += negative;
  *value = 0;
  for (; r->at < r->end && *r->at >= '0' && *r->at <= '9'; r->at++)
    if (*value < ((int64_t)1 << 40)) *value = *value * 10 + (*r->at - '0');
  if (negative) *value = -*value;
  return r->at > start;
}

/* One corner of a face, "v", "v/t", "v//n" or "v/t/n": the vertex's index from 0. */
static mote_status read_corner(obj_reader *r, int32_t *vertex) {
  int64_t index, ignored;
  int good = read_integer(r, &index);
  for (int part = 0; good && part < 2 && r->at < r->end && *r->at == '/'; part++) {
    r->at++;
    int empty = part == 0 && r->at < r->end && *r->at == '/';
    if (!empty) good = read_integer(r, &ignored);
  }
  if (!good || !ends_word(r)) return wrong(r, "f: expected corners such as 7, 7/1 or 7//3");
  int64_t count = r->mesh->vertex_count, from_zero = index < 0 ? count + index : index - 1;
  if (index == 0 || from_zero < 0 || from_zero >= count)
    return mote_fail(MOTE_ERROR_FORMAT, "%s:%lld: f: vertex %lld of the %lld before this line", r->name,
                     (long long)r->line, (long long)index, (long long)count);
  *vertex = (int32_t)from_zero;
  return MOTE_OK;
}

/* A fan from the first corner. For a polygon that is not convex its triangles overlap with signs that cancel,
   in solid angles as in volumes. */
static mote_status read_face(obj_reader *r) {
  mote_mesh *mesh = r->mesh;
  int32_t first = 0, last = 0, corner = 0;
  int64_t corners = 0;
  for (; skip_blanks(r); corners++) {
    MOTE_TRY(read_corner(r, &corner));
    if (corners >= 2) {
      MOTE_TRY(reserve(r, (void **)&mesh->triangles, mesh->triangle_count, &r->triangle_capacity,
                       3 * sizeof(int32_t)));
      int32_t *triangle = mesh->triangles + 3 * mesh->triangle_count++;
      triangle[0] = first, triangle[1] = last, triangle[2] = corner;
    }
    if (corners == 0) first = corner;
    last = corner;
  }
  return corners >= 3 ? MOTE_OK : wrong(r, "f: expected at least three corners");
}

static int is_word(const char *word, size_t length, const char *known) {
  return strlen(known) == length && !memcmp(word, known, length);
}

static mote_status read_statement(obj_reader *r) {
  static const char *const passed[] = {"vn",     "vt",     "vp", "g",      "o",        "s",
                                       "usemtl", "mtllib", "mg", "bevel",  "c_interp", "d_interp",
                                       "lod",    "l",      "p",  "usemap", "maplib"};
  const char *word = r->at;
  while (!ends_word(r)) r->at++;
  size_t length = (size_t)(r->at - word);
  if (is_word(word, length, "v")) return read_vertex(r);
  if (is_word(word, length, "f")) return read_face(r);
  for (size_t i = 0; i < sizeof passed / sizeof *passed; i++)
    if (is_word(word, length, passed[i])) {
      while (r->at < r->end && *r->at != '\n') skip_blanks(r), r->at += r->at < r->end && *r->at != '\n';
      return MOTE_OK;
    }
  return mote_fail(MOTE_ERROR_FORMAT, "%s:%lld: '%s' is no statement of a polygon OBJ", r->name,
                   (long long)r->line, mote_quote(word, length).text);
}

mote_status mote_mesh_parse_obj(const char *text, size_t length, const char *name, mote_mesh *mesh) {
  *mesh = (mote_mesh){0};
  obj_reader r = {.at = text, .end = text + length, .name = name, .line = 1, .mesh = mesh};
  mote_status status = MOTE_OK;
  while (status == MOTE_OK && r.at < r.end) {
    if (skip_blanks(&r)) status = read_statement(&r);
    if (status == MOTE_OK && r.at < r.end) skip_line(&r);
  }
  if (status == MOTE_OK && !mesh->triangle_count) status = mote_fail(MOTE_ERROR_FORMAT, "%s: no faces", name);
  if (status != MOTE_OK) mote_mesh_destroy(mesh);
  return status;
}
