/* Reading OBJ and STL, welding, orienting, volumes. */
#include "tests/geometry/shapes.h"
#include "tests/geometry/mutate.h"
#include "tests/support/testing.h"

#include <clocale>
#include <fstream>

#include "host/core/text.h"

using mote_test::Mesh;

namespace {

const double pi = 3.14159265358979;

mote_status parse_obj(const std::string &text, mote_mesh *mesh) {
  return mote_mesh_parse_obj(text.data(), text.size(), "m.obj", mesh);
}

mote_status parse_stl(const std::string &text, mote_mesh *mesh) {
  return mote_mesh_parse_stl(text.data(), text.size(), "m.stl", mesh);
}

std::string binary_stl(const Mesh &mesh, const std::string &header = "solid but binary") {
  std::string data = header;
  data.resize(80, ' ');
  uint32_t n = uint32_t(mesh.triangles.size());
  data.append(reinterpret_cast<char *>(&n), 4);
  for (auto t : mesh.triangles) {
    data.append(12, '\0');
    for (int k : t) data.append(reinterpret_cast<const char *>(mesh.vertices[k].data()), 12);
    data.append(2, '\0');
  }
  return data;
}

std::string ascii_stl(const Mesh &mesh) {
  std::string text = "solid a name of words\n";
  for (auto t : mesh.triangles) {
    text += " facet normal nan 0 0\n  outer loop\n";
    for (int k : t) {
      char line[96];
      std::snprintf(line, sizeof line, "   vertex %.9g %.9g %.9g\r\n", mesh.vertices[k][0],
                    mesh.vertices[k][1], mesh.vertices[k][2]);
      text += line;
    }
    text += "  endloop\n endfacet\n";
  }
  return text + "endsolid a name of words\n";
}

void expect_error(mote_status status, mote_status wanted, const std::string &part) {
  EXPECT_EQ(status, wanted);
  EXPECT_NE(std::string(mote_last_error()).find(part), std::string::npos) << mote_last_error();
}

TEST(Text, NumbersAreExactAndLocaleBlind) {
  std::mt19937_64 random(7);
  setlocale(LC_NUMERIC, "de_DE.UTF-8");
  for (int i = 0; i < 20000; i++) {
    uint64_t bits = random();
    double x, y;
    std::memcpy(&x, &bits, 8);
    if (i % 2) x = double(int64_t(bits) >> 20) * std::pow(10.0, int(random() % 30) - 15);
    if (!std::isfinite(x) || (x != 0 && std::fabs(x) < 1e-300)) continue;
    char text[64];
    setlocale(LC_NUMERIC, "C");
    int length = std::snprintf(text, sizeof text, "%.17g", x);
    ASSERT_EQ(mote_parse_number(text, size_t(length), &y), size_t(length)) << text;
    EXPECT_LE(std::fabs(x - y), std::fabs(x) * 2.3e-16) << text; /* an ulp */
  }
  double value;
  for (const char *bad : {"", "-", ".", "e5", "nan", "inf", "-inf", "1e999", "abc", "+"})
    EXPECT_EQ(mote_parse_number(bad, std::strlen(bad), &value), 0u) << bad;
  EXPECT_EQ(mote_parse_number("12e", 3, &value), 2u);
  EXPECT_EQ(mote_parse_number("1.5x", 4, &value), 3u);
  EXPECT_EQ(value, 1.5);
  EXPECT_EQ(mote_parse_number(".5", 2, &value), 2u);
  EXPECT_EQ(mote_parse_number("12345", 2, &value), 2u) << "must stop at the length";
  EXPECT_EQ(value, 12);
}

TEST(Text, NearMisses) {
  const char *words[] = {"velocity", "position", "angular_velocity", nullptr};
  EXPECT_STREQ(mote_nearest_word("velocty", words), "velocity");
  EXPECT_STREQ(mote_nearest_word("vleocity", words), "velocity");
  EXPECT_EQ(mote_nearest_word("colour", words), nullptr);
}

TEST(Obj, ReadsPolygonsNegativeIndicesAndWhatSurroundsThem) {
  mote_mesh mesh;
  MOTE_ASSERT_OK(
      parse_obj("mtllib a.mtl\no cube\nv 0 0 0 1.0\nv 1 0 0\r\nv 1 1 0 0.5 0.5 0.5 # colour\nv 0 1 0\n"
                "vt 0 0\nvn 0 0 1\ng side\nusemtl red\ns off\nf 1/1/1 2//1 3/1 \\\n 4\nf -4 -3 -2",
                &mesh));
  ASSERT_EQ(mesh.vertex_count, 4);
  ASSERT_EQ(mesh.triangle_count, 3);
  int32_t wanted[9] = {0, 1, 2, 0, 2, 3, 0, 1, 2};
  EXPECT_EQ(0, std::memcmp(mesh.triangles, wanted, sizeof wanted));
  EXPECT_EQ(mesh.vertices[7], 1);
  mote_mesh_destroy(&mesh);
  EXPECT_EQ(mesh.vertices, nullptr);
}

TEST(Obj, RefusesWhatIsWrongWithTheLine) {
  mote_mesh mesh;
  expect_error(parse_obj("v 0 0 0\nv 1 0\n", &mesh), MOTE_ERROR_FORMAT, "m.obj:2: v: expected three");
  expect_error(parse_obj("v 0 0 nan\n", &mesh), MOTE_ERROR_FORMAT, "m.obj:1");
  expect_error(parse_obj("v 0 0 1e40\n", &mesh), MOTE_ERROR_FORMAT, "finite");
  expect_error(parse_obj("v 0 0 1x\n", &mesh), MOTE_ERROR_FORMAT, "m.obj:1");
  expect_error(parse_obj("v 0 0 0\nv 1 0 0\nv 0 1 0\n\nf 1 2 4\n", &mesh), MOTE_ERROR_FORMAT,
               "m.obj:5: f: vertex 4");
  expect_error(parse_obj("v 0 0 0\nv 1 0 0\nv 0 1 0\nf 0 1 2\n", &mesh), MOTE_ERROR_FORMAT, "vertex 0");
  expect_error(parse_obj("v 0 0 0\nf -2 1 1\n", &mesh), MOTE_ERROR_FORMAT, "vertex -2");
  expect_error(parse_obj("v 0 0 0\nf 1 1\n", &mesh), MOTE_ERROR_FORMAT, "three corners");
  expect_error(parse_obj("v 0 0 0\nf 1/ 1 1\n", &mesh), MOTE_ERROR_FORMAT, "corners such as");
  expect_error(parse_obj("v 0 0 0\nf 99999999999999999999 1 1\n", &mesh), MOTE_ERROR_FORMAT, "vertex");
  expect_error(parse_obj("hello\n", &mesh), MOTE_ERROR_FORMAT, "'hello' is no statement");
  expect_error(parse_obj("v 0 0 0\n", &mesh), MOTE_ERROR_FORMAT, "no faces");
  expect_error(parse_obj("", &mesh), MOTE_ERROR_FORMAT, "no faces");
}

TEST(Stl, BothFormsGiveTheSameWeldedMesh) {
  Mesh ball = mote_test::icosphere(2, 1);
  mote_mesh binary, ascii;
  MOTE_ASSERT_OK(parse_stl(binary_stl(ball), &binary)); /* its header begins with "solid" */
  MOTE_ASSERT_OK(parse_stl(ascii_stl(ball), &ascii));
  EXPECT_EQ(binary.triangle_count, int64_t(ball.triangles.size()));
  EXPECT_EQ(binary.vertex_count, int64_t(ball.vertices.size())); /* welded */
  ASSERT_EQ(ascii.vertex_count, binary.vertex_count);
  EXPECT_EQ(0, std::memcmp(binary.vertices, ascii.vertices, 12 * size_t(binary.vertex_count)));
  EXPECT_EQ(0, std::memcmp(binary.triangles, ascii.triangles, 12 * size_t(binary.triangle_count)));
  EXPECT_NEAR(mote_mesh_volume(&ascii), 4 * pi / 3, 0.15); /* a polyhedron of 320 faces */
  mote_mesh_destroy(&binary);
  mote_mesh_destroy(&ascii);
}

TEST(Stl, RefusesDamage) {
  mote_mesh mesh;
  std::string good = binary_stl(mote_test::cube(1), "made by a test");
  expect_error(parse_stl(good.substr(0, good.size() - 1), &mesh), MOTE_ERROR_FORMAT, "promises 12 triangles");
  expect_error(parse_stl(good + "x", &mesh), MOTE_ERROR_FORMAT, "promises 12 triangles");
  expect_error(parse_stl("short", &mesh), MOTE_ERROR_FORMAT, "no STL");
  std::string infinite = good;
  float inf = INFINITY;
  std::memcpy(&infinite[84 + 50 + 12], &inf, 4);
  expect_error(parse_stl(infinite, &mesh), MOTE_ERROR_FORMAT, "triangle 1");
  std::string text = ascii_stl(mote_test::cube(1));
  expect_error(parse_stl(text.substr(0, text.size() / 2), &mesh), MOTE_ERROR_FORMAT, "m.stl:");
  std::string typing = text;
  typing.replace(typing.find("vertex"), 6, "vortex");
  expect_error(parse_stl(typing, &mesh), MOTE_ERROR_FORMAT, "m.stl:4: expected 'vertex', found 'vortex'");
  expect_error(parse_stl("solid\nendsolid\n", &mesh), MOTE_ERROR_FORMAT, "no triangles");
}

TEST(Mesh, VolumeOfClosedMeshes) {
  /* The cube is exact; an inscribed sphere of 20 * 4^5 faces and a torus of 200 x 100 quads fall short by
     less than 0.2 %. */
  struct {
    Mesh mesh;
    double volume, tolerance;
  } cases[] = {{mote_test::cube(2), 8, 1e-6},
               {mote_test::icosphere(5, 1), 4 * pi / 3, 2e-3},
               {mote_test::torus(1, 0.3f, 200, 100), 2 * pi * pi * 0.09, 2e-3}};
  for (auto &c : cases) {
    mote_mesh mesh = c.mesh.make();
    EXPECT_NEAR(mote_mesh_volume(&mesh) / c.volume, 1, c.tolerance);
    mote_mesh_destroy(&mesh);
  }
}

TEST(Mesh, OrientUndoesFlippedFaces) {
  Mesh ball = mote_test::icosphere(3, 1);
  mote_mesh good = ball.make();
  double volume = mote_mesh_volume(&good);
  mote_mesh_destroy(&good);
  std::mt19937 random(3);
  for (int percent : {1, 20, 45, 100}) {
    Mesh flipped = ball;
    for (auto &t : flipped.triangles)
      if (int(random() % 100) < percent) std::swap(t[0], t[1]);
    mote_mesh mesh = flipped.make();
    MOTE_ASSERT_OK(mote_mesh_orient(&mesh));
    EXPECT_NEAR(mote_mesh_volume(&mesh), volume, 1e-6) << percent << " % flipped";
    mote_mesh_destroy(&mesh);
  }
}

TEST(Mesh, OrientLeavesACavityACavity) {
  Mesh shell = mote_test::icosphere(3, 1), inner = mote_test::icosphere(3, 0.5f);
  int first = int(shell.vertices.size());
  shell.vertices.insert(shell.vertices.end(), inner.vertices.begin(), inner.vertices.end());
  for (auto t : inner.triangles) shell.triangles.push_back({first + t[0], first + t[2], first + t[1]});
  mote_mesh mesh = shell.make();
  double before = mote_mesh_volume(&mesh);
  EXPECT_NEAR(before / (4 * pi / 3 * 0.875), 1, 0.03);
  MOTE_ASSERT_OK(mote_mesh_orient(&mesh));
  EXPECT_NEAR(mote_mesh_volume(&mesh), before, 1e-6);
  mote_mesh_destroy(&mesh);
}

TEST(Mesh, LoadsByName) {
  mote_test::TemporaryFolder folder;
  std::ofstream(folder.file("a.OBJ")) << mote_test::cube(1).obj();
  std::ofstream(folder.file("a.stl"), std::ios::binary) << binary_stl(mote_test::cube(1));
  mote_mesh mesh;
  for (const char *name : {"a.OBJ", "a.stl"}) {
    MOTE_ASSERT_OK(mote_mesh_load(folder.file(name).c_str(), &mesh));
    EXPECT_NEAR(mote_mesh_volume(&mesh), 1, 1e-6);
    mote_mesh_destroy(&mesh);
  }
  expect_error(mote_mesh_load(folder.file("none.obj").c_str(), &mesh), MOTE_ERROR_IO, "none.obj");
  expect_error(mote_mesh_load(folder.path.c_str(), &mesh), MOTE_ERROR_UNSUPPORTED, ".obj or .stl");
}

TEST(Fuzz, MeshParsersSurviveMutations) {
  Mesh cube = mote_test::cube(1);
  int good = 0;
  auto check = [&](mote_status status, mote_mesh *mesh) {
    if (status != MOTE_OK) {
      ASSERT_EQ(mesh->vertices, nullptr) << "a failed parse must leave nothing";
      return;
    }
    good++;
    for (int64_t i = 0; i < 3 * mesh->triangle_count; i++) {
      ASSERT_GE(mesh->triangles[i], 0);
      ASSERT_LT(mesh->triangles[i], mesh->vertex_count);
    }
    for (int64_t i = 0; i < 3 * mesh->vertex_count; i++) ASSERT_TRUE(std::isfinite(mesh->vertices[i]));
    MOTE_ASSERT_OK(mote_mesh_orient(mesh));
    mote_mesh_destroy(mesh);
  };
  mote_test::Mutator obj({cube.obj(), "v 0 0 0\nv 1 0 0\nv 0 1 0\nvn 0 0 1\nf 1//1 -2/1/1 3 1\n"},
                         {"f ", "-1", "1e999", "/", "//", "\\\n", "v ", "\n", "4294967297", "#"});
  obj.run(4000, [&](const char *data, size_t size) {
    mote_mesh mesh;
    check(mote_mesh_parse_obj(data, size, "fuzz", &mesh), &mesh);
  });
  EXPECT_GT(good, 100); /* or the mutations would test the first error only */
  good = 0;
  mote_test::Mutator stl(
      {binary_stl(cube), ascii_stl(cube)},
      {"facet", "solid", "endsolid", "vertex", "\xff\xff\xff\xff", "1e39", "endfacet\n", "nan"});
  stl.run(4000, [&](const char *data, size_t size) {
    mote_mesh mesh;
    check(mote_mesh_parse_stl(data, size, "fuzz", &mesh), &mesh);
  });
  EXPECT_GT(good, 100);
}

} // namespace
