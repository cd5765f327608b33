/* Small helpers of the tests of files. */
#ifndef MOTE_TESTS_IO_FILES_H
#define MOTE_TESTS_IO_FILES_H

#include <algorithm>
#include <cstdio>
#include <cstdlib>
#include <filesystem>
#include <fstream>
#include <sstream>
#include <string>
#include <unistd.h>
#include <vector>

namespace mote_test {

inline std::string slurp(const std::string &path) {
  std::ifstream file(path, std::ios::binary);
  std::ostringstream text;
  text << file.rdbuf();
  return text.str();
}

inline void spill(const std::string &path, const std::string &bytes) {
  std::ofstream(path, std::ios::binary).write(bytes.data(), std::streamsize(bytes.size()));
}

inline std::vector<std::string> names_in(const std::string &folder) {
  std::vector<std::string> names;
  for (const auto &entry : std::filesystem::directory_iterator(folder))
    names.push_back(entry.path().filename().string());
  std::sort(names.begin(), names.end());
  return names;
}

/* A file for thousands of rewrites: in memory where the system has such a place. Removed at the end. */
class ScratchFile {
public:
  explicit ScratchFile(const std::string &name) {
    std::string folder =
        access("/dev/shm", W_OK) == 0 ? "/dev/shm" : std::filesystem::temp_directory_path().string();
    path = folder + "/mote-test-" + std::to_string(getpid()) + "-" + name;
  }
  ~ScratchFile() { unlink(path.c_str()); }
  std::string path;
};

/* Runs a Python script in a folder; its exit code, its output into *said. */
inline int python(const std::string &folder, const std::string &script, std::string *said = nullptr,
                  const char *interpreter = "python3") {
  spill(folder + "/script.py", script);
  std::string command = "cd '" + folder + "' && " + interpreter + " script.py > said.txt 2>&1";
  int code = std::system(command.c_str());
  if (said) *said = slurp(folder + "/said.txt");
  std::filesystem::remove(folder + "/script.py");
  std::filesystem::remove(folder + "/said.txt");
  return code;
}

} // namespace mote_test
#endif
