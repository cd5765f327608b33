/* Movies through the ffmpeg program. The trick: it reads its frames from a socket and not from a pipe,
   because a write to a socket can be told not to raise SIGPIPE, so the host program's signals are left alone.
 */
#include <mote/render.h>

#include <errno.h>
#include <math.h>
#include <signal.h>
#include <spawn.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>
#include <sys/mman.h>
#include <sys/socket.h>
#include <sys/wait.h>
#include <unistd.h>

#include "host/core/error.h"
#include "host/core/stdio_output.h"

extern char **environ;

struct mote_movie {
  mote_stdio_output output;
  int width, height;
  int socket;     /* our end of ffmpeg's standard input; -1 when closed */
  int complaints; /* a file in memory that is ffmpeg's standard error */
  pid_t child;    /* 0: none */
};

/* What ffmpeg said last, in one line. */
static const char *words_of(const mote_movie *movie, char *text, size_t size) {
  ssize_t length = lseek(movie->complaints, 0, SEEK_END);
  off_t from = length > (ssize_t)size - 1 ? length - ((ssize_t)size - 1) : 0;
  length = pread(movie->complaints, text, size - 1, from);
  text[length > 0 ? length : 0] = 0;
  for (char *c = text; *c; c++)
    if (*c == '\n' || *c == '\r') *c = c[1] ? ' ' : 0;
  return *text ? text : "it said nothing";
}

static int wait_for(mote_movie *movie) {
  int state = 0;
  pid_t got;
  while ((got = waitpid(movie->child, &state, 0)) < 0 && errno == EINTR) continue;
  movie->child = 0;
  return got < 0 ? -1 : state;
}

static int spawn(mote_movie *movie, int input, char *const arguments[]) {
  posix_spawn_file_actions_t actions;
  posix_spawnattr_t attributes;
  int error = posix_spawn_file_actions_init(&actions);
  if (error) return error;
  error = posix_spawnattr_init(&attributes);
  if (error) {
    posix_spawn_file_actions_destroy(&actions);
    return error;
  }
  /* A group of its own: an interrupt from the terminal is for the program, which then ends the movie
   * properly. */
  posix_spawnattr_setflags(&attributes, POSIX_SPAWN_SETPGROUP);
  posix_spawnattr_setpgroup(&attributes, 0);
  posix_spawn_file_actions_adddup2(&actions, input, STDIN_FILENO);
  posix_spawn_file_actions_addopen(&actions, STDOUT_FILENO, "/dev/null", 1, 0);
  posix_spawn_file_actions_adddup2(&actions, movie->complaints, STDERR_FILENO);
  error = posix_spawnp(&movie->child, "ffmpeg", &actions, &attributes, arguments, environ);
  if (error) movie->child = 0;
  posix_spawnattr_destroy(&attributes);
  posix_spawn_file_actions_destroy(&actions);
  return error;
}

#define MAX_ARGUMENTS 64

static void append(char *arguments[], int *count, const char *const *more) {
  for (; *more; more++) arguments[(*count)++] = (char *)*more;
  arguments[*count] = NULL;
}

static mote_status start(mote_movie *movie, double rate, int gif) {
  int ends[2];
  movie->complaints = memfd_create("ffmpeg", MFD_CLOEXEC);
  if (movie->complaints < 0 || socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, ends))
    return mote_fail(MOTE_ERROR_IO, "%s: cannot start ffmpeg: %s", movie->output.output.path,
                     strerror(errno));
  movie->socket = ends[0];
  int room = 1 << 20;
  setsockopt(ends[0], SOL_SOCKET, SO_SNDBUF, &room, sizeof room);
  char size[32], speed[32], file[4096 + 8], *arguments[MAX_ARGUMENTS];
  snprintf(size, sizeof size, "%dx%d", movie->width, movie->height);
  snprintf(speed, sizeof speed, "%d/1000", (int)lround(rate * 1000)); /* no decimal point: locales */
  snprintf(file, sizeof file, "file:%s", movie->output.output.temporary);
  const char *input[] = {"ffmpeg", "-hide_banner", "-loglevel", "error",  "-nostdin", "-y",
                         "-f",     "rawvideo",     "-pix_fmt",  "rgb24",  "-s",       size,
                         "-r",     speed,          "-i",        "pipe:0", "-an",      NULL};
  const char *mp4[] = {"-vf",
                       "scale=out_color_matrix=bt709:out_range=tv",
                       "-c:v",
                       "libx264",
                       "-preset",
                       "fast",
                       "-crf",
                       "20",
                       "-pix_fmt",
                       "yuv420p",
                       "-colorspace",
                       "bt709",
                       "-color_primaries",
                       "bt709",
                       "-color_trc",
                       "bt709",
                       "-color_range",
                       "tv",
                       "-movflags",
                       "+faststart",
                       "-f",
                       "mp4",
                       file,
                       NULL};
  const char *animation[] = {"-filter_complex",
                             "[0:v]split[a][b];[a]palettegen=stats_mode=single[p];[b][p]paletteuse=new=1",
                             "-loop",
                             "0",
                             "-f",
                             "gif",
                             file,
                             NULL};
  int count = 0;
  append(arguments, &count, input);
  append(arguments, &count, gif ? animation : mp4);
  int error = spawn(movie, ends[1], arguments);
  close(ends[1]);
  if (error == ENOENT)
    return mote_fail(
        MOTE_ERROR_UNSUPPORTED,
        "%s: movies need the program ffmpeg, which is not in the PATH: install it, or draw single frames",
        movie->output.output.path);
  if (error)
    return mote_fail(MOTE_ERROR_IO, "%s: cannot start ffmpeg: %s", movie->output.output.path,
                     strerror(error));
  return MOTE_OK;
}

mote_status mote_movie_create(const char *path, int width, int height, double rate, mote_movie **result) {
  *result = NULL;
  const char *ending = strrchr(path, '.');
  int gif = ending && !strcasecmp(ending, ".gif");
  if (!gif && !(ending && !strcasecmp(ending, ".mp4")))
    return mote_fail(MOTE_ERROR_ARGUMENT, "%s: a movie's name must end in .mp4 or .gif", path);
  if (width < 2 || height < 2 || width > 16384 || height > 16384 || width % 2 || height % 2)
    return mote_fail(MOTE_ERROR_ARGUMENT, "%s: movie of %d x %d pixels: both must be even, in 2..16384", path,
                     width, height);
  if (!(rate >= 0.1 && rate <= 1000))
    return mote_fail(MOTE_ERROR_ARGUMENT, "%s: %g frames per second: expected 0.1 to 1000", path, rate);
  if (strlen(path) > 4000) return mote_fail(MOTE_ERROR_ARGUMENT, "the name of the movie is too long");
  mote_movie *movie = calloc(1, sizeof *movie);
  if (!movie) return mote_fail(MOTE_ERROR_MEMORY, "%s: out of memory", path);
  movie->width = width;
  movie->height = height;
  movie->socket = movie->complaints = -1;
  mote_status status = mote_stdio_begin(path, 0, &movie->output);
  if (status == MOTE_OK) status = start(movie, rate, gif);
  if (status != MOTE_OK)
    mote_movie_abort(movie);
  else
    *result = movie;
  return status;
}

mote_status mote_movie_append(mote_movie *movie, const mote_image *image) {
  if (image->width != movie->width || image->height != movie->height)
    return mote_fail(MOTE_ERROR_ARGUMENT, "a frame of %d x %d pixels in a movie of %d x %d", image->width,
                     image->height, movie->width, movie->height);
  const uint8_t *data = image->pixel;
  size_t left = (size_t)image->width * (size_t)image->height * 3;
  while (left) {
    ssize_t sent = send(movie->socket, data, left, MSG_NOSIGNAL);
    if (sent < 0 && errno == EINTR) continue;
    if (sent <= 0) {
      int reason = errno;
      char text[400];
      if (reason != EPIPE && reason != ECONNRESET)
        return mote_fail(MOTE_ERROR_IO, "%s: cannot send a frame to ffmpeg: %s", movie->output.output.path,
                         strerror(reason));
      if (movie->child) wait_for(movie); /* it is dead: its last words are complete after this */
      return mote_fail(MOTE_ERROR_IO, "%s: ffmpeg has ended early: %s", movie->output.output.path,
                       words_of(movie, text, sizeof text));
    }
    data += sent;
    left -= (size_t)sent;
  }
  return MOTE_OK;
}

mote_status mote_movie_finish(mote_movie *movie) {
  close(movie->socket);
  movie->socket = -1;
  int state = movie->child ? wait_for(movie) : -1;
  mote_status status = MOTE_OK;
  char text[400];
  if (state == 0)
    status = mote_stdio_commit(&movie->output);
  else
    status = mote_fail(MOTE_ERROR_IO, "%s: ffmpeg failed: %s", movie->output.output.path,
                       words_of(movie, text, sizeof text));
  mote_movie_abort(movie);
  return status;
}

void mote_movie_abort(mote_movie *movie) {
  if (!movie) return;
  if (movie->socket >= 0) close(movie->socket);
  if (movie->child) {
    kill(movie->child, SIGKILL);
    wait_for(movie);
  }
  if (movie->complaints >= 0) close(movie->complaints);
  mote_stdio_abort(&movie->output);
  free(movie);
}
