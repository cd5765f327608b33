#!/usr/bin/env python3
"""Errors of the reduced-order operator on recorded trajectories, in one table: without learning, with it, and
beside them the usual particle method: an affine least-squares fit of the increments of the 12 nearest sparse
particles, in the current frame, advected.

usage: operator_error.py MOTE OPERATOR FILE.h5 [...] [--ratio 0.05] [--method farthest] [--frames N] [--json OUT]

Mean over all frames but the first (of --frames, the first ones) of |x - truth| / |truth|, percent, all particles; each
trajectory of a file counts, and they are grouped by the kind of their first material. Needs numpy, scipy and h5py.
"""
import argparse
import json
import os
import subprocess
import tempfile

import h5py
import numpy as np
from scipy.spatial import cKDTree


def positions(path):
    with h5py.File(path) as file:
        return file["00000/position"][:].astype("f8"), json.loads(file.attrs["metadata"])


def error(found, truth):
    e = np.sqrt(((found - truth) ** 2).sum((1, 2)) / (truth**2).sum((1, 2)))
    return 100 * float(e[1:].mean())


def affine_nearest(sparse, start, neighbours=12):
    """The particle method, in float64."""
    path = [start]
    for now, following in zip(sparse[:-1], sparse[1:]):
        x = path[-1]
        _, near = cKDTree(now).query(x, k=neighbours)
        offset = now[near] - x[:, None]
        rows = np.concatenate([np.ones(offset.shape[:2] + (1,)), offset], axis=2)
        normal = np.einsum("pki,pkj->pij", rows, rows)
        normal += 1e-9 * np.trace(normal, axis1=1, axis2=2)[:, None, None] * np.eye(4)
        right = np.einsum("pki,pkc->pic", rows, (following - now)[near])
        path.append(x + np.linalg.solve(normal, right)[:, 0])
    return np.array(path)


def trajectories(arguments, path, folder):
    """Each as a file of its own, with its name."""
    with h5py.File(path) as file:
        for name in file:
            one = os.path.join(folder, "truth.h5")
            with h5py.File(one, "w") as to:
                text = file.attrs["metadata"]
                to.attrs["metadata"] = np.bytes_(text)  # of fixed length, as Mote reads it
                file.copy(name, to, name="00000")
                if arguments.frames:
                    position = to["00000/position"][: arguments.frames]
                    del to["00000/position"]
                    to["00000/position"] = position
            yield f"{os.path.basename(path)} {name}", one


def measure(arguments, name, path, folder):
    truth, metadata = positions(path)
    sparse = os.path.join(folder, "sparse.h5")
    run = [arguments.mote, "sample", path, "--ratio", str(arguments.ratio), "--method", arguments.method, "-o", sparse]
    subprocess.run(run + ["--quiet"], check=True)
    row = dict(file=name, kind=metadata["materials"][0]["kind"])
    for operator, extra in [("unlearned", []), ("learned", ["--operator", arguments.operator])]:
        out = os.path.join(folder, "out.h5")
        subprocess.run([arguments.mote, "reconstruct", "--sparse", sparse, "--reference", path, "-o", out, "--quiet",
                        *extra], check=True)
        row[operator] = error(positions(out)[0], truth)
    row["affine_nearest"] = error(affine_nearest(positions(sparse)[0], truth[0]), truth)
    return row


def main():
    parser = argparse.ArgumentParser(description=__doc__.split("\n\n")[0])
    parser.add_argument("mote")
    parser.add_argument("operator")
    parser.add_argument("files", nargs="+")
    parser.add_argument("--ratio", type=float, default=0.05)
    parser.add_argument("--method", default="farthest")
    parser.add_argument("--frames", type=int, default=0)
    parser.add_argument("--json")
    arguments = parser.parse_args()
    with tempfile.TemporaryDirectory() as folder:
        rows = [measure(arguments, name, one, folder)
                for path in arguments.files for name, one in trajectories(arguments, path, folder)]
    kinds = []
    print(f"{'kind':16}{'files':>6}{'12 nearest':>12}{'unlearned':>11}{'learned':>9}   learned/unlearned: all, a file")
    for kind in sorted({row["kind"] for row in rows}):
        own = [row for row in rows if row["kind"] == kind]
        mean = {k: float(np.mean([row[k] for row in own])) for k in ("affine_nearest", "unlearned", "learned")}
        each = [row["learned"] / row["unlearned"] for row in own]
        kinds.append(dict(kind=kind, files=len(own), **mean, mean_of_ratios=float(np.mean(each)),
                          worst_ratio=max(each), best_ratio=min(each)))
        print(f"{kind:16}{len(own):6}{mean['affine_nearest']:12.4f}{mean['unlearned']:11.4f}{mean['learned']:9.4f}"
              f"   {mean['learned'] / mean['unlearned']:.3f}, {min(each):.3f} to {max(each):.3f}")
    if arguments.json:
        with open(arguments.json, "w") as file:
            json.dump(dict(unit="percent, mean relative L2", ratio=arguments.ratio, method=arguments.method,
                           kinds=kinds, trajectories=rows), file, indent=1)


if __name__ == "__main__":
    main()
