/* PLY point clouds: three encodings, Gaussians, what is passed over and what is refused. */
#include "tests/geometry/mutate.h"
#include "tests/support/testing.h"

#include <cstring>
#include <fstream>

#include <mote/point_cloud.h>

namespace {

mote_status parse(const std::string &text, mote_point_cloud *cloud) {
  return mote_point_cloud_parse_ply(text.data(), text.size(), "c.ply", cloud);
}

void expect_error(const std::string &text, const std::string &part) {
  mote_point_cloud cloud;
  EXPECT_EQ(parse(text, &cloud), MOTE_ERROR_FORMAT) << text;
  EXPECT_NE(std::string(mote_last_error()).find(part), std::string::npos) << mote_last_error();
  EXPECT_EQ(cloud.position, nullptr);
}

template <typename T> void put(std::string &data, T value, bool big) {
  char bytes[sizeof(T)];
  std::memcpy(bytes, &value, sizeof value);
  if (big) std::reverse(bytes, bytes + sizeof value);
  data.append(bytes, sizeof value);
}

const std::string header_tail = "element before 2\nproperty list uchar int16 things\nproperty uint32 n\n"
                                "comment a comment of many words that are all passed over, all of them\n"
                                "element vertex 3\nproperty uchar red\nproperty double x\nproperty float y\n"
                                "property list ushort double more\nproperty float32 z\nproperty int16 last\n"
                                "element face 1\nproperty list uchar int vertex_indices\nend_header\n";

std::string binary_cloud(bool big) {
  std::string data =
      std::string("ply\nformat binary_") + (big ? "big" : "little") + "_endian 1.0\n" + header_tail;
  for (int row = 0; row < 2; row++) {
    put<uint8_t>(data, uint8_t(row + 1), big);
    for (int i = 0; i <= row; i++) put<int16_t>(data, -7, big);
    put<uint32_t>(data, 4000000000u, big);
  }
  for (int row = 0; row < 3; row++) {
    put<uint8_t>(data, 255, big);
    put<double>(data, row + 0.5, big);
    put<float>(data, -1.0f * row, big);
    put<uint16_t>(data, uint16_t(row), big);
    for (int i = 0; i < row; i++) put<double>(data, 1e300, big);
    put<float>(data, 10.0f * row, big);
    put<int16_t>(data, -1, big);
  }
  return data + std::string("\3abcdabcdabcd");
}

const std::string ascii_cloud = "ply\r\nformat ascii 1.0\r\n" + header_tail +
                                "1 -7 4000000000\n2 -7 -7 1\n255 0.5 0 0 0 -1\n255 1.5 -1 1 nan 10 -1\n"
                                "255 2.5 -2 2 1 2 20 -1\n3 0 1 2\n";

TEST(Ply, ThreeEncodingsGiveTheSamePoints) {
  for (const std::string &text : {ascii_cloud, binary_cloud(false), binary_cloud(true)}) {
    mote_point_cloud cloud;
    MOTE_ASSERT_OK(parse(text, &cloud));
    ASSERT_EQ(cloud.count, 3);
    for (int i = 0; i < 3; i++) {
      EXPECT_EQ(cloud.position[3 * i], i + 0.5f);
      EXPECT_EQ(cloud.position[3 * i + 1], -1.0f * i);
      EXPECT_EQ(cloud.position[3 * i + 2], 10.0f * i);
    }
    EXPECT_EQ(cloud.opacity, nullptr);
    mote_point_cloud_destroy(&cloud);
  }
}

TEST(Ply, GaussiansHaveOpacitiesFromLogits) {
  const std::string properties = "element vertex 2\nproperty float x\nproperty float y\nproperty float z\n"
                                 "property float opacity\n";
  mote_point_cloud cloud;
  MOTE_ASSERT_OK(
      parse("ply\nformat ascii 1.0\n" + properties +
                "property float scale_0\nproperty float rot_0\nend_header\n0 0 0 0 1 1\n1 1 1 -2 1 1\n",
            &cloud));
  ASSERT_NE(cloud.opacity, nullptr);
  EXPECT_NEAR(cloud.opacity[0], 0.5, 1e-6);
  EXPECT_NEAR(cloud.opacity[1], 1 / (1 + std::exp(2.0)), 1e-6);
  mote_point_cloud_destroy(&cloud);
  MOTE_ASSERT_OK(
      parse("ply\nformat ascii 1.0\n" + properties + "end_header\n0 0 0 0.25\n1 1 1 0.75\n", &cloud));
  EXPECT_EQ(cloud.opacity[1], 0.75f); /* not a file of Gaussians: as it is */
  mote_point_cloud_destroy(&cloud);
}

TEST(Ply, RefusesHostileHeadersAndDamage) {
  const std::string start = "ply\nformat binary_little_endian 1.0\n";
  const std::string xyz = "property float x\nproperty float y\nproperty float z\n";
  expect_error("", "header does not end");
  expect_error("plx\n", "not a PLY file");
  expect_error("ply\nformat ascii 2.0\nend_header\n", "c.ply:2: expected 'format");
  expect_error("ply\nelement vertex 1\n" + xyz + "end_header\n0 0 0\n", "lacks 'format'");
  expect_error(start + "element vertex 1000000000\n", "more than 2^28 rows");
  expect_error(start + "element vertex -1\n", "expected 'element");
  expect_error(start + "element vertex 200000000\n" + xyz + "end_header\nabc", "promises 200000000 rows");
  expect_error(start + "element vertex 1\nproperty float x\nproperty float y\nend_header\n12345678",
               "lacks x, y or z");
  expect_error(start + "element vertex 1\n" + xyz + "property float x\nend_header\n", "appears twice");
  expect_error(start + "element vertex 1\nproperty list uchar float x\n", "single values");
  expect_error(start + "element vertex 1\nproperty list float float a\n", "INTEGER_TYPE");
  expect_error(start + "element vertex 1\nproperty quad x\n", "expected 'property TYPE");
  expect_error(start + "property float x\n", "before any element");
  expect_error(start + "element face 1\nelement face 2\nend_header\n", "no points");
  expect_error(start + "element vertex 0\n" + xyz + "end_header\n", "no points");
  expect_error(start + "element vertex 1\nelement vertex 1\n", "second element");
  expect_error(start + "element vertex 1\n" + xyz + "nonsense\n", "expected format, element");
  std::string many = start;
  for (int i = 0; i < 17; i++) many += "element e 1\n";
  expect_error(many, "more than 16 elements");
  expect_error(start + "comment " + std::string(5000, 'x') + "\n", "4096");
  std::string good = binary_cloud(false);
  expect_error(good.substr(0, good.size() - 40), "c.ply: ");
  std::string long_list =
      start + "element e 1\nproperty list uint double l\nelement vertex 1\n" + xyz + "end_header\n";
  expect_error(long_list + std::string("\xff\xff\xff\x0f", 4) + std::string(40, 'x'), "ends in a list");
  expect_error("ply\nformat ascii 1.0\nelement vertex 1\n" + xyz + "end_header\n0 0 nan\n",
               "no finite number");
  expect_error("ply\nformat ascii 1.0\nelement vertex 2\n" + xyz + "end_header\n0 0 0 0\n", "c.ply:");
}

TEST(Ply, SurvivesMutations) {
  int good = 0;
  mote_test::Mutator mutator({ascii_cloud, binary_cloud(false), binary_cloud(true)},
                             {"property float x\n", "element vertex 3\n", "list ", "uchar ", "end_header\n",
                              "99999999", "\xff\xff\xff\xff", "nan", "\n", "double "});
  mutator.run(8000, [&](const char *data, size_t size) {
    mote_point_cloud cloud;
    if (mote_point_cloud_parse_ply(data, size, "fuzz", &cloud) != MOTE_OK) {
      ASSERT_EQ(cloud.position, nullptr);
      return;
    }
    good++;
    for (int64_t i = 0; i < 3 * cloud.count; i++) ASSERT_TRUE(std::isfinite(cloud.position[i]));
    mote_point_cloud_destroy(&cloud);
  });
  EXPECT_GT(good, 200);
}

} // namespace
