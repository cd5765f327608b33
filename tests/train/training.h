/* What the tests of trainings share: files whole, and a user who stops. */
#ifndef MOTE_TESTS_TRAIN_TRAINING_H
#define MOTE_TESTS_TRAIN_TRAINING_H

#include <fstream>
#include <iterator>
#include <string>

namespace mote_test {

/* Returns the path. */
inline std::string write(const std::string &path, const std::string &text) {
  std::ofstream(path) << text;
  return path;
}

inline std::string bytes(const std::string &path) {
  std::ifstream file(path, std::ios::binary);
  return std::string(std::istreambuf_iterator<char>(file), {});
}

/* Asks to stop once `limit` of what is counted (steps, samples) are done. */
struct Stopper {
  long long limit;
  static int progress(void *user, const char *, const char *, long long done, long long) {
    return done >= static_cast<Stopper *>(user)->limit;
  }
};

} // namespace mote_test
#endif
