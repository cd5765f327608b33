#!/usr/bin/env python3
"""Records four cubes thrown against walls, one a material, on which operators can be compared: 8,000 particles,
600 steps of 0.5 ms, a frame every 10, a grid of 32 cells.

usage: cube_scenes.py MOTE OUT, then
       operator_error.py MOTE OPERATOR OUT/*.h5 --method uniform

Needs PyYAML.
"""
import os
import subprocess
import sys

import yaml

MATERIALS = {
    "jelly": dict(kind="fixed_corotated", density=1000.0, youngs_modulus=1e5, poisson_ratio=0.2),
    "sand": dict(kind="drucker_prager", density=1000.0, youngs_modulus=1e6, poisson_ratio=0.2, friction_angle=25.0),
    "plasticine": dict(kind="von_mises", density=1000.0, youngs_modulus=3e5, poisson_ratio=0.25, yield_stress=5e3),
    "water": dict(kind="newtonian", density=1000.0, bulk_modulus=83333.0, gamma=7.0, viscosity=0.0),
}


def main():
    if len(sys.argv) != 3:
        sys.exit(__doc__)
    mote, out = sys.argv[1:]
    os.makedirs(out, exist_ok=True)
    for name, material in MATERIALS.items():
        cube = dict(name="cube", material=name, shape=dict(kind="box", size=[0.3, 0.3, 0.3]), count=8000,
                    placement="lattice", position=[0.5, 0.35, 0.5], velocity=[0.0, -0.84, 2.1])
        scene = dict(name=name, dim=3, domain=dict(lower=[0, 0, 0], upper=[1, 1, 1], cells=32),
                     walls=dict(all="free_slip"), gravity=[0, -9.8, 0],
                     time=dict(frame_interval=0.005, frames=60, step=5e-4), materials={name: material}, bodies=[cube])
        path = os.path.join(out, name)
        with open(path + ".yaml", "w") as file:
            yaml.safe_dump(scene, file)
        subprocess.run([mote, "simulate", path + ".yaml", "-o", path + ".h5", "--quiet"], check=True)


if __name__ == "__main__":
    main()
