/* A material step (return mapping and stress) of 100,000 strained particles of each kind, and their SVD. */
#include "bench/micro/support.h"
#include "kernels/constitutive/constitutive.h"

namespace {

const int64_t n = 100000;

/* Matrices near `diagonal` times the identity. */
std::vector<float> matrices(float diagonal, float size, uint64_t stream) {
  std::vector<float> x(n * 9);
  for (int64_t i = 0; i < n * 9; i++)
    x[i] = (i % 9 % 4 == 0 ? diagonal : 0) + size * mote_random_normal(1, stream, i, 0);
  return x;
}

void material_step(benchmark::State &state) {
  micro::Device d;
  mote_material material;
  mote_law law;
  mote_material_defaults(mote_material_kind(state.range(0)), &material);
  mote_law_prepare(&material, &law);
  state.SetLabel(mote_material_kind_name(material.kind));
  micro::Array<mote_law> laws(d, std::vector<mote_law>{law});
  micro::Array<int32_t> index(d, std::vector<int32_t>(n, 0));
  /* Without motion the deformation stays what it is, but for what yields in the first iteration. */
  micro::Array<float> C(d, std::vector<float>(n * 9, 0.f)), F(d, matrices(1, 0.01f, 2)), tau(d, n * 9);
  micro::Array<float> history(d, std::vector<float>(n, 0.f));
  micro::time(state, n,
              [&] { return d->constitutive->step(d.stream, 3, n, laws, index, 1e-4f, C, F, history, tau); });
}
BENCHMARK(material_step)->DenseRange(0, MOTE_MATERIAL_KINDS - 1)->UseRealTime();

void svd(benchmark::State &state) {
  micro::Device d;
  micro::Array<float> F(d, matrices(1, 0.1f, 1)), U(d, n * 9), s(d, n * 3), V(d, n * 9);
  micro::time(state, n, [&] { return d->constitutive->svd(d.stream, 3, n, F, U, s, V); });
}
BENCHMARK(svd)->UseRealTime();

} // namespace
