/* Scenes from text, for tests. */
#ifndef MOTE_TESTS_SCENE_PARSE_H
#define MOTE_TESTS_SCENE_PARSE_H

#include <string>

#include <mote/scene.h>

namespace mote_test {

/* A scene that destroys itself. */
struct Scene {
  explicit Scene(const std::string &text, const std::string &folder = "", uint64_t seed = 1,
                 int64_t limit = 0) {
    mote_scene_source source = {"scene.yaml", folder.empty() ? nullptr : folder.c_str(), seed, limit};
    status = mote_scene_parse(text.data(), text.size(), &source, &scene);
    if (status != MOTE_OK) error = mote_last_error();
  }
  ~Scene() { mote_scene_destroy(&scene); }
  Scene(const Scene &) = delete;
  Scene &operator=(const Scene &) = delete;
  mote_scene *operator->() { return &scene; }
  const float *x(int64_t i) const { return scene.particles.position + i * scene.dim; }
  mote_scene scene = {};
  mote_status status;
  std::string error;
};

/* The beginning of a scene with one material, in a unit box of 32 cells. */
inline std::string one_body(const std::string &body, int dim = 3) {
  return "dim: " + std::to_string(dim) + "\nmaterials:\n  jelly: {kind: fixed_corotated}\nbodies:\n  - " +
         body + "\n";
}

} // namespace mote_test
#endif
