/* Files that are whole or absent: one and several, links, folders that refuse, and JSON. */
#include "tests/support/testing.h"

#include <fcntl.h>
#include <sys/mount.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#include "host/core/file.h"
#include "host/io/json_file.h"
#include "tests/io/files.h"

using mote_test::names_in;
using mote_test::slurp;
using mote_test::spill;
using mote_test::TemporaryFolder;

TEST(file, is_absent_until_it_is_whole) {
  TemporaryFolder folder;
  mote_output o;
  MOTE_ASSERT_OK(mote_output_open(folder.file("a").c_str(), &o));
  std::string large(1000000, 'x');
  MOTE_ASSERT_OK(mote_output_write(&o, "head", 4));
  MOTE_ASSERT_OK(mote_output_write(&o, large.data(), large.size()));
  MOTE_ASSERT_OK(mote_output_printf(&o, "%s %d", std::string(9000, 'y').c_str(), 7));
  MOTE_ASSERT_OK(mote_output_patch(&o, 1, "EA", 2));
  EXPECT_FALSE(std::filesystem::exists(folder.file("a")));
  MOTE_ASSERT_OK(mote_output_commit(&o, 1));
  EXPECT_TRUE(slurp(folder.file("a")) == "hEAd" + large + std::string(9000, 'y') + " 7");
  EXPECT_EQ(names_in(folder.path), std::vector<std::string>{"a"});
  struct stat about;
  stat(folder.file("a").c_str(), &about);
  mode_t mask = umask(0);
  umask(mask);
  EXPECT_EQ(about.st_mode & 0777, 0666 & ~mask);
}

TEST(file, discard_leaves_what_was_there) {
  TemporaryFolder folder;
  spill(folder.file("a"), "old");
  mote_output o;
  MOTE_ASSERT_OK(mote_output_open(folder.file("a").c_str(), &o));
  MOTE_ASSERT_OK(mote_output_write(&o, "new", 3));
  mote_output_discard(&o, 1);
  mote_output_discard(&o, 1);
  EXPECT_EQ(slurp(folder.file("a")), "old");
  EXPECT_EQ(names_in(folder.path), std::vector<std::string>{"a"});
}

/* The last of three renames fails: the first, which replaced a file, and the second, which did not, are taken
 * back. */
TEST(file, a_group_is_renamed_together) {
  TemporaryFolder folder;
  spill(folder.file("a"), "old a");
  mote_output o[3];
  for (int k = 0; k < 3; k++) {
    MOTE_ASSERT_OK(mote_output_open(folder.file(std::string(1, char('a' + k))).c_str(), &o[k]));
    MOTE_ASSERT_OK(mote_output_write(&o[k], "new", 3));
  }
  mkdir(folder.file("c").c_str(), 0777); /* after the check of open */
  EXPECT_EQ(mote_output_commit(o, 3), MOTE_ERROR_IO);
  EXPECT_NE(std::string(mote_last_error()).find("/c"), std::string::npos) << mote_last_error();
  EXPECT_EQ(slurp(folder.file("a")), "old a");
  EXPECT_EQ(names_in(folder.path), (std::vector<std::string>{"a", "c"}));
}

TEST(file, links_stay_links) {
  TemporaryFolder folder;
  mkdir(folder.file("elsewhere").c_str(), 0777);
  spill(folder.file("elsewhere/target"), "old");
  ASSERT_EQ(symlink("elsewhere/target", folder.file("link").c_str()), 0);
  MOTE_ASSERT_OK(mote_file_write(folder.file("link").c_str(), "new", 3));
  EXPECT_EQ(slurp(folder.file("elsewhere/target")), "new");
  EXPECT_TRUE(std::filesystem::is_symlink(folder.file("link")));
}

TEST(file, refuses_what_is_no_file) {
  TemporaryFolder folder;
  for (std::string path : {std::string("/dev/null"), std::string("/dev/full"), folder.path,
                           folder.file("no/such/x"), folder.file("x/"), std::string("")}) {
    mote_status status = mote_file_write(path.c_str(), "x", 1);
    EXPECT_TRUE(status == MOTE_ERROR_IO || status == MOTE_ERROR_ARGUMENT) << path;
    EXPECT_NE(std::string(mote_last_error()).find(path), std::string::npos) << mote_last_error();
  }
  struct stat about;
  stat("/dev/null", &about);
  EXPECT_TRUE(S_ISCHR(about.st_mode));
  char *data;
  size_t size;
  EXPECT_EQ(mote_file_read(folder.path.c_str(), 100, &data, &size), MOTE_ERROR_IO);
  ASSERT_EQ(mkfifo(folder.file("pipe").c_str(), 0666), 0);
  EXPECT_EQ(mote_file_read(folder.file("pipe").c_str(), 100, &data, &size), MOTE_ERROR_IO)
      << "and does not wait";
  spill(folder.file("long"), std::string(101, 'x'));
  EXPECT_EQ(mote_file_read(folder.file("long").c_str(), 100, &data, &size), MOTE_ERROR_FORMAT);
}

TEST(file, an_unwritable_folder_is_an_error) {
  TemporaryFolder folder;
  std::string path = folder.path;
  bool mounted = false;
  if (geteuid() == 0) { /* root may write anywhere but on a read-only file system */
    mounted = mount("tmpfs", path.c_str(), "tmpfs", MS_RDONLY, "size=64k") == 0;
    if (!mounted) GTEST_SKIP() << "root without the right to mount";
  } else {
    chmod(path.c_str(), 0555);
  }
  EXPECT_EQ(mote_file_write((path + "/a").c_str(), "x", 1), MOTE_ERROR_IO);
  EXPECT_NE(std::string(mote_last_error()).find("writable"), std::string::npos) << mote_last_error();
  if (mounted)
    umount(path.c_str());
  else
    chmod(path.c_str(), 0755);
}

/* The limit's signal, which kills by default, does not reach the program, and one of its own is not
 * swallowed. */
TEST(file, a_size_limit_is_an_error) {
  TemporaryFolder folder;
  pid_t child = fork();
  if (child == 0) {
    struct rlimit most = {1000, 1000};
    setrlimit(RLIMIT_FSIZE, &most);
    std::string large(5000, 'x');
    mote_status status = mote_file_write(folder.file("a").c_str(), large.data(), large.size());
    bool said = std::string(mote_last_error()).find("File too large") != std::string::npos;
    _exit(status == MOTE_ERROR_IO && said ? 7 : 8);
  }
  int state;
  waitpid(child, &state, 0);
  EXPECT_TRUE(WIFEXITED(state) && WEXITSTATUS(state) == 7) << state;
  EXPECT_TRUE(names_in(folder.path).empty());
}

TEST(file, many_files_at_once) {
  TemporaryFolder folder;
  struct rlimit before, few;
  getrlimit(RLIMIT_NOFILE, &before);
  few = {64, before.rlim_max};
  setrlimit(RLIMIT_NOFILE, &few);
  const int count = 200; /* more than may be open */
  std::vector<mote_output> outputs(count);
  for (int k = 0; k < count; k++) {
    MOTE_ASSERT_OK(mote_output_open(folder.file(std::to_string(k)).c_str(), &outputs[k]));
    MOTE_ASSERT_OK(mote_output_printf(&outputs[k], "%d", k));
    MOTE_ASSERT_OK(mote_output_pause(&outputs[k]));
  }
  EXPECT_FALSE(std::filesystem::exists(folder.file("17")));
  MOTE_ASSERT_OK(mote_output_commit(outputs.data(), count));
  EXPECT_EQ(slurp(folder.file("199")), "199");
  EXPECT_EQ(names_in(folder.path).size(), size_t(count));
  setrlimit(RLIMIT_NOFILE, &before);
}

TEST(file, paths) {
  char *path = mote_path_replace_extension("a.b/c", ".x");
  EXPECT_STREQ(path, "a.b/c.x");
  free(path);
  path = mote_path_replace_extension("a/b.tar.h5", ".x");
  EXPECT_STREQ(path, "a/b.tar.x");
  free(path);
  path = mote_path_replace_extension("a/.h5", ".x");
  EXPECT_STREQ(path, "a/.h5.x");
  free(path);
  path = mote_path_beside("b", "m");
  EXPECT_STREQ(path, "m");
  free(path);
  EXPECT_TRUE(mote_path_has_extension("T.H5", ".h5"));
  EXPECT_FALSE(mote_path_has_extension(".h5", ".h5"));
}

/* ---- JSON ---- */

TEST(json, errors_name_file_line_and_key) {
  TemporaryFolder folder;
  struct {
    std::string text, part;
  } cases[] = {{"", "not JSON"},
               {"{\n\"a\": 1,\n\"b\": }", "line 3"},
               {"{\"a\": 1} x", "more text"},
               {"{\"a\": 1, \"a\": 2}", "\"a\" stands twice"},
               {"{\"x\": {\"a\": 1, \"b\": 0, \"a\": 2}}", "\"a\" stands twice"},
               {"3", "expected a JSON object"},
               {std::string(200, '[') + std::string(200, ']'), "deep"},
               {std::string("{\"a\": 1}\0", 9), "zero byte"},
               {"{\"a\": \"" + std::string(50, 'x'), "not JSON"}};
  for (auto &c : cases) {
    spill(folder.file("c.json"), c.text);
    cJSON *root;
    EXPECT_EQ(mote_json_read(folder.file("c.json").c_str(), &root), MOTE_ERROR_FORMAT) << c.text;
    EXPECT_EQ(root, nullptr);
    EXPECT_NE(std::string(mote_last_error()).find(c.part), std::string::npos)
        << c.text << ": " << mote_last_error();
    EXPECT_NE(std::string(mote_last_error()).find("c.json"), std::string::npos);
  }
}

TEST(json, members) {
  std::string text =
      "{\"n\": 3, \"x\": 2.5, \"big\": 1e300, \"s\": \"t\", \"b\": true, \"v\": [1, 2], \"w\": [1, \"a\"]}";
  cJSON *root;
  MOTE_ASSERT_OK(mote_json_parse("f", text.data(), text.size(), &root));
  int64_t n = 0;
  double x = 0, v[3];
  int b = 0, found = 1, count = 0;
  const char *s = nullptr;
  MOTE_EXPECT_OK(mote_json_integer("f", root, "n", 1, 5, &n, nullptr));
  MOTE_EXPECT_OK(mote_json_number("f", root, "x", &x, nullptr));
  MOTE_EXPECT_OK(mote_json_boolean("f", root, "b", &b, nullptr));
  MOTE_EXPECT_OK(mote_json_string("f", root, "s", &s, nullptr));
  MOTE_EXPECT_OK(mote_json_numbers("f", root, "v", 1, 3, v, &count, nullptr));
  EXPECT_TRUE(n == 3 && x == 2.5 && b == 1 && std::string(s) == "t" && count == 2 && v[1] == 2);
  MOTE_EXPECT_OK(mote_json_number("f", root, "absent", &x, &found));
  EXPECT_EQ(found, 0);
  EXPECT_EQ(mote_json_number("f", root, "absent", &x, nullptr), MOTE_ERROR_FORMAT);
  EXPECT_EQ(mote_json_integer("f", root, "n", 4, 5, &n, nullptr), MOTE_ERROR_FORMAT);
  EXPECT_EQ(mote_json_integer("f", root, "x", 0, 5, &n, nullptr), MOTE_ERROR_FORMAT);
  EXPECT_EQ(mote_json_integer("f", root, "big", 0, INT64_MAX, &n, nullptr), MOTE_ERROR_FORMAT);
  EXPECT_EQ(mote_json_numbers("f", root, "w", 1, 3, v, nullptr, nullptr), MOTE_ERROR_FORMAT);
  EXPECT_EQ(mote_json_numbers("f", root, "v", 3, 3, v, nullptr, nullptr), MOTE_ERROR_FORMAT);
  EXPECT_EQ(mote_json_string("f", root, "n", &s, nullptr), MOTE_ERROR_FORMAT);
  cJSON_Delete(root);
}
