/* What a training tells of itself: rows, event files read by an independent reader, and files that broke off
   or were tampered with. */
#include "host/train/metrics.h"

#include <filesystem>
#include <locale.h>

#include "host/train/event_file.h"
#include "tests/io/files.h"
#include "tests/support/testing.h"

using mote_test::slurp;
using mote_test::spill;

namespace {

const char *const kHeader = "step,samples,seconds,loss,rate,gradient_norm,validation_loss,validation_error\n";
const char *const kEvents = "events.out.tfevents.mote";

/* ---- an independent reader of event files ---- */

/* CRC-32C bit by bit. */
uint32_t crc32c(const std::string &data) {
  uint32_t crc = 0xffffffffu;
  for (unsigned char byte : data) {
    crc ^= byte;
    for (int k = 0; k < 8; k++) crc = crc & 1 ? (crc >> 1) ^ 0x82F63B78u : crc >> 1;
  }
  return crc ^ 0xffffffffu;
}

uint32_t masked(const std::string &data) {
  uint32_t crc = crc32c(data);
  return ((crc >> 15) | (crc << 17)) + 0xa282ead8u;
}

template <typename T> T little(const std::string &data, size_t at) {
  T value;
  memcpy(&value, data.data() + at, sizeof value); /* tests run on little-endian machines */
  return value;
}

std::string framed(const std::string &event) {
  uint64_t length = event.size();
  std::string head(reinterpret_cast<char *>(&length), 8);
  uint32_t sums[2] = {masked(head), masked(event)};
  return head + std::string(reinterpret_cast<char *>(&sums[0]), 4) + event +
         std::string(reinterpret_cast<char *>(&sums[1]), 4);
}

struct Field {
  int number, wire;
  uint64_t value; /* wire 0, 1, 5 */
  std::string block;
};

std::vector<Field> fields(const std::string &data) {
  std::vector<Field> list;
  size_t at = 0;
  auto varint = [&] {
    uint64_t value = 0;
    for (int shift = 0; at < data.size(); shift += 7) {
      auto byte = static_cast<unsigned char>(data[at++]);
      value |= uint64_t(byte & 0x7f) << shift;
      if (!(byte & 0x80)) break;
    }
    return value;
  };
  while (at < data.size()) {
    uint64_t key = varint();
    Field f = {int(key >> 3), int(key & 7), 0, ""};
    if (f.wire == 0) f.value = varint();
    if (f.wire == 1) f.value = little<uint64_t>(data, at), at += 8;
    if (f.wire == 5) f.value = little<uint32_t>(data, at), at += 4;
    if (f.wire == 2) {
      size_t size = varint();
      f.block = data.substr(at, size);
      at += size;
    }
    list.push_back(f);
  }
  return list;
}

struct Event {
  double wall_time = 0;
  int64_t step = 0;
  std::string version;
  std::vector<std::pair<std::string, float>> scalars;
};

Event decode(const std::string &data) {
  Event e;
  for (const Field &f : fields(data)) {
    if (f.number == 1) memcpy(&e.wall_time, &f.value, 8);
    if (f.number == 2) e.step = int64_t(f.value);
    if (f.number == 3) e.version = f.block;
    if (f.number != 5) continue;
    for (const Field &value : fields(f.block)) {
      EXPECT_EQ(1, value.number);
      std::pair<std::string, float> scalar;
      for (const Field &g : fields(value.block)) {
        uint32_t bits = uint32_t(g.value);
        if (g.number == 1) scalar.first = g.block;
        if (g.number == 2 && g.wire == 5) memcpy(&scalar.second, &bits, 4);
      }
      e.scalars.push_back(scalar);
    }
  }
  return e;
}

/* The whole records, as a reader of TFRecords finds them; `rest`: bytes behind. */
std::vector<Event> events(const std::string &data, size_t *rest) {
  std::vector<Event> list;
  size_t at = 0;
  while (data.size() - at >= 16) {
    uint64_t length = little<uint64_t>(data, at);
    if (little<uint32_t>(data, at + 8) != masked(data.substr(at, 8)) || data.size() - at - 16 < length) break;
    std::string event = data.substr(at + 12, length);
    if (little<uint32_t>(data, at + 12 + length) != masked(event)) break;
    list.push_back(decode(event));
    at += 16 + length;
  }
  *rest = data.size() - at;
  return list;
}

std::vector<Event> whole_events(const std::string &data) {
  size_t rest;
  std::vector<Event> list = events(data, &rest);
  EXPECT_EQ(0u, rest);
  return list;
}

/* ---- trainings ---- */

mote_metrics_row row_of(int64_t step) {
  double x = double(step);
  int validates = step % 20 == 0;
  return {step,
          2 * step,
          0.25 * x,
          1 / (1 + x),
          1e-3 / 3,
          0.1 + 1e-7 * x,
          validates ? 2 / (1 + x) : NAN,
          validates ? 0.01 / (1 + x) : NAN};
}

class MetricsTest : public ::testing::Test {
protected:
  /* Rows of steps behind `from` to `to`, every fifth; a killed training does not close. */
  void train(const std::string &name, int64_t from, int64_t to, bool killed = false) {
    std::filesystem::create_directories(folder.file(name));
    mote_metrics *metrics = nullptr;
    MOTE_ASSERT_OK(mote_metrics_open(folder.file(name).c_str(), from, &metrics));
    for (int64_t step = from + 5; step <= to; step += 5) {
      mote_metrics_row row = row_of(step);
      row.seconds = 0.25 * double(step - from);
      MOTE_ASSERT_OK(mote_metrics_append(metrics, &row));
    }
    if (killed) { /* what is on the disk now is what stays */
      std::string copy = folder.file(name + "-copy");
      std::filesystem::copy(folder.file(name), copy);
      MOTE_ASSERT_OK(mote_metrics_close(metrics));
      std::filesystem::remove_all(folder.file(name));
      std::filesystem::rename(copy, folder.file(name));
      return;
    }
    MOTE_ASSERT_OK(mote_metrics_close(metrics));
  }
  std::string text(const std::string &name, const std::string &file) {
    return slurp(folder.file(name + "/" + file));
  }
  std::string path(const std::string &name, const std::string &file) {
    return folder.file(name + "/" + file);
  }

  /* All that a reader of the one finds in the other, but for wall times. */
  void expect_same(const std::string &one, const std::string &other) {
    EXPECT_EQ(text(one, "metrics.csv"), text(other, "metrics.csv"));
    EXPECT_EQ(text(one, "metrics.png"), text(other, "metrics.png"));
    std::vector<Event> a = whole_events(text(one, kEvents)), b = whole_events(text(other, kEvents));
    ASSERT_EQ(a.size(), b.size());
    for (size_t k = 0; k < a.size(); k++) {
      EXPECT_EQ(a[k].step, b[k].step);
      EXPECT_EQ(a[k].version, b[k].version);
      EXPECT_EQ(a[k].scalars, b[k].scalars);
    }
    EXPECT_EQ(3u, mote_test::names_in(folder.file(other)).size());
  }
  mote_test::TemporaryFolder folder;
};

} // namespace

/* The check values of RFC 3720, B.4, and of the catalogue of CRCs ("123456789"). */
TEST(EventFile, Sums) {
  std::string zeros(32, 0), ones(32, '\xff'), up;
  for (int k = 0; k < 32; k++) up += char(k);
  EXPECT_EQ(0x8a9136aau, mote_crc32c(zeros.data(), 32));
  EXPECT_EQ(0x62a8ab43u, mote_crc32c(ones.data(), 32));
  EXPECT_EQ(0x46dd794eu, mote_crc32c(up.data(), 32));
  EXPECT_EQ(0xe3069283u, mote_crc32c("123456789", 9));
  EXPECT_EQ(0u, mote_crc32c("", 0));
}

TEST_F(MetricsTest, Rows) {
  train("run", 0, 40);
  std::string rows = text("run", "metrics.csv");
  EXPECT_EQ(std::string(kHeader) +
                "5,10,1.25,0.166666667,0.000333333333,0.1000005,,\n"
                "10,20,2.5,0.0909090909,0.000333333333,0.100001,,\n"
                "15,30,3.75,0.0625,0.000333333333,0.1000015,,\n"
                "20,40,5,0.0476190476,0.000333333333,0.100002,0.0952380952,0.000476190476\n",
            rows.substr(0, rows.find("25,50")));
  EXPECT_EQ(9, std::count(rows.begin(), rows.end(), '\n'));
  EXPECT_EQ("\x89PNG", text("run", "metrics.png").substr(0, 4));
}

TEST_F(MetricsTest, Events) {
  double before = double(time(nullptr));
  train("run", 0, 40);
  std::vector<Event> list = whole_events(text("run", kEvents));
  ASSERT_EQ(9u, list.size());
  EXPECT_EQ("brain.Event:2", list[0].version);
  EXPECT_EQ(0, list[0].step);
  for (size_t k = 0; k < list.size(); k++) {
    EXPECT_GE(list[k].wall_time, k ? list[k - 1].wall_time : before);
    EXPECT_LE(list[k].wall_time, before + 600);
    if (!k) continue;
    mote_metrics_row row = row_of(5 * int64_t(k));
    std::vector<std::pair<std::string, float>> wanted = {{"train/loss", float(row.loss)},
                                                         {"train/rate", float(row.rate)},
                                                         {"train/gradient_norm", float(row.gradient_norm)}};
    if (k % 4 == 0) {
      wanted.push_back({"validation/loss", float(row.validation_loss)});
      wanted.push_back({"validation/error", float(row.validation_error)});
    }
    EXPECT_EQ(row.step, list[k].step);
    EXPECT_EQ("", list[k].version);
    EXPECT_EQ(wanted, list[k].scalars);
  }
}

/* Large steps take several bytes; what was not measured is in no event, and infinity is a value. */
TEST_F(MetricsTest, LargeStepsAndOddValues) {
  mote_metrics *metrics = nullptr;
  MOTE_ASSERT_OK(mote_metrics_open(folder.path.c_str(), 0, &metrics));
  int64_t steps[] = {127, 128, 16384, 2147483648, 1000000000000000};
  for (int64_t step : steps) {
    mote_metrics_row row = {step, step, 1, INFINITY, NAN, -INFINITY, NAN, NAN};
    MOTE_ASSERT_OK(mote_metrics_append(metrics, &row));
  }
  mote_metrics_row nothing = {1000000000000001, 1, 1, NAN, NAN, NAN, NAN, NAN};
  MOTE_ASSERT_OK(mote_metrics_append(metrics, &nothing));
  MOTE_ASSERT_OK(mote_metrics_close(metrics));
  std::vector<Event> list = whole_events(slurp(folder.file(kEvents)));
  ASSERT_EQ(6u, list.size());
  for (int k = 0; k < 5; k++) EXPECT_EQ(steps[k], list[k + 1].step);
  EXPECT_EQ(INFINITY, list[5].scalars[0].second);
  EXPECT_EQ(2u, list[5].scalars.size());
  std::string rows = slurp(folder.file("metrics.csv"));
  EXPECT_NE(std::string::npos, rows.find("\n2147483648,2147483648,1,inf,,-inf,,\n"));
  MOTE_ASSERT_OK(mote_metrics_open(folder.path.c_str(), 1000000000000001, &metrics));
  MOTE_ASSERT_OK(mote_metrics_close(metrics));
  EXPECT_EQ(rows, slurp(folder.file("metrics.csv")));
  EXPECT_EQ(6u, whole_events(slurp(folder.file(kEvents))).size());
}

TEST_F(MetricsTest, AResumedTrainingHasTheSameRows) {
  train("whole", 0, 100);
  train("closed", 0, 60);
  train("closed", 60, 100);
  expect_same("whole", "closed");
  train("killed", 0, 75, true); /* the state was saved at 60 */
  train("killed", 60, 100);
  expect_same("whole", "killed");
  train("anew", 0, 75);
  train("anew", 0, 100);
  expect_same("whole", "anew");
}

/* More rows than the picture has points: two become one, the same ones in a resumed training. */
TEST_F(MetricsTest, ThePictureOfALongTrainingIsTheSame) {
  auto log = [&](const std::string &name, int64_t from, int64_t to) {
    std::filesystem::create_directories(folder.file(name));
    mote_metrics *metrics = nullptr;
    MOTE_ASSERT_OK(mote_metrics_open(folder.file(name).c_str(), from, &metrics));
    for (int64_t step = from + 1; step <= to; step++) {
      mote_metrics_row row = {step, step, 1, 1 + std::sin(0.001 * double(step * step)), NAN, NAN, NAN, NAN};
      MOTE_ASSERT_OK(mote_metrics_append(metrics, &row));
    }
    MOTE_ASSERT_OK(mote_metrics_close(metrics));
  };
  log("whole", 0, 5001);
  std::string half = text("whole", "metrics.png");
  log("parts", 0, 2100);
  log("parts", 2100, 5001);
  EXPECT_EQ(half, text("parts", "metrics.png"));
  log("parts", 5000, 5000);
  EXPECT_NE(half, text("parts", "metrics.png"));
}

/* Wherever a file was torn, the whole records or rows before are kept and those behind come again. */
TEST_F(MetricsTest, TornEvents) {
  train("run", 0, 20);
  std::string records = text("run", kEvents);
  const mote_event_scalar scalar = {"train/loss", 0.5};
  for (size_t size = 0; size < records.size(); size += size < 60 ? 2 : 11) {
    mote_event_file file;
    spill(path("run", kEvents), records.substr(0, size));
    MOTE_ASSERT_OK(mote_event_file_open(folder.file("run").c_str(), 20, &file));
    MOTE_ASSERT_OK(mote_event_file_append(&file, 25, &scalar, 1));
    std::vector<Event> list = whole_events(text("run", kEvents));
    size_t rest, kept = events(records.substr(0, size), &rest).size();
    EXPECT_EQ(std::max<size_t>(kept, 1) + 1, list.size()) << size;
    EXPECT_EQ("brain.Event:2", list.front().version);
    EXPECT_EQ(25, list.back().step);
    MOTE_ASSERT_OK(mote_event_file_close(&file));
  }
}

TEST_F(MetricsTest, TornRows) {
  train("run", 0, 20);
  std::string rows = text("run", "metrics.csv"), header = kHeader;
  for (size_t size :
       {size_t(0), size_t(5), header.size() - 1, header.size(), header.size() + 9, rows.size() - 1}) {
    mote_metrics *metrics = nullptr;
    spill(path("run", "metrics.csv"), rows.substr(0, size));
    MOTE_ASSERT_OK(mote_metrics_open(folder.file("run").c_str(), 20, &metrics));
    mote_metrics_row row = row_of(25);
    MOTE_ASSERT_OK(mote_metrics_append(metrics, &row));
    std::string now = text("run", "metrics.csv"), whole = header;
    if (size > header.size()) whole = rows.substr(0, rows.rfind('\n', size - 1) + 1);
    EXPECT_EQ(whole, now.substr(0, whole.size()));
    EXPECT_EQ("25,50,", now.substr(whole.size(), 6));
    MOTE_ASSERT_OK(mote_metrics_close(metrics));
  }
}

TEST_F(MetricsTest, HostileRecords) {
  train("run", 0, 20);
  std::string good = text("run", kEvents);
  auto kept = [&](const std::string &bad) { /* the events that stay of good, bad, good */
                                            spill(path("run", kEvents), good + bad + good);
                                            mote_metrics *metrics = nullptr;
                                            EXPECT_EQ(MOTE_OK, mote_metrics_open(folder.file("run").c_str(),
                                                                                 20, &metrics))
                                                << mote_last_error();
                                            EXPECT_EQ(MOTE_OK, mote_metrics_close(metrics));
                                            return int(whole_events(text("run", kEvents)).size()) - 5;
  };
  std::string flipped = good, huge(8, '\xff');
  flipped[good.size() / 2] ^= 1;
  EXPECT_EQ(3, kept(flipped)); /* what lies before the flipped bit */
  uint32_t sum = masked(huge);
  EXPECT_EQ(0, kept(huge + std::string(reinterpret_cast<char *>(&sum), 4))); /* a length of 2^64 - 1 */
  EXPECT_EQ(0, kept(framed(std::string("\x2a\xff\x7f", 3))));                /* a block beyond the end */
  EXPECT_EQ(0, kept(framed(std::string("\x2a\xff\xff\xff\xff\xff\xff\xff\xff\xff\x01", 11))));
  EXPECT_EQ(0, kept(framed(std::string(20, '\xff'))));    /* a varint without an end */
  EXPECT_EQ(0, kept(framed("\x0b")));                     /* a wire type that is no more */
  EXPECT_EQ(0, kept(framed("\x09zz")));                   /* half a double */
  EXPECT_EQ(5, kept(framed(std::string("\x10\x15", 2)))); /* step 21: cut alone */
  EXPECT_EQ(6, kept(framed(std::string("\x10\x14", 2)))); /* step 20 */
  EXPECT_EQ(6, kept(framed("")));
  EXPECT_EQ(0, kept(std::string(1000, '\0').substr(0, 999)));
}

TEST_F(MetricsTest, HostileRows) {
  train("run", 0, 20);
  auto kept = [&](const std::string
                      &line) { /* rows that stay of row, line, row */
                               std::string good = "5,10,1,2,3,4,,\n";
                               spill(path("run", "metrics.csv"), kHeader + good + line + "\n" + good);
                               mote_metrics *metrics = nullptr;
                               EXPECT_EQ(MOTE_OK, mote_metrics_open(folder.file("run").c_str(), 20, &metrics))
                                   << mote_last_error();
                               EXPECT_EQ(MOTE_OK, mote_metrics_close(metrics));
                               std::string now = text("run", "metrics.csv");
                               return int(std::count(now.begin(), now.end(), '\n')) - 1;
  };
  EXPECT_EQ(3, kept("6,10,1,2,3,4,5,6"));
  EXPECT_EQ(3, kept("6,10,1e308,inf,-inf,4,5,6"));
  EXPECT_EQ(2, kept("21,10,1,2,3,4,5,6"));
  for (const char *bad : {"", "6", "6,10,1,2,3,4,5", "6,10,1,2,3,4,5,6,7", "6,10,1,two,3,4,5,6",
                          ",10,1,2,3,4,5,6", "-6,10,1,2,3,4,5,6", "1e300,10,1,2,3,4,5,6", "inf,1,1,1,1,1,1,1",
                          "6,10,1,2,3,4,5,6 ", "6,10,1,2,3,4,5,nan", "6;10;1;2;3;4;5;6"})
    EXPECT_EQ(1, kept(bad)) << bad;
  EXPECT_EQ(1, kept(std::string("6,10,1,2\0,3,4,5,6", 17)));
  EXPECT_EQ(1, kept("6,10,1,2,3,4,5," + std::string(100000, '6')));
}

TEST_F(MetricsTest, ErrorsNameTheFile) {
  train("run", 0, 20);
  mote_metrics *metrics = nullptr;
  auto fails = [&](const std::string &name, int64_t step, mote_status status, const char *word) {
    EXPECT_EQ(status, mote_metrics_open(folder.file(name).c_str(), step, &metrics)) << name;
    EXPECT_EQ(nullptr, metrics);
    EXPECT_NE(std::string::npos, std::string(mote_last_error()).find(word)) << mote_last_error();
  };
  fails("nowhere", 0, MOTE_ERROR_IO, "nowhere/metrics.csv");
  std::string other = "epoch,loss\n1,2\n";
  spill(path("run", "metrics.csv"), other);
  fails("run", 20, MOTE_ERROR_FORMAT, "run/metrics.csv");
  EXPECT_EQ(other, text("run", "metrics.csv")); /* not lost */
  std::filesystem::remove(path("run", "metrics.csv"));
  std::filesystem::remove(path("run", kEvents));
  std::filesystem::create_directories(path("run", kEvents));
  fails("run", 20, MOTE_ERROR_IO, kEvents);
  fails("run", 0, MOTE_ERROR_IO, kEvents);
  EXPECT_EQ(3u, mote_test::names_in(folder.file("run")).size()); /* no temporary is left */
  MOTE_EXPECT_OK(mote_metrics_close(nullptr));
}

/* A program with a decimal comma writes the same. */
TEST_F(MetricsTest, Locale) {
  train("plain", 0, 20);
  if (!setlocale(LC_NUMERIC, "de_DE.UTF-8")) GTEST_SKIP() << "no locale with a decimal comma";
  train("comma", 0, 20);
  setlocale(LC_NUMERIC, "C");
  expect_same("plain", "comma");
}
