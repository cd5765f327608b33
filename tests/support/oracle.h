/* Reference values of shared/oracles, and how far matrices are off from them. */
#ifndef MOTE_TESTS_SUPPORT_ORACLE_H
#define MOTE_TESTS_SUPPORT_ORACLE_H

#include <hdf5.h>

#include "tests/support/testing.h"

namespace mote_test {

inline std::vector<double> read(const std::string &path, const std::string &dataset) {
  hid_t file = H5Fopen(path.c_str(), H5F_ACC_RDONLY, H5P_DEFAULT);
  hid_t set = H5Dopen2(file, dataset.c_str(), H5P_DEFAULT);
  hid_t space = H5Dget_space(set);
  std::vector<double> values(size_t(std::max<hssize_t>(H5Sget_simple_extent_npoints(space), 0)));
  EXPECT_GE(H5Dread(set, H5T_NATIVE_DOUBLE, H5S_ALL, H5S_ALL, H5P_DEFAULT, values.data()), 0) << dataset;
  H5Sclose(space);
  H5Dclose(set);
  H5Fclose(file);
  return values;
}

/* The largest, over particles, of |a - b| / |b| with the Frobenius norm of a particle's matrix. */
inline double worst(const std::vector<float> &a, const std::vector<double> &b) {
  double result = 0;
  for (size_t i = 0; i + 9 <= b.size(); i += 9) {
    double difference = 0, norm = 0;
    for (size_t k = i; k < i + 9; k++) {
      difference += (a[k] - b[k]) * (a[k] - b[k]);
      norm += b[k] * b[k];
    }
    double relative = std::sqrt(difference / norm);
    if (!(relative <= result)) result = relative;
  }
  return result;
}

} // namespace mote_test
#endif
