/* What real numpy, h5py and VTK read of our files is what was written, and the other way round (where they
   are installed). */
#include "tests/io/sample.h"

#include <fcntl.h>
#include <unistd.h>

using mote_test::TemporaryFolder;
using namespace mote_test::sample;

/* ---- Against the other programs ---- */

TEST(interop, numpy_and_the_loader_of_gns_read_our_npz) {
  TemporaryFolder folder;
  if (!python_has(folder, "numpy")) GTEST_SKIP() << "python3 with numpy is not installed";
  write(folder.file("a.h5"), 3);
  mote_convert_options options = all();
  MOTE_ASSERT_OK(
      mote_convert(folder.file("a.h5").c_str(), folder.file("train.npz").c_str(), &options, nullptr));
  std::string said;
  int code = mote_test::python(folder.path, R"(
import warnings; warnings.simplefilter('error')
import zipfile, numpy as np
assert zipfile.ZipFile('train.npz').testzip() is None
with np.load('train.npz', allow_pickle=True) as f:
    data = [item for _, item in f.items()]
assert len(data) == 2 and len(data[0]) == 2
x, kind = data[0]
assert x.dtype == np.float32 and x.shape == (7, 60, 3) and x.flags['C_CONTIGUOUS']
k = np.arange(180)
for t in range(7):
    assert np.array_equal(x[t].ravel(), np.sin(0.3 * k + 0.7 * t).astype(np.float32)) or \
        np.abs(x[t].ravel() - np.sin(0.3 * k + 0.7 * t)).max() < 1e-7
assert np.issubdtype(kind.dtype, np.integer) and list(kind[:4]) == [3, 6, 6, 3]
np.full(60, kind, dtype=int)
assert data[1][0].shape == (4, 60, 3)
)",
                               &said);
  EXPECT_EQ(code, 0) << said;
}

/* Files as people make them with numpy: object arrays, single types, materials, gns_data, float64, Fortran
   order, compressed or not, all pickle protocols that numpy writes or wrote. */
TEST(interop, reads_what_numpy_writes) {
  TemporaryFolder folder;
  if (!python_has(folder, "numpy")) GTEST_SKIP() << "python3 with numpy is not installed";
  std::string said;
  int code = mote_test::python(folder.path, R"(
import numpy as np, pickle, zipfile, io
rng = np.random.default_rng(0)
def pair(x, *rest):
    a = np.empty(1 + len(rest), dtype=object)
    a[0] = x
    for i, r in enumerate(rest): a[1 + i] = r
    return a
x = rng.random((5, 20, 2)).astype(np.float32)
x.tofile('expected.bin')
kind = np.full(20, 6)
np.savez('plain.npz', a=pair(x, kind))
np.savez_compressed('deflated.npz', a=pair(x, kind), b=pair(x, kind))
np.savez('scalar.npz', a=pair(x, 6))
np.savez('numpy_scalar.npz', a=pair(x, np.int64(6)))
np.savez('property.npz', a=pair(x, kind, 30.0))
np.savez('double.npz', a=pair(x.astype(np.float64), kind.astype(np.uint8)))
np.savez('fortran.npz', a=pair(np.asfortranarray(x), kind))
np.savez('big.npz', a=pair(x.astype('>f4'), kind.astype('>i2')))
np.savez('numbers.npz', a=x)
np.savez('numbers_fortran.npz', a=np.asfortranarray(x))
both = np.empty(2, dtype=object); both[0] = (x, kind); both[1] = (x, kind)
np.savez('tuples.npz', gns_data=both)
grid = np.empty((2, 2), dtype=object)
for r in range(2): grid[r, 0], grid[r, 1] = x, kind
np.savez('grid.npz', gns_data=grid)
for protocol in (2, 3, 4, 5):
    b = io.BytesIO()
    np.lib.format.write_array_header_1_0(b, dict(descr='|O', fortran_order=False, shape=(2,)))
    pickle.dump(pair(x, kind), b, protocol=protocol)
    with zipfile.ZipFile('protocol%d.npz' % protocol, 'w') as z: z.writestr('a.npy', b.getvalue())
    with zipfile.ZipFile('large%d.npz' % protocol, 'w') as z:
        with z.open('a.npy', 'w', force_zip64=True) as f: f.write(b.getvalue())
)",
                               &said);
  ASSERT_EQ(code, 0) << said;
  std::string bytes = mote_test::slurp(folder.file("expected.bin"));
  std::vector<float> expected(reinterpret_cast<const float *>(bytes.data()),
                              reinterpret_cast<const float *>(bytes.data() + bytes.size()));
  ASSERT_EQ(expected.size(), 200u);
  int files = 0;
  for (const std::string &name : mote_test::names_in(folder.path)) {
    if (name.find(".npz") == std::string::npos) continue;
    files++;
    mote_convert_options options = all();
    ASSERT_EQ(MOTE_OK,
              mote_convert(folder.file(name).c_str(), folder.file("out.h5").c_str(), &options, nullptr))
        << name << ": " << mote_last_error();
    EXPECT_EQ(positions(folder.file("out.h5"), 0), expected) << name;
    mote_trajectory_reader *reader;
    MOTE_ASSERT_OK(mote_trajectory_open(folder.file("out.h5").c_str(), &reader));
    std::vector<int32_t> type(20);
    MOTE_EXPECT_OK(mote_trajectory_read_labels(reader, 0, "particle_type", type.data()));
    EXPECT_EQ(type, std::vector<int32_t>(20, name.find("numbers") == 0 ? 0 : 6)) << name;
    int many = name == "deflated.npz" || name == "tuples.npz" || name == "grid.npz" ? 2 : 1;
    EXPECT_EQ(mote_trajectory_count(reader), many) << name;
    mote_trajectory_close(reader);
  }
  EXPECT_EQ(files, 20);
}

/* A pickle that would run a command is refused by name, and nothing happens. */
TEST(interop, executes_no_pickle) {
  TemporaryFolder folder;
  if (!python_has(folder, "numpy")) GTEST_SKIP() << "python3 with numpy is not installed";
  std::string said;
  ASSERT_EQ(mote_test::python(folder.path, R"(
import os, numpy as np
class Evil:
    def __reduce__(self): return (os.system, ('touch ran',))
a = np.empty(2, dtype=object); a[0] = Evil(); a[1] = 1
np.savez('evil.npz', a=a)
)",
                              &said),
            0)
      << said;
  EXPECT_EQ(mote_convert(folder.file("evil.npz").c_str(), folder.file("out.h5").c_str(), nullptr, nullptr),
            MOTE_ERROR_UNSUPPORTED);
  EXPECT_NE(std::string(mote_last_error()).find("system"), std::string::npos) << mote_last_error();
  EXPECT_EQ(mote_test::names_in(folder.path), std::vector<std::string>{"evil.npz"});
}

TEST(interop, h5py_reads_our_files_as_lagrangebench_does) {
  TemporaryFolder folder;
  if (!python_has(folder, "h5py")) GTEST_SKIP() << "python3 with h5py is not installed";
  write(folder.file("train.h5"), 2);
  std::string said;
  int code = mote_test::python(folder.path, R"(
import json, h5py, numpy as np
meta = json.load(open('metadata.json'))
with h5py.File('train.h5') as f:
    assert list(f.keys()) == ['00000', '00001'], list(f.keys())
    p = f['00000/position']
    assert p.shape == (7, 60, 2) and p.dtype == np.float32
    assert p[2:5].transpose((1, 0, 2)).shape == (60, 3, 2)
    kind = f['00000/particle_type'][:]
    assert kind.shape == (60,) and kind.dtype == np.int32
    v = np.concatenate([np.diff(f[k + '/position'][:][:, kind != 3].astype(np.float64), axis=0).reshape(-1, 2) for k in f])
    own = json.loads(f.attrs['metadata'])
assert own == meta
for key in ('bounds', 'dt', 'dim', 'write_every', 'num_particles_max', 'sequence_length_train', 'periodic_boundary_conditions', 'vel_mean', 'acc_std'):
    assert key in meta, key
assert np.allclose(meta['vel_mean'], v.mean(0), rtol=0, atol=1e-12) and np.allclose(meta['vel_std'], v.std(0), rtol=1e-12)
)",
                               &said);
  EXPECT_EQ(code, 0) << said;
}

/* VTK is the library under ParaView; its readers are asked for the numbers. MOTE_PYTHON may name the
   interpreter that has it. */
const char *python_with(const TemporaryFolder &folder, const std::string &module) {
  for (const char *python :
       {getenv("MOTE_PYTHON") ? getenv("MOTE_PYTHON") : "python3", "python3", "/usr/bin/python3"})
    if (python_has(folder, module, python)) return python;
  return nullptr;
}

std::string check_points(int dim) {
  return "DIM = " + std::to_string(dim) + R"(
import math, vtk
def check(data, t, full=True):
    assert data.GetNumberOfPoints() == 60, data.GetNumberOfPoints()
    for i in (0, 17, 59):
        p = data.GetPoint(i)
        for d in range(DIM): assert abs(p[d] - math.sin(0.3 * (i * DIM + d) + 0.7 * t)) < 1e-6, (p, i, d)
        if DIM == 2: assert p[2] == 0
    if not full: return
    v = data.GetPointData().GetArray('velocity'); kind = data.GetPointData().GetArray('particle_type')
    stress = data.GetPointData().GetArray('stress'); energy = data.GetPointData().GetArray('energy')
    assert abs(v.GetTuple(17)[1] - 10 - math.sin(0.3 * (17 * DIM + 1) + 0.7 * t)) < 1e-5
    assert stress.GetNumberOfComponents() == DIM * DIM, stress.GetNumberOfComponents()
    assert abs(stress.GetTuple(17)[1] - 20 - math.sin(0.3 * (17 * DIM * DIM + 1) + 0.7 * t)) < 1e-5
    assert abs(energy.GetTuple1(17) - 30 - math.sin(0.3 * 17 + 0.7 * t)) < 1e-5
    assert kind.GetTuple1(0) == 3 and kind.GetTuple1(1) == 6
)";
}

TEST(interop, vtk_reads_vtk_vtp_and_ply) {
  TemporaryFolder folder;
  const char *python = python_with(folder, "vtk");
  if (!python) GTEST_SKIP() << "VTK's Python module is not installed";
  for (int dim : {2, 3}) {
    write(folder.file("a.h5"), dim, 1);
    mote_convert_options options = {};
    MOTE_ASSERT_OK(mote_frame_range_parse("3", &options.frames));
    for (const char *name : {"p.vtk", "p.vtp", "p.ply"})
      MOTE_ASSERT_OK(mote_convert(folder.file("a.h5").c_str(), folder.file(name).c_str(), &options, nullptr));
    std::string said;
    int code = mote_test::python(folder.path, check_points(dim) + R"(
r = vtk.vtkPolyDataReader(); r.SetFileName('p.vtk'); r.Update(); check(r.GetOutput(), 3)
assert r.GetOutput().GetNumberOfVerts() == 60
r = vtk.vtkXMLPolyDataReader(); r.SetFileName('p.vtp'); r.Update(); check(r.GetOutput(), 3)
assert r.GetOutput().GetNumberOfVerts() == 60
r = vtk.vtkPLYReader(); r.SetFileName('p.ply'); r.Update(); check(r.GetOutput(), 3, False)
)",
                                 &said, python);
    EXPECT_EQ(code, 0) << dim << "-D: " << said;
  }
}

TEST(interop, vtk_reads_xdmf) {
  TemporaryFolder folder;
  const char *python = python_with(folder, "vtkmodules.vtkIOXdmf2");
  if (!python) GTEST_SKIP() << "VTK's XDMF reader (PyPI vtk) is not installed";
  for (int dim : {2, 3}) {
    write(folder.file("a.h5"), dim, 1);
    std::string said;
    int code = mote_test::python(folder.path, check_points(dim) + R"(
from vtkmodules import vtkIOXdmf2
r = vtkIOXdmf2.vtkXdmfReader(); r.SetFileName('a.xdmf'); r.UpdateInformation()
times = r.GetOutputInformation(0).Get(vtk.vtkStreamingDemandDrivenPipeline.TIME_STEPS())
assert len(times) == 7 and abs(times[3] - 0.015) < 1e-12, times
for t in (0, 3):
    r.UpdateTimeStep(times[t]); data = r.GetOutputDataObject(0)
    while data.IsA('vtkMultiBlockDataSet'): data = data.GetBlock(0)
    check(data, t); assert data.GetNumberOfCells() == 60
)",
                                 &said, python);
    EXPECT_EQ(code, 0) << dim << "-D: " << said;
  }
}
