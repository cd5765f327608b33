#!/usr/bin/env python3
"""Writes the scenes that the shipped operator was trained and tested on, and records them.

usage: make_scenes.py MOTE MESHES OUT [--train 32] [--test 8]

MOTE is the command, MESHES a folder with bunny, spot, bob, blub and armadillo as OBJ files, which are the
test shapes; train shapes are primitives and, every second one, a creature: a random body with limbs, written as
OBJ. 8,000 particles, 100 frames of 5 ms; every fourth scene has two bodies. A scene that the solver refuses (a body in a wall, an impact too fast for its time step) is left out.
Needs numpy and PyYAML.
"""
import argparse
import os
import subprocess

import numpy as np
import yaml

KINDS = ["water", "sand", "plasticine"]
TRAIN = ["torus", "box", "cone", "cylinder", "ellipsoid", "capsule", "sphere"]
TEST = ["bunny", "spot", "bob", "blub", "armadillo"]
VOLUME = 0.027  # m^3, the largest of the train shapes


def material(kind, random):
    if kind == "water":
        return dict(kind="newtonian", density=1000.0, bulk_modulus=1e5, gamma=7.0,
                    viscosity=float(10 ** random.uniform(-3, 0.5)))
    if kind == "sand":
        return dict(kind="drucker_prager", density=1600.0, youngs_modulus=5e5, poisson_ratio=0.2,
                    friction_angle=float(random.uniform(25, 40)))
    return dict(kind="von_mises", density=1400.0, youngs_modulus=3e5, poisson_ratio=0.25,
                yield_stress=float(10 ** random.uniform(3, 3.9)))


def primitive(name, random, volume):
    if name == "box":
        size = np.exp(random.uniform(-0.55, 0.55, 3))
        size *= (volume / np.prod(size)) ** (1 / 3)
        return dict(kind="box", size=[float(s) for s in size])
    if name == "sphere":
        return dict(kind="sphere", radius=float((volume * 3 / 4 / np.pi) ** (1 / 3)))
    if name == "ellipsoid":
        radii = np.exp(random.uniform(-0.55, 0.55, 3))
        radii *= (volume * 3 / 4 / np.pi / np.prod(radii)) ** (1 / 3)
        return dict(kind="ellipsoid", radii=[float(r) for r in radii])
    if name == "cylinder":
        q = np.exp(random.uniform(-0.5, 0.7))
        radius = (volume / np.pi / 2 / q) ** (1 / 3)
        return dict(kind="cylinder", radius=float(radius), height=float(2 * radius * q))
    if name == "capsule":
        q = random.uniform(0.5, 1.5)
        radius = (volume / (np.pi * (4 / 3 + q))) ** (1 / 3)
        return dict(kind="capsule", radius=float(radius), length=float(q * radius))
    if name == "torus":
        q = random.uniform(0.3, 0.5)
        radius = (volume / (2 * np.pi**2 * q * q)) ** (1 / 3)
        return dict(kind="torus", radius=float(radius), tube_radius=float(q * radius))
    q = random.uniform(0.8, 2.6)
    radius = (volume * 3 / np.pi / q) ** (1 / 3)
    return dict(kind="cone", radius=float(radius), height=float(q * radius))


def rotation(random):
    """A random proper rotation, from a QR decomposition."""
    q, r = np.linalg.qr(random.normal(size=(3, 3)))
    q *= np.sign(np.diag(r))
    return q * np.sign(np.linalg.det(q))


def ellipsoid(center, axes, rings=10, sectors=16):
    """Vertices and triangles of the ellipsoid with half axes `axes` (rows)."""
    polar = np.pi * np.arange(1, rings)[:, None] / rings
    around = 2 * np.pi * np.arange(sectors)[None] / sectors
    unit = np.stack([np.sin(polar) * np.cos(around), np.sin(polar) * np.sin(around),
                     np.cos(polar) * np.ones_like(around)], -1).reshape(-1, 3)
    unit = np.concatenate([[[0, 0, 1]], unit, [[0, 0, -1]]])
    last = len(unit) - 1
    faces = []
    for j in range(sectors):
        k = (j + 1) % sectors
        faces.append((0, 1 + j, 1 + k))
        faces.append((last, last - sectors + k, last - sectors + j))
        for i in range(rings - 2):
            a, b = 1 + i * sectors, 1 + (i + 1) * sectors
            faces += [(a + j, b + j, b + k), (a + j, b + k, a + k)]
    turned = np.array(faces) if np.linalg.det(axes) > 0 else np.array(faces)[:, ::-1]
    return center + unit @ axes, turned


def creature(random, path):
    """A body and two to six limbs, thick, thin or flat, as overlapping closed surfaces in one OBJ file."""
    body = np.exp(random.uniform(-0.5, 0.5, 3))
    parts = [ellipsoid(np.zeros(3), np.diag(body))]
    for _ in range(random.integers(2, 7)):
        frame, out = rotation(random), random.normal(size=3)
        out /= np.linalg.norm(out)
        half = np.array([random.uniform(0.4, 1.2), random.uniform(0.15, 0.5), random.uniform(0.12, 0.3)])
        frame[0] = out
        frame[1] -= out * (frame[1] @ out)
        frame[1] /= np.linalg.norm(frame[1])
        frame[2] = np.cross(frame[0], frame[1])
        parts.append(ellipsoid(out * body * random.uniform(0.7, 1.0) + 0.6 * half[0] * out, frame * half[:, None]))
    first = 1
    with open(path, "w") as file:
        for vertices, faces in parts:
            file.writelines("v %.6f %.6f %.6f\n" % tuple(v) for v in vertices)
            file.writelines("f %d %d %d\n" % tuple(f + first) for f in faces)
            first += len(vertices)


def geometry(name, random, bodies, meshes, path):
    if name in TEST:
        return dict(mesh=dict(file=os.path.join(meshes, name + ".obj"), size=0.5 if bodies == 1 else 0.36))
    if random.random() < 0.5:
        creature(random, path)
        return dict(mesh=dict(file=path, size=float(random.uniform(0.38, 0.6) * (1 if bodies == 1 else 0.7))))
    return dict(shape=primitive(name, random, VOLUME / bodies * random.uniform(0.25, 1)))


def body(b, bodies, name, kind, random, placement, meshes, path):
    axis = random.normal(size=3)
    velocity = random.uniform(-2, 2, 3) * [1, 0.6, 1]
    velocity[1] -= 0.4
    position = [0.5 + 0.06 * random.uniform(-1, 1), 0.48 + 0.1 * random.uniform(-1, 1),
                0.5 + 0.06 * random.uniform(-1, 1)]
    if bodies > 1:
        position[0], position[1] = 0.32 + 0.36 * b, 0.5 + 0.1 * random.uniform(-1, 1)
    return dict(name=f"b{b}", material=kind, **geometry(name, random, bodies, meshes, f"{path}_{b}.obj"), count=8000 // bodies,
                position=[float(x) for x in position],
                rotation=dict(axis=[float(x) for x in axis], angle=float(random.uniform(0, 180))),
                velocity=[float(x) for x in velocity],
                angular_velocity=[float(x) for x in random.uniform(-4, 4, 3)], placement=placement)


def scene(kind, split, number, shapes, meshes, path):
    random = np.random.default_rng([17 if split == "train" else 18, number, sum(map(ord, kind))])
    bodies = 2 if number % 4 == 3 else 1
    placement = ["jittered", "poisson", "jittered"][number % 3]
    made = [body(b, bodies, shapes[(number + b) % len(shapes)], kind, random, placement, meshes, path)
            for b in range(bodies)]
    wall = ["free_slip", "separate", "no_slip"][(number // 2) % 3]
    return dict(name=f"{kind}_{split}_{number}", dim=3,
                domain=dict(lower=[0, 0, 0], upper=[1, 1, 1], cells=32), walls=dict(all=wall),
                gravity=[0, -9.8, 0], time=dict(frame_interval=0.005, frames=100),
                materials={kind: material(kind, random)}, bodies=made)


def main():
    parser = argparse.ArgumentParser(description=__doc__.split("\n\n")[0])
    parser.add_argument("mote")
    parser.add_argument("meshes")
    parser.add_argument("out")
    parser.add_argument("--train", type=int, default=100, help="scenes of each material")
    parser.add_argument("--test", type=int, default=8, help="scenes of each material")
    arguments = parser.parse_args()
    os.makedirs(arguments.out, exist_ok=True)
    for kind in KINDS:
        for split, shapes, count in [("train", TRAIN, arguments.train), ("test", TEST, arguments.test)]:
            for number in range(count):
                name = os.path.join(arguments.out, f"{kind}_{split}_{number}")
                with open(name + ".yaml", "w") as file:
                    yaml.safe_dump(scene(kind, split, number, shapes, os.path.abspath(arguments.meshes),
                                         os.path.abspath(name)), file)
                done = subprocess.run([arguments.mote, "simulate", name + ".yaml", "-o", name + ".h5", "--quiet"],
                                      capture_output=True, text=True)
                if done.returncode:
                    print("left out:", done.stderr.strip())


if __name__ == "__main__":
    main()
