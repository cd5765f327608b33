/* Learning what matter is made of, on a small block of plasticine in 2-D: the motion is told again by a law
   that never saw the true one; parameters and velocities come back; the same bits with any threads and after
   a stop; what is wrong is named. */
#include <mote/record.h>
#include <mote/scene.h>

#include <cmath>
#include <sstream>

#include "host/io/json_file.h"
#include "host/train/constitutive.h"
#include "tests/train/training.h"

namespace {

const char *const materials = "matter: {kind: von_mises, density: 1000, youngs_modulus: 4.0e4, "
                              "poisson_ratio: 0.3, yield_stress: 1500}";

std::string scene_of(const std::string &material, const std::string &velocity = "[0.6, -2.5]",
                     int steps_per_frame = 1, int frames = 60) {
  return "dim: 2\ndomain: {lower: [0, 0], upper: [1, 1], cells: 16}\nwalls: {all: free_slip, boundary_cells: "
         "2}\ngravity: [0, -9.81]\ntime: {step: 1.0e-3, steps_per_frame: " +
         std::to_string(steps_per_frame) + ", frames: " + std::to_string(frames) + "}\nmaterials:\n  " +
         material +
         "\nbodies:\n  - {name: block, material: matter, spacing: 0.03125, shape: {kind: box, size: [0.25, "
         "0.1875]}, position: [0.4, 0.25], velocity: " +
         velocity + "}\n";
}

const char *const learns_law =
    "kind: constitutive\nscene: scene.yaml\ntrajectory: truth.h5\nlaw: {width: 24, "
    "layers: 1, strain: 0.1, plasticity_scale: 0.1}\nrestarts: {from: 10, to: 60}\n"
    "elasticity: {rate: 1.0e-2}\nplasticity: {rate: 1.0e-2}\nseed: 4\n";

class Constitutive : public mote_test::Training {
protected:
  Constitutive() : Training({"/config.json", "/model.safetensors", "/state.safetensors"}) {}
  void SetUp() override { record("truth.h5", scene_of(materials), true); }
  /* A scene's file and its trajectory. */
  void record(const std::string &name, const std::string &text, bool states) {
    mote_test::Device device("cpu");
    mote_scene scene;
    mote_record_options options = {};
    options.state = states;
    const std::string path = mote_test::write(folder.file("scene.yaml"), text);
    MOTE_ASSERT_OK(mote_scene_load(path.c_str(), 0, &scene));
    MOTE_ASSERT_OK(mote_record(&scene, device.device, folder.file(name).c_str(), &options, nullptr, nullptr));
    mote_scene_destroy(&scene);
  }
  double identified(const std::string &model, const std::string &name) {
    cJSON *root = nullptr;
    double value = NAN;
    MOTE_EXPECT_OK(mote_json_read(folder.file(model + "/identified.json").c_str(), &root));
    MOTE_EXPECT_OK(mote_json_number("identified", root, name.c_str(), &value, nullptr));
    cJSON_Delete(root);
    return value;
  }
};

} // namespace

/* The loss of a batch by a weight and by an unknown, against central differences of the float32 loss: by 2 %
   of the largest gradient, as the differences carry the loss's rounding, about 1e-7 / 1e-4. */
TEST_F(Constitutive, LossesSlopeAlongTheirGradient) {
  const std::string run = mote_test::write(folder.file("run.yaml"), learns_law);
  mote_constitutive t = {};
  const std::string model = folder.file("model");
  t.folder = model.c_str();
  mote_train_options options = {};
  options.device = "cpu";
  MOTE_ASSERT_OK(mote_constitutive_open(&t, run.c_str(), &options, nullptr));
  const size_t floats = size_t(t.weights.floats);
  std::vector<float> value(floats), gradient(floats), changed;
  auto loss_at = [&](const std::vector<float> &at, float *slopes) {
    mote_piece piece = {20, 50}; /* over the impact */
    double loss;
    float *part[] = {static_cast<float *>(t.gradient.data)};
    MOTE_EXPECT_OK(mote_upload(t.stream, t.weights.value.data, at.data(), floats * sizeof(float)));
    MOTE_EXPECT_OK(mote_trained_weights_pack(&t.weights));
    MOTE_EXPECT_OK(mote_fill_bytes(t.stream, part[0], 0, size_t(t.weights.slots) * sizeof(float)));
    MOTE_EXPECT_OK(mote_constitutive_piece(&t, &piece, 1, &loss));
    EXPECT_EQ(piece.end, 50);
    if (!slopes) return loss;
    MOTE_EXPECT_OK(mote_trained_weights_gather(&t.weights, 1, part, nullptr));
    MOTE_EXPECT_OK(mote_download(t.stream, slopes, t.weights.gradient.data, floats * sizeof(float)));
    return loss;
  };
  MOTE_ASSERT_OK(mote_download(t.stream, value.data(), t.weights.value.data, floats * sizeof(float)));
  EXPECT_GT(loss_at(value, gradient.data()), 1e-4);
  double largest = 0;
  for (float g : gradient) largest = std::max(largest, double(std::fabs(g)));
  int checked = 0;
  for (size_t k = 0; k < floats && checked < 10; k++) {
    if (std::fabs(gradient[k]) < 0.4 * largest) continue;
    checked++;
    const float h = 5e-3f;
    changed = value;
    changed[k] += h;
    const double high = loss_at(changed, nullptr);
    changed[k] = value[k] - h;
    const double low = loss_at(changed, nullptr);
    EXPECT_NEAR((high - low) / (2 * double(h)), double(gradient[k]), 0.02 * largest) << k;
  }
  EXPECT_GT(checked, 2);
  mote_constitutive_close(&t);
}

TEST_F(Constitutive, ALawIsLearned) {
  const mote_train_summary s = train(std::string(learns_law) + "epochs: 80\n", "model");
  EXPECT_EQ(s.steps, 80);
  EXPECT_GT(s.parameters, 500);
  std::istringstream rows(mote_test::bytes(folder.file("model/metrics.csv")));
  int lines = 0;
  for (std::string line; std::getline(rows, line);) lines++;
  EXPECT_EQ(lines, 81);
  /* a hundredth of the way that the block goes, 150 mm */
  EXPECT_LT(s.validation, 1.5e-3);
  /* and it is a material of scenes */
  std::string law =
      "matter: {kind: neural, density: 1000, youngs_modulus: 4.0e4, poisson_ratio: 0.3, law: model}";
  const std::string scene = mote_test::write(folder.file("learned.yaml"), scene_of(law));
  mote_scene loaded;
  MOTE_ASSERT_OK(mote_scene_load(scene.c_str(), 0, &loaded));
  mote_scene_destroy(&loaded);
}

/* The same of its invariants, which are fewer, by a smaller network and as near. */
TEST_F(Constitutive, ALawOfInvariantsIsLearned) {
  std::string run = std::string(learns_law) + "epochs: 80\n";
  run.replace(run.find("width: 24"), 9, "form: invariants, width: 16");
  EXPECT_LT(train(run, "model").validation, 1.5e-3);
  const std::string config = mote_test::bytes(folder.file("model/config.json"));
  EXPECT_NE(config.find("\"invariants\""), std::string::npos) << config;
}

TEST_F(Constitutive, ThreadsDoNotMatter) {
  threads_do_not_matter(std::string(learns_law) + "epochs: 3\nvalidate_every: 1\nsave_every: 1\n");
}

TEST_F(Constitutive, ResumesToTheSameBits) {
  resumes_to_the_same_bits(
      std::string(learns_law) + "epochs: 6\nvalidate_every: 2\nsave_every: 2\nema: 0.5\n", 1, 4, 5);
}

TEST_F(Constitutive, PiecesCoverTheTrajectory) {
  const std::string run = mote_test::write(folder.file("run.yaml"), std::string(learns_law) + "epochs: 20\n");
  mote_constitutive t = {};
  MOTE_ASSERT_OK(mote_constitutive_run_load(run.c_str(), 0, &t.run));
  t.truth.frames = 61, t.truth.every = 1, t.truth.has_states = 1;
  EXPECT_EQ(mote_constitutive_length(&t, 0), 10);
  EXPECT_EQ(mote_constitutive_length(&t, 19), 60);
  for (int64_t epoch = 0; epoch < 20; epoch++) {
    std::vector<mote_piece> pieces(61);
    const int64_t count = mote_constitutive_pieces(&t, epoch, pieces.data());
    std::vector<int> covered(61);
    for (int64_t k = 0; k < count; k++) {
      EXPECT_LE(pieces[size_t(k)].end - pieces[size_t(k)].begin, mote_constitutive_length(&t, epoch));
      for (int64_t f = pieces[size_t(k)].begin + 1; f <= pieces[size_t(k)].end; f++) covered[size_t(f)]++;
    }
    for (size_t f = 1; f < 61; f++) EXPECT_EQ(covered[f], 1) << epoch << " " << f;
  }
  t.truth.has_states = 0;
  std::vector<mote_piece> one(61);
  EXPECT_EQ(mote_constitutive_pieces(&t, 0, one.data()), 1);
  EXPECT_EQ(one[0].begin, 0);
  EXPECT_EQ(one[0].end, 10);
  mote_constitutive_run_free(&t.run);
}

/* From positions of every fourth step alone, from values that are off by half and more: within 1 %. */
TEST_F(Constitutive, ParametersAndVelocityAreFound) {
  record("seen.h5", scene_of(materials, "[0.6, -2.5]", 4, 20), false);
  const std::string guess =
      "matter: {kind: von_mises, density: 1000, youngs_modulus: 2.5e4, poisson_ratio: 0.2, "
      "yield_stress: 2500}";
  mote_test::write(folder.file("guess.yaml"), scene_of(guess, "[0.2, -2]", 4, 20));
  train("kind: constitutive\nscene: guess.yaml\ntrajectory: seen.h5\nidentify:\n  materials: "
        "{matter: "
        "{youngs_modulus: [1.0e4, 2.0e5], poisson_ratio: [0.05, 0.45], yield_stress: [300, 1.0e4]}}\n"
        "  bodies: {0: {velocity: [[-2, -4], [2, 0]]}}\nrestarts: {from: 20}\nepochs: 100\n",
        "found");
  EXPECT_NEAR(identified("found", "body 0.velocity.x"), 0.6, 0.006);
  EXPECT_NEAR(identified("found", "body 0.velocity.y"), -2.5, 0.025);
  EXPECT_NEAR(identified("found", "matter.youngs_modulus"), 4e4, 400);
  EXPECT_NEAR(identified("found", "matter.poisson_ratio"), 0.3, 0.003);
  EXPECT_NEAR(identified("found", "matter.yield_stress"), 1500, 15);
}

/* The same with noise of 1 % of the block's longer side, 2.5 mm: within 5 %. */
TEST_F(Constitutive, NoiseMovesParametersLittle) {
  record("seen.h5", scene_of(materials, "[0.6, -2.5]", 2, 40), false);
  const std::string guess =
      "matter: {kind: von_mises, density: 1000, youngs_modulus: 2.5e4, poisson_ratio: 0.3, "
      "yield_stress: 2500}";
  mote_test::write(folder.file("guess.yaml"), scene_of(guess, "[0.2, -2]", 2, 40));
  train("kind: constitutive\nscene: guess.yaml\ntrajectory: seen.h5\nnoise: 2.5e-3\nidentify:\n  materials: "
        "{matter: {youngs_modulus: [1.0e4, 2.0e5], yield_stress: [300, 1.0e4]}}\n"
        "  bodies: {0: {velocity: [[-2, -4], [2, 0]]}}\nrestarts: {from: 20}\nepochs: 60\n",
        "found");
  EXPECT_NEAR(identified("found", "body 0.velocity.x"), 0.6, 0.03);
  EXPECT_NEAR(identified("found", "body 0.velocity.y"), -2.5, 0.125);
  EXPECT_NEAR(identified("found", "matter.youngs_modulus"), 4e4, 2000);
  EXPECT_NEAR(identified("found", "matter.yield_stress"), 1500, 75);
  EXPECT_GT(std::fabs(identified("found", "matter.youngs_modulus") - 4e4), 1) << "was there noise?";
}

/* A law's answer to a state depends less on how matter is turned before it is strained where pieces began
   with turned matter: elastic, so that there is strain to learn from. */
TEST_F(Constitutive, TurnedMatterTeachesThatThereIsNoDirection) {
  record(
      "elastic.h5",
      scene_of("matter: {kind: fixed_corotated, density: 1000, youngs_modulus: 2.0e4, poisson_ratio: 0.3}"),
      true);
  double differ[2];
  for (int isotropic = 0; isotropic < 2; isotropic++) {
    const std::string model = isotropic ? "turned" : "plain";
    train("kind: constitutive\nscene: scene.yaml\ntrajectory: elastic.h5\nlaw: {width: 24, layers: 1, "
          "strain: 0.1, "
          "plasticity_scale: 0}\nrestarts: {from: 10, to: 20}\nelasticity: {rate: 1.0e-2}\nepochs: 100\n" +
              std::string(isotropic ? "isotropic: true\n" : ""),
          model);
    mote_test::Device device("cpu");
    mote_neural_law *law;
    mote_neural_room room = {};
    MOTE_ASSERT_OK(mote_neural_law_open(device.device, folder.file(model).c_str(), &law));
    const float c = std::cos(0.7f), s = std::sin(0.7f), F[] = {1.04f, 0.03f, 0.01f, 0.92f};
    std::vector<float> rows(F, F + 4); /* and F Q behind it */
    for (int r = 0; r < 2; r++) {
      rows.push_back(F[2 * r] * c + F[2 * r + 1] * s);
      rows.push_back(-F[2 * r] * s + F[2 * r + 1] * c);
    }
    mote_test::Array<float> f(device, rows), tau(device, std::vector<float>(8, 0.f));
    mote_neural_rows both = {};
    both.dim = 2, both.n = 2;
    MOTE_ASSERT_OK(mote_neural_law_stress(law, device.stream, &both, f, 4, &room, nullptr, tau));
    const std::vector<float> t = tau.host();
    double far = 0, size = 0;
    for (size_t k = 0; k < 4; k++) {
      far = std::max(far, double(std::fabs(t[k] - t[4 + k])));
      size = std::max(size, double(std::fabs(t[k])));
    }
    differ[isotropic] = far / size;
    mote_neural_room_free(&room);
    mote_neural_law_destroy(law);
  }
  EXPECT_LT(differ[1], 0.2);
  EXPECT_LT(differ[1], 0.5 * differ[0]);
}

TEST_F(Constitutive, IdentificationsResumeToTheSameBits) {
  const std::string run =
      "kind: constitutive\nscene: scene.yaml\ntrajectory: truth.h5\nidentify: {materials: {matter: "
      "{youngs_modulus: [1.0e4, 2.0e5]}}}\nepochs: 4\nsave_every: 2\nvalidate_every: 2\n";
  train(run, "whole");
  train(run, "broken", 1, 0, 3);
  train(run, "broken", 2, 1);
  for (const char *name : {"/identified.json", "/state.safetensors"})
    EXPECT_TRUE(mote_test::bytes(folder.file(std::string("whole") + name)) ==
                mote_test::bytes(folder.file(std::string("broken") + name)))
        << name;
}

TEST_F(Constitutive, SaysWhatIsWrong) {
  const std::string head = "kind: constitutive\nscene: scene.yaml\ntrajectory: truth.h5\n";
  const struct {
    std::string rest;
    mote_status status;
    const char *says;
  } bad[] = {
      {"", MOTE_ERROR_FORMAT, "one of 'law' and 'identify'"},
      {"law: {}\nidentify: {}\n", MOTE_ERROR_FORMAT, "one of 'law' and 'identify'"},
      {"law: {depth: 3}\n", MOTE_ERROR_FORMAT, "depth"},
      {"law: {}\nloss: {position: 0}\n", MOTE_ERROR_FORMAT, "weight above 0"},
      {"law: {}\nmemory: 0\n", MOTE_ERROR_FORMAT, "memory"},
      {"law: {}\nbetas: [1, 0]\n", MOTE_ERROR_FORMAT, "betas"},
      {"identify: {}\n", MOTE_ERROR_FORMAT, "nothing that is looked for"},
      {"identify: {materials: {clay: {youngs_modulus: [1, 2]}}}\n", MOTE_ERROR_FORMAT, "clay"},
      {"identify: {materials: {matter: {colour: [1, 2]}}}\n", MOTE_ERROR_FORMAT, "colour"},
      {"identify: {materials: {matter: {youngs_modulus: [2.0e5, 1.0e4]}}}\n", MOTE_ERROR_FORMAT,
       "low < high"},
      {"identify: {materials: {matter: {youngs_modulus: [1.0e5, 2.0e5]}}}\n", MOTE_ERROR_FORMAT,
       "begins with"},
      {"identify: {materials: {matter: {poisson_ratio: [0.1, 0.7]}}}\n", MOTE_ERROR_ARGUMENT,
       "poisson_ratio"},
      {"identify: {bodies: {3: {velocity: [[0, 0], [1, 1]]}}}\n", MOTE_ERROR_FORMAT, "no body 3"},
      {"identify: {bodies: {0: {velocity: [1, 2, 3]}}}\n", MOTE_ERROR_FORMAT, "[lowest, highest]"},
      {"identify: {materials: {matter: {youngs_modulus: [1.0e4, 1.0e9]}}}\n", MOTE_ERROR_NUMERIC,
       "upper bounds"},
  };
  for (const auto &b : bad) {
    SCOPED_TRACE(b.rest);
    expect_error(head + b.rest, b.status, b.says);
  }
  expect_error("kind: constitutive\nscene: scene.yaml\ntrajectory: none.h5\nlaw: {}\n", MOTE_ERROR_IO,
               "none.h5");
  expect_error(head + "identify: {materials: {matter: {youngs_modulus: [1.0e4, 2.0e5]}}}\n",
               MOTE_ERROR_ARGUMENT, "leave out --from", "somewhere");
  mote_test::write(folder.file("other.yaml"),
                   scene_of(materials, "[0.6, -2.5]", 1, 60) +
                       "  - {material: matter, shape: {kind: box, size: [0.1, 0.1]}, "
                       "position: [0.7, 0.7]}\n");
  expect_error("kind: constitutive\nscene: other.yaml\ntrajectory: truth.h5\nlaw: {}\n", MOTE_ERROR_ARGUMENT,
               "expected the same ones");
  record("plain.h5", scene_of(materials), false);
  expect_error("kind: constitutive\nscene: scene.yaml\ntrajectory: plain.h5\nlaw: {}\nloss: {velocity: 1}\n",
               MOTE_ERROR_ARGUMENT, "no velocities");
}
