/* PLY point clouds: see point_cloud.h. The header becomes a table of elements and properties; one loop then
   reads or passes over each value in any of the three encodings. Nothing is allocated for a promise of the
   header that the bytes behind it cannot keep. */
#include <math.h>
#include <stdlib.h>
#include <string.h>
#include <mote/point_cloud.h>

#include "host/core/error.h"
#include "host/core/file.h"
#include "host/core/text.h"

enum { ELEMENTS = 16, PROPERTIES = 256, WORDS = 8 };
#define COUNT_LIMIT ((int64_t)1 << 28)
#define FILE_LIMIT ((int64_t)16 << 30)

typedef enum scalar { NO_SCALAR, I8, U8, I16, U16, I32, U32, F32, F64 } scalar;
static const int scalar_size[] = {0, 1, 1, 2, 2, 4, 4, 4, 8};

typedef enum role { PASS_OVER, POSITION_X, POSITION_Y, POSITION_Z, OPACITY } role;

typedef struct property {
  scalar type;  /* of an item */
  scalar count; /* of a list's length; NO_SCALAR: not a list */
  role role;
} property;

typedef struct element {
  int64_t count;
  int first, properties; /* in the table of properties */
  int is_vertex;
} element;

typedef struct ply_reader {
  const char *at, *end, *name;
  int64_t line;
  enum { ASCII, LITTLE, BIG } encoding;
  element elements[ELEMENTS];
  int element_count;
  property properties[PROPERTIES];
  int property_count;
  int has_opacity, has_scale, has_rotation;
} ply_reader;

static mote_status wrong(const ply_reader *r, const char *what) {
  return mote_fail(MOTE_ERROR_FORMAT, "%s:%lld: %s", r->name, (long long)r->line, what);
}

/* ---- header ---- */

typedef struct header_line {
  char word[WORDS][40];
  int words;
} header_line;

/* Splits the next line into words; those behind the eighth, and of a comment all but the first, are dropped.
 */
static mote_status read_line(ply_reader *r, header_line *line) {
  const char *end = r->at < r->end ? memchr(r->at, '\n', (size_t)(r->end - r->at)) : NULL;
  if (!end) return wrong(r, "the header does not end: expected 'end_header'");
  if (end - r->at > 4096) return wrong(r, "a line of more than 4096 characters in the header");
  line->words = 0;
  r->line++;
  for (const char *p = r->at; p < end && line->words < WORDS;) {
    while (p < end && (*p == ' ' || *p == '\t' || *p == '\r')) p++;
    const char *start = p;
    while (p < end && *p != ' ' && *p != '\t' && *p != '\r') p++;
    size_t length = (size_t)(p - start);
    if (!length) break;
    char *word = line->word[line->words++];
    if (length >= sizeof line->word[0]) length = sizeof line->word[0] - 1;
    memcpy(word, start, length);
    word[length] = 0;
  }
  r->at = end + 1;
  return MOTE_OK;
}

static scalar scalar_named(const char *name) {
  static const char *const names[][2] = {{"char", "int8"},     {"uchar", "uint8"},   {"short", "int16"},
                                         {"ushort", "uint16"}, {"int", "int32"},     {"uint", "uint32"},
                                         {"float", "float32"}, {"double", "float64"}};
  for (int i = 0; i < 8; i++)
    if (!strcmp(name, names[i][0]) || !strcmp(name, names[i][1])) return (scalar)(i + 1);
  return NO_SCALAR;
}

static mote_status read_format(ply_reader *r, const header_line *line) {
  static const char *const names[] = {"ascii", "binary_little_endian", "binary_big_endian"};
  for (int i = 0; line->words == 3 && i < 3; i++)
    if (!strcmp(line->word[1], names[i]) && !strcmp(line->word[2], "1.0")) {
      r->encoding = i;
      return MOTE_OK;
    }
  return wrong(r, "expected 'format ascii|binary_little_endian|binary_big_endian 1.0'");
}

static mote_status read_element(ply_reader *r, const header_line *line) {
  double count = -1;
  if (line->words == 3 &&
      mote_parse_number(line->word[2], strlen(line->word[2]), &count) != strlen(line->word[2]))
    count = -1;
  if (count < 0 || count != floor(count)) return wrong(r, "expected 'element NAME COUNT'");
  if (count > (double)COUNT_LIMIT) return wrong(r, "an element of more than 2^28 rows");
  if (r->element_count == ELEMENTS) return wrong(r, "more than 16 elements");
  element *e = &r->elements[r->element_count++];
  *e = (element){.count = (int64_t)count, .first = r->property_count};
  e->is_vertex = !strcmp(line->word[1], "vertex");
  for (int i = 0; i < r->element_count - 1; i++)
    if (e->is_vertex && r->elements[i].is_vertex) return wrong(r, "a second element 'vertex'");
  return MOTE_OK;
}

static mote_status set_role(ply_reader *r, const char *name, property *p) {
  static const char *const names[] = {"", "x", "y", "z", "opacity"};
  for (int k = POSITION_X; k <= OPACITY; k++)
    if (!strcmp(name, names[k])) p->role = (role)k;
  r->has_opacity |= p->role == OPACITY;
  r->has_scale |= !strcmp(name, "scale_0");
  r->has_rotation |= !strcmp(name, "rot_0");
  if (p->role == PASS_OVER) return MOTE_OK;
  if (p->count != NO_SCALAR) return wrong(r, "x, y, z and opacity have to be single values");
  const element *e = &r->elements[r->element_count - 1];
  for (int i = e->first; i < r->property_count; i++)
    if (r->properties[i].role == p->role) return wrong(r, "a property appears twice");
  return MOTE_OK;
}

static mote_status read_property(ply_reader *r, const header_line *line) {
  property p = {0};
  int is_list = line->words > 1 && !strcmp(line->word[1], "list");
  if (!r->element_count) return wrong(r, "a property before any element");
  if (r->property_count == PROPERTIES) return wrong(r, "more than 256 properties");
  if (line->words == (is_list ? 5 : 3)) {
    p.count = is_list ? scalar_named(line->word[2]) : NO_SCALAR;
    p.type = scalar_named(line->word[is_list ? 3 : 1]);
  }
  if (p.type == NO_SCALAR || (is_list && (p.count == NO_SCALAR || p.count >= F32)))
    return wrong(r, "expected 'property TYPE NAME' or 'property list INTEGER_TYPE TYPE NAME'");
  if (r->elements[r->element_count - 1].is_vertex) MOTE_TRY(set_role(r, line->word[is_list ? 4 : 2], &p));
  r->properties[r->property_count++] = p;
  r->elements[r->element_count - 1].properties++;
  return MOTE_OK;
}

static mote_status read_header(ply_reader *r) {
  header_line line;
  int has_format = 0;
  MOTE_TRY(read_line(r, &line));
  if (line.words != 1 || strcmp(line.word[0], "ply")) return wrong(r, "expected 'ply': not a PLY file");
  for (;;) {
    MOTE_TRY(read_line(r, &line));
    const char *word = line.words ? line.word[0] : "";
    if (!strcmp(word, "comment") || !strcmp(word, "obj_info")) continue;
    if (!strcmp(word, "end_header")) break;
    if (!strcmp(word, "format")) {
      MOTE_TRY(read_format(r, &line));
      has_format = 1;
    } else if (!strcmp(word, "element")) {
      MOTE_TRY(read_element(r, &line));
    } else if (!strcmp(word, "property")) {
      MOTE_TRY(read_property(r, &line));
    } else {
      return wrong(r, "expected format, element, property, comment, obj_info or end_header");
    }
  }
  return has_format ? MOTE_OK : wrong(r, "the header lacks 'format'");
}

/* The element of points, which has to have a place to be. */
static mote_status find_vertex(const ply_reader *r, const element **vertex) {
  *vertex = NULL;
  for (int i = 0; i < r->element_count; i++)
    if (r->elements[i].is_vertex) *vertex = &r->elements[i];
  if (!*vertex || !(*vertex)->count) return wrong(r, "no points: expected an element 'vertex'");
  int found = 0;
  for (int i = 0; i < (*vertex)->properties; i++) {
    role role = r->properties[(*vertex)->first + i].role;
    found += role >= POSITION_X && role <= POSITION_Z;
  }
  return found == 3 ? MOTE_OK : wrong(r, "the element 'vertex' lacks x, y or z");
}

/* ---- values ---- */

static uint64_t read_bits(const ply_reader *r, int size) {
  uint64_t bits = 0;
  for (int i = 0; i < size; i++) {
    int shift = 8 * (r->encoding == LITTLE ? i : size - 1 - i);
    bits |= (uint64_t)(unsigned char)r->at[i] << shift;
  }
  return bits;
}

static double binary_value(scalar type, uint64_t bits) {
  uint32_t low = (uint32_t)bits;
  float single;
  double real;
  switch (type) {
  case I8: return (int8_t)bits;
  case U8: return (uint8_t)bits;
  case I16: return (int16_t)bits;
  case U16: return (uint16_t)bits;
  case I32: return (int32_t)low;
  case U32: return low;
  case F32: memcpy(&single, &low, sizeof single); return single;
  default: memcpy(&real, &bits, sizeof real); return real;
  }
}

static int is_blank(char c) {
  return c == ' ' || c == '\t' || c == '\r' || c == '\n';
}

/* A word of an ASCII body. What is not a number (nan, inf) reads as NaN: an error only where it is used. */
static mote_status read_word(ply_reader *r, double *value) {
  for (; r->at < r->end && is_blank(*r->at); r->at++) r->line += *r->at == '\n';
  const char *start = r->at;
  while (r->at < r->end && !is_blank(*r->at)) r->at++;
  size_t length = (size_t)(r->at - start);
  if (!length) return wrong(r, "the file ends before its last value");
  if (mote_parse_number(start, length, value) != length) *value = NAN;
  return MOTE_OK;
}

static mote_status read_value(ply_reader *r, scalar type, double *value) {
  if (r->encoding == ASCII) return read_word(r, value);
  int size = scalar_size[type];
  if (r->end - r->at < size)
    return mote_fail(MOTE_ERROR_FORMAT, "%s: the file ends before its last value", r->name);
  *value = binary_value(type, read_bits(r, size));
  r->at += size;
  return MOTE_OK;
}

static mote_status skip_list(ply_reader *r, const property *p) {
  double count, ignored;
  MOTE_TRY(read_value(r, p->count, &count));
  if (!(count >= 0) || count != floor(count) || count > (double)COUNT_LIMIT)
    return mote_fail(MOTE_ERROR_FORMAT, "%s: a list of %g items", r->name, count);
  if (r->encoding == ASCII) {
    for (int64_t i = 0; i < (int64_t)count; i++) MOTE_TRY(read_value(r, p->type, &ignored));
    return MOTE_OK;
  }
  int64_t bytes = (int64_t)count * scalar_size[p->type];
  if (bytes > r->end - r->at) return mote_fail(MOTE_ERROR_FORMAT, "%s: the file ends in a list", r->name);
  r->at += bytes;
  return MOTE_OK;
}

/* The fewest bytes a row can take: what the header's count is held against before anything is allocated. */
static int64_t least_bytes(const ply_reader *r, const element *e) {
  int64_t bytes = 0;
  for (int i = 0; i < e->properties; i++) {
    const property *p = &r->properties[e->first + i];
    bytes += r->encoding == ASCII ? 2 : scalar_size[p->count != NO_SCALAR ? p->count : p->type];
  }
  return bytes;
}

static mote_status read_row(ply_reader *r, const element *e, int64_t row, mote_point_cloud *cloud) {
  for (int i = 0; i < e->properties; i++) {
    const property *p = &r->properties[e->first + i];
    double value;
    if (p->count != NO_SCALAR) {
      MOTE_TRY(skip_list(r, p));
      continue;
    }
    MOTE_TRY(read_value(r, p->type, &value));
    if (p->role == PASS_OVER) continue;
    if (!(fabs(value) < 1e30))
      return mote_fail(MOTE_ERROR_FORMAT, "%s: point %lld: %s is no finite number", r->name, (long long)row,
                       p->role == OPACITY ? "its opacity" : "a coordinate");
    if (p->role == OPACITY)
      cloud->opacity[row] = (float)value;
    else
      cloud->position[3 * row + (p->role - POSITION_X)] = (float)value;
  }
  return MOTE_OK;
}

static mote_status read_rows(ply_reader *r, const element *e, mote_point_cloud *cloud) {
  int64_t bytes = least_bytes(r, e), room = r->end - r->at + (r->encoding == ASCII);
  if (bytes == 0 && !e->is_vertex) return MOTE_OK; /* rows of nothing */
  if (e->count > room / bytes)
    return mote_fail(MOTE_ERROR_FORMAT,
                     "%s: the header promises %lld rows of at least %lld bytes, but %lld are left", r->name,
                     (long long)e->count, (long long)bytes, (long long)room);
  if (e->is_vertex) {
    cloud->count = e->count;
    cloud->position = malloc((size_t)e->count * 3 * sizeof(float));
    if (r->has_opacity) cloud->opacity = malloc((size_t)e->count * sizeof(float));
    if (!cloud->position || (r->has_opacity && !cloud->opacity))
      return mote_fail(MOTE_ERROR_MEMORY, "%s: out of memory for %lld points", r->name, (long long)e->count);
  }
  for (int64_t row = 0; row < e->count; row++) MOTE_TRY(read_row(r, e, row, cloud));
  return MOTE_OK;
}

static mote_status parse(ply_reader *r, mote_point_cloud *cloud) {
  const element *vertex;
  MOTE_TRY(read_header(r));
  MOTE_TRY(find_vertex(r, &vertex));
  r->line++;
  for (const element *e = r->elements; e <= vertex; e++) MOTE_TRY(read_rows(r, e, cloud));
  int gaussians = r->has_opacity && r->has_scale && r->has_rotation;
  for (int64_t i = 0; gaussians && i < cloud->count; i++)
    cloud->opacity[i] = 1 / (1 + expf(-cloud->opacity[i]));
  return MOTE_OK;
}

mote_status mote_point_cloud_parse_ply(const char *data, size_t length, const char *name,
                                       mote_point_cloud *cloud) {
  *cloud = (mote_point_cloud){0};
  ply_reader reader = {.at = data, .end = data + length, .name = name};
  mote_status status = parse(&reader, cloud);
  if (status != MOTE_OK) mote_point_cloud_destroy(cloud);
  return status;
}

mote_status mote_point_cloud_load(const char *path, mote_point_cloud *cloud) {
  *cloud = (mote_point_cloud){0};
  char *data;
  size_t size;
  MOTE_TRY(mote_file_read(path, FILE_LIMIT, &data, &size));
  mote_status status = mote_point_cloud_parse_ply(data, size, path, cloud);
  free(data);
  return status;
}

void mote_point_cloud_destroy(mote_point_cloud *cloud) {
  free(cloud->position);
  free(cloud->opacity);
  *cloud = (mote_point_cloud){0};
}
