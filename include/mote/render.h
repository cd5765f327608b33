/* Pictures and movies of particles, drawn by the CPU: depth-tested, shaded spheres in 3-D, discs in 2-D,
   several panels side by side with titles, legend and colour bars. A renderer takes plain host arrays; the
   last function of this header draws whole trajectories. */
#ifndef MOTE_RENDER_H
#define MOTE_RENDER_H

#include <stdint.h>
#include <mote/log.h>
#include <mote/status.h>
#include <mote/trajectory.h>

#ifdef __cplusplus
extern "C" {
#endif

/* ---- Images ---- */

typedef struct mote_image {
  int width, height;
  uint8_t *pixel; /* (height, width, 3) sRGB, top row first; owned */
} mote_image;

/* A white image. MOTE_ERROR_ARGUMENT unless both sides are in 1..16384. */
mote_status mote_image_create(int width, int height, mote_image *image);
void mote_image_destroy(mote_image *image);

/* Writes a PNG beside its final name and renames it. MOTE_ERROR_IO. */
mote_status mote_image_write_png(const mote_image *image, const char *path);

/* ---- One picture ---- */

#define MOTE_RENDER_PANELS 8
#define MOTE_RENDER_LABELS 16

typedef struct mote_render_options {
  int width, height; /* px of the whole picture; 1280 x 720 */
  int supersample;   /* 1, or 2: each pixel is the mean of four; 2 */
  int threads;       /* 0: as many as OpenMP has; the picture does not depend on it */
  int dim;           /* 2 or 3 */
  int up;            /* axis that points up; 1 */
  double lower[3];   /* the domain, m: what the camera frames */
  double upper[3];
  double azimuth;       /* degrees about the up axis; 30 */
  double elevation;     /* degrees above the floor, -89..89; 18 */
  double field_of_view; /* degrees, vertical, 1..120; 30 */
  double distance; /* of the camera from the domain's centre, m; 0: so that the domain fills the picture */
  int label_count; /* entries of the legend, <= MOTE_RENDER_LABELS */
  const char *label_name[MOTE_RENDER_LABELS]; /* NULL: no entry in the legend */
  uint8_t label_color[MOTE_RENDER_LABELS][3]; /* sRGB; filled with a colour-blind-safe palette by default */
} mote_render_options;

/* The values named above, for a unit cube (square in 2-D) as the domain. */
void mote_render_options_defaults(int dim, mote_render_options *options);

/* What one panel shows. Particles are coloured by `value` through a perceptually uniform map when it is not
   NULL, else by `label` through label_color, else all alike. A value that is not finite is drawn grey. */
typedef struct mote_render_panel {
  const char *title; /* or NULL */
  int64_t count;
  const float *position;      /* (count, dim) m; a particle whose position is not finite is not drawn */
  float radius;               /* m; 0: from the volume the particles fill (mote_render_radius) */
  const int32_t *label;       /* (count), taken modulo label_count (MOTE_RENDER_LABELS when that is 0) */
  const float *value;         /* (count) */
  float value_min, value_max; /* the range of the colour bar; values outside take its end colours */
  const char *value_label;    /* under the colour bar, "speed (m/s)" */
} mote_render_panel;

/* A radius at which `count` particles (count, dim) look like a closed body: about half their spacing,
   estimated from the number of cells that they occupy on a coarse grid. 0 for no particles. */
float mote_render_radius(const float *position, int64_t count, int dim);

typedef struct mote_renderer mote_renderer;

/* MOTE_ERROR_ARGUMENT names the option that is out of its range. */
mote_status mote_renderer_create(const mote_render_options *options, mote_renderer **renderer);
void mote_renderer_destroy(mote_renderer *renderer); /* NULL is allowed */

/* Draws 1..MOTE_RENDER_PANELS panels. `caption` (NULL: none) stands at the bottom left. `image` must be of
   the size in the options. After the first picture of a kind no memory is allocated. The same input gives the
   same bytes whatever the number of threads. */
mote_status mote_renderer_draw(mote_renderer *renderer, const mote_render_panel *panels, int panel_count,
                               const char *caption, mote_image *image);

/* ---- Movies ---- */

typedef struct mote_movie mote_movie;

/* Starts the `ffmpeg` program of the PATH and feeds it frames. The name's ending chooses the format: .mp4
   (H.264, yuv420p, constant rate factor 20, index at the front) or .gif. Width and height must be even. It is
   written beside its final name. MOTE_ERROR_UNSUPPORTED: no ffmpeg; MOTE_ERROR_ARGUMENT: size, rate, ending.
 */
mote_status mote_movie_create(const char *path, int width, int height, double frames_per_second,
                              mote_movie **movie);

/* Appends a frame of the movie's size. MOTE_ERROR_IO with ffmpeg's own words when it has died. */
mote_status mote_movie_append(mote_movie *movie, const mote_image *image);

/* Waits for ffmpeg, renames the file to its final name and frees the movie. On failure nothing lies there. */
mote_status mote_movie_finish(mote_movie *movie);

/* Ends ffmpeg, removes what it wrote and frees the movie; NULL is allowed. */
void mote_movie_abort(mote_movie *movie);

/* ---- Trajectories ---- */

typedef enum mote_color_by {
  MOTE_COLOR_MATERIAL, /* the labels "material" where a trajectory has them, else particle_type */
  MOTE_COLOR_SPEED,    /* m/s, from the field "velocity", else from the difference of frames */
  MOTE_COLOR_ERROR     /* distance to the same particle of `against`, mm or m */
} mote_color_by;

/* One panel of a movie: trajectory `trajectory` of an open file. */
typedef struct mote_render_source {
  mote_trajectory_reader *reader;
  int trajectory;
  const char *title; /* or NULL */
  float radius;      /* m; 0: chosen from its first frame */
  mote_color_by color;
} mote_render_source;

typedef struct mote_render_trajectory_options {
  mote_render_options
      render; /* the domain is taken from `metadata` where that is given, else from the data */
  const mote_metadata *metadata;     /* for bounds, time and gravity's direction; or NULL */
  const mote_render_source *against; /* truth for MOTE_COLOR_ERROR: the same number of particles; or NULL */
  double frames_per_second;          /* 0: 30 */
  int64_t frame;                     /* >= 0: only that one, as a PNG; -1: all of them, as a movie */
  int64_t stride;                    /* every stride-th frame; 0: 1 */
} mote_render_trajectory_options;

void mote_render_trajectory_options_defaults(int dim, mote_render_trajectory_options *options);

/* Draws trajectories, a panel each, to `path` (.mp4, .gif; .png with options->frame). They end with the
   shortest. Colour ranges are found in a first pass over the frames, so that they hold for the whole movie.
   Asked to stop by the monitor, it finishes the movie with the frames it has. */
mote_status mote_render_trajectory(const mote_render_source *sources, int source_count,
                                   const mote_render_trajectory_options *options, const char *path,
                                   const mote_monitor *monitor);

#ifdef __cplusplus
}
#endif
#endif
