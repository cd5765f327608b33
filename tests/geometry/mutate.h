/* Deterministic fuzzing: copies of good inputs with bytes changed, cut, doubled and words of the format
   spliced in. Every input lies at the end of an allocation of its own, so that a sanitizer sees a byte read
   too far. */
#ifndef MOTE_TESTS_GEOMETRY_MUTATE_H
#define MOTE_TESTS_GEOMETRY_MUTATE_H

#include <memory>
#include <random>
#include <string>
#include <vector>

namespace mote_test {

class Mutator {
public:
  Mutator(std::vector<std::string> seeds, std::vector<std::string> words)
      : seeds_(std::move(seeds)), words_(std::move(words)) {}

  std::string next() {
    std::string text = seeds_[pick(seeds_.size())];
    for (size_t edits = 1 + pick(4); edits > 0; edits--) edit(text);
    return text;
  }

  /* Calls `parse` with `count` inputs. */
  template <typename Parse> void run(int count, Parse parse) {
    for (int i = 0; i < count; i++) {
      std::string text = next();
      std::unique_ptr<char[]> exact(new char[text.size() ? text.size() : 1]);
      std::copy(text.begin(), text.end(), exact.get());
      parse(exact.get(), text.size());
    }
  }

private:
  size_t pick(size_t n) { return n ? random_() % n : 0; }

  void edit(std::string &text) {
    size_t at = pick(text.size() + 1), length = pick(text.size() - at + 1),
           few = std::min<size_t>(length, 24);
    switch (pick(7)) {
    case 0:
      if (at < text.size()) text[at] = char(random_());
      break;
    case 1:
      if (at < text.size()) text[at] ^= char(1 << pick(8));
      break;
    case 2: text.erase(at, few); break;
    case 3: text.erase(at); break;
    case 4: text.insert(at, text.substr(at, few)); break;
    case 5: text.insert(at, words_[pick(words_.size())]); break;
    default: text.replace(at, few, words_[pick(words_.size())]); break;
    }
  }

  std::vector<std::string> seeds_, words_;
  std::mt19937 random_{20240229};
};

} // namespace mote_test
#endif
