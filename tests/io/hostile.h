/* Files built through HDF5's own interface, and a reader of all that they offer. */
#ifndef MOTE_TESTS_IO_HOSTILE_H
#define MOTE_TESTS_IO_HOSTILE_H

#include <algorithm>
#include <functional>
#include <string>
#include <vector>

#include <hdf5.h>
#include <mote/trajectory.h>

#include "tests/support/testing.h"

namespace mote_test::hostile {

/* A new file with a group "00000"; closed at the end of the scope. */
struct File {
  explicit File(const std::string &path) {
    id = H5Fcreate(path.c_str(), H5F_ACC_TRUNC, H5P_DEFAULT, H5P_DEFAULT);
    group = H5Gcreate2(id, "00000", H5P_DEFAULT, H5P_DEFAULT, H5P_DEFAULT);
  }
  ~File() {
    H5Gclose(group);
    H5Fclose(id);
  }
  hid_t id, group;
};

inline void put(hid_t where, const char *name, std::vector<hsize_t> size, hid_t type = H5T_IEEE_F32LE,
                const std::function<void(hid_t)> &with = nullptr, bool write = true, float value = 0.5f) {
  hid_t space =
      size.empty() ? H5Screate(H5S_SCALAR) : H5Screate_simple(int(size.size()), size.data(), nullptr);
  hid_t list = H5Pcreate(H5P_DATASET_CREATE);
  if (with) with(list);
  hid_t set = H5Dcreate2(where, name, type, space, H5P_DEFAULT, list, H5P_DEFAULT);
  ASSERT_GE(set, 0) << name;
  if (write) {
    hsize_t count = 1;
    for (hsize_t s : size) count *= s;
    std::vector<float> values(count, value);
    ASSERT_GE(H5Dwrite(set, H5T_NATIVE_FLOAT, H5S_ALL, H5S_ALL, H5P_DEFAULT, values.data()), 0) << name;
  }
  H5Dclose(set);
  H5Pclose(list);
  H5Sclose(space);
}

/* Opens and reads all that the file offers, as an honest reader would. */
inline mote_status read_all(const std::string &path) {
  mote_trajectory_reader *reader;
  mote_status status = mote_trajectory_open(path.c_str(), &reader);
  if (status != MOTE_OK) return status;
  mote_metadata metadata;
  mote_trajectory_read_metadata(reader, &metadata);
  for (int k = 0; k < mote_trajectory_count(reader) && status == MOTE_OK; k++) {
    mote_trajectory_info info;
    status = mote_trajectory_get_info(reader, k, &info);
    const mote_trajectory_field *field;
    for (int f = 0; status == MOTE_OK && (field = mote_trajectory_get_field(reader, k, f)) != nullptr; f++) {
      int width = mote_trajectory_field_width(reader, k, field->name);
      std::vector<float> frame(size_t(info.particles) * width);
      for (int64_t t = 0; t < std::min<int64_t>(info.frames, 20) && status == MOTE_OK; t++)
        status = mote_trajectory_read_frames(reader, k, field->name, t, 1, frame.data());
    }
    std::vector<int32_t> labels(info.particles);
    if (status == MOTE_OK) status = mote_trajectory_read_labels(reader, k, "particle_type", labels.data());
    double time;
    if (status == MOTE_OK) status = mote_trajectory_read_times(reader, k, info.frames - 1, 1, &time);
  }
  mote_trajectory_close(reader);
  return status;
}

inline void expect_refused(const std::string &path, mote_status expected, const std::string &part) {
  SCOPED_TRACE(part);
  EXPECT_EQ(read_all(path), expected) << mote_last_error();
  EXPECT_NE(std::string(mote_last_error()).find(part), std::string::npos) << mote_last_error();
}

inline void chunked(hid_t list, std::vector<hsize_t> chunk) {
  ASSERT_GE(H5Pset_chunk(list, int(chunk.size()), chunk.data()), 0);
}

} // namespace mote_test::hostile

#endif
