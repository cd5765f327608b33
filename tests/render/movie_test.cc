/* Movies: frames counted by ffprobe, and clear errors when ffmpeg is absent or dies. */
#include <mote/render.h>

#include <sys/stat.h>
#include <unistd.h>

#include <cstdlib>
#include <filesystem>
#include <fstream>

#include "tests/support/testing.h"
#include "tests/support/trajectories.h"

namespace {

bool have(const char *program) {
  return system((std::string("command -v ") + program + " >/dev/null").c_str()) == 0;
}
#define REQUIRE_FFMPEG                                                                                       \
  if (!have("ffmpeg") || !have("ffprobe")) GTEST_SKIP() << "ffmpeg and ffprobe are not installed"

int count_frames(const std::string &path) {
  std::string command =
      "ffprobe -v error -count_frames -select_streams v:0 -show_entries stream=nb_read_frames -of "
      "csv=p=0 '" +
      path + "'";
  FILE *pipe = popen(command.c_str(), "r");
  int count = -1;
  if (!pipe || fscanf(pipe, "%d", &count) != 1) count = -1;
  if (pipe) pclose(pipe);
  return count;
}

size_t files_in(const mote_test::TemporaryFolder &folder) {
  size_t count = 0;
  for (auto &entry : std::filesystem::directory_iterator(folder.path)) count += !entry.path().empty();
  return count;
}

struct Image : mote_image {
  Image(int width, int height) { EXPECT_EQ(MOTE_OK, mote_image_create(width, height, this)); }
  ~Image() { mote_image_destroy(this); }
};

/* A PATH that holds only this folder, with a program "ffmpeg" of the given text, for the time of a test. */
class FakePath {
public:
  FakePath(const mote_test::TemporaryFolder &folder, const std::string &script) : before_(getenv("PATH")) {
    if (!script.empty()) {
      std::ofstream(folder.file("ffmpeg")) << script;
      chmod(folder.file("ffmpeg").c_str(), 0755);
    }
    setenv("PATH", folder.path.c_str(), 1);
  }
  ~FakePath() { setenv("PATH", before_.c_str(), 1); }

private:
  std::string before_;
};

TEST(Movie, HasItsFrames) {
  REQUIRE_FFMPEG;
  for (const char *name : {"m.mp4", "m.gif"}) {
    mote_test::TemporaryFolder folder;
    mote_movie *movie = nullptr;
    MOTE_ASSERT_OK(mote_movie_create(folder.file(name).c_str(), 320, 180, 25, &movie));
    Image image(320, 180);
    for (int k = 0; k < 12; k++) {
      for (int i = 0; i < 320 * 180 * 3; i++) image.pixel[i] = uint8_t(i / 3 + 20 * k);
      MOTE_ASSERT_OK(mote_movie_append(movie, &image));
    }
    EXPECT_FALSE(std::filesystem::exists(folder.file(name)));
    MOTE_ASSERT_OK(mote_movie_finish(movie));
    EXPECT_EQ(count_frames(folder.file(name)), 12) << name;
    EXPECT_EQ(files_in(folder), 1u);
  }
}

TEST(Movie, AbortLeavesNothing) {
  REQUIRE_FFMPEG;
  mote_test::TemporaryFolder folder;
  mote_movie *movie = nullptr;
  MOTE_ASSERT_OK(mote_movie_create(folder.file("m.mp4").c_str(), 64, 64, 25, &movie));
  Image image(64, 64);
  MOTE_EXPECT_OK(mote_movie_append(movie, &image));
  mote_movie_abort(movie);
  EXPECT_EQ(files_in(folder), 0u);
  mote_movie_abort(nullptr);
}

TEST(Movie, RefusesWhatItCannotWrite) {
  mote_test::TemporaryFolder folder;
  mote_movie *movie = nullptr;
  EXPECT_EQ(MOTE_ERROR_ARGUMENT, mote_movie_create(folder.file("m.avi").c_str(), 64, 64, 25, &movie));
  EXPECT_EQ(MOTE_ERROR_ARGUMENT, mote_movie_create(folder.file("m.mp4").c_str(), 63, 64, 25, &movie));
  EXPECT_EQ(MOTE_ERROR_ARGUMENT, mote_movie_create(folder.file("m.mp4").c_str(), 64, 64, NAN, &movie));
  EXPECT_EQ(MOTE_ERROR_IO, mote_movie_create("/no/such/folder/m.mp4", 64, 64, 25, &movie));
  EXPECT_EQ(files_in(folder), 0u);
}

TEST(Movie, WithoutFfmpegSaysSo) {
  mote_test::TemporaryFolder folder, programs;
  FakePath path(programs, "");
  mote_movie *movie = nullptr;
  EXPECT_EQ(MOTE_ERROR_UNSUPPORTED, mote_movie_create(folder.file("m.mp4").c_str(), 64, 64, 25, &movie));
  EXPECT_NE(std::string(mote_last_error()).find("ffmpeg"), std::string::npos) << mote_last_error();
  EXPECT_EQ(files_in(folder), 0u);
}

/* It dies at once, so a later frame meets a closed socket: an error with its words, and no SIGPIPE. */
TEST(Movie, PassesOnWhatADyingFfmpegSays) {
  mote_test::TemporaryFolder folder, programs;
  FakePath path(programs, "#!/bin/sh\necho 'Unknown encoder libx264' >&2\nexit 1\n");
  mote_movie *movie = nullptr;
  MOTE_ASSERT_OK(mote_movie_create(folder.file("m.mp4").c_str(), 1280, 720, 25, &movie));
  Image image(1280, 720);
  mote_status status = MOTE_OK;
  for (int k = 0; k < 50 && status == MOTE_OK; k++) status = mote_movie_append(movie, &image);
  EXPECT_EQ(status, MOTE_ERROR_IO);
  EXPECT_NE(std::string(mote_last_error()).find("Unknown encoder"), std::string::npos) << mote_last_error();
  EXPECT_EQ(MOTE_ERROR_IO, mote_movie_finish(movie));
  EXPECT_EQ(files_in(folder), 0u);
}

TEST(Movie, FailureAtTheEndIsAFailure) {
  mote_test::TemporaryFolder folder, programs;
  std::string cat = have("/bin/cat") ? "/bin/cat" : "/usr/bin/cat";
  FakePath path(programs, "#!/bin/sh\n" + cat + " >/dev/null\necho 'No space left on device' >&2\nexit 1\n");
  mote_movie *movie = nullptr;
  MOTE_ASSERT_OK(mote_movie_create(folder.file("m.mp4").c_str(), 64, 64, 25, &movie));
  Image image(64, 64);
  MOTE_EXPECT_OK(mote_movie_append(movie, &image));
  EXPECT_EQ(MOTE_ERROR_IO, mote_movie_finish(movie));
  EXPECT_NE(std::string(mote_last_error()).find("No space left"), std::string::npos) << mote_last_error();
  EXPECT_EQ(files_in(folder), 0u);
}

/* ---- Trajectories ---- */

class RenderTrajectory : public ::testing::Test {
protected:
  void SetUp() override {
    std::vector<int32_t> type(600);
    for (int i = 0; i < 600; i++) type[i] = i % 2 ? 5 : 6;
    auto at = [](int f, int i, int k) {
      float x = float((i * (k == 0 ? 37 : k == 1 ? 91 : 53)) % 601) / 601;
      return 0.2f + 0.5f * x + (k == 1 ? -0.01f * float(f) : 0);
    };
    auto off = [&](int f, int i, int k) { return at(f, i, k) + (k == 0 ? 0.002f * float(f) : 0); };
    mote_test::write_trajectory(folder.file("t.h5"), 5, 600, 3, type, at);
    mote_test::write_trajectory(folder.file("d.h5"), 4, 600, 3, type, off);
    for (const char *name : {"t.h5", "d.h5"}) {
      readers.push_back(nullptr);
      ASSERT_EQ(MOTE_OK, mote_trajectory_open(folder.file(name).c_str(), &readers.back()))
          << mote_last_error();
    }
    mote_render_trajectory_options_defaults(3, &options);
    options.render.width = 321;
    options.render.height = 180;
    truth.reader = readers[0];
    truth.title = "truth";
    other.reader = readers[1];
    other.title = "reconstruction";
  }
  void TearDown() override {
    for (auto *reader : readers) mote_trajectory_close(reader);
  }
  mote_status render(const std::vector<mote_render_source> &sources, const std::string &path) {
    return mote_render_trajectory(sources.data(), int(sources.size()), &options, path.c_str(), nullptr);
  }
  mote_test::TemporaryFolder folder;
  std::vector<mote_trajectory_reader *> readers;
  mote_render_trajectory_options options;
  mote_render_source truth = {}, other = {};
};

TEST_F(RenderTrajectory, MovieEndsWithTheShortest) {
  REQUIRE_FFMPEG;
  mote_render_source speed = truth;
  speed.color = MOTE_COLOR_SPEED;
  MOTE_ASSERT_OK(render({truth, other, speed}, folder.file("m.mp4")));
  EXPECT_EQ(count_frames(folder.file("m.mp4")), 4);
  options.stride = 2;
  MOTE_ASSERT_OK(render({truth}, folder.file("n.mp4")));
  EXPECT_EQ(count_frames(folder.file("n.mp4")), 3);
}

TEST_F(RenderTrajectory, OneFrameIsAPicture) {
  options.frame = 2;
  options.against = &truth;
  other.color = MOTE_COLOR_ERROR;
  MOTE_ASSERT_OK(render({truth, other}, folder.file("p.png")));
  EXPECT_TRUE(std::filesystem::exists(folder.file("p.png")));
  options.frame = 4;
  EXPECT_EQ(MOTE_ERROR_ARGUMENT, render({truth, other}, folder.file("q.png")));
  options.frame = 0;
  options.against = nullptr;
  EXPECT_EQ(MOTE_ERROR_ARGUMENT, render({other}, folder.file("q.png")));
  EXPECT_FALSE(std::filesystem::exists(folder.file("q.png")));
}

} // namespace
