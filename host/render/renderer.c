/* The whole picture: where the panels lie, their titles, colour bars, legend and caption. */
#include <stdlib.h>
#include <string.h>

#include "host/core/error.h"
#include "host/render/canvas.h"
#include "host/render/colormap.h"
#include "host/render/plot.h"
#include "host/render/view.h"

#ifdef _OPENMP
#include <omp.h>
#endif

struct mote_renderer {
  mote_render_options options;
  char *names[MOTE_RENDER_LABELS]; /* owned copies */
  mote_view view;
  mote_canvas canvas; /* its distances are of the options' size; the image is the caller's */
  int threads;
};

void mote_render_options_defaults(int dim, mote_render_options *o) {
  *o = (mote_render_options){.width = 1280,
                             .height = 720,
                             .supersample = 2,
                             .dim = dim,
                             .up = 1,
                             .azimuth = 30,
                             .elevation = 18,
                             .field_of_view = 30,
                             .upper = {1, 1, 1}};
  memcpy(o->label_color, mote_palette, sizeof o->label_color);
}

static mote_status check(const mote_render_options *o) {
  if (o->width < 64 || o->height < 64 || o->width > 8192 || o->height > 8192)
    return mote_fail(MOTE_ERROR_ARGUMENT, "picture of %d x %d pixels: each side must be in 64..8192",
                     o->width, o->height);
  if (o->supersample != 1 && o->supersample != 2)
    return mote_fail(MOTE_ERROR_ARGUMENT, "supersample %d: expected 1 or 2", o->supersample);
  if (o->dim != 2 && o->dim != 3) return mote_fail(MOTE_ERROR_ARGUMENT, "dim %d: expected 2 or 3", o->dim);
  if (o->up < 0 || o->up >= o->dim)
    return mote_fail(MOTE_ERROR_ARGUMENT, "up axis %d: expected 0 to %d", o->up, o->dim - 1);
  if (o->label_count < 0 || o->label_count > MOTE_RENDER_LABELS)
    return mote_fail(MOTE_ERROR_ARGUMENT, "%d labels: at most %d", o->label_count, MOTE_RENDER_LABELS);
  if (!(o->elevation >= -89 && o->elevation <= 89) || !isfinite(o->azimuth))
    return mote_fail(MOTE_ERROR_ARGUMENT,
                     "camera at azimuth %g, elevation %g: elevation must be in -89..89 degrees", o->azimuth,
                     o->elevation);
  if (!(o->field_of_view >= 1 && o->field_of_view <= 120) || !(o->distance >= 0 && isfinite(o->distance)))
    return mote_fail(MOTE_ERROR_ARGUMENT,
                     "field of view %g, distance %g: expected 1..120 degrees and a distance >= 0 m",
                     o->field_of_view, o->distance);
  for (int k = 0; k < o->dim; k++)
    if (!(isfinite(o->lower[k]) && isfinite(o->upper[k]) && o->lower[k] < o->upper[k]))
      return mote_fail(MOTE_ERROR_ARGUMENT, "domain from %g to %g on axis %d: it must have an extent",
                       o->lower[k], o->upper[k], k);
  return MOTE_OK;
}

mote_status mote_renderer_create(const mote_render_options *options, mote_renderer **renderer) {
  *renderer = NULL;
  MOTE_TRY(check(options));
  mote_renderer *r = calloc(1, sizeof *r);
  if (!r) return mote_fail(MOTE_ERROR_MEMORY, "out of memory for a renderer");
  r->options = *options;
  r->threads = options->threads;
#ifdef _OPENMP
  if (r->threads <= 0) r->threads = omp_get_max_threads();
#endif
  if (r->threads <= 0) r->threads = 1;
  mote_status status = MOTE_OK;
  for (int k = 0; k < options->label_count && status == MOTE_OK; k++) {
    if (!options->label_name[k]) continue;
    r->names[k] = strdup(options->label_name[k]);
    if (!r->names[k]) status = mote_fail(MOTE_ERROR_MEMORY, "out of memory for a renderer");
  }
  mote_image size = {.width = options->width, .height = options->height};
  if (status == MOTE_OK) status = mote_canvas_create(&size, &r->canvas);
  r->canvas.image = NULL;
  if (status != MOTE_OK)
    mote_renderer_destroy(r);
  else
    *renderer = r;
  return status;
}

void mote_renderer_destroy(mote_renderer *r) {
  if (!r) return;
  for (int k = 0; k < MOTE_RENDER_LABELS; k++) free(r->names[k]);
  mote_view_free(&r->view);
  mote_canvas_destroy(&r->canvas);
  free(r);
}

static int compare_cells(const void *a, const void *b) {
  uint64_t x = *(const uint64_t *)a, y = *(const uint64_t *)b;
  return (x > y) - (x < y);
}

float mote_render_radius(const float *position, int64_t count, int dim) {
  float lower[3] = {INFINITY, INFINITY, INFINITY}, upper[3] = {-INFINITY, -INFINITY, -INFINITY}, extent = 0;
  int64_t finite = 0;
  uint64_t *cells = malloc((size_t)(count > 0 ? count : 1) * sizeof *cells);
  if (!cells) return 0;
  for (int64_t i = 0; i < count * dim; i++) {
    if (!isfinite(position[i])) continue;
    lower[i % dim] = fminf(lower[i % dim], position[i]);
    upper[i % dim] = fmaxf(upper[i % dim], position[i]);
  }
  for (int k = 0; k < dim; k++) extent = fmaxf(extent, upper[k] - lower[k]);
  if (!(extent > 0)) extent = count > 0 ? 1e-2f : 0;
  /* Cells that hold about 6 particles where they are dense, by halving until the count says so. */
  double best = 0;
  for (int across = 2; across <= 4096 && extent > 0; across *= 2) {
    finite = 0;
    for (int64_t i = 0; i < count; i++) {
      uint64_t cell = 0;
      int ok = 1;
      for (int k = 0; k < dim; k++) {
        float x = position[i * dim + k];
        ok &= isfinite(x);
        uint64_t c = ok ? (uint64_t)((x - lower[k]) / extent * ((float)across - 0.01f)) : 0;
        cell = cell << 20 | c;
      }
      if (ok) cells[finite++] = cell;
    }
    qsort(cells, (size_t)finite, sizeof *cells, compare_cells);
    int64_t occupied = finite > 0;
    for (int64_t i = 1; i < finite; i++) occupied += cells[i] != cells[i - 1];
    double per_cell = occupied ? (double)finite / (double)occupied : 0, side = (double)extent / across;
    if (per_cell <= 0) break;
    best = 0.5 * side / pow(per_cell, 1.0 / dim);
    if (per_cell < 12) break;
  }
  free(cells);
  return finite ? (float)((dim == 2 ? 1.4 : 1.15) * best) : 0; /* random points leave wider gaps in a plane */
}

/* ---- Layout ---- */

static const mote_color ink = {34, 40, 50, 255}, soft_ink = {92, 100, 112, 255};

typedef struct layout {
  float unit; /* px: the size of text */
  float wide; /* width over height of a panel's picture, about */
  int columns, rows, header, bar, footer;
  int shared_bar; /* all bars are alike: one in the footer */
} layout;

static int same_bar(const mote_render_panel *a, const mote_render_panel *b) {
  return a->value_min == b->value_min && a->value_max == b->value_max &&
         (a->value_label == b->value_label ||
          (a->value_label && b->value_label && !strcmp(a->value_label, b->value_label)));
}

static void make_layout(const mote_renderer *r, const mote_render_panel *panels, int count,
                        const char *caption, layout *l) {
  const mote_render_options *o = &r->options;
  float u = l->unit = fmaxf(10, fminf((float)o->height / 36, (float)o->width / 52));
  int titles = 0, bars = 0, alike = 1, legend = 0, labels = 0;
  const mote_render_panel *first = NULL;
  for (int k = 0; k < count; k++) {
    titles |= panels[k].title != NULL;
    if (!panels[k].value)
      labels = 1;
    else if (bars++ == 0)
      first = &panels[k];
    else
      alike &= same_bar(first, &panels[k]);
  }
  for (int k = 0; k < o->label_count && labels; k++) legend |= r->names[k] != NULL;
  l->shared_bar = bars > 1 && alike && !legend;
  l->header = titles ? (int)(2.3f * u) : 0;
  l->bar = bars && !l->shared_bar ? (int)(3.2f * u) : 0;
  l->footer = l->shared_bar ? (int)(3.4f * u) : caption || legend ? (int)(2.2f * u) : 0;
  /* The number of columns that gives the panels the largest picture of a domain that looks nearly square. */
  float best = 0, wide = 1.05f;
  if (o->dim == 2) wide = (float)((o->upper[0] - o->lower[0]) / (o->upper[1] - o->lower[1]));
  l->wide = wide;
  for (int columns = 1; columns <= count; columns++) {
    int rows = (count + columns - 1) / columns;
    float w = (float)o->width / (float)columns, h = (float)(o->height - l->footer) / (float)rows;
    float size = fminf(w / wide, h - (float)(l->header + l->bar));
    if (size <= best * 1.001f) continue;
    best = size;
    l->columns = columns;
    l->rows = rows;
  }
  if (!best) l->columns = count, l->rows = 1;
}

/* ---- Words ---- */

/* A colour bar with its label and numbers, in a strip of height 3.2 units whose top is y. */
static void draw_bar(mote_canvas *canvas, const mote_render_panel *p, float unit, float x0, float x1,
                     float y) {
  int columns = (int)(x1 - x0);
  float top = y + 0.15f * unit, bottom = top + 0.62f * unit;
  for (int k = 0; k < columns; k++) {
    uint8_t c[3];
    mote_colormap(((float)k + 0.5f) / (float)columns, c);
    float x = floorf(x0) + (float)k;
    mote_canvas_fill(canvas, x, top, x + 1, bottom, 0, MOTE_RGB(c[0], c[1], c[2]));
  }
  mote_ticks ticks;
  mote_ticks_linear(p->value_min, p->value_max, (int)fmaxf(2, (x1 - x0) / (6 * unit)), 0, &ticks);
  mote_text_style text = {0.85f * unit, 1, MOTE_ALIGN_CENTER, 0, ink};
  float last = -1e9f;
  for (int k = 0; k < ticks.count && p->value_max > p->value_min; k++) {
    float x = x0 + (float)((ticks.at[k] - p->value_min) / (p->value_max - p->value_min)) * (x1 - x0);
    float half = mote_text_width(ticks.label[k], text.size) / 2;
    mote_canvas_line(canvas, x, bottom, x, bottom + 0.25f * unit, 1, soft_ink);
    if (x - half < last + 0.6f * unit) continue;
    mote_canvas_text(canvas, x, bottom + 1.05f * unit, ticks.label[k], &text);
    last = x + half;
  }
  text.color = soft_ink;
  if (p->value_label) mote_canvas_text(canvas, (x0 + x1) / 2, bottom + 2.15f * unit, p->value_label, &text);
}

static void draw_legend(const mote_renderer *r, mote_canvas *canvas, float unit, float right,
                        float baseline) {
  const mote_render_options *o = &r->options;
  mote_text_style text = {0.95f * unit, 1, MOTE_ALIGN_RIGHT, 0, ink};
  for (int k = o->label_count - 1; k >= 0; k--) { /* from the right */
    if (!r->names[k]) continue;
    float width = mote_text_width(r->names[k], text.size);
    mote_canvas_text(canvas, right, baseline, r->names[k], &text);
    const uint8_t *c = o->label_color[k];
    mote_canvas_disc(canvas, right - width - 0.75f * unit, baseline - 0.33f * unit, 0.38f * unit,
                     MOTE_RGB(c[0], c[1], c[2]));
    right -= width + 2.2f * unit;
  }
}

static void draw_footer(const mote_renderer *r, mote_canvas *canvas, const mote_render_panel *panels,
                        int count, const char *caption, const layout *l) {
  const mote_render_options *o = &r->options;
  float u = l->unit, baseline = (float)o->height - 0.8f * u;
  mote_text_style text = {0.95f * u, 1, MOTE_ALIGN_LEFT, 0, soft_ink};
  if (caption) mote_canvas_text(canvas, u, baseline, caption, &text);
  int labels = 0;
  for (int k = 0; k < count; k++) labels |= !panels[k].value;
  if (labels) draw_legend(r, canvas, u, (float)o->width - u, baseline);
  if (!l->shared_bar) return;
  const mote_render_panel *p = panels;
  while (!p->value) p++;
  float half = fminf(13 * u, 0.22f * (float)o->width);
  draw_bar(canvas, p, u, (float)o->width / 2 - half, (float)o->width / 2 + half,
           (float)(o->height - l->footer) + 0.1f * u);
}

static mote_status draw_panel(mote_renderer *r, const mote_render_panel *p, const layout *l, int index,
                              int count, mote_image *image) {
  const mote_render_options *o = &r->options;
  int row = index / l->columns, column = index % l->columns;
  int in_row =
      row == l->rows - 1 ? count - row * l->columns : l->columns; /* a last row that is short is centred */
  int cell = o->width / l->columns, height = (o->height - l->footer) / l->rows;
  int x = (o->width - in_row * cell) / 2 + column * cell, y = row * height;
  /* The view is no higher than the domain's picture needs, so that title and bar stand close to it. */
  int room = height - l->header - l->bar, view = (int)((float)cell / l->wide);
  if (view < room) y += (room - view) / 2, room = view;
  int box[4] = {x, y + l->header, cell, room};
  if (box[2] < 8 || box[3] < 8)
    return mote_fail(MOTE_ERROR_ARGUMENT, "a picture of %d x %d pixels is too small for %d panels", o->width,
                     o->height, count);
  float radius = p->radius > 0 ? p->radius : mote_render_radius(p->position, p->count, o->dim);
  MOTE_TRY(mote_view_draw(&r->view, o, p, radius, r->threads, box, image));
  float u = l->unit, middle = (float)x + (float)cell / 2;
  mote_text_style title = {1.15f * u, 1.3f, MOTE_ALIGN_CENTER, 0, ink};
  if (p->title) {
    float wide = mote_text_width(p->title, title.size), room = (float)cell - u;
    if (wide > room) title.size *= room / wide;
    mote_canvas_text(&r->canvas, middle, (float)y + 1.65f * u, p->title, &title);
  }
  float half = fminf(11 * u, 0.4f * (float)cell);
  if (p->value && !l->shared_bar)
    draw_bar(&r->canvas, p, u, middle - half, middle + half, (float)(box[1] + box[3]));
  return MOTE_OK;
}

static mote_status check_panels(const mote_render_panel *panels, int count, const mote_render_options *o,
                                const mote_image *image) {
  if (count < 1 || count > MOTE_RENDER_PANELS)
    return mote_fail(MOTE_ERROR_ARGUMENT, "picture of %d panels: expected 1 to %d", count,
                     MOTE_RENDER_PANELS);
  if (image->width != o->width || image->height != o->height)
    return mote_fail(MOTE_ERROR_ARGUMENT, "the image has %d x %d pixels, the renderer draws %d x %d",
                     image->width, image->height, o->width, o->height);
  for (int k = 0; k < count; k++)
    if (panels[k].count < 0 || panels[k].count > INT32_MAX || (panels[k].count > 0 && !panels[k].position) ||
        !(panels[k].radius >= 0 && isfinite(panels[k].radius)))
      return mote_fail(MOTE_ERROR_ARGUMENT,
                       "panel %d: %lld particles of radius %g: expected positions and a radius >= 0", k,
                       (long long)panels[k].count, (double)panels[k].radius);
  return MOTE_OK;
}

mote_status mote_renderer_draw(mote_renderer *r, const mote_render_panel *panels, int count,
                               const char *caption, mote_image *image) {
  MOTE_TRY(check_panels(panels, count, &r->options, image));
  for (size_t k = 0; k < (size_t)image->width * (size_t)image->height; k++) {
    image->pixel[3 * k] = MOTE_PAPER_R;
    image->pixel[3 * k + 1] = MOTE_PAPER_G;
    image->pixel[3 * k + 2] = MOTE_PAPER_B;
  }
  layout l = {0};
  make_layout(r, panels, count, caption, &l);
  r->canvas.image = image;
  mote_status status = MOTE_OK;
  for (int k = 0; k < count && status == MOTE_OK; k++)
    status = draw_panel(r, &panels[k], &l, k, count, image);
  if (status == MOTE_OK) draw_footer(r, &r->canvas, panels, count, caption, &l);
  r->canvas.image = NULL;
  return status;
}
