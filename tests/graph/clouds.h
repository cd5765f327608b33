/* Clouds of points that are hard on a grid, and the brute force they are judged by. */
#ifndef MOTE_TESTS_GRAPH_CLOUDS_H
#define MOTE_TESTS_GRAPH_CLOUDS_H

#include <cmath>
#include <cstdint>
#include <mote/random.h>
#include <string>
#include <vector>

namespace clouds {

struct Cloud {
  std::string name;
  std::vector<float> x; /* (n, dim) */
  float radius;
};

inline float uniform(uint64_t stream, uint64_t i) {
  return mote_random_uniform(11, stream, i, 0);
}

inline std::vector<float> box(int n, int dim, float low, float high, uint64_t stream) {
  std::vector<float> x(size_t(n) * dim);
  for (size_t i = 0; i < x.size(); i++) x[i] = low + (high - low) * uniform(stream, i);
  return x;
}

inline void append(std::vector<float> &to, const std::vector<float> &more) {
  to.insert(to.end(), more.begin(), more.end());
}

/* Every case of about n points in dim dimensions. */
inline std::vector<Cloud> all(int n, int dim) {
  std::vector<Cloud> c;
  c.push_back({"uniform", box(n, dim, 0, 1, 1), dim == 3 ? 0.2f : 0.12f});
  c.push_back({"uniform, some neighbours have none", box(n, dim, -50, 50, 2), 1.f});
  c.push_back({"one cell, all neighbours", box(n, dim, 0.1f, 0.2f, 3), 1.f});
  c.push_back({"one cell, few neighbours", box(n, dim, 5.01f, 5.99f, 4), 0.98f});
  c.push_back({"negative side of the origin", box(n, dim, -3, 0, 5), 0.4f});

  std::vector<float> duplicates = box(n, dim, 0, 1, 6);
  for (int i = n / 2; i < n; i++)
    for (int a = 0; a < dim; a++) duplicates[size_t(i) * dim + a] = duplicates[size_t(i % 7) * dim + a];
  c.push_back({"duplicates", duplicates, 0.15f});
  c.push_back({"all the same", std::vector<float>(size_t(n) * dim, 0.7f), 0.1f});

  std::vector<float> line(size_t(n) * dim, 0.25f);
  for (int i = 0; i < n; i++) line[size_t(i) * dim] = uniform(7, i) * float(n);
  c.push_back({"a line along x", line, 8.f});
  for (int i = 0; i < n; i++)
    line[size_t(i) * dim] = 0.5f, line[size_t(i) * dim + dim - 1] = uniform(8, i) * float(n);
  c.push_back({"a line along the last axis", line, 3.f});

  std::vector<float> clusters = box(n / 2, dim, 0, 0.05f, 9);
  append(clusters, box(n / 4, dim, 100, 100.1f, 10));
  append(clusters, box(n - n / 2 - n / 4, dim, -1000, 1000, 11));
  c.push_back({"clusters in emptiness", clusters, 0.05f});

  std::vector<float> outliers = box(n - 4, dim, 0, 1, 12);
  for (float far : {1e6f, -1e9f, 3e30f, -3e30f}) append(outliers, std::vector<float>(dim, far));
  c.push_back({"far outliers", outliers, 0.2f});
  std::vector<float> away = outliers;
  for (size_t i = 0; i < away.size(); i++)
    away[i] = away[i] > 1 || away[i] < 0 ? away[i] : 1e8f + 64 * away[i];
  c.push_back({"far from the origin", away, 20.f});

  std::vector<float> lattice(size_t(n) * dim);
  for (int i = 0; i < n; i++)
    for (int a = 0, k = i; a < dim; a++, k /= dim == 3 ? 9 : 27)
      lattice[size_t(i) * dim + a] = 0.1f * float(k % (dim == 3 ? 9 : 27));
  c.push_back({"a lattice, distances equal to the radius", lattice, 0.1f});
  std::vector<float> integers = lattice;
  for (float &v : integers) v = std::round(v * 10);
  c.push_back({"an exact lattice, distances equal to the radius", integers, 2.f});
  c.push_back({"a dense shell and its middle", box(n, dim, -0.5f, 0.5f, 13), 0.45f});
  c.push_back({"none", {}, 1.f});
  c.push_back({"one", std::vector<float>(dim, 0.3f), 1.f});
  return c;
}

/* The predicate, written out a second time. */
inline float distance2(const float *a, const float *b, int dim) {
  float dx = a[0] - b[0], dy = a[1] - b[1], dz = dim == 3 ? a[2] - b[2] : 0.f;
  return std::fmaf(dz, dz, std::fmaf(dy, dy, dx * dx));
}

struct Graph {
  std::vector<int32_t> row_offsets, senders, receivers;
  bool operator==(const Graph &o) const {
    return row_offsets == o.row_offsets && senders == o.senders && receivers == o.receivers;
  }
};

inline Graph brute_force(const std::vector<float> &points, const std::vector<float> &queries, int dim,
                         float radius, bool inclusive, bool exclude_self) {
  Graph g;
  g.row_offsets.push_back(0);
  float radius2 = radius * radius;
  for (size_t q = 0; q < queries.size() / dim; q++) {
    for (size_t p = 0; p < points.size() / dim; p++) {
      float d2 = distance2(&points[p * dim], &queries[q * dim], dim);
      if ((inclusive ? d2 <= radius2 : d2 < radius2) && !(exclude_self && p == q)) {
        g.senders.push_back(int32_t(p));
        g.receivers.push_back(int32_t(q));
      }
    }
    g.row_offsets.push_back(int32_t(g.senders.size()));
  }
  return g;
}

} // namespace clouds
#endif
