/* STL: see mesh.h. A binary file is one whose size is what its header promises, whatever it starts with:
   exporters write "solid" into binary headers. */
#include <math.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>
#include <mote/mesh.h>

#include "host/core/error.h"
#include "host/core/text.h"

enum { HEADER = 84, FACET = 50, COUNT_LIMIT = 1 << 27 };

static uint32_t read_u32(const char *data) {
  const unsigned char *b = (const unsigned char *)data;
  return (uint32_t)b[0] | (uint32_t)b[1] << 8 | (uint32_t)b[2] << 16 | (uint32_t)b[3] << 24;
}

/* Three vertices of its own for each triangle; welding comes after. */
static mote_status allocate(mote_mesh *mesh, int64_t triangles, const char *name) {
  if (triangles > COUNT_LIMIT)
    return mote_fail(MOTE_ERROR_FORMAT, "%s: %lld triangles, more than 2^27", name, (long long)triangles);
  mesh->vertices = malloc((size_t)triangles * 9 * sizeof(float));
  mesh->triangles = malloc((size_t)triangles * 3 * sizeof(int32_t));
  if (!mesh->vertices || !mesh->triangles)
    return mote_fail(MOTE_ERROR_MEMORY, "%s: out of memory for %lld triangles", name, (long long)triangles);
  for (int64_t i = 0; i < 3 * triangles; i++) mesh->triangles[i] = (int32_t)i;
  return MOTE_OK;
}

static mote_status read_binary(const char *data, int64_t count, const char *name, mote_mesh *mesh) {
  if (!count) return mote_fail(MOTE_ERROR_FORMAT, "%s: no triangles", name);
  MOTE_TRY(allocate(mesh, count, name));
  for (int64_t t = 0; t < count; t++)
    for (int k = 0; k < 9; k++) {
      uint32_t bits = read_u32(data + HEADER + t * FACET + 12 + 4 * k);
      float x;
      memcpy(&x, &bits, 4);
      if (!(fabsf(x) < 1e30f))
        return mote_fail(MOTE_ERROR_FORMAT, "%s: triangle %lld: a coordinate is %g", name, (long long)t, x);
      mesh->vertices[9 * t + k] = x;
    }
  mesh->triangle_count = count;
  mesh->vertex_count = 3 * count;
  return MOTE_OK;
}

/* ---- ASCII ---- */

typedef struct words {
  const char *at, *end, *name;
  int64_t line;
} words;

static int is_blank(char c) {
  return c == ' ' || c == '\t' || c == '\r' || c == '\n' || c == '\f' || c == '\v';
}

/* The next word, its length 0 at the end. */
static size_t next_word(words *w, const char **word) {
  for (; w->at < w->end && is_blank(*w->at); w->at++) w->line += *w->at == '\n';
  *word = w->at;
  while (w->at < w->end && !is_blank(*w->at)) w->at++;
  return (size_t)(w->at - *word);
}

static mote_status expect(words *w, const char *known) {
  const char *word;
  size_t length = next_word(w, &word);
  if (length == strlen(known) && !strncasecmp(word, known, length)) return MOTE_OK;
  return mote_fail(MOTE_ERROR_FORMAT, "%s:%lld: expected '%s', found '%s'", w->name, (long long)w->line,
                   known, mote_quote(word, length).text);
}

static mote_status read_corner(words *w, float x[3]) {
  MOTE_TRY(expect(w, "vertex"));
  for (int d = 0; d < 3; d++) {
    const char *word;
    size_t length = next_word(w, &word);
    double value;
    if (!length || mote_parse_number(word, length, &value) != length || !(fabs(value) < 1e30))
      return mote_fail(MOTE_ERROR_FORMAT, "%s:%lld: vertex: expected three finite numbers, found '%s'",
                       w->name, (long long)w->line, mote_quote(word, length).text);
    x[d] = (float)value;
  }
  return MOTE_OK;
}

/* What follows the word "facet". The normal is not used, and often wrong or nan: any three words. */
static mote_status read_facet(words *w, float x[9]) {
  const char *word;
  MOTE_TRY(expect(w, "normal"));
  for (int d = 0; d < 3; d++) next_word(w, &word);
  MOTE_TRY(expect(w, "outer"));
  MOTE_TRY(expect(w, "loop"));
  for (int c = 0; c < 3; c++) MOTE_TRY(read_corner(w, x + 3 * c));
  MOTE_TRY(expect(w, "endloop"));
  return expect(w, "endfacet");
}

static void skip_line(words *w) {
  while (w->at < w->end && *w->at != '\n') w->at++;
}

static mote_status read_solid(words *w, mote_mesh *mesh, int64_t capacity) {
  skip_line(w); /* the solid's name */
  for (;;) {
    const char *word;
    size_t length = next_word(w, &word);
    if (length == 8 && !strncasecmp(word, "endsolid", 8)) break;
    if (length != 5 || strncasecmp(word, "facet", 5))
      return mote_fail(MOTE_ERROR_FORMAT, "%s:%lld: expected 'facet' or 'endsolid', found '%s'", w->name,
                       (long long)w->line, length ? mote_quote(word, length).text : "the end of the file");
    if (mesh->triangle_count == capacity) /* as many as there are words 'endfacet' */
      return mote_fail(MOTE_ERROR_FORMAT, "%s:%lld: a facet that does not end", w->name, (long long)w->line);
    MOTE_TRY(read_facet(w, mesh->vertices + 9 * mesh->triangle_count));
    mesh->triangle_count++;
  }
  skip_line(w);
  return MOTE_OK;
}

static int64_t count_facets(const char *data, size_t length) {
  words w = {.at = data, .end = data + length};
  const char *word;
  int64_t count = 0;
  for (size_t n; (n = next_word(&w, &word)) > 0;) count += n == 8 && !strncasecmp(word, "endfacet", 8);
  return count;
}

static mote_status read_ascii(const char *data, size_t length, const char *name, mote_mesh *mesh) {
  int64_t capacity = count_facets(data, length);
  if (!capacity) return mote_fail(MOTE_ERROR_FORMAT, "%s: no triangles", name);
  MOTE_TRY(allocate(mesh, capacity, name));
  words w = {data, data + length, name, 1};
  const char *word;
  for (size_t n; (n = next_word(&w, &word)) > 0;) {
    if (n != 5 || strncasecmp(word, "solid", 5))
      return mote_fail(MOTE_ERROR_FORMAT, "%s:%lld: expected 'solid', found '%s'", name, (long long)w.line,
                       mote_quote(word, n).text);
    MOTE_TRY(read_solid(&w, mesh, capacity));
  }
  mesh->vertex_count = 3 * mesh->triangle_count;
  return mesh->triangle_count ? MOTE_OK : mote_fail(MOTE_ERROR_FORMAT, "%s: no triangles", name);
}

mote_status mote_mesh_parse_stl(const char *data, size_t length, const char *name, mote_mesh *mesh) {
  *mesh = (mote_mesh){0};
  mote_status status;
  uint64_t promised = length >= HEADER ? HEADER + (uint64_t)FACET * read_u32(data + 80) : 0;
  words w = {.at = data, .end = data + length};
  const char *word;
  size_t first = next_word(&w, &word);
  if (promised == length && length >= HEADER)
    status = read_binary(data, read_u32(data + 80), name, mesh);
  else if (first == 5 && !strncasecmp(word, "solid", 5))
    status = read_ascii(data, length, name, mesh);
  else if (length >= HEADER)
    status =
        mote_fail(MOTE_ERROR_FORMAT, "%s: its header promises %u triangles in %llu bytes, but it has %zu",
                  name, read_u32(data + 80), (unsigned long long)promised, length);
  else
    status = mote_fail(MOTE_ERROR_FORMAT, "%s: %zu bytes are no STL file", name, length);
  if (status == MOTE_OK) status = mote_mesh_weld(mesh);
  if (status != MOTE_OK) mote_mesh_destroy(mesh);
  return status;
}
