/* mote render: trajectories side by side as a movie, or one frame as a picture. */
#include "host/cli/cli.h"

#include <stdlib.h>
#include <string.h>

#include <mote/render.h>

#define MAX_INPUTS 8

typedef struct render_job {
  const char *inputs[MAX_INPUTS];
  int count;
  const char *output, *color, *against, *titles, *size;
  int64_t frame, stride;
  double fps;
} render_job;

static int parse_size(const char *text, int *width, int *height) {
  char rest;
  return sscanf(text, "%dx%d%c", width, height, &rest) == 2 && *width >= 64 && *height >= 64 &&
         *width <= 8192 && *height <= 8192;
}

/* Splits "a,b,c" in place into titles. */
static void split_titles(char *text, mote_render_source *sources, int count) {
  for (int k = 0; k < count && text; k++) {
    char *comma = strchr(text, ',');
    if (comma) *comma++ = 0;
    sources[k].title = text;
    text = comma;
  }
}

static mote_status render(const render_job *job, const mote_render_trajectory_options *given,
                          mote_color_by color, const mote_monitor *monitor) {
  mote_render_source sources[MAX_INPUTS], truth = {0};
  mote_metadata metadata;
  mote_render_trajectory_options o = *given;
  mote_status status = MOTE_OK;
  char *titles = job->titles ? strdup(job->titles) : NULL;
  memset(sources, 0, sizeof sources);
  for (int k = 0; k < job->count && status == MOTE_OK; k++) {
    sources[k].color = color;
    status = mote_trajectory_open(job->inputs[k], &sources[k].reader);
  }
  split_titles(titles, sources, job->count);
  if (status == MOTE_OK && job->against) status = mote_trajectory_open(job->against, &truth.reader);
  if (status == MOTE_OK) {
    mote_trajectory_info info;
    if (mote_trajectory_get_info(sources[0].reader, 0, &info) == MOTE_OK) o.render.dim = info.dim;
    if (mote_trajectory_read_metadata(sources[0].reader, &metadata) == MOTE_OK) o.metadata = &metadata;
    if (job->against) o.against = &truth;
    status = mote_render_trajectory(sources, job->count, &o, job->output, monitor);
  }
  for (int k = 0; k < job->count; k++) mote_trajectory_close(sources[k].reader);
  mote_trajectory_close(truth.reader);
  free(titles);
  return status;
}

int cli_render(int argc, char **argv) {
  render_job job = {.color = "material", .frame = -1, .stride = 1, .fps = 30};
  const cli_option options[] = {
      {"output", 'o', CLI_TEXT, &job.output, "FILE", "movie (.mp4, .gif), or picture (.png) with --frame", 1},
      {"color", 'c', CLI_TEXT, &job.color, "NAME", "material, speed or error (material)", 0},
      {"against", 'a', CLI_TEXT, &job.against, "T.h5", "the truth, for --color error", 0},
      {"titles", 't', CLI_TEXT, &job.titles, "A,B,..", "titles of the panels", 0},
      {"size", 0, CLI_TEXT, &job.size, "WxH", "pixels (1280x720; 1600x480 for several panels)", 0},
      {"frame", 0, CLI_INTEGER, &job.frame, "K", "only this frame, as a picture", 0},
      {"every", 0, CLI_INTEGER, &job.stride, "N", "every Nth frame (1)", 0},
      {"fps", 0, CLI_REAL, &job.fps, "X", "frames a second (30)", 0},
      {0}};
  cli_usage usage = {
      "render", "T.h5 [T2.h5 ...]", "Draws trajectories, one panel each, as a movie or as a picture.", NULL,
      1,        MAX_INPUTS};
  cli_common common;
  int code = cli_parse(&usage, options, &common, argc, argv, job.inputs, &job.count);
  if (code >= 0) return code;
  mote_render_trajectory_options o;
  mote_render_trajectory_options_defaults(3, &o);
  mote_color_by color = MOTE_COLOR_MATERIAL;
  if (!strcmp(job.color, "speed"))
    color = MOTE_COLOR_SPEED;
  else if (!strcmp(job.color, "error"))
    color = MOTE_COLOR_ERROR;
  else if (strcmp(job.color, "material"))
    return cli_complain("render", "--color is '%s': expected material, speed or error", job.color);
  if (color == MOTE_COLOR_ERROR && !job.against)
    return cli_complain("render", "--color error needs --against T.h5");
  if (!job.size) job.size = job.count > 1 ? "1600x480" : "1280x720";
  if (!parse_size(job.size, &o.render.width, &o.render.height))
    return cli_complain("render", "--size is '%s': expected WIDTHxHEIGHT, 64 to 8192 each", job.size);
  if (job.stride < 1 || job.frame < -1 || !(job.fps > 0))
    return cli_complain("render", "--every and --fps must be positive, --frame 0 or more");
  o.frame = job.frame;
  o.stride = job.stride;
  o.frames_per_second = job.fps;
  o.render.threads = (int)common.threads;
  cli_progress progress;
  mote_monitor monitor = cli_monitor(&progress, &common);
  mote_status status = render(&job, &o, color, &monitor);
  cli_progress_end(&progress);
  return status == MOTE_OK ? CLI_OK : cli_fail("render");
}
