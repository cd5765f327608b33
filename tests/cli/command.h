/* Running the command. */
#ifndef MOTE_TESTS_CLI_COMMAND_H
#define MOTE_TESTS_CLI_COMMAND_H

#include <array>
#include <cstdio>
#include <filesystem>
#include <string>
#include <sys/wait.h>
#include <unistd.h>

namespace mote_test {

struct Answer {
  int code;
  std::string text;
};

/* Runs a program beside this test program's folder; text is standard output and error together. */
inline Answer run(const std::string &program, const std::string &arguments) {
  std::filesystem::path self = std::filesystem::read_symlink("/proc/self/exe");
  std::string command =
      (self.parent_path().parent_path() / program).string() + " " + arguments + " 2>&1 </dev/null";
  FILE *pipe = popen(command.c_str(), "r");
  Answer answer = {-1, ""};
  std::array<char, 4096> buffer;
  size_t got;
  while (pipe && (got = fread(buffer.data(), 1, buffer.size(), pipe)) > 0)
    answer.text.append(buffer.data(), got);
  int result = pipe ? pclose(pipe) : -1;
  if (WIFEXITED(result)) answer.code = WEXITSTATUS(result);
  return answer;
}

inline Answer mote(const std::string &arguments) {
  return run("mote", arguments);
}

inline bool has(const Answer &answer, const std::string &part) {
  return answer.text.find(part) != std::string::npos;
}

} // namespace mote_test
#endif
