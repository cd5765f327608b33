/* Trajectories to a movie, or one frame of them to a picture. */
#include <stdio.h>
#include <string.h>

#include "host/core/error.h"
#include "host/render/film.h"

void mote_render_trajectory_options_defaults(int dim, mote_render_trajectory_options *options) {
  *options = (mote_render_trajectory_options){.frame = -1, .stride = 1, .frames_per_second = 30};
  mote_render_options_defaults(dim, &options->render);
}

static mote_status draw_frame(mote_film *film, mote_renderer *renderer, int64_t frame, mote_image *image) {
  mote_render_panel panels[MOTE_RENDER_PANELS];
  char caption[96];
  MOTE_TRY(mote_film_read(film, frame, panels));
  if (film->frame_time > 0)
    snprintf(caption, sizeof caption, "t = %.3f s   frame %lld of %lld", (double)frame * film->frame_time,
             (long long)frame, (long long)film->frames - 1);
  else
    snprintf(caption, sizeof caption, "frame %lld of %lld", (long long)frame, (long long)film->frames - 1);
  return mote_renderer_draw(renderer, panels, film->count, caption, image);
}

static mote_status draw_movie(mote_film *film, mote_renderer *renderer, mote_image *image, const char *path,
                              const mote_monitor *monitor) {
  int64_t stride = film->options.stride > 0 ? film->options.stride : 1,
          total = (film->frames - 1) / stride + 1;
  double rate = film->options.frames_per_second > 0 ? film->options.frames_per_second : 30;
  mote_movie *movie;
  MOTE_TRY(mote_movie_create(path, image->width, image->height, rate, &movie));
  mote_status status = MOTE_OK;
  for (int64_t k = 0; k < total && status == MOTE_OK; k++) {
    status = draw_frame(film, renderer, k * stride, image);
    if (status == MOTE_OK) status = mote_movie_append(movie, image);
    if (status == MOTE_OK && monitor && monitor->progress &&
        monitor->progress(monitor->user, "render", "frames", k + 1, total))
      break;
  }
  if (status == MOTE_OK) return mote_movie_finish(movie);
  mote_movie_abort(movie);
  return status;
}

static mote_status draw(mote_film *film, const char *path, const mote_monitor *monitor) {
  mote_render_options *o = &film->options.render;
  int still = film->options.frame >= 0;
  if (still && film->options.frame >= film->frames)
    return mote_fail(MOTE_ERROR_ARGUMENT, "frame %lld: the trajectories have frames 0 to %lld",
                     (long long)film->options.frame, (long long)film->frames - 1);
  if (!still) { /* H.264 halves the colours' resolution: sides are even */
    o->width &= ~1;
    o->height &= ~1;
  }
  mote_renderer *renderer;
  mote_image image;
  MOTE_TRY(mote_renderer_create(o, &renderer));
  mote_status status = mote_image_create(o->width, o->height, &image);
  if (status == MOTE_OK) {
    if (still)
      status = draw_frame(film, renderer, film->options.frame, &image);
    else
      status = draw_movie(film, renderer, &image, path, monitor);
    if (still && status == MOTE_OK) status = mote_image_write_png(&image, path);
    mote_image_destroy(&image);
  }
  mote_renderer_destroy(renderer);
  return status;
}

mote_status mote_render_trajectory(const mote_render_source *sources, int source_count,
                                   const mote_render_trajectory_options *options, const char *path,
                                   const mote_monitor *monitor) {
  mote_film film;
  mote_status status = mote_film_open(&film, sources, source_count, options);
  if (status == MOTE_OK) status = draw(&film, path, monitor);
  mote_film_close(&film);
  return status;
}
