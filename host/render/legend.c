/* The legend of a movie: which colour and name each particle's label has. All panels share it. */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <mote/particles.h>

#include "host/core/error.h"
#include "host/render/film.h"

/* A kind's name and its place in the palette. */
static const struct {
  int type;
  const char *name;
  int color;
} kinds[] = {{MOTE_TYPE_RIGID, "rigid", 15},    {MOTE_TYPE_KINEMATIC, "kinematic", 7},
             {MOTE_TYPE_FLUID, "fluid", 0},     {MOTE_TYPE_SAND, "sand", 1},
             {MOTE_TYPE_ELASTIC, "elastic", 2}, {MOTE_TYPE_PLASTIC, "plastic", 3}};

typedef struct legend {
  int count;
  int32_t label[MOTE_RENDER_LABELS], type[MOTE_RENDER_LABELS];
} legend;

static int find_entry(legend *l, int32_t label, int32_t type) {
  for (int k = 0; k < l->count; k++)
    if (l->label[k] == label) return k;
  if (l->count == MOTE_RENDER_LABELS) return MOTE_RENDER_LABELS - 1; /* the rest share the last colour */
  l->label[l->count] = label;
  l->type[l->count] = type;
  return l->count++;
}

/* The k-th entry takes its kind's colour when that is free, else the first that is. */
static int choose_color(const legend *l, int k, unsigned *taken) {
  int color = -1;
  for (size_t j = 0; j < sizeof kinds / sizeof *kinds; j++)
    if (kinds[j].type == l->type[k]) color = kinds[j].color;
  for (int j = 0; j < MOTE_RENDER_LABELS && (color < 0 || (*taken >> color & 1)); j++) color = j;
  *taken |= 1u << color;
  return color;
}

static void name_entry(const legend *l, int k, char *name, size_t size) {
  const char *kind = NULL;
  int same = 0, place = 0;
  for (size_t j = 0; j < sizeof kinds / sizeof *kinds; j++)
    if (kinds[j].type == l->type[k]) kind = kinds[j].name;
  for (int j = 0; j < l->count; j++) {
    same += l->type[j] == l->type[k];
    place += j <= k && l->type[j] == l->type[k];
  }
  if (!kind)
    snprintf(name, size, "type %d", (int)l->type[k]);
  else if (same == 1)
    snprintf(name, size, "%s", kind);
  else
    snprintf(name, size, "%s %d", kind, place);
}

/* Reads the field of every source into label[]; fails when one lacks it. */
static mote_status read_all(mote_film *film, const char *field) {
  for (int s = 0; s < film->count; s++) {
    mote_film_source *f = &film->sources[s];
    MOTE_TRY(mote_trajectory_read_labels(f->source.reader, f->source.trajectory, field, f->label));
  }
  return MOTE_OK;
}

/* Replaces the labels by places in the legend. */
static mote_status gather(mote_film *film, legend *l) {
  for (int s = 0; s < film->count; s++) {
    mote_film_source *f = &film->sources[s];
    int32_t *type = malloc((size_t)(f->info.particles + 1) * sizeof *type);
    if (!type)
      return mote_fail(MOTE_ERROR_MEMORY, "out of memory for %lld labels", (long long)f->info.particles);
    mote_status status =
        mote_trajectory_read_labels(f->source.reader, f->source.trajectory, "particle_type", type);
    for (int64_t i = 0; i < f->info.particles && status == MOTE_OK; i++)
      f->label[i] = find_entry(l, f->label[i], type[i]);
    free(type);
    MOTE_TRY(status);
  }
  return MOTE_OK;
}

mote_status mote_film_read_labels(mote_film *film) {
  legend l = {0};
  if (read_all(film, "material") != MOTE_OK) MOTE_TRY(read_all(film, "particle_type"));
  MOTE_TRY(gather(film, &l));
  mote_render_options *o = &film->options.render;
  uint8_t palette[MOTE_RENDER_LABELS][3];
  memcpy(palette, o->label_color, sizeof palette);
  unsigned taken = 0;
  for (int k = 0; k < l.count; k++) {
    memcpy(o->label_color[k], palette[choose_color(&l, k, &taken)], 3);
    if (o->label_count > k && o->label_name[k]) continue; /* the caller's own words */
    name_entry(&l, k, film->names[k], sizeof film->names[k]);
    o->label_name[k] = film->names[k];
  }
  o->label_count = l.count;
  return MOTE_OK;
}
