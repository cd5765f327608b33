/* Plots, ticks, text and colours. */
#include "host/render/plot.h"

#include <gtest/gtest.h>

#include <cmath>
#include <cstring>
#include <set>

#include "host/render/canvas.h"
#include "host/render/colormap.h"
#include "tests/support/testing.h"

namespace {

std::vector<double> labelled(const mote_ticks &t) {
  std::vector<double> at;
  for (int k = 0; k < t.count; k++)
    if (t.label[k][0]) at.push_back(t.at[k]);
  return at;
}

/* Pixels of exactly this colour. */
int64_t count_color(const mote_image &image, const uint8_t rgb[3]) {
  int64_t count = 0;
  for (int k = 0; k < image.width * image.height; k++) count += !memcmp(image.pixel + 3 * k, rgb, 3);
  return count;
}

TEST(Ticks, AreRoundAndCoverTheRange) {
  mote_ticks t;
  mote_ticks_linear(0.013, 0.0861, 6, 1, &t);
  EXPECT_EQ(labelled(t), (std::vector<double>{0, 0.02, 0.04, 0.06, 0.08, 0.1}));
  EXPECT_STREQ(t.label[1], "0.02");
  EXPECT_DOUBLE_EQ(t.lower, 0);
  EXPECT_DOUBLE_EQ(t.upper, 0.1);
  mote_ticks_linear(-3, 7, 5, 0, &t);
  EXPECT_EQ(labelled(t), (std::vector<double>{-2, 0, 2, 4, 6}));
  mote_ticks_linear(5, 5, 6, 1, &t);
  EXPECT_LT(t.lower, 5);
  EXPECT_GT(t.upper, 5);
  EXPECT_GE(t.count, 2);
  mote_ticks_linear(2e-7, 9e-7, 5, 1, &t);
  EXPECT_STREQ(t.label[0], "2×10^{−7}");
  mote_ticks_linear(NAN, INFINITY, 5, 1, &t);
  EXPECT_GE(t.count, 2);
}

TEST(Ticks, Logarithmic) {
  mote_ticks t;
  mote_ticks_logarithmic(1e-5, 1e2, 8, &t);
  EXPECT_EQ(labelled(t), (std::vector<double>{1e-5, 1e-4, 1e-3, 1e-2, 1e-1, 1, 10, 100}));
  mote_ticks_logarithmic(1e-30, 1e30, 8, &t);
  EXPECT_GE(labelled(t).size(), 3u);
  EXPECT_LE(labelled(t).size(), 10u);
  mote_ticks_logarithmic(3.1, 3.1, 8, &t);
  EXPECT_GE(labelled(t).size(), 1u);
  mote_ticks_logarithmic(-1, 0, 8, &t);
  EXPECT_GT(t.lower, 0);
}

TEST(Plot, DrawsEachSeriesInItsColor) {
  double x[50], y[50], z[50];
  for (int k = 0; k < 50; k++) x[k] = k, y[k] = std::sin(0.2 * k), z[k] = k % 10 == 5 ? NAN : 0.5;
  mote_plot plot = {};
  plot.title = "title";
  plot.series_count = 2;
  plot.series[0] = {"sine", 50, x, y, 0, 0, -1};
  plot.series[1] = {"gaps", 50, x, z, 0, 1, -1};
  mote_image image;
  MOTE_ASSERT_OK(mote_plot_draw(&plot, &image));
  EXPECT_EQ(image.width, 1200);
  EXPECT_GT(count_color(image, mote_palette[0]), 800);
  EXPECT_GT(count_color(image, mote_palette[1]), 300);
  EXPECT_EQ(count_color(image, mote_palette[2]), 0);
  mote_image_destroy(&image);
}

/* A line that has a gap in the middle leaves the frame empty there. */
TEST(Plot, NaNLeavesAGap) {
  double x[3] = {0, 1, 2}, whole[3] = {1, 1, 1}, broken[3] = {1, NAN, 1};
  mote_plot plot = {};
  plot.series_count = 1;
  mote_image image;
  plot.series[0] = {nullptr, 3, x, whole, 0, 0, 0};
  MOTE_ASSERT_OK(mote_plot_draw(&plot, &image));
  int64_t full = count_color(image, mote_palette[0]);
  mote_image_destroy(&image);
  plot.series[0].y = broken;
  MOTE_ASSERT_OK(mote_plot_draw(&plot, &image));
  EXPECT_GT(full, 1000);
  EXPECT_LT(count_color(image, mote_palette[0]), full / 20);
  mote_image_destroy(&image);
}

TEST(Plot, HoldsForDegenerateInput) {
  double zero[4] = {0, 0, 0, 0}, one[4] = {1, 1, 1, 1}, nan[4] = {NAN, NAN, INFINITY, NAN},
         huge[2] = {-1e300, 1e300};
  const double *columns[] = {zero, one, nan};
  for (const double *x : columns)
    for (const double *y : columns)
      for (int logs = 0; logs < 4; logs++)
        for (int64_t count : {0, 1, 4}) {
          mote_plot plot = {};
          plot.log_x = logs & 1;
          plot.log_y = logs >> 1;
          plot.width = 300;
          plot.height = 200;
          plot.series_count = 1;
          plot.series[0] = {"s", count, x, y, 1, 1, -1};
          mote_image image;
          MOTE_ASSERT_OK(mote_plot_draw(&plot, &image));
          mote_image_destroy(&image);
        }
  mote_plot plot = {};
  plot.series_count = 1;
  plot.series[0] = {"s", 2, huge, huge, 0, 1, -1};
  mote_image image;
  MOTE_ASSERT_OK(mote_plot_draw(&plot, &image));
  mote_image_destroy(&image);
  plot.series_count = MOTE_PLOT_SERIES + 1;
  EXPECT_EQ(MOTE_ERROR_ARGUMENT, mote_plot_draw(&plot, &image));
}

TEST(Font, HasAllOfAsciiAndNoTwoAlike) {
  std::set<std::string> shapes;
  for (char c = 33; c < 127; c++) {
    char text[2] = {c, 0};
    const char *p = text;
    mote_segment segments[MOTE_FONT_SEGMENTS];
    float advance;
    int count = mote_font_glyph(&p, segments, &advance);
    EXPECT_EQ(p, text + 1);
    EXPECT_GT(count, 0) << c;
    EXPECT_LT(count, MOTE_FONT_SEGMENTS) << c;
    for (int k = 0; k < count; k++) {
      EXPECT_GT(segments[k].x0, -2) << c;
      EXPECT_LT(segments[k].x0, advance) << c;
      EXPECT_GE(segments[k].y0, -4.5f) << c;
      EXPECT_LE(segments[k].y0, 16) << c;
    }
    shapes.insert(std::string(reinterpret_cast<char *>(segments), sizeof(mote_segment) * count));
  }
  EXPECT_EQ(shapes.size(), 94u);
  EXPECT_GT(mote_text_width("mm", 20), mote_text_width("ii", 20));
  EXPECT_GT(mote_text_width("\xff\xc3", 20), 0); /* not UTF-8: boxes, and it ends */
}

/* Luminance rises all along the map, so it survives print in black and white. */
TEST(Colormap, LightnessRises) {
  double before = -1;
  for (int k = 0; k <= 255; k++) {
    uint8_t c[3];
    mote_colormap(float(k) / 255, c);
    double luminance = 0.2126 * std::pow(c[0] / 255.0, 2.2) + 0.7152 * std::pow(c[1] / 255.0, 2.2) +
                       0.0722 * std::pow(c[2] / 255.0, 2.2);
    EXPECT_GT(luminance, before - 1e-3) << k; /* 8-bit rounding */
    before = std::max(before, luminance);
  }
  EXPECT_GT(before, 0.6);
}

} // namespace
