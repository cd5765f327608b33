/* Time-steppers in float64: see reference.h. */
#include "tests/models/reference.h"

#include <algorithm>
#include <cmath>
#include <functional>
#include <stdexcept>

namespace mote_test {

namespace {

using Row = std::vector<double>;
using Rows = std::vector<Row>;

Row joined(std::initializer_list<Row> parts) {
  Row all;
  for (const Row &part : parts) all.insert(all.end(), part.begin(), part.end());
  return all;
}
Row operator+(const Row &a, const Row &b) {
  Row sum = a;
  for (size_t c = 0; c < a.size(); c++) sum[c] += b.at(c);
  return sum;
}
Row operator*(double s, const Row &a) {
  Row product = a;
  for (double &x : product) x *= s;
  return product;
}
Row times(const Row &a, const Row &b) {
  Row product = a;
  for (size_t c = 0; c < a.size(); c++) product[c] *= b.at(c);
  return product;
}
Row relu(Row x) {
  for (double &v : x) v = std::max(v, 0.0);
  return x;
}
Row gelu(Row x) {
  for (double &v : x) v = 0.5 * v * std::erfc(-v / std::sqrt(2.0));
  return x;
}
Row softmax(Row x) {
  double most = *std::max_element(x.begin(), x.end()), sum = 0;
  for (double &v : x) sum += v = std::exp(v - most);
  return (1 / sum) * x;
}
double distance(const Row &a, const Row &b) {
  double square = 0;
  for (size_t k = 0; k < a.size(); k++) square += (a[k] - b[k]) * (a[k] - b[k]);
  return std::sqrt(square);
}

/* ---- layers by their names ---- */

class Layers {
public:
  explicit Layers(const Checkpoint &checkpoint) : c(checkpoint) {}

protected:
  const Checkpoint &c;

  const Weights &tensor(const std::string &name) const {
    auto found = c.tensors.find(name);
    if (found == c.tensors.end()) throw std::runtime_error("the reference lacks " + name);
    return found->second;
  }
  bool has(const std::string &name) const { return c.tensors.count(name) > 0; }

  Row linear(const std::string &name, const Row &x) const {
    const Weights &w = tensor(name + ".weight"), &b = tensor(name + ".bias");
    Row y(b.value.begin(), b.value.end());
    if (w.value.size() != y.size() * x.size()) throw std::runtime_error(name + " is of another shape");
    for (size_t o = 0; o < y.size(); o++)
      for (size_t k = 0; k < x.size(); k++) y[o] += double(w.value[o * x.size() + k]) * x[k];
    return y;
  }
  Row norm(const std::string &name, const Row &x) const {
    const Weights &w = tensor(name + ".weight"), &b = tensor(name + ".bias");
    double mean = 0, variance = 0;
    for (double v : x) mean += v / double(x.size());
    for (double v : x) variance += (v - mean) * (v - mean) / double(x.size());
    Row y(x.size());
    for (size_t k = 0; k < x.size(); k++)
      y[k] = (x[k] - mean) / std::sqrt(variance + 1e-5) * w.value.at(k) + b.value.at(k);
    return y;
  }
  /* Linear-ReLU-...-Linear, then LayerNorm where there is one. */
  Row mlp(const std::string &name, Row x) const {
    std::vector<std::string> linears;
    std::string last;
    if (!c.gns) {
      linears = {name + ".layers.0", name + ".layers.2", name + ".layers.4"};
      last = name + ".layers.5";
    } else {
      std::string stem = has(name + ".NN-0.weight") ? name + ".NN-" : name + ".0.NN-";
      for (int l = 0; has(stem + std::to_string(l) + ".weight"); l++)
        linears.push_back(stem + std::to_string(l));
      last = name + ".1";
    }
    for (size_t l = 0; l < linears.size(); l++) x = l ? linear(linears[l], relu(x)) : linear(linears[l], x);
    return has(last + ".weight") ? norm(last, x) : x;
  }
  /* Linear-GELU-...-Linear over PREFIX0, PREFIX1, ... */
  Row chain(const std::string &prefix, Row x) const {
    for (int l = 0; has(prefix + std::to_string(l) + ".weight"); l++)
      x = linear(prefix + std::to_string(l), l ? gelu(x) : x);
    return x;
  }
  Row residual_mlp(const std::string &name, Row x) const {
    x = gelu(linear(name + ".linear_pre", x));
    for (int l = 0; has(name + ".linears." + std::to_string(l) + ".weight"); l++)
      x = gelu(linear(name + ".linears." + std::to_string(l), x)) + x;
    return linear(name + ".linear_post", x);
  }
};

/* ---- GIOROM's middle ---- */

class Latent : Layers {
public:
  explicit Latent(const Checkpoint &checkpoint) : Layers(checkpoint) {
    int points = int(std::lround(std::pow(c.grid, c.dim)));
    for (int k = 0; k < points; k++) {
      Row q;
      for (int a = 0, rest = k; a < c.dim; a++, rest /= c.grid)
        q.push_back(c.limits[a][0] + (c.limits[a][1] - c.limits[a][0]) * (rest % c.grid) / (c.grid - 1));
      grid_.push_back(q);
    }
  }

  Rows run(const Rows &x, const Rows &h) const {
    Rows points, seen, f;
    for (const Row &q : grid_) {
      int senders = 0;
      Row mean = way_in(x, h, q, &senders);
      if (c.occupied && !senders) continue;
      points.push_back(q);
      seen.push_back(mean);
    }
    transform(points, seen, f);
    Rows out;
    for (size_t i = 0; i < x.size(); i++)
      out.push_back(h[i] + chain("projection.fcs.", way_back(points, f, x[i])));
    return out;
  }

private:
  Rows grid_;

  Row pair(const Row &from, const Row &to) const {
    Row all = (1 / c.gno_radius) * (from + -1 * to);
    all.push_back(distance(from, to) / c.gno_radius);
    return all;
  }

  Row way_in(const Rows &x, const Rows &h, const Row &q, int *senders) const {
    Row sum(size_t(c.kernel_in.back()), 0.0);
    for (size_t y = 0; y < x.size(); y++) {
      if (distance(x[y], q) > c.gno_radius) continue;
      sum = sum + chain("gno_in.mlp.fcs.", joined({c.pair_in ? pair(x[y], q) : x[y], h[y]}));
      ++*senders;
    }
    return *senders ? (1.0 / *senders) * sum : sum;
  }

  Row way_back(const Rows &points, const Rows &f, const Row &x) const {
    Row sum(size_t(c.kernel_out.back()), 0.0);
    int senders = 0;
    for (size_t k = 0; k < points.size(); k++) {
      if (distance(points[k], x) > c.gno_radius) continue;
      sum = sum + times(chain("gno_out.mlp.fcs.", c.pair_out ? pair(points[k], x) : points[k]), f[k]);
      senders++;
    }
    return senders ? (1.0 / senders) * sum : sum;
  }

  /* The head's part of a row, softmaxed. */
  Row head(const Row &x, int k) const {
    size_t width = x.size() / size_t(c.heads), first = size_t(k) * width;
    return softmax(Row(x.begin() + long(first), x.begin() + long(first + width)));
  }

  /* What attention adds to each row of x. */
  Rows attention(const std::string &name, const char *key, const char *value, const Rows &query,
                 const Rows &context) const {
    size_t width = size_t(c.transformer), d = width / size_t(c.heads);
    Rows product(width, Row(d, 0.0)), out;
    Row sum(width, 0.0);
    for (const Row &z : context) {
      Row k = linear(name + key, z), v = linear(name + value, z);
      for (int n = 0; n < c.heads; n++) {
        Row soft = head(k, n);
        for (size_t a = 0; a < d; a++) {
          sum[size_t(n) * d + a] += soft[a];
          for (size_t b = 0; b < d; b++) product[size_t(n) * d + a][b] += soft[a] * v[size_t(n) * d + b];
        }
      }
    }
    for (const Row &x : query) {
      Row q = linear(name + ".query", x), all;
      for (int n = 0; n < c.heads; n++) {
        Row soft = head(q, n), mixed(d, 0.0);
        double scale = 0;
        for (size_t a = 0; a < d; a++) {
          scale += soft[a] * sum[size_t(n) * d + a];
          for (size_t b = 0; b < d; b++) mixed[b] += soft[a] * product[size_t(n) * d + a][b];
        }
        all = joined({all, soft + (1 / scale) * mixed});
      }
      out.push_back(linear(name + ".proj", all));
    }
    return out;
  }

  Rows normed(const std::string &name, const Rows &x) const {
    Rows all;
    for (const Row &row : x) all.push_back(norm(name, row));
    return all;
  }

  Row experts(const std::string &name, const Row &gate, const Row &x) const {
    Row sum(x.size(), 0.0);
    for (size_t e = 0; e < gate.size(); e++) {
      std::string expert = name + "." + std::to_string(e);
      sum = sum + gate[e] * linear(expert + ".2", gelu(linear(expert + ".0", x)));
    }
    return sum;
  }

  void transform(const Rows &points, const Rows &seen, Rows &f) const {
    Rows x, z;
    for (size_t k = 0; k < points.size(); k++) {
      x.push_back(residual_mlp("gnot_layer.trunk_mlp", seen[k]));
      if (!c.occupied) z.push_back(residual_mlp("gnot_layer.branch_mlps.0", points[k]));
    }
    for (int b = 0; b < c.blocks; b++) block("gnot_layer.blocks." + std::to_string(b), seen, z, x);
    for (const Row &row : x) f.push_back(residual_mlp("gnot_layer.out_mlp", row));
  }

  void block(const std::string &name, const Rows &seen, const Rows &z, Rows &x) const {
    Rows gates, more;
    for (const Row &row : seen) {
      Row first(row.begin(), row.begin() + c.space);
      Row inner = gelu(linear(name + ".gatenet.2", gelu(linear(name + ".gatenet.0", first))));
      gates.push_back(softmax(linear(name + ".gatenet.4", inner)));
    }
    if (!c.occupied) {
      more = attention(name + ".crossattn", ".keys.0", ".values.0", normed(name + ".ln1", x),
                       normed(name + ".ln2_branch.0", z));
      for (size_t k = 0; k < x.size(); k++) x[k] = x[k] + more[k];
    }
    for (size_t k = 0; k < x.size(); k++)
      x[k] = x[k] + norm(name + ".ln3", experts(name + ".moe_mlp1", gates[k], x[k]));
    Rows own = normed(name + ".ln4", x);
    more = attention(name + ".selfattn", ".key", ".value", own, own);
    for (size_t k = 0; k < x.size(); k++) {
      x[k] = x[k] + more[k];
      x[k] = x[k] + norm(name + ".ln5", experts(name + ".moe_mlp2", gates[k], x[k]));
    }
  }
};

/* ---- the whole ---- */

struct Edge {
  size_t receiver, sender;
  double length; /* in radii */
  Row state;
};

class Stepper : Layers {
public:
  Stepper(const Checkpoint &checkpoint, const mote_metadata &metadata, const Cloud &cloud)
      : Layers(checkpoint), metadata_(metadata), cloud_(cloud), n_(size_t(cloud.n)), dim_(cloud.dim),
        r_(cloud.radius) {}

  Answer run() {
    Rows x, h;
    for (size_t i = 0; i < n_; i++) x.push_back(position(c.window, i));
    connect(x);
    for (size_t i = 0; i < n_; i++)
      h.push_back(mlp(c.gns ? "_encode_process_decode._encoder.node_fn" : "node_in", features(i)));
    if (c.gns) {
      for (int l = 0; l < c.layers; l++)
        gns_layer("_encode_process_decode._processor.gnn_stacks." + std::to_string(l), h);
    } else {
      for (int l = 0; l < c.layers; l++) giorom_layer("in_layers." + std::to_string(l), h);
      h = Latent(c).run(x, h);
      for (int l = 0; l < c.layers; l++) giorom_layer("out_layers." + std::to_string(l), h);
    }
    return integrate(x, h);
  }

private:
  const mote_metadata &metadata_;
  const Cloud &cloud_;
  size_t n_;
  int dim_;
  double r_;
  std::vector<Edge> edges_;

  Row position(int frame, size_t i) const {
    const float *x = cloud_.history.data() + (size_t(frame) * n_ + i) * size_t(dim_);
    return Row(x, x + dim_);
  }

  Row at_rest(size_t i) const {
    const float *x = cloud_.at_rest() + i * size_t(dim_);
    return Row(x, x + dim_);
  }

  Row features(size_t i) const {
    Row velocities, lower, upper, type;
    for (int k = 1; k <= c.window; k++) {
      Row v = position(k, i) + -1 * position(k - 1, i);
      for (int a = 0; a < dim_ && c.normalized_velocities; a++)
        v[size_t(a)] = (v[size_t(a)] - metadata_.velocity_mean[a]) /
                       std::sqrt(metadata_.velocity_std[a] * metadata_.velocity_std[a] + c.noise * c.noise);
      velocities = joined({velocities, v});
    }
    Row x = position(c.window, i);
    for (int a = 0; a < dim_; a++) {
      lower.push_back(std::clamp((x[size_t(a)] - metadata_.bounds[a][0]) / r_, -c.clip, c.clip));
      upper.push_back(std::clamp((metadata_.bounds[a][1] - x[size_t(a)]) / r_, -c.clip, c.clip));
    }
    const Weights &table = tensor(c.gns ? "_particle_type_embedding.weight" : "embed_type.weight");
    auto first = table.value.begin() + cloud_.type[i] * table.shape[1];
    type.assign(first, first + table.shape[1]);
    if (!c.gns) return joined({type, velocities, lower, upper});
    return c.types > 1 ? joined({velocities, lower, upper, type}) : joined({velocities, lower, upper});
  }

  void connect(const Rows &x) {
    for (size_t i = 0; i < n_; i++)
      for (size_t j = 0; j < n_; j++) {
        double d = distance(x[i], x[j]);
        if (d >= r_) continue;
        Row seen = (1 / r_) * (x[j] + -1 * x[i]);
        seen.push_back(d / r_);
        if (c.rest) seen.push_back(std::min(2.0, distance(at_rest(i), at_rest(j)) / r_));
        Row state = mlp(c.gns ? "_encode_process_decode._encoder.edge_fn" : "edge_in", seen);
        edges_.push_back({i, j, d / r_, state});
      }
  }

  /* The messages' sum for each receiver, `weight` of each; states move on by `move`. */
  Rows messages(const std::string &name, const Rows &h, const std::function<double(const Edge &)> &weight,
                const std::function<Row(const Row &, const Row &)> &move) {
    Rows sum(n_, Row(size_t(c.width), 0.0));
    for (Edge &e : edges_) {
      Row m = mlp(name, joined({h[e.receiver], h[e.sender], e.state}));
      sum[e.receiver] = sum[e.receiver] + weight(e) * m;
      e.state = move(e.state, m);
    }
    return sum;
  }

  std::vector<double> degrees() const {
    std::vector<double> degree(n_, 0.0);
    for (const Edge &e : edges_) degree[e.receiver]++;
    return degree;
  }

  void gns_layer(const std::string &name, Rows &h) {
    auto one = [](const Edge &) { return 1.0; };
    auto move = [this](const Row &e, const Row &m) { return c.edge_doubles ? 2 * e : e + m; };
    Rows sum = messages(name + ".edge_fn", h, one, move);
    for (size_t i = 0; i < n_; i++) h[i] = h[i] + mlp(name + ".node_fn", joined({sum[i], h[i]}));
  }

  void giorom_layer(const std::string &name, Rows &h) {
    std::vector<double> degree = degrees();
    auto weight = [&](const Edge &e) { return 1 / (1 + e.length) / degree[e.receiver]; };
    auto move = [](const Row &e, const Row &m) { return e + m; };
    Rows mean = messages(name + ".lin_edge", h, weight, move), spread(n_, Row(size_t(c.width), 0.0)), next;
    for (const Edge &e : edges_)
      spread[e.receiver] =
          spread[e.receiver] + 1 / std::sqrt(degree[e.receiver] * degree[e.sender]) * h[e.sender];
    for (size_t i = 0; i < n_; i++) {
      Row seen = c.alpha * h[i];
      if (c.convolves) seen = seen + (1 - c.alpha) * spread[i];
      next.push_back(h[i] + mlp(name + ".lin_node", joined({h[i], mean[i]})) +
                     linear(name + ".spectralConv.lin", seen));
    }
    h = next;
  }

  /* How much of a node's answer walls take: 1 within half their reach, 0 beyond it. */
  double wall_share(const Row &x) const {
    double nearest = 1;
    for (int a = 0; a < dim_; a++)
      for (double d : {x[size_t(a)] - metadata_.bounds[a][0], metadata_.bounds[a][1] - x[size_t(a)]})
        nearest = std::min(nearest, d / (c.clip * r_));
    return std::min(1.0, 2 - 2 * nearest);
  }

  double deviation(int k) const {
    return std::sqrt(metadata_.acceleration_std[k] * metadata_.acceleration_std[k] + c.noise * c.noise);
  }

  /* Normalised accelerations. */
  Rows decode(const Rows &x, const Rows &h) const {
    Rows all;
    std::vector<double> degree = degrees();
    for (size_t i = 0; i < n_; i++) {
      Row a = mlp(c.gns ? "_encode_process_decode._decoder.node_fn" : "node_out", h[i]);
      all.push_back(c.pairs ? wall_share(x[i]) * a : a);
      for (int k = 0; k < dim_ && c.pairs; k++)
        all[i][size_t(k)] +=
            (metadata_.gravity[k] * metadata_.dt * metadata_.dt - metadata_.acceleration_mean[k]) /
            deviation(k);
    }
    for (const Edge &e : edges_) { /* to the receiver, and the opposite to the sender */
      if (!c.pairs) break;
      Row p = mlp(c.gns ? "_encode_process_decode._decoder.edge_fn" : "edge_out", e.state);
      Row force = 8 / std::sqrt(degree[e.receiver] * degree[e.sender]) * p;
      all[e.receiver] = all[e.receiver] + force;
      all[e.sender] = all[e.sender] + -1 * force;
    }
    return all;
  }

  Answer integrate(const Rows &x, const Rows &h) const {
    Rows all = decode(x, h);
    Answer answer;
    answer.edges = int64_t(edges_.size());
    for (size_t i = 0; i < n_; i++) {
      const Row &a = all[i];
      Row before = position(c.window - 1, i);
      for (int k = 0; k < dim_; k++) {
        double now = x[i][size_t(k)], velocity = now - before[size_t(k)];
        answer.acceleration.push_back(a[size_t(k)]);
        answer.next.push_back(now + velocity + a[size_t(k)] * deviation(k) + metadata_.acceleration_mean[k]);
      }
    }
    return answer;
  }
};

} // namespace

Answer reference_step(const Checkpoint &checkpoint, const mote_metadata &metadata, const Cloud &cloud) {
  return Stepper(checkpoint, metadata, cloud).run();
}

} // namespace mote_test
