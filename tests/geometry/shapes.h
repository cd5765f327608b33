/* Meshes that the tests build: an icosphere, a cube and a torus with known volumes, and what happens to
 * scans. */
#ifndef MOTE_TESTS_GEOMETRY_SHAPES_H
#define MOTE_TESTS_GEOMETRY_SHAPES_H

#include <array>
#include <cmath>
#include <cstdlib>
#include <cstring>
#include <functional>
#include <map>
#include <string>
#include <vector>

#include <mote/mesh.h>

namespace mote_test {

struct Mesh {
  std::vector<std::array<float, 3>> vertices;
  std::vector<std::array<int, 3>> triangles;

  /* A mote_mesh that the caller destroys. */
  mote_mesh make() const {
    mote_mesh mesh = {};
    mesh.vertex_count = int64_t(vertices.size());
    mesh.triangle_count = int64_t(triangles.size());
    mesh.vertices = static_cast<float *>(std::malloc(vertices.size() * sizeof vertices[0]));
    mesh.triangles = static_cast<int32_t *>(std::malloc(triangles.size() * sizeof triangles[0]));
    std::memcpy(mesh.vertices, vertices.data(), vertices.size() * sizeof vertices[0]);
    std::memcpy(mesh.triangles, triangles.data(), triangles.size() * sizeof triangles[0]);
    return mesh;
  }

  std::string obj() const {
    std::string text = "# made by a test\n";
    char line[128];
    for (const auto &v : vertices) {
      std::snprintf(line, sizeof line, "v %.9g %.9g %.9g\n", v[0], v[1], v[2]);
      text += line;
    }
    for (const auto &t : triangles) {
      std::snprintf(line, sizeof line, "f %d %d %d\n", t[0] + 1, t[1] + 1, t[2] + 1);
      text += line;
    }
    return text;
  }

  void remove(const std::function<bool(const std::array<float, 3> &)> &at_centroid) {
    std::vector<std::array<int, 3>> kept;
    for (const auto &t : triangles) {
      std::array<float, 3> c = {};
      for (int d = 0; d < 3; d++)
        for (int k = 0; k < 3; k++) c[d] += vertices[t[k]][d] / 3;
      if (!at_centroid(c)) kept.push_back(t);
    }
    triangles = kept;
  }
};

inline Mesh icosphere(int levels, float radius) {
  Mesh m;
  const float g = (1 + std::sqrt(5.0f)) / 2;
  m.vertices = {{-1, g, 0},  {1, g, 0},  {-1, -g, 0}, {1, -g, 0}, {0, -1, g},  {0, 1, g},
                {0, -1, -g}, {0, 1, -g}, {g, 0, -1},  {g, 0, 1},  {-g, 0, -1}, {-g, 0, 1}};
  m.triangles = {{0, 11, 5},  {0, 5, 1},  {0, 1, 7},  {0, 7, 10}, {0, 10, 11}, {1, 5, 9}, {5, 11, 4},
                 {11, 10, 2}, {10, 7, 6}, {7, 1, 8},  {3, 9, 4},  {3, 4, 2},   {3, 2, 6}, {3, 6, 8},
                 {3, 8, 9},   {4, 9, 5},  {2, 4, 11}, {6, 2, 10}, {8, 6, 7},   {9, 8, 1}};
  for (int level = 0; level < levels; level++) {
    std::map<std::pair<int, int>, int> middles;
    auto middle = [&](int a, int b) {
      auto [at, is_new] = middles.insert({{std::min(a, b), std::max(a, b)}, int(m.vertices.size())});
      if (is_new) {
        std::array<float, 3> c;
        for (int d = 0; d < 3; d++) c[d] = (m.vertices[a][d] + m.vertices[b][d]) / 2;
        m.vertices.push_back(c);
      }
      return at->second;
    };
    std::vector<std::array<int, 3>> finer;
    for (auto t : m.triangles) {
      int a = middle(t[0], t[1]), b = middle(t[1], t[2]), c = middle(t[2], t[0]);
      finer.push_back({t[0], a, c});
      finer.push_back({t[1], b, a});
      finer.push_back({t[2], c, b});
      finer.push_back({a, b, c});
    }
    m.triangles = finer;
  }
  for (auto &v : m.vertices) {
    float length = std::sqrt(v[0] * v[0] + v[1] * v[1] + v[2] * v[2]);
    for (float &x : v) x *= radius / length;
  }
  return m;
}

inline Mesh cube(float side) {
  Mesh m;
  for (int i = 0; i < 8; i++)
    m.vertices.push_back({side * ((i & 1) - 0.5f), side * ((i >> 1 & 1) - 0.5f), side * ((i >> 2) - 0.5f)});
  m.triangles = {{0, 2, 3}, {0, 3, 1}, {4, 5, 7}, {4, 7, 6}, {0, 1, 5}, {0, 5, 4},
                 {2, 6, 7}, {2, 7, 3}, {0, 4, 6}, {0, 6, 2}, {1, 3, 7}, {1, 7, 5}};
  return m;
}

inline Mesh torus(float radius, float tube, int around, int about) {
  Mesh m;
  const float turn = 6.28318530718f;
  for (int i = 0; i < around; i++)
    for (int j = 0; j < about; j++) {
      float u = turn * i / around, v = turn * j / about, r = radius + tube * std::cos(v);
      m.vertices.push_back({r * std::cos(u), tube * std::sin(v), r * std::sin(u)});
    }
  for (int i = 0; i < around; i++)
    for (int j = 0; j < about; j++) {
      int a = i * about + j, b = (i + 1) % around * about + j;
      int c = i * about + (j + 1) % about, d = (i + 1) % around * about + (j + 1) % about;
      m.triangles.push_back({a, c, b});
      m.triangles.push_back({b, c, d});
    }
  return m;
}

} // namespace mote_test
#endif
