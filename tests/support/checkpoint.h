/* Tiny time-steppers with random weights, as checkpoints: what config.json says, the tensors by name, and
   the folder of both with the metadata.json of made-up data. Then clouds of particles that are hard on them.

   Weights keep the variance of what goes through them and biases are not small, so that each part of a model
   moves the answer by far more than rounding does. */
#ifndef MOTE_TESTS_SUPPORT_CHECKPOINT_H
#define MOTE_TESTS_SUPPORT_CHECKPOINT_H

#include <cstdint>
#include <map>
#include <string>
#include <vector>

#include <mote/trajectory.h>

namespace mote_test {

struct Weights {
  std::vector<int64_t> shape;
  std::vector<float> value;
};

struct Checkpoint {
  std::string name;
  int dim = 3, window = 5, width = 16, layers = 1, types = 5, type_width = 4;
  bool normalized_velocities = false;
  bool rest = false;  /* edge_rest_lengths */
  bool pairs = false; /* decoder "pairs" */
  double noise = 0, clip = 1;
  double stop = 0; /* wall_stop, m; 0: none */
  /* GNS */
  bool gns = false, edge_doubles = false;
  int hidden_layers = 2;
  /* GIOROM */
  bool convolves = false; /* graph_convolution "normalized" */
  double alpha = 0.7;
  bool pair_in = false, pair_out = false, occupied = false;
  std::vector<int> kernel_in = {12, 20}, kernel_out = {10, 14}; /* outputs of their layers */
  double gno_radius = 0.17, limits[3][2] = {{0.125, 0.875}, {0, 1}, {0.25, 0.75}};
  int grid = 5, heads = 2, blocks = 1, space = 9, transformer = 16, experts = 2, expert_width = 12, inner = 1;
  int projection_layers = 1, projection_width = 18;

  std::map<std::string, Weights> tensors;
};

/* The variants that tests go through, without tensors. */
std::vector<Checkpoint> checkpoints();
Checkpoint checkpoint(const std::string &name); /* one of them */

/* Tensors of the names and shapes that the config calls for. */
void invent(Checkpoint &checkpoint, uint64_t seed = 1);

std::string config_text(const Checkpoint &checkpoint);
void write_tensors(const std::string &path, const Checkpoint &checkpoint);

/* config.json, model.safetensors and metadata.json in `folder`. */
void save(const std::string &folder, const Checkpoint &checkpoint, const mote_metadata &metadata);

mote_metadata statistics(int dim); /* bounds of the unit square or cube */

/* Particles of all types in and around the unit box: some beyond the bounds and the latent domain, some on
   top of each other, some alone. Nobody is so near to a radius of somebody that rounding decides. Positions
   are multiples of 2^-16. */
struct Cloud {
  int n, dim, frames;
  double radius;
  std::vector<float> history; /* (frames, n, dim) */
  std::vector<int32_t> type;
  std::vector<float> rest; /* (n, dim); empty: the history's first frame */
  const float *at_rest() const { return rest.empty() ? history.data() : rest.data(); }
  const float *last() const { return history.data() + size_t(frames - 1) * n * dim; }
};
Cloud cloud_for(const Checkpoint &checkpoint, int n, uint64_t seed = 1);

} // namespace mote_test
#endif
