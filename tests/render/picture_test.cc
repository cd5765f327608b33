/* Pictures: what hides what, same bytes on any number of threads, sizes, refusals. */
#include <mote/random.h>
#include <mote/render.h>

#include <png.h>

#include <algorithm>
#include <cstring>

#include "tests/support/testing.h"

namespace {

struct Picture {
  explicit Picture(const mote_render_options &options) {
    EXPECT_EQ(MOTE_OK, mote_renderer_create(&options, &renderer)) << mote_last_error();
    EXPECT_EQ(MOTE_OK, mote_image_create(options.width, options.height, &image)) << mote_last_error();
  }
  ~Picture() {
    mote_renderer_destroy(renderer);
    mote_image_destroy(&image);
  }
  mote_status draw(const std::vector<mote_render_panel> &panels, const char *caption = nullptr) {
    return mote_renderer_draw(renderer, panels.data(), int(panels.size()), caption, &image);
  }
  std::vector<uint8_t> bytes() const {
    return {image.pixel, image.pixel + size_t(image.width) * image.height * 3};
  }
  const uint8_t *at(int x, int y) const { return image.pixel + (size_t(y) * image.width + x) * 3; }
  mote_renderer *renderer = nullptr;
  mote_image image = {};
};

mote_render_options small(int dim, int threads = 2) {
  mote_render_options o;
  mote_render_options_defaults(dim, &o);
  o.width = 320;
  o.height = 240;
  o.threads = threads;
  return o;
}

std::vector<float> ball(int n, int dim = 3) {
  std::vector<float> x(n * dim);
  for (int i = 0; i < n * dim; i++) x[i] = 0.2f + 0.6f * mote_random_uniform(3, 1, i, 0);
  return x;
}

mote_render_panel panel_of(const std::vector<float> &x, int dim = 3) {
  mote_render_panel p = {};
  p.count = int64_t(x.size()) / dim;
  p.position = x.data();
  return p;
}

bool reddish(const uint8_t *c) {
  return c[0] > c[2] + 40;
}
bool bluish(const uint8_t *c) {
  return c[2] > c[0] + 40;
}

/* Two spheres on the line of sight through the middle; the camera looks along -z. */
TEST(Picture, NearerSphereHidesTheFarther) {
  mote_render_options o = small(3);
  o.azimuth = o.elevation = 0;
  const uint8_t colors[2][3] = {{220, 30, 30}, {30, 30, 220}};
  memcpy(o.label_color, colors, sizeof colors);
  o.label_count = 2;
  std::vector<float> near_first = {0.5f, 0.5f, 0.8f, 0.5f, 0.5f, 0.2f},
                     far_first = {0.5f, 0.5f, 0.2f, 0.5f, 0.5f, 0.8f};
  const int32_t red_blue[2] = {0, 1}, blue_red[2] = {1, 0};
  Picture picture(o);
  mote_render_panel p = panel_of(near_first);
  p.radius = 0.1f;
  p.label = red_blue;
  MOTE_ASSERT_OK(picture.draw({p}));
  EXPECT_TRUE(reddish(picture.at(160, 120)));
  std::vector<uint8_t> first = picture.bytes();
  p.position = far_first.data();
  p.label = blue_red;
  MOTE_ASSERT_OK(picture.draw({p}));
  EXPECT_EQ(first, picture.bytes()); /* the order in the array does not show */
  p.label = red_blue;                /* now the near one is blue */
  MOTE_ASSERT_OK(picture.draw({p}));
  EXPECT_TRUE(bluish(picture.at(160, 120)));
}

/* Spheres that cross: each is seen where its own surface is nearer. */
TEST(Picture, CrossingSpheresShareThePixels) {
  mote_render_options o = small(3);
  o.azimuth = o.elevation = 0;
  const uint8_t colors[2][3] = {{220, 30, 30}, {30, 30, 220}};
  memcpy(o.label_color, colors, sizeof colors);
  std::vector<float> x = {0.45f, 0.5f, 0.5f, 0.55f, 0.5f, 0.5f};
  const int32_t label[2] = {0, 1};
  Picture picture(o);
  mote_render_panel p = panel_of(x);
  p.radius = 0.2f;
  p.label = label;
  MOTE_ASSERT_OK(picture.draw({p}));
  EXPECT_TRUE(reddish(picture.at(150, 120)));
  EXPECT_TRUE(bluish(picture.at(170, 120)));
}

TEST(Picture, SameBytesOnAnyNumberOfThreads) {
  for (int dim : {2, 3})
    for (int supersample : {1, 2}) {
      std::vector<float> x = ball(20000, dim), value(20000);
      for (int i = 0; i < 20000; i++) value[i] = x[i * dim];
      std::vector<std::vector<uint8_t>> pictures;
      for (int threads : {1, 2, 3}) {
        mote_render_options o = small(dim, threads);
        o.supersample = supersample;
        Picture picture(o);
        mote_render_panel p = panel_of(x, dim), q = p;
        q.value = value.data();
        q.value_max = 1;
        p.title = "truth";
        MOTE_ASSERT_OK(picture.draw({p, q}, "frame 1"));
        pictures.push_back(picture.bytes());
        MOTE_ASSERT_OK(picture.draw({p, q}, "frame 1"));
        EXPECT_EQ(pictures.back(), picture.bytes());
      }
      EXPECT_EQ(pictures[0], pictures[1]);
      EXPECT_EQ(pictures[0], pictures[2]);
    }
}

/* A filled cube covers about what its projection covers, in both dimensions; without particles nothing has
 * colour. */
TEST(Picture, ShowsWhatThereIs) {
  for (int dim : {2, 3}) {
    Picture picture(small(dim));
    auto colored = [&] {
      int count = 0;
      for (int k = 0; k < 320 * 240; k++) count += bluish(picture.image.pixel + 3 * k);
      return count;
    };
    std::vector<float> x = ball(20000, dim), none;
    mote_render_panel p = panel_of(none, dim);
    MOTE_ASSERT_OK(picture.draw({p}));
    EXPECT_EQ(colored(), 0);
    p = panel_of(x, dim);
    MOTE_ASSERT_OK(picture.draw({p}));
    EXPECT_GT(colored(), 320 * 240 / 10);
    EXPECT_LT(colored(), 320 * 240 / 2);
  }
}

TEST(Picture, ParticlesThatAreNotFiniteAreLeftOut) {
  std::vector<float> x = ball(1000), y = x;
  for (float v : {NAN, INFINITY, -INFINITY, 1e30f}) y.insert(y.end(), {0.5f, v, 0.5f});
  mote_render_options o = small(3);
  Picture picture(o);
  mote_render_panel p = panel_of(x);
  p.radius = 0.01f;
  MOTE_ASSERT_OK(picture.draw({p}));
  std::vector<uint8_t> clean = picture.bytes();
  p.position = y.data();
  p.count = 1003; /* without the last, which is finite and merely far away */
  MOTE_ASSERT_OK(picture.draw({p}));
  EXPECT_EQ(clean, picture.bytes());
  p.count = 1004;
  MOTE_ASSERT_OK(picture.draw({p}));
}

/* A grid of spacing h wants a radius near h/2 whatever its number of points. */
TEST(Picture, RadiusFollowsTheSpacing) {
  for (int side : {5, 12, 30}) {
    std::vector<float> x;
    for (int i = 0; i < side * side * side; i++)
      for (int c : {i % side, i / side % side, i / side / side}) x.push_back(0.02f * float(c));
    float radius = mote_render_radius(x.data(), side * side * side, 3);
    EXPECT_GT(radius, 0.006f) << side;
    EXPECT_LT(radius, 0.018f) << side;
  }
  EXPECT_EQ(mote_render_radius(nullptr, 0, 3), 0);
  std::vector<float> same(300, 0.5f);
  EXPECT_GE(mote_render_radius(same.data(), 100, 3), 0);
}

TEST(Picture, PngDecodesToItsSize) {
  mote_test::TemporaryFolder folder;
  Picture picture(small(3));
  std::vector<float> x = ball(500);
  MOTE_ASSERT_OK(picture.draw({panel_of(x)}));
  std::string path = folder.file("p.png");
  MOTE_ASSERT_OK(mote_image_write_png(&picture.image, path.c_str()));
  png_image png = {};
  png.version = PNG_IMAGE_VERSION;
  ASSERT_TRUE(png_image_begin_read_from_file(&png, path.c_str())) << png.message;
  EXPECT_EQ(png.width, 320u);
  EXPECT_EQ(png.height, 240u);
  png.format = PNG_FORMAT_RGB;
  std::vector<uint8_t> decoded(PNG_IMAGE_SIZE(png));
  ASSERT_TRUE(png_image_finish_read(&png, nullptr, decoded.data(), 0, nullptr)) << png.message;
  EXPECT_EQ(decoded, picture.bytes());
  EXPECT_EQ(MOTE_ERROR_IO, mote_image_write_png(&picture.image, (folder.path + "/none/p.png").c_str()));
}

TEST(Picture, RefusesWhatIsOutOfRange) {
  auto refused = [](auto change) {
    mote_render_options o = small(3);
    change(o);
    mote_renderer *r = nullptr;
    mote_status status = mote_renderer_create(&o, &r);
    EXPECT_EQ(r, nullptr);
    return status == MOTE_ERROR_ARGUMENT;
  };
  EXPECT_TRUE(refused([](auto &o) { o.width = 10; }));
  EXPECT_TRUE(refused([](auto &o) { o.supersample = 3; }));
  EXPECT_TRUE(refused([](auto &o) { o.dim = 4; }));
  EXPECT_TRUE(refused([](auto &o) { o.elevation = 90; }));
  EXPECT_TRUE(refused([](auto &o) { o.field_of_view = 0; }));
  EXPECT_TRUE(refused([](auto &o) { o.upper[1] = o.lower[1]; }));
  EXPECT_TRUE(refused([](auto &o) { o.label_count = 99; }));
  Picture picture(small(3));
  EXPECT_EQ(MOTE_ERROR_ARGUMENT, picture.draw({}));
  EXPECT_EQ(MOTE_ERROR_ARGUMENT, picture.draw(std::vector<mote_render_panel>(MOTE_RENDER_PANELS + 1)));
  std::vector<float> x = ball(10);
  mote_render_panel p = panel_of(x);
  p.radius = -1;
  EXPECT_EQ(MOTE_ERROR_ARGUMENT, picture.draw({p}));
}

} // namespace
