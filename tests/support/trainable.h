/* Chains of layers in training: their parameters in an arena, as kernels take them, and in float64 the chain
   and its reverse, written from the definition (tests/dense checks them against finite differences). */
#ifndef MOTE_TESTS_SUPPORT_TRAINABLE_H
#define MOTE_TESTS_SUPPORT_TRAINABLE_H

#include "tests/support/network.h"

namespace mote_test {

/* A LayerNorm in float64. */
struct Norm64 {
  Vector weight, bias, d_weight, d_bias; /* empty: none */
  Norm64() {}
  Norm64(int width, uint64_t stream)
      : weight(widened(noise(width, stream))), bias(widened(noise(width, stream + 1))), d_weight(width),
        d_bias(width) {}
  Vector forward(const Vector &x) const {
    Vector y(x);
    double scale;
    if (weight.empty()) return y;
    unit(y, scale);
    for (size_t c = 0; c < x.size(); c++) y[c] = y[c] * weight[c] + bias[c];
    return y;
  }
  Vector backward(const Vector &x, const Vector &dy) {
    if (weight.empty()) return dy;
    Vector u(x), d(x.size());
    double scale, mean = 0, along = 0, n = double(x.size());
    unit(u, scale);
    for (size_t c = 0; c < x.size(); c++) {
      d_weight[c] += dy[c] * u[c];
      d_bias[c] += dy[c];
      d[c] = dy[c] * weight[c];
      mean += d[c] / n;
      along += d[c] * u[c] / n;
    }
    for (size_t c = 0; c < x.size(); c++) d[c] = (d[c] - mean - u[c] * along) * scale;
    return d;
  }

private:
  static void unit(Vector &x, double &scale) {
    double mean = 0, variance = 0, n = double(x.size());
    for (double v : x) mean += v / n;
    for (double v : x) variance += (v - mean) * (v - mean) / n;
    scale = 1 / std::sqrt(variance + 1e-5);
    for (double &v : x) v = (v - mean) * scale;
  }
};

/* A chain in float64: values, and gradients that are added to. */
struct Chain64 {
  Shape shape;
  std::vector<Vector> weight, bias, d_weight, d_bias; /* weights row-major (out, in) */
  Norm64 before, behind;

  Chain64(const Shape &shape, uint64_t stream) : shape(shape) {
    for (int l = 0; l < layers(); l++) {
      int64_t in = shape.width[l], out = shape.width[l + 1];
      weight.push_back(widened(noise(in * out, stream * 100 + 2 * l, 1.2 / std::sqrt(in))));
      bias.push_back(widened(noise(out, stream * 100 + 2 * l + 1, 0.3)));
      d_weight.push_back(Vector(in * out));
      d_bias.push_back(Vector(out));
    }
    if (shape.before) before = Norm64(shape.width[0], stream * 100 + 90);
    if (shape.behind) behind = Norm64(shape.width.back(), stream * 100 + 92);
  }
  int layers() const { return int(shape.width.size()) - 1; }
  mote_activation activation(int l) const {
    return shape.activation[std::min(size_t(l), shape.activation.size() - 1)];
  }
  bool residual(int l) const {
    return std::find(shape.residual.begin(), shape.residual.end(), l) != shape.residual.end();
  }

  /* `start`, if not NULL, stands in place of the first layer's bias. */
  Vector forward(const Vector &x, const Vector *start = nullptr) const {
    std::vector<Vector> inputs, sums;
    return behind.forward(values(x, start, inputs, sums));
  }

  /* The gradient by x; d_start, if not NULL, becomes that by the first layer's sums. */
  Vector backward(const Vector &x, const Vector &d_out, const Vector *start = nullptr,
                  Vector *d_start = nullptr) {
    std::vector<Vector> inputs, sums;
    Vector d = behind.backward(values(x, start, inputs, sums), d_out);
    for (int l = layers() - 1; l >= 0; l--) {
      const Vector &in = inputs[l];
      Vector next(in.size());
      if (residual(l)) next = d;
      for (size_t o = 0; o < d.size(); o++) {
        double dz = d[o] * slope(sums[l][o], activation(l));
        if (!start || l > 0) d_bias[l][o] += dz;
        for (size_t k = 0; k < in.size(); k++) {
          d_weight[l][o * in.size() + k] += dz * in[k];
          next[k] += dz * weight[l][o * in.size() + k];
        }
        if (l == 0 && d_start) (*d_start)[o] = dz;
      }
      d = next;
    }
    return before.backward(x, d);
  }

private:
  Vector values(const Vector &x, const Vector *start, std::vector<Vector> &inputs,
                std::vector<Vector> &sums) const {
    Vector at = before.forward(x);
    for (int l = 0; l < layers(); l++) {
      Vector z = start && l == 0 ? *start : bias[l], y(z.size());
      for (size_t o = 0; o < z.size(); o++) {
        for (size_t k = 0; k < at.size(); k++) z[o] += weight[l][o * at.size() + k] * at[k];
        y[o] = z[o];
        if (activation(l) == MOTE_RELU) y[o] = std::max(z[o], 0.0);
        if (activation(l) == MOTE_GELU) y[o] = z[o] * normal_below(z[o]);
        if (residual(l)) y[o] += at[o];
      }
      inputs.push_back(at);
      sums.push_back(z);
      at = y;
    }
    return at;
  }
  static double normal_below(double z) { return 0.5 * std::erfc(-z / std::sqrt(2.0)); }
  static double slope(double z, mote_activation activation) {
    if (activation == MOTE_RELU) return z > 0;
    if (activation == MOTE_GELU) return normal_below(z) + z * std::exp(-z * z / 2) / std::sqrt(2 * M_PI);
    return 1;
  }
};

/* What a chain keeps of n rows (mote_mlp.kept), on devices that keep: not a number until a forward pass has
   been there. A chain that keeps nothing has none. */
class Kept {
public:
  Kept(Device &device, const mote_mlp &mlp, int64_t n)
      : floats_(device->dense->keeps ? mote_kept_floats(&mlp, n) : 0),
        memory_(device, std::vector<float>(size_t(floats_), NAN)) {}
  bool any() const { return floats_ > 0; }
  float *data() { return any() ? memory_.data() : nullptr; }

private:
  int64_t floats_;
  Array<float> memory_;
};

/* Parameters of chains on a device. Gradients are noise to begin with, which has to be kept and added to;
   between and behind the parameters stand zeros, which have to stay. */
class Arena {
public:
  explicit Arena(Device &device) : device_(device) {}

  /* Adds a chain's or a norm's parameters; call upload() behind the last one. */
  void add(Chain64 &chain) {
    for (int l = 0; l < chain.layers(); l++) {
      int in = chain.shape.width[l], out = chain.shape.width[l + 1];
      int64_t at = room(mote_linear_slot(in, out));
      std::vector<float> w(chain.weight[l].begin(), chain.weight[l].end()), back(w.size());
      mote_linear_pack(in, out, w.data(), in, 0, 0, &value_[at]);
      for (int o = 0; o < out; o++)
        for (int k = 0; k < in; k++) {
          back[k * out + o] = w[o * in + k];
          entries_.push_back({at + (int64_t(o / MOTE_PANEL) * in + k) * MOTE_PANEL + o % MOTE_PANEL,
                              &chain.d_weight[l][o * in + k]});
        }
      mote_linear_pack(out, in, back.data(), out, 0, 0, &transposed_[at]);
      add(chain.bias[l], chain.d_bias[l], mote_panels(out) * MOTE_PANEL);
    }
    add(chain.before);
    add(chain.behind);
  }
  void add(Norm64 &norm) {
    add(norm.weight, norm.d_weight, int64_t(norm.weight.size()));
    add(norm.bias, norm.d_bias, int64_t(norm.bias.size()));
  }

  mote_arena upload() {
    std::vector<float> all = noise(int64_t(value_.size()), 77);
    start_.assign(value_.size(), 0);
    for (const Entry &e : entries_) start_[e.at] = all[e.at];
    values_ = std::make_unique<Array<float>>(device_, value_);
    transposes_ = std::make_unique<Array<float>>(device_, transposed_);
    gradients_ = std::make_unique<Array<float>>(device_, start_);
    mote_terms transposed = {};
    terms_ = {};
    const int64_t floats = int64_t(value_.size());
    MOTE_EXPECT_OK(mote_terms_keep(device_.stream, floats, values_->data(), &room_.buffer, &terms_));
    MOTE_EXPECT_OK(
        mote_terms_keep(device_.stream, floats, transposes_->data(), &transposed_room_.buffer, &transposed));
    return {values_->data(), transposes_->data(), transposed, gradients_->data(), 0, nullptr, 0};
  }

  /* The next chain or norm, in the order in which they were added. */
  mote_mlp mlp(const Chain64 &chain) {
    mote_mlp mlp = {};
    mlp.layers = chain.layers();
    for (int l = 0; l < mlp.layers; l++) {
      const float *weight = next(), *bias = next();
      mlp.layer[l] = {chain.shape.width[l],
                      chain.shape.width[l + 1],
                      weight,
                      bias,
                      chain.activation(l),
                      chain.residual(l),
                      mote_terms_at(terms_, weight - values_->data())};
    }
    mlp.before = norm(chain.before);
    mlp.behind = norm(chain.behind);
    return mlp;
  }
  mote_norm norm(const Norm64 &norm) {
    const float *weight = next(), *bias = next();
    if (norm.weight.empty()) return {};
    return {weight, bias};
  }

  /* The gradients are those of the float64 chains, added to what was there. `tolerance` as in worst_error,
     over what each layer's gradients are. */
  void check(double tolerance) {
    std::vector<float> all = gradients_->host(), rest = all;
    std::vector<float> found;
    Vector expected;
    int64_t begin = 0;
    for (size_t i = 0; i < entries_.size(); i++) {
      const Entry &e = entries_[i];
      found.push_back(all[e.at] - start_[e.at]);
      expected.push_back(*e.gradient);
      rest[e.at] = 0;
      bool last = i + 1 == entries_.size() || part_of(entries_[i + 1].at) != part_of(e.at);
      if (!last) continue;
      EXPECT_LT(worst_error(found, expected), tolerance) << "of parameters " << begin << " to " << i;
      found.clear(), expected.clear(), begin = int64_t(i) + 1;
    }
    for (size_t i = 0; i < rest.size(); i++) ASSERT_EQ(0, rest[i]) << i << " is no parameter";
  }
  std::vector<float> gradients() { return gradients_->host(); }
  void forget() {
    MOTE_EXPECT_OK(
        mote_upload(device_.stream, gradients_->data(), start_.data(), start_.size() * sizeof(float)));
  }

private:
  struct Entry {
    int64_t at;
    const double *gradient;
  };
  int64_t room(int64_t floats) { /* with a gap */
    int64_t at = int64_t(value_.size());
    part_.push_back(at);
    value_.resize(at + ((floats - 1) / MOTE_TERMS_FLOATS + 2) * MOTE_TERMS_FLOATS);
    transposed_.resize(value_.size());
    return at;
  }
  void add(const Vector &values, Vector &gradients, int64_t floats) {
    int64_t at = room(floats);
    for (size_t c = 0; c < values.size(); c++) {
      value_[at + int64_t(c)] = float(values[c]);
      entries_.push_back({at + int64_t(c), &gradients[c]});
    }
  }
  const float *next() { return values_->data() + part_[next_++]; }
  size_t part_of(int64_t at) const {
    return size_t(std::upper_bound(part_.begin(), part_.end(), at) - part_.begin());
  }
  Device &device_;
  std::vector<float> value_, transposed_, start_;
  std::vector<Entry> entries_;
  std::vector<int64_t> part_;
  size_t next_ = 0;
  std::unique_ptr<Array<float>> values_, transposes_, gradients_;
  Room room_, transposed_room_;
  mote_terms terms_ = {};
};

} // namespace mote_test
#endif
