/* Small specs and what is made of them, for tests. */
#ifndef MOTE_TESTS_DATASET_SPEC_TEXT_H
#define MOTE_TESTS_DATASET_SPEC_TEXT_H

#include <fstream>
#include <string>

#include "host/dataset/spec.h"

namespace mote_test {

/* A spec that frees itself. */
struct Spec {
  explicit Spec(const std::string &text, uint64_t seed = 0) {
    mote_scene_source source = {"spec.yaml", nullptr, 0, 20000};
    status = mote_spec_parse(text.data(), text.size(), &source, seed, &spec);
    if (status == MOTE_OK) status = mote_spec_check(&spec, nullptr);
    if (status != MOTE_OK) error = mote_last_error();
  }
  ~Spec() { mote_spec_free(&spec); }
  Spec(const Spec &) = delete;
  Spec &operator=(const Spec &) = delete;
  mote_spec spec = {};
  mote_status status;
  std::string error;
};

/* One scene, destroyed at the end. */
struct Drawn {
  Drawn(const Spec &spec, int split, int64_t number, int attempt = 0) {
    status = mote_spec_scene(&spec.spec, split, number, attempt, &scene);
    if (status != MOTE_OK) error = mote_last_error();
  }
  ~Drawn() { mote_scene_destroy(&scene); }
  Drawn(const Drawn &) = delete;
  Drawn &operator=(const Drawn &) = delete;
  mote_scene *operator->() { return &scene; }
  mote_scene scene = {};
  mote_status status;
  std::string error;
};

/* Two-dimensional, quick to simulate: 6 frames on 16 x 16 cells. */
inline std::string small_spec(
    const std::string &bodies = "    block:\n"
                                "      number: {integer: [1, 2]}\n"
                                "      material: jelly\n"
                                "      form:\n"
                                "        choose:\n"
                                "          - shape: {kind: sphere, radius: {uniform: [0.08, 0.12]}}\n"
                                "          - shape: {kind: box, size: {uniform: [[0.1, 0.1], [0.2, 0.2]]}}\n"
                                "      rotation: random\n"
                                "      velocity: {isotropic: [0.5, 1]}\n",
    const std::string &splits = "  train: 3\n  valid: 1\n  test: 2\n", const std::string &more = "") {
  return "seed: 5\n"
         "scene:\n"
         "  dim: 2\n"
         "  domain: {lower: [0, 0], upper: [1, 1], cells: 16}\n"
         "  gravity: [0, -9.81]\n"
         "  time: {frame_interval: 0.01, frames: 6}\n"
         "  materials:\n"
         "    jelly: {kind: fixed_corotated, youngs_modulus: {log_uniform: [1.0e+4, 1.0e+5]}}\n"
         "  bodies:\n" +
         bodies + "splits:\n" + splits + more;
}

inline std::string write_text(const std::string &path, const std::string &text) {
  std::ofstream(path) << text;
  return path;
}

} // namespace mote_test
#endif
