/* Scene files: what is read, and the message for each way to get it wrong. */
#include "tests/geometry/mutate.h"
#include "tests/scene/parse.h"
#include "tests/support/testing.h"

#include <filesystem>
#include <fstream>

using mote_test::one_body;
using mote_test::Scene;

namespace {

std::string project_file(const std::string &relative) {
  namespace fs = std::filesystem;
  for (fs::path folder = fs::current_path();; folder = folder.parent_path()) {
    if (fs::exists(folder / relative)) return (folder / relative).string();
    if (folder == folder.parent_path()) return "";
  }
}

const char *const whole = R"(
name: a scene
dim: 3
domain: {lower: [-1, 0, 0], upper: [1, 1, 0.5], spacing: 0.03125}
walls:
  all: no_slip
  upper_y: {contact: separate, friction: 0.25}
  boundary_cells: 4
  clip_cells: 1
gravity: [0, 0, -1.5]
time: {step: 1.0e-4, frames: 7, frame_interval: 0.002}
materials:
  wet: &shared {kind: newtonian, density: 900, viscosity: 0.5}
  dry: {kind: drucker_prager, friction_angle: 40, youngs_modulus: 2e5}
  wet too: *shared
bodies:
  - name: block
    material: dry
    shape: {kind: box, size: [0.25, 0.125, 0.25]}
    position: [0.1, 0.3, 0.25]
    velocity: [1, 2, 3]
  - material: wet
    shape: {kind: sphere, radius: 0.1}
    count: 100
    position: [-0.5, 0.5, 0.25]
colliders:
  - shape: {kind: plane, normal: [0, 2, 0]}
    position: [0, 0.2, 0]
    contact: free_slip
  - name: bar
    shape: {kind: capsule, radius: 0.1, length: 0.4}
    position: [0, 0.5, 0]
    rotation: {axis: [0, 0, 1], angle: 90}
    velocity: [0, 0.5, 0]
    angular_velocity: [0, 3, 0]
    friction: 0.5
changes:
  - {from: dry, to: wet, begin: 0.5, end: 0.75, order: from_above}
  - {from: wet, to: wet too, begin: 0, end: 0}
  - {name: third, from: wet too, to: dry, begin: 1, end: 2, order: random, seed: 9}
)";

/* A scene of jelly and a wet fluid, and a change on its third line. */
std::string changes(const std::string &change) {
  return "materials: {jelly: {kind: fixed_corotated}, wet: {kind: newtonian}}\nchanges:\n  - {" + change +
         "}\n";
}

TEST(Scene, ReadsEveryPart) {
  Scene s(whole);
  ASSERT_EQ(s.status, MOTE_OK) << s.error;
  EXPECT_STREQ(s->name, "a scene");
  EXPECT_EQ(s->cells[0], 64);
  EXPECT_EQ(s->cells[1], 32);
  EXPECT_EQ(s->cells[2], 16);
  EXPECT_EQ(s->lower[0], -1);
  EXPECT_EQ(s->boundary_cells, 4);
  EXPECT_EQ(s->clip_cells, 1);
  EXPECT_EQ(s->walls[0][1].contact, MOTE_NO_SLIP);
  EXPECT_EQ(s->walls[1][1].contact, MOTE_SEPARATE);
  EXPECT_EQ(s->walls[1][1].friction, 0.25f);
  EXPECT_EQ(s->gravity[1], 0);
  EXPECT_EQ(s->gravity[2], -1.5f);
  EXPECT_EQ(s->time_step, 1e-4f);
  EXPECT_EQ(s->steps_per_frame, 20);
  EXPECT_EQ(s->frames, 7);
  ASSERT_EQ(s->material_count, 3);
  EXPECT_STREQ(s->materials[1].name, "dry");
  EXPECT_EQ(s->materials[1].friction_angle, 40);
  EXPECT_EQ(s->materials[2].viscosity, 0.5f);
  ASSERT_EQ(s->collider_count, 2);
  EXPECT_EQ(s->colliders[0].normal[1], 1);
  EXPECT_EQ(s->colliders[0].contact, MOTE_FREE_SLIP);
  EXPECT_EQ(s->colliders[1].half_length, 0.2f);
  EXPECT_NEAR(s->colliders[1].orientation[0], std::sqrt(0.5), 1e-6);
  EXPECT_NEAR(s->colliders[1].orientation[3], std::sqrt(0.5), 1e-6);
  EXPECT_EQ(s->colliders[1].angular_velocity[1], 3);
  EXPECT_EQ(s->colliders[1].contact, MOTE_SEPARATE);
  ASSERT_EQ(s->change_count, 3);
  EXPECT_EQ(s->changes[0].from, 1);
  EXPECT_EQ(s->changes[0].to, 0);
  EXPECT_EQ(s->changes[0].begin, 0.5f);
  EXPECT_EQ(s->changes[0].end, 0.75f);
  EXPECT_EQ(s->changes[0].order, MOTE_CHANGE_FROM_ABOVE);
  EXPECT_EQ(s->changes[1].order, MOTE_CHANGE_RANDOM);
  EXPECT_EQ(s->changes[1].seed, 1u); /* the scene's */
  EXPECT_EQ(s->changes[2].seed, 9u);
  const mote_particles &p = s->particles;
  ASSERT_EQ(p.count, 16 * 8 * 16 + 100); /* spacing: half a cell */
  EXPECT_EQ(p.particle_type[0], MOTE_TYPE_SAND);
  EXPECT_EQ(p.particle_type[p.count - 1], MOTE_TYPE_FLUID);
  EXPECT_EQ(p.material[0], 1);
  EXPECT_EQ(p.material[p.count - 1], 0);
  EXPECT_EQ(p.body[p.count - 1], 1);
  EXPECT_EQ(p.density[p.count - 1], 900);
  EXPECT_EQ(p.velocity[1], 2);
  EXPECT_EQ(p.deformation_gradient[0], 1);
}

TEST(Scene, CreateGivesTheDefaults) {
  mote_scene scene;
  for (int dim : {2, 3}) {
    MOTE_ASSERT_OK(mote_scene_create(dim, &scene));
    MOTE_EXPECT_OK(mote_scene_check(&scene));
    EXPECT_EQ(scene.cells[1], 32);
    EXPECT_EQ(scene.gravity[1], -9.8f);
    mote_scene_destroy(&scene);
  }
  EXPECT_EQ(mote_scene_create(4, &scene), MOTE_ERROR_ARGUMENT);
}

TEST(Scene, CheckFindsWhatIsWrongInMemory) {
  struct {
    const char *part;
    void (*harm)(mote_scene *);
  } cases[] = {
      {"grid_spacing", [](mote_scene *s) { s->grid_spacing = 0; }},
      {"boundary_cells", [](mote_scene *s) { s->boundary_cells = 1; }},
      {"cells[2]", [](mote_scene *s) { s->cells[2] = 3; }},
      {"gravity", [](mote_scene *s) { s->gravity[2] = NAN; }},
      {"steps_per_frame", [](mote_scene *s) { s->steps_per_frame = 0; }},
      {"time_step", [](mote_scene *s) { s->time_step = -1; }},
      {"wall 5", [](mote_scene *s) { s->walls[2][1].friction = -1; }},
      {"collider 1", [](mote_scene *s) { s->colliders[1].radius = 0; }},
      {"collider 0", [](mote_scene *s) { s->colliders[0].normal[1] = 2; }},
      {"not finite", [](mote_scene *s) { s->particles.velocity[5] = INFINITY; }},
      {"outside the domain: y", [](mote_scene *s) { s->particles.position[4] = 1.5f; }},
      {"material 3 of 3", [](mote_scene *s) { s->particles.material[7] = 3; }},
      {"volume", [](mote_scene *s) { s->particles.volume[7] = 0; }},
      {"density", [](mote_scene *s) { s->materials[0].density = -1; }},
      {"change 2: from material 2 to 3", [](mote_scene *s) { s->changes[2].to = 3; }},
      {"change 0: begin", [](mote_scene *s) { s->changes[0].begin = 0.8f; }},
  };
  for (auto &c : cases) {
    Scene s(whole);
    ASSERT_EQ(s.status, MOTE_OK) << s.error;
    c.harm(&s.scene);
    EXPECT_EQ(mote_scene_check(&s.scene), MOTE_ERROR_ARGUMENT) << c.part;
    EXPECT_NE(std::string(mote_last_error()).find(c.part), std::string::npos) << mote_last_error();
  }
}

TEST(Scene, ErrorsTellWhereAndWhatToDo) {
  const std::string ball = "shape: {kind: sphere, radius: 0.1}, position: [0.5, 0.5, 0.5]";
  struct {
    std::string text, message;
  } cases[] = {
      {"frame: 3", "scene.yaml:1:1: unknown key 'frame' in the scene: did you mean 'name'?"},
      {"colour: red", "scene.yaml:1:1: unknown key 'colour' in the scene: expected one of name, dim"},
      {one_body("{name: block, velocty: [1, 0, 0]}"),
       "scene.yaml:5:19: unknown key 'velocty' in body 'block': did you mean 'velocity'?"},
      {"dim: 2\ndim: 3", "scene.yaml:2:1: key 'dim' appears a second time in the scene (first on line 1)"},
      {"dim: 4", "scene.yaml:1:6: 'dim' of the scene: expected a whole number from 2 to 3, found '4'"},
      {"dim: [3]", "found a list"},
      {"gravity: [0, nan, 0]", "'gravity' of the scene: expected a finite number, found 'nan'"},
      {"gravity: [0, .inf, 0]", "found '.inf'"},
      {"gravity: [0, 1e60, 0]", "found '1e60'"},
      {"gravity: [0, '1', 0]", "found '1'"},
      {"gravity: [0, 1]", "expected a list of 3 numbers, found 2"},
      {"gravity:", "expected a list of 3 numbers, found ''"},
      {"- 1", "the scene: expected a mapping"},
      {"", "scene.yaml:1:1: empty"},
      {"a: [", "scene.yaml:"},
      {"a: !!str b", "an explicit tag"},
      {"dim: 3\n---\ndim: 3", "second document"},
      {"? [a]\n: b", "a key of the scene: expected a word"},
      {"<<: {dim: 3}", "unknown key '<<'"},
      {"domain: {upper: [1, 1, 1]}", "expected two of 'upper', 'cells' and 'spacing'"},
      {"domain: {upper: [1, 1, 1], spacing: 0.03}", "33.3333 cells of 0.03 m: expected a whole number"},
      {"domain: {upper: [1, 1, -1], spacing: 0.03}", "must lie above 'lower' on z"},
      {"domain: {upper: [1, 1, 1], cells: [32, 32, 16]}", "the one in 'cells'"},
      {"domain: {upper: [1, 1, 1], cells: 4}", "expected 7 (two walls and a cell)"},
      {"domain: {upper: [1, 1, 1], spacing: 1e-9}", "expected a whole number"},
      {"walls: {lower: no_slip}", "did you mean 'lower_x'?"},
      {"walls: {all: sticky}", "expected one of free_slip, no_slip, separate"},
      {"walls: {all: {contact: no_slip, friction: 1}}", "friction needs contact: separate"},
      {"dim: 2\nwalls: {lower_z: no_slip}", "unknown key 'lower_z'"},
      {"time: {step: 0}", "expected a number above 0, found '0'"},
      {"time: {step: 1e-4, frame_interval: 1.5e-4}", "1.5 steps"},
      {"time: {frame_interval: 1, steps_per_frame: 3}", "not both"},
      {"materials: {a: {kind: jelly}}",
       "unknown kind 'jelly' of material 'a': expected one of fixed_corotated"},
      {"materials: {a: {}}", "material 'a' lacks the key 'kind'"},
      {"materials: {a: {kind: newtonian, friction_angle: 3}}",
       "unknown key 'friction_angle' in material 'a' (newtonian)"},
      {"materials: {a: {kind: newtonian, density: -3}}", "scene.yaml:1:16: "},
      {"materials: {a: {kind: newtonian, law: here}}", "unknown key 'law' in material 'a' (newtonian)"},
      {"materials: {a: {kind: neural}}", "material 'a' (neural) lacks the key 'law'"},
      {"materials: {a: {kind: neural, law: here}}", "this scene may not name files: it has no folder"},
      {"bodies: 3", "'bodies' of the scene: expected a list, found '3'"},
      {"bodies: [3]", "body 1: expected a mapping"},
      {one_body("{material: jely, " + ball + "}"),
       "unknown material 'jely' of body 1: did you mean 'jelly'?"},
      {one_body("{" + ball + "}"), "body 1 lacks the key 'material'"},
      {one_body("{material: jelly}"), "exactly one of 'shape', 'mesh', 'points' and 'state'"},
      {one_body("{material: jelly, shape: {kind: sphere}}"), "lacks the key 'radius'"},
      {one_body("{material: jelly, shape: {kind: sphere, radius: 1, height: 2}}"), "unknown key 'height'"},
      {one_body("{material: jelly, shape: {kind: box, size: [1, 0, 1]}}"), "expected numbers above 0"},
      {one_body("{material: jelly, shape: {kind: torus, radius: 1, tube_radius: 2}}"), "at most its radius"},
      {one_body("{material: jelly, " + ball + ", count: 0}"), "whole number from 1"},
      {one_body("{material: jelly, " + ball + ", count: 1.5}"), "found '1.5'"},
      {one_body("{material: jelly, " + ball + ", count: 3, spacing: 0.1}"), "not both"},
      {one_body("{material: jelly, " + ball + ", spacing: 1e-7}"), "more than the limit"},
      {one_body("{material: jelly, " + ball + ", jitter: 0.2}"), "needs placement: jittered"},
      {one_body("{material: jelly, " + ball + ", rotation: {axis: [0, 0, 0], angle: 3}}"),
       "direction of length 0"},
      {one_body("{material: jelly, " + ball + ", rotation: {axis: [0, 0, 1]}}"), "lacks the key 'angle'"},
      {one_body("{material: jelly, " + ball + ", scale: 0}"), "found '0'"},
      {one_body("{name: b, material: jelly, shape: {kind: sphere, radius: 0.1}}"),
       "body 'b' reaches from x = -0.0"},
      {one_body("{material: jelly, mesh: {file: a.obj}}"), "may not name files"},
      {one_body("{material: jelly, " + ball + ", name: [1]}"), "expected a text"},
      {"colliders: [{position: [0, 0, 0], shape: {kind: cone}}]", "unknown kind 'cone'"},
      {"colliders: [{position: [0, 0, 0], shape: {kind: plane, normal: [0, 0, 0]}}]", "normal of length 0"},
      {"colliders: [{shape: {kind: sphere, radius: 1}}]", "collider 1 lacks the key 'position'"},
      {"colliders: [{name: c, position: [0, 0, 0], contact: no_slip, friction: 1, shape: {kind: sphere, "
       "radius: 1}}]",
       "collider 'c': friction needs"},
      {changes("from: jely, to: wet, begin: 0, end: 1"),
       "scene.yaml:3:12: unknown material 'jely' of change 1: did you mean 'jelly'?"},
      {changes("from: jelly, to: sand, begin: 0, end: 1"), "scene.yaml:3:23: unknown material 'sand'"},
      {changes("from: jelly, to: wet, begin: 0.2, end: 0.1"),
       "scene.yaml:3:45: change 1: an end at 0.1 s, before its begin at 0.2 s"},
      {changes("from: wet, to: wet, begin: 0, end: 1"), "scene.yaml:3:21: change 1: from 'wet' to itself"},
      {changes("name: thaw, from: jelly, to: wet, begin: -1, end: 1"),
       "scene.yaml:3:47: 'begin' of change 'thaw': expected"},
      {changes("from: jelly, to: wet, begin: 0, end: .inf"), "'end' of change 1: expected"},
      {changes("from: jelly, to: wet, begin: 0"), "change 1 lacks the key 'end'"},
      {changes("to: wet, begin: 0, end: 1"), "change 1 lacks the key 'from'"},
      {changes("from: jelly, to: wet, begin: 0, end: 1, order: upwards"),
       "unknown order 'upwards' of change 1: expected one of random, from_below, from_above"},
      {changes("from: jelly, to: wet, begin: 0, end: 1, order: from_below, seed: 3"),
       "scene.yaml:3:71: change 1: 'seed' needs order: random"},
      {changes("from: jelly, to: wet, begin: 0, end: 1, seed: -3"), "'seed' of change 1: expected a whole"},
      {changes("from: jelly, to: wet, start: 0, end: 1"), "unknown key 'start' in change 1"},
      {changes("from: [jelly], to: wet, begin: 0, end: 1"), "'material' of change 1: expected a word"},
      {"changes: {from: a}", "'changes' of the scene: expected a list"},
      {"changes: [a]", "change 1: expected a mapping"},
  };
  for (auto &c : cases) {
    Scene s(c.text);
    EXPECT_NE(s.status, MOTE_OK) << c.text;
    EXPECT_NE(s.error.find(c.message), std::string::npos) << c.text << "\n" << s.error;
    EXPECT_EQ(s.error.rfind("scene.yaml", 0), 0u) << "no place: " << s.error;
    EXPECT_EQ(s->materials, nullptr) << "a failed parse must leave nothing";
  }
}

TEST(Scene, LimitsHold) {
  std::string deep(1000, '[');
  EXPECT_NE(Scene("a: " + deep).error.find("24 levels"), std::string::npos);
  std::string wide = "gravity: [";
  for (int i = 0; i < 60000; i++) wide += "1,";
  EXPECT_NE(Scene(wide + "1]").error.find("50,000 values"), std::string::npos);
  std::string bomb = "a: &a [x, x]\n"; /* 2^n values were each alias unfolded */
  for (int i = 1; i < 200; i++)
    bomb += "k" + std::to_string(i) + ": &a" + std::to_string(i) + " [*a" +
            (i > 1 ? std::to_string(i - 1) : "") + ", *a" + (i > 1 ? std::to_string(i - 1) : "") + "]\n";
  EXPECT_NE(Scene(bomb).error.find("anchors and aliases"), std::string::npos);
  EXPECT_NE(Scene("gravity: &g [*g, *g, *g]").status, MOTE_OK); /* a cycle */
  EXPECT_NE(Scene("a: &a {b: *a}\n").status, MOTE_OK);
  EXPECT_NE(Scene(std::string(2 << 20, ' ')).error.find("at most"), std::string::npos);
  EXPECT_NE(Scene(std::string("a\0b: 1", 6)).status, MOTE_OK);
  EXPECT_NE(Scene("\xff\xfe\xfd").status, MOTE_OK);
}

TEST(Scene, FrameIntervalChoosesAStableStep) {
  std::string body =
      "{material: jelly, shape: {kind: box, size: [0.2, 0.2, 0.2]}, position: [0.5, 0.5, 0.5]}";
  Scene s(one_body(body) + "time: {frame_interval: 0.01, frames: 3}\n");
  ASSERT_EQ(s.status, MOTE_OK) << s.error;
  float stable = mote_scene_stable_time_step(&s.scene);
  EXPECT_NEAR(s->time_step * s->steps_per_frame, 0.01, 1e-7);
  EXPECT_LE(s->time_step, 0.5f * stable * 1.0001f);
  EXPECT_GT(s->time_step * s->steps_per_frame / (s->steps_per_frame - 1), 0.5f * stable); /* the fewest */
}

TEST(Scene, LawsAreFoundFromTheScene) {
  mote_test::TemporaryFolder folder;
  const std::string path = folder.file("s.yaml");
  for (std::string law : {"models/jelly", "/elsewhere/jelly"}) {
    std::ofstream(path) << "materials: {a: {kind: neural, law: " << law << ", youngs_modulus: 2.0e+5}}\n";
    mote_scene scene;
    MOTE_ASSERT_OK(mote_scene_load(path.c_str(), 0, &scene));
    EXPECT_EQ(scene.materials[0].law, law[0] == '/' ? law : folder.file(law));
    EXPECT_EQ(scene.materials[0].youngs_modulus, 2e5f);
    mote_scene_destroy(&scene);
  }
}

TEST(Scene, LoadNamesTheFile) {
  mote_test::TemporaryFolder folder;
  std::string path = folder.file("s.yaml");
  std::ofstream(path) << "dim: 3\ngravitas: 1\n";
  mote_scene scene;
  EXPECT_EQ(mote_scene_load(path.c_str(), 1, &scene), MOTE_ERROR_FORMAT);
  EXPECT_EQ(mote_last_error(), path + ":2:1: unknown key 'gravitas' in the scene: did you mean 'gravity'?");
  EXPECT_EQ(mote_scene_load(folder.file("none").c_str(), 1, &scene), MOTE_ERROR_IO);
  EXPECT_NE(mote_scene_load(folder.path.c_str(), 1, &scene), MOTE_OK);
}

TEST(Scene, ExamplesLoad) {
  std::string folder = project_file("scripts/scenes");
  if (folder.empty()) GTEST_SKIP() << "scripts/scenes is not above the working directory";
  int count = 0;
  for (const auto &entry : std::filesystem::directory_iterator(folder)) {
    if (entry.path().extension() != ".yaml") continue;
    mote_scene scene;
    ASSERT_EQ(mote_scene_load(entry.path().c_str(), 1, &scene), MOTE_OK) << mote_last_error();
    EXPECT_GT(scene.particles.count, 1000) << entry.path();
    EXPECT_GT(scene.frames, 0) << entry.path();
    if (entry.path().stem() == "demo") {
      EXPECT_EQ(scene.particles.count, 100000);
    }
    mote_scene_destroy(&scene);
    count++;
  }
  EXPECT_GE(count, 8);
}

TEST(Fuzz, ScenesSurviveMutations) {
  int good = 0;
  mote_test::Mutator mutator(
      {whole, one_body("{material: jelly, shape: {kind: torus, radius: 0.1, tube_radius: 0.05}, "
                       "position: [0.5, 0.5, 0.5], placement: poisson, count: 50}")},
      {"from_below", "*shared", "&shared",       "[",        "}",        "1e-30",    "1e30",
       "-1",         ".nan",    "{kind: cone, ", "count: 7", "\n  ",     "dim: 2\n", "- ",
       ": ",         "poisson", "jittered",      "!!int",    "\xc3\x28", "\0x"});
  mutator.run(3000, [&](const char *data, size_t size) {
    mote_scene_source source = {"fuzz", nullptr, 1, 5000};
    mote_scene scene;
    mote_status status = mote_scene_parse(data, size, &source, &scene);
    if (status != MOTE_OK) {
      ASSERT_EQ(std::string(mote_last_error()).rfind("fuzz", 0), 0u) << mote_last_error();
      return;
    }
    good++;
    EXPECT_EQ(mote_scene_check(&scene), MOTE_OK) << mote_last_error();
    mote_scene_destroy(&scene);
  });
  EXPECT_GT(good, 20); /* most edits of a strict format are errors */
}

} // namespace
