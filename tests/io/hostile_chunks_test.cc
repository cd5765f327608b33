/* Hostile HDF5: filters, and chunks of any shape and size, right and wrong. */
#include <hdf5.h>
#include <zlib.h>
#include <mote/trajectory.h>

#include "tests/io/files.h"
#include "tests/io/hostile.h"

using mote_test::TemporaryFolder;
using namespace mote_test::hostile;

TEST(hostile_hdf5, filters_and_values) {
  TemporaryFolder folder;
  std::string path = folder.file("f.h5");
  {
    File f(path);
    put(f.group, "position", {4, 5, 3}, H5T_IEEE_F32LE, [](hid_t l) {
      chunked(l, {1, 5, 3});
      H5Pset_fletcher32(l);
    });
  }
  expect_refused(path, MOTE_ERROR_UNSUPPORTED, "h5repack");
  {
    File f(path);
    put(f.group, "position", {4, 5, 3}, H5T_IEEE_F32LE, [](hid_t l) {
      chunked(l, {1, 5, 3});
      H5Pset_scaleoffset(l, H5Z_SO_FLOAT_DSCALE, 3);
    });
  }
  expect_refused(path, MOTE_ERROR_UNSUPPORTED, "h5repack");
  for (float value : {NAN, INFINITY}) {
    {
      File f(path);
      put(f.group, "position", {4, 5, 3}, H5T_IEEE_F32LE, nullptr, true, value);
    }
    expect_refused(path, MOTE_ERROR_NUMERIC, "frame 0, particle 0");
  }
  {
    File f(path);
    hid_t set;
    double huge[6] = {0, 0, 0, 1e300, 0, 0};
    put(f.group, "position", {1, 2, 3}, H5T_IEEE_F64LE, nullptr, false);
    set = H5Dopen2(f.group, "position", H5P_DEFAULT);
    H5Dwrite(set, H5T_NATIVE_DOUBLE, H5S_ALL, H5S_ALL, H5P_DEFAULT, huge);
    H5Dclose(set);
  }
  expect_refused(path, MOTE_ERROR_NUMERIC, "particle 1");
}

/* Any shape of chunks, any number of filters, windows of any length: the values are those that were written.
 */
TEST(hostile_hdf5, chunks_of_any_shape) {
  TemporaryFolder folder;
  std::string path = folder.file("f.h5");
  const int64_t frames = 23, n = 17, dim = 3;
  std::vector<float> x(size_t(frames * n * dim));
  for (size_t k = 0; k < x.size(); k++) x[k] = float(k) * 0.25f;
  for (std::vector<hsize_t> chunk : std::vector<std::vector<hsize_t>>{
           {1, 17, 3}, {5, 4, 2}, {23, 17, 3}, {100, 100, 3}, {7, 1, 1}, {2, 17, 3}, {1, 1, 1}})
    for (int filters = 0; filters < 4; filters++)
      for (hid_t type : {H5T_IEEE_F32LE, H5T_IEEE_F64LE, H5T_IEEE_F32BE}) {
        {
          File f(path);
          hsize_t size[] = {hsize_t(frames), hsize_t(n), hsize_t(dim)},
                  most[] = {H5S_UNLIMITED, H5S_UNLIMITED, 3};
          hid_t space = H5Screate_simple(3, size, most), list = H5Pcreate(H5P_DATASET_CREATE);
          chunked(list, chunk);
          if (filters & 1) H5Pset_shuffle(list);
          if (filters & 2) H5Pset_deflate(list, 3);
          hid_t set = H5Dcreate2(f.group, "position", type, space, H5P_DEFAULT, list, H5P_DEFAULT);
          ASSERT_GE(H5Dwrite(set, H5T_NATIVE_FLOAT, H5S_ALL, H5S_ALL, H5P_DEFAULT, x.data()), 0);
          H5Dclose(set);
          H5Pclose(list);
          H5Sclose(space);
        }
        mote_trajectory_reader *reader;
        MOTE_ASSERT_OK(mote_trajectory_open(path.c_str(), &reader));
        for (int64_t count : {int64_t(1), int64_t(6), frames})
          for (int64_t first = 0; first + count <= frames; first += count) {
            std::vector<float> got(size_t(count * n * dim));
            MOTE_ASSERT_OK(mote_trajectory_read_frames(reader, 0, "position", first, count, got.data()));
            ASSERT_TRUE(std::equal(got.begin(), got.end(), x.begin() + first * n * dim))
                << first << " " << count;
          }
        mote_trajectory_close(reader);
      }
}

/* A chunk that unpacks to less than a chunk, or to more: HDF5's own reader runs beyond its end. */
TEST(hostile_hdf5, chunks_of_the_wrong_size) {
  TemporaryFolder folder;
  std::string path = folder.file("f.h5");
  for (size_t bytes : {0, 11, 239, 241, 100000}) {
    {
      File f(path);
      put(
          f.group, "position", {1, 20, 3}, H5T_IEEE_F32LE,
          [](hid_t l) {
            chunked(l, {1, 20, 3});
            H5Pset_deflate(l, 1);
          },
          false);
      hid_t set = H5Dopen2(f.group, "position", H5P_DEFAULT);
      std::vector<unsigned char> plain(bytes), packed(compressBound(bytes));
      uLongf size = packed.size();
      ASSERT_EQ(compress2(packed.data(), &size, plain.data(), bytes, 1), Z_OK);
      hsize_t corner[] = {0, 0, 0};
      ASSERT_GE(H5Dwrite_chunk(set, H5P_DEFAULT, 0, corner, size, packed.data()), 0);
      H5Dclose(set);
    }
    expect_refused(path, MOTE_ERROR_FORMAT, "unpack");
  }
}
