/* Tiny time-steppers as folders: see checkpoint.h. */
#include "tests/support/checkpoint.h"

#include <gtest/gtest.h>

#include <cmath>
#include <fstream>
#include <random>
#include <sstream>

#include "host/io/safetensors.h"

namespace mote_test {

/* ---- the variants ---- */

static Checkpoint make(const char *name, int dim, bool gns) {
  Checkpoint c;
  c.name = name;
  c.dim = dim;
  c.gns = gns;
  c.normalized_velocities = gns;
  if (gns) c.noise = 0.006, c.layers = 2;
  return c;
}

static void add_giorom(std::vector<Checkpoint> &all) {
  Checkpoint c = make("giorom2d", 2, false);
  c.grid = 6;
  all.push_back(c);

  c = make("giorom3d", 3,
           false); /* two of all, wider behind the transformer than in it, all points reached */
  c.layers = c.blocks = c.projection_layers = c.inner = 2;
  c.kernel_in = {12, 10, 20};
  c.kernel_out = {10, 12, 24};
  c.gno_radius = 0.4;
  all.push_back(c);

  c = make("giorom2d_normalized", 2, false);
  c.normalized_velocities = c.convolves = true;
  c.noise = 0.008;
  c.clip = 0.75;
  c.alpha = 0.6;
  c.window = 3;
  c.experts = 3;
  c.heads = 3;
  c.transformer = 24;
  all.push_back(c);

  c = make("giorom3d_pair_in", 3, false);
  c.pair_in = true;
  all.push_back(c);

  c = make("giorom2d_pair_out", 2, false);
  c.pair_out = true;
  c.gno_radius = 0.23;
  all.push_back(c);

  c = make("giorom2d_occupied", 2, false); /* kernels of a single layer */
  c.pair_in = c.pair_out = c.occupied = true;
  c.kernel_in = {20};
  c.kernel_out = {14};
  c.blocks = 2;
  all.push_back(c);

  c = make("giorom3d_occupied", 3, false);
  c.pair_in = c.pair_out = c.occupied = c.convolves = c.normalized_velocities = true;
  c.width = 24;
  c.layers = 2;
  c.noise = 0.005;
  all.push_back(c);

  c = make("giorom3d_pairs", 3, false);
  c.pairs = c.rest = c.pair_in = c.pair_out = c.occupied = true;
  c.layers = 2;
  c.clip = 0.8;
  c.noise = 0.003;
  all.push_back(c);

  c = make("giorom3d_occupied_plain", 3, false); /* kernels of points, yet only occupied ones */
  c.occupied = true;
  c.types = 1;
  all.push_back(c);
}

static void add_gns(std::vector<Checkpoint> &all) {
  all.push_back(make("gns2d", 2, true));

  Checkpoint c = make("gns3d", 3, true);
  c.layers = 3;
  c.width = 24;
  c.clip = 0.75;
  all.push_back(c);

  c = make("gns2d_doubled", 2, true);
  c.edge_doubles = true;
  c.layers = 3;
  all.push_back(c);

  c = make("gns2d_pairs", 2, true);
  c.pairs = c.rest = true;
  c.layers = 2;
  all.push_back(c);

  c = make("gns3d_one_type", 3, true);
  c.types = 1;
  c.window = 2;
  c.hidden_layers = 1;
  all.push_back(c);

  c = make("gns2d_shallow", 2, true); /* one linear layer an MLP */
  c.hidden_layers = 0;
  c.layers = 1;
  all.push_back(c);
}

std::vector<Checkpoint> checkpoints() {
  std::vector<Checkpoint> all;
  add_giorom(all);
  add_gns(all);
  return all;
}

Checkpoint checkpoint(const std::string &name) {
  for (const Checkpoint &c : checkpoints())
    if (c.name == name) return c;
  ADD_FAILURE() << "no variant is called " << name;
  return {};
}

/* ---- tensors ---- */

namespace {

class Inventor {
public:
  Inventor(Checkpoint &checkpoint, uint64_t seed) : c(checkpoint), random_(seed) { c.tensors.clear(); }

  void table(const std::string &name, std::vector<int64_t> shape, double middle, double spread) {
    Weights &w = c.tensors[name];
    w.shape = shape;
    size_t count = 1;
    for (int64_t extent : shape) count *= size_t(extent);
    w.value.resize(count);
    for (float &v : w.value)
      v = float(middle + spread * (2 * (double(random_() >> 11) / 9007199254740992.0) - 1));
  }
  void linear(const std::string &name, int in, int out, bool convolution = false) {
    std::vector<int64_t> shape = {out, in};
    if (convolution) shape.push_back(1);
    table(name + ".weight", shape, 0, 1.3 * std::sqrt(3.0 / in));
    table(name + ".bias", {out}, 0, 0.4);
  }
  void norm(const std::string &name, int width) {
    table(name + ".weight", {width}, 1, 0.3);
    table(name + ".bias", {width}, 0, 0.4);
  }
  /* PREFIX0, PREFIX1, ...: widths of inputs and of each layer's outputs. */
  void chain(const std::string &prefix, const std::vector<int> &widths, bool convolution = false) {
    for (size_t l = 0; l + 1 < widths.size(); l++)
      linear(prefix + std::to_string(l), widths[l], widths[l + 1], convolution);
  }

  void giorom_mlp(const std::string &name, int in, int out, bool normed) {
    linear(name + ".layers.0", in, c.width);
    linear(name + ".layers.2", c.width, c.width);
    linear(name + ".layers.4", c.width, out);
    if (normed) norm(name + ".layers.5", out);
  }
  void gns_mlp(const std::string &name, int in, int out, bool normed) {
    for (int l = 0; l <= c.hidden_layers; l++)
      linear(name + (normed ? ".0.NN-" : ".NN-") + std::to_string(l), l ? c.width : in,
             l < c.hidden_layers ? c.width : out);
    if (normed) norm(name + ".1", out);
  }
  void residual(const std::string &name, int in, int out) {
    linear(name + ".linear_pre", in, c.transformer);
    for (int l = 0; l < c.inner; l++)
      linear(name + ".linears." + std::to_string(l), c.transformer, c.transformer);
    linear(name + ".linear_post", c.transformer, out);
  }

  void attention(const std::string &name, const char *key, const char *value) {
    for (std::string part : {"query", key, value, "proj"})
      linear(name + "." + part, c.transformer, c.transformer);
  }
  void block(const std::string &name) {
    int w = c.transformer;
    if (!c.occupied) {
      norm(name + ".ln1", w);
      norm(name + ".ln2_branch.0", w);
      attention(name + ".crossattn", "keys.0", "values.0");
    }
    for (const char *ln : {".ln3", ".ln4", ".ln5"}) norm(name + ln, w);
    attention(name + ".selfattn", "key", "value");
    linear(name + ".gatenet.0", c.space, w);
    linear(name + ".gatenet.2", w, w);
    linear(name + ".gatenet.4", w, c.experts);
    for (std::string moe : {".moe_mlp1.", ".moe_mlp2."})
      for (int e = 0; e < c.experts; e++) {
        linear(name + moe + std::to_string(e) + ".0", w, c.expert_width);
        linear(name + moe + std::to_string(e) + ".2", c.expert_width, w);
      }
  }

  void giorom() {
    table("embed_type.weight", {c.types, c.type_width}, 0, 1.5);
    giorom_mlp("node_in", c.type_width + c.dim * (c.window + 2), c.width, true);
    giorom_mlp("edge_in", c.dim + 1 + c.rest, c.width, true);
    giorom_mlp("node_out", c.width, c.dim, false);
    if (c.pairs) giorom_mlp("edge_out", c.width, c.dim, false);
    for (std::string series : {"in_layers.", "out_layers."})
      for (int l = 0; l < c.layers; l++) {
        std::string name = series + std::to_string(l);
        giorom_mlp(name + ".lin_edge", 3 * c.width, c.width, true);
        giorom_mlp(name + ".lin_node", 2 * c.width, c.width, true);
        linear(name + ".spectralConv.lin", c.width, c.width);
      }
    std::vector<int> in = {c.dim + c.width + c.pair_in}, out = {c.dim + c.pair_out};
    in.insert(in.end(), c.kernel_in.begin(), c.kernel_in.end());
    out.insert(out.end(), c.kernel_out.begin(), c.kernel_out.end());
    chain("gno_in.mlp.fcs.", in);
    chain("gno_out.mlp.fcs.", out);
    residual("gnot_layer.trunk_mlp", in.back(), c.transformer);
    if (!c.occupied) residual("gnot_layer.branch_mlps.0", c.dim, c.transformer);
    for (int b = 0; b < c.blocks; b++) block("gnot_layer.blocks." + std::to_string(b));
    residual("gnot_layer.out_mlp", c.transformer, out.back());
    std::vector<int> projection = {out.back()};
    for (int l = 1; l < c.projection_layers; l++) projection.push_back(c.projection_width);
    projection.push_back(c.width);
    chain("projection.fcs.", projection, true);
  }

  void gns() {
    std::string root = "_encode_process_decode.";
    table("_particle_type_embedding.weight", {c.types, c.type_width}, 0, 1.5);
    gns_mlp(root + "_encoder.node_fn", c.dim * (c.window + 2) + (c.types > 1 ? c.type_width : 0), c.width,
            true);
    gns_mlp(root + "_encoder.edge_fn", c.dim + 1 + c.rest, c.width, true);
    for (int l = 0; l < c.layers; l++) {
      std::string name = root + "_processor.gnn_stacks." + std::to_string(l);
      gns_mlp(name + ".node_fn", 2 * c.width, c.width, true);
      gns_mlp(name + ".edge_fn", 3 * c.width, c.width, true);
    }
    gns_mlp(root + "_decoder.node_fn", c.width, c.dim, false);
    if (c.pairs) gns_mlp(root + "_decoder.edge_fn", c.width, c.dim, false);
  }

private:
  Checkpoint &c;
  std::mt19937_64 random_;
};

} // namespace

void invent(Checkpoint &checkpoint, uint64_t seed) {
  Inventor inventor(checkpoint, seed);
  checkpoint.gns ? inventor.gns() : inventor.giorom();
}

/* ---- files ---- */

static std::string list(int first, const std::vector<int> &rest) {
  std::string text = "[" + std::to_string(first);
  for (int width : rest) text += ", " + std::to_string(width);
  return text + "]";
}

static void put_giorom(std::ostream &text, const Checkpoint &c) {
  if (c.convolves)
    text << ",\n \"graph_convolution\": \"normalized\", \"graph_convolution_alpha\": " << c.alpha;
  if (c.occupied) text << ",\n \"latent_points\": \"occupied\"";
  text << ",\n \"in_gno_transform_type\": \"" << (c.pair_in ? "pair" : "nonlinear_kernelonly")
       << "\", \"out_gno_transform_type\": \"" << (c.pair_out ? "pair" : "linear")
       << "\",\n \"in_gno_mlp_hidden_layers\": " << list(c.dim + c.width + c.pair_in, c.kernel_in)
       << ",\n \"out_gno_mlp_hidden_layers\": " << list(c.dim + c.pair_out, c.kernel_out)
       << ",\n \"out_gno_in_dim\": " << c.dim << ", \"out_gno_hidden\": " << c.kernel_out.back()
       << ", \"gno_radius\": " << c.gno_radius << ",\n \"not_heads\": " << c.heads
       << ", \"not_layers\": " << c.blocks << ", \"not_output_size\": " << c.kernel_out.back()
       << ", \"not_space_dim\": " << c.space << ", \"not_branch_size\": " << c.dim
       << ", \"not_trunk_size\": " << c.kernel_in.back()
       << ",\n \"projection_layers\": " << c.projection_layers
       << ", \"projection_channels\": " << c.projection_width << ", \"latent_grid_dim\": " << c.grid
       << ",\n \"latent_domain_lims\": [";
  for (int a = 0; a < c.dim; a++)
    text << (a ? ", [" : "[") << c.limits[a][0] << ", " << c.limits[a][1] << "]";
  text << "]";
}

std::string config_text(const Checkpoint &c) {
  std::ostringstream text;
  text.precision(17);
  text << "{\"architectures\": [\"" << (c.gns ? "LearnedSimulator" : "PhysicsEngine")
       << "\"],\n \"dim\": " << c.dim << ", \"window_size\": " << c.window << ", \"hidden_size\": " << c.width
       << ", \"n_mp_layers\": " << c.layers << ",\n \"num_particle_types\": " << c.types
       << ", \"particle_type_dim\": " << c.type_width << ",\n \"noise_std\": " << c.noise
       << ", \"boundary_clamp_limit\": " << c.clip
       << ",\n \"normalized_velocities\": " << (c.normalized_velocities ? "true" : "false");
  if (c.rest) text << ",\n \"edge_rest_lengths\": true";
  if (c.stop > 0) text << ",\n \"wall_stop\": " << c.stop;
  if (c.pairs) text << ",\n \"decoder\": \"pairs\"";
  if (c.gns)
    text << ",\n \"mlp_layers\": " << c.hidden_layers << ", \"edge_update\": \""
         << (c.edge_doubles ? "doubled" : "message") << "\"";
  else
    put_giorom(text, c);
  text << "}\n";
  return text.str();
}

void write_tensors(const std::string &path, const Checkpoint &c) {
  std::vector<mote_tensor> tensors;
  for (const auto &[name, w] : c.tensors) {
    mote_tensor t = {name.c_str(), MOTE_F32, int(w.shape.size()), {}, 0, w.value.data(), 0};
    std::copy(w.shape.begin(), w.shape.end(), t.shape);
    tensors.push_back(t);
  }
  const char *metadata[] = {"format", "pt"};
  ASSERT_EQ(MOTE_OK, mote_safetensors_write(path.c_str(), tensors.data(), int(tensors.size()), metadata, 1))
      << mote_last_error();
}

void save(const std::string &folder, const Checkpoint &c, const mote_metadata &metadata) {
  std::ofstream(folder + "/config.json") << config_text(c);
  write_tensors(folder + "/model.safetensors", c);
  ASSERT_EQ(MOTE_OK, mote_metadata_write((folder + "/metadata.json").c_str(), &metadata))
      << mote_last_error();
}

mote_metadata statistics(int dim) {
  const double velocity_mean[3] = {0.004, -0.01, 0.002}, velocity_std[3] = {0.02, 0.03, 0.025};
  const double acceleration_mean[3] = {1e-3, -2e-3, 5e-4}, acceleration_std[3] = {0.004, 0.006, 0.005};
  mote_metadata m = {};
  m.dim = dim;
  m.dt = 0.01;
  m.write_every = 1;
  m.connectivity_radius = dim == 2 ? 0.2 : 0.3;
  m.has_statistics = 1;
  m.gravity[1] = -20; /* m/s^2: -0.002 m a frame^2 */
  for (int a = 0; a < dim; a++) {
    m.bounds[a][1] = 1;
    m.velocity_mean[a] = velocity_mean[a];
    m.velocity_std[a] = velocity_std[a];
    m.acceleration_mean[a] = acceleration_mean[a];
    m.acceleration_std[a] = acceleration_std[a];
  }
  return m;
}

/* ---- clouds ---- */

namespace {

/* Does rounding decide whether two points with this squared distance are neighbours? */
bool too_close_to_call(double square, double radius) {
  return std::fabs(std::sqrt(square) / radius - 1) < 1e-4;
}

double square_of(const float *a, const float *b, int dim) {
  double square = 0;
  for (int k = 0; k < dim; k++) square += (double(a[k]) - b[k]) * (double(a[k]) - b[k]);
  return square;
}

bool clear_of_radii(const Checkpoint &c, const Cloud &cloud, const float *x, int i) {
  for (int j = 0; j < i; j++)
    if (too_close_to_call(square_of(cloud.last() + j * c.dim, x, c.dim), cloud.radius)) return false;
  if (c.gns) return true;
  int points = int(std::lround(std::pow(c.grid, c.dim)));
  for (int q = 0; q < points; q++) {
    float at[3];
    for (int a = 0, k = q; a < c.dim; a++, k /= c.grid)
      at[a] = float(c.limits[a][0] + (c.limits[a][1] - c.limits[a][0]) * (k % c.grid) / (c.grid - 1));
    if (too_close_to_call(square_of(at, x, c.dim), c.gno_radius)) return false;
  }
  return true;
}

} // namespace

Cloud cloud_for(const Checkpoint &c, int n, uint64_t seed) {
  Cloud cloud = {n, c.dim, c.window + 1, statistics(c.dim).connectivity_radius, {}, {}, {}};
  cloud.history.resize(size_t(cloud.frames) * n * c.dim);
  cloud.type.resize(n);
  std::mt19937_64 random(1000 + seed);
  auto uniform = [&](double low, double high) {
    double x = low + (high - low) * double(random() >> 11) / 9007199254740992.0;
    return float(std::round(x * 65536) / 65536);
  };
  float *last = cloud.history.data() + size_t(cloud.frames - 1) * n * c.dim;
  for (int i = 0; i < n; i++) {
    cloud.type[i] = i % c.types;
    float *x = last + i * c.dim;
    do
      for (int a = 0; a < c.dim; a++)
        x[a] = i == 7   ? last[3 * c.dim + a]  /* on top of another */
               : i == 5 ? uniform(1.9, 2.6)    /* alone, and outside of everything */
               : i < 5  ? uniform(-0.06, 0.12) /* about the lower bounds */
                        : uniform(0.15, 1.02);
    while (!clear_of_radii(c, cloud, x, i) && i != 7);
    for (int f = cloud.frames - 2; f >= 0; f--)
      for (int a = 0; a < c.dim; a++) {
        size_t at = (size_t(f) * n + i) * c.dim + a;
        cloud.history[at] = cloud.history[at + size_t(n) * c.dim] - uniform(-0.04, 0.05);
      }
  }
  return cloud;
}

} // namespace mote_test
