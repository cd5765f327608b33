/* What a movie of trajectories needs of each of its panels, between the files and the renderer. */
#ifndef MOTE_RENDER_FILM_H
#define MOTE_RENDER_FILM_H

#include <mote/render.h>

#ifdef __cplusplus
extern "C" {
#endif

/* A source with the arrays of its current frame. */
typedef struct mote_film_source {
  mote_render_source source;
  mote_trajectory_info info;
  int has_velocity;
  float radius;
  float *position; /* (n, dim) */
  float *other;    /* (n, dim) velocity, a neighbouring frame, or the truth */
  float *value;    /* (n) */
  int32_t *label;  /* (n) index into the legend */
} mote_film_source;

typedef struct mote_film {
  mote_render_trajectory_options options;
  int count;
  mote_film_source sources[MOTE_RENDER_PANELS];
  char names[MOTE_RENDER_LABELS][32];
  int64_t frames;    /* of the shortest */
  double frame_time; /* s between frames; 0: unknown */
  float speed_max, error_max;
  float error_scale; /* 1, or 1000 for millimetres */
} mote_film;

/* Opens the sources, reads labels, makes the legend, finds the domain and the colour ranges. On failure the
   film is to be closed as well. */
mote_status mote_film_open(mote_film *film, const mote_render_source *sources, int count,
                           const mote_render_trajectory_options *options);
void mote_film_close(mote_film *film);

/* Reads frame `frame` of all sources and describes the panels. */
mote_status mote_film_read(mote_film *film, int64_t frame, mote_render_panel *panels);

/* Labels and legend, from "material" or particle_type (host/render/legend.c). */
mote_status mote_film_read_labels(mote_film *film);

#ifdef __cplusplus
}
#endif
#endif
