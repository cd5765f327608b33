/* Fluids in homogeneous flows whose answers are known: shear viscosity, flow curves, yield, relaxation. */
#include "tests/constitutive/constitutive_testing.h"

using mote_test::Device;

class FlowTest : public mote_test::OnDevice {};
MOTE_ON_DEVICES(FlowTest);

/* One particle at rest in the simple shear v_x = rate y. */
class Shear {
public:
  Shear(Device &device, int dim, const mote_material &material, double rate)
      : state(device, dim, {material}, start(dim)), dim_(dim) {
    set_rate(rate);
  }
  void set_rate(double rate) {
    std::vector<float> C(size_t(dim_ * dim_), 0.f);
    C[1] = float(rate);
    state.set_gradient(C);
  }
  void step(double dt, int times) {
    for (int i = 0; i < times; i++) state.step(float(dt));
  }
  double stress() { return state.tau.host()[1]; }
  State state;

private:
  static std::vector<float> start(int dim) {
    std::vector<float> F;
    append(identity(), dim, F);
    return F;
  }
  int dim_;
};

/* Stress = viscosity * rate and no pressure; volume is kept to rounding over the steps. */
TEST_P(FlowTest, NewtonianShearIsViscosityTimesRate) {
  Device device{GetParam()};
  for (int dim : {2, 3})
    for (float bulk : {0.f, 1e5f}) {
      mote_material material = material_of(MOTE_NEWTONIAN, 1e5f, 0.3f);
      material.viscosity = 2.5f;
      material.bulk_modulus = bulk;
      Shear shear(device, dim, material, 40);
      shear.step(1e-3, 100);
      EXPECT_NEAR(shear.stress(), 2.5 * 40, 1e-3);
      EXPECT_NEAR(shear.state.tau.host()[0], 0, 0.5); /* 5e-6 of the modulus */
    }
}

/* Tait: tau = -J p(J) after a compression to J = 0.9. */
TEST_P(FlowTest, TaitPressure) {
  Device device{GetParam()};
  mote_material material = material_of(MOTE_NEWTONIAN, 1e5f, 0.3f);
  material.bulk_modulus = 2e5f;
  for (int dim : {2, 3}) {
    double side = std::pow(0.9, 1.0 / dim);
    std::vector<float> F;
    append(diagonal(side, side, side), dim, F);
    State state(device, dim, {material}, F);
    state.step(0);
    double expected = -0.9 * 2e5 / 7 * (std::pow(0.9, -7) - 1);
    EXPECT_NEAR(state.tau.host()[0], expected, 1e-5 * std::fabs(expected));
  }
}

/* Steady simple shear: the stress of the flow curve yield + consistency rate^index. Elastic strain is below
   0.5%, and the normal stresses that it turns are its square: tolerance 1e-3. */
TEST_P(FlowTest, HerschelBulkleyFlowCurve) {
  Device device{GetParam()};
  for (int dim : {2, 3})
    for (float index : {0.3f, 0.5f, 1.f, 1.5f})
      for (double rate : {0.1, 1.0, 10.0}) {
        mote_material material = material_of(MOTE_HERSCHEL_BULKLEY, 1e6f, 0.3f);
        material.yield_stress = 50;
        material.consistency = 20;
        material.flow_index = index;
        Shear shear(device, dim, material, rate);
        shear.step(0.002 / rate, 500); /* 1 of shear */
        double expected = 50 + 20 * std::pow(rate, double(index));
        EXPECT_NEAR(shear.stress(), expected, 1e-3 * expected) << index << " " << rate << " " << dim;
      }
}

/* Below yield a Bingham material is elastic: a load-free return brings the strain back to zero, and nothing
   flows; above it creeps back to the yield stress and stops there. */
TEST_P(FlowTest, BinghamDoesNotFlowBelowYield) {
  Device device{GetParam()};
  mote_material material = material_of(MOTE_HERSCHEL_BULKLEY, 1e5f, 0.25f); /* mu = 4e4 */
  material.yield_stress = 100;
  material.consistency = 5;
  Shear shear(device, 3, material, 1);
  shear.step(1e-4, 20); /* shear 2e-3: 80 Pa */
  EXPECT_NEAR(shear.stress(), 80, 0.1);
  shear.set_rate(0);
  shear.step(1e-2, 100);
  EXPECT_NEAR(shear.stress(), 80, 0.1); /* held: no relaxation */
  shear.set_rate(-1);
  shear.step(1e-4, 20);
  EXPECT_NEAR(shear.stress(), 0, 0.1); /* back: no plastic strain */
  shear.set_rate(10);
  shear.step(1e-4, 50);
  EXPECT_GT(shear.stress(), 130); /* flows: 100 + 5 * 10 at the end */
  shear.set_rate(0);
  shear.step(1e-4, 100);
  EXPECT_NEAR(shear.stress(), 100, 0.1); /* stops at the yield stress */
}

/* A Maxwell material that was sheared and is held relaxes as exp(-t / relaxation_time), here for any step
 * size. */
TEST_P(FlowTest, MaxwellRelaxation) {
  Device device{GetParam()};
  mote_material material = material_of(MOTE_VISCOELASTIC, 1e4f, 0.25f); /* mu = 4e3 */
  material.relaxation_time = 0.05f;
  for (int dim : {2, 3})
    for (double dt : {1e-4, 1e-3, 2e-2}) {
      Shear shear(device, dim, material, 0.1);
      shear.step(0.1, 1);
      shear.set_rate(0);
      double start = shear.stress(), time = 0;
      EXPECT_GT(start, 10);
      for (int i = 0; time < 0.14; i++) {
        shear.step(dt, 1);
        time += dt;
        if (i % 20 != 0) continue; /* a download each */
        EXPECT_NEAR(shear.stress(), start * std::exp(-time / 0.05), 1e-3 * start) << dt << " " << time;
      }
    }
}

/* Steady shear of Oldroyd-B: viscosity solvent + mu relaxation_time at every rate, and the first normal
   stress difference 2 mu (relaxation_time rate)^2. */
TEST_P(FlowTest, OldroydBSteadyShear) {
  Device device{GetParam()};
  mote_material material = material_of(MOTE_VISCOELASTIC, 1e4f, 0.25f);
  material.relaxation_time = 0.02f;
  material.viscosity = 30;
  for (int dim : {2, 3})
    for (double rate : {1.0, 50.0}) {
      Shear shear(device, dim, material, rate);
      shear.step(4e-4, 1000); /* 20 relaxation times */
      double expected = (30 + 4e3 * 0.02) * rate, weissenberg = 0.02 * rate;
      EXPECT_NEAR(shear.stress(), expected, 1e-3 * expected) << rate << " " << dim;
      std::vector<float> tau = shear.state.tau.host();
      double normal = 2 * 4e3 * weissenberg * weissenberg;
      EXPECT_NEAR(tau[0] - tau[size_t(dim + 1)], normal, 2e-3 * normal + 0.05) << rate << " " << dim;
      EXPECT_NEAR(shear.state.history.host()[0], 0, 1e-5); /* volume */
    }
}
