#!/usr/bin/env python3
"""Mote's Sinkhorn distances against exact optimal assignments of scipy.optimize.linear_sum_assignment.

usage: transport_peer.py MOTE [--points 1000] [--json OUT]

Pairs of clouds in 3-D, as many points in each: noise about the same points, which then change places; a sheared
block; and two draws of the unit cube, whose distance is that of the drawing. Distances are 2-Wasserstein, m, blur in
mean spacings n^(-1/3). Needs numpy, scipy and h5py.
"""
import argparse
import csv
import json
import os
import subprocess
import tempfile
import time

import h5py
import numpy as np
from scipy.optimize import linear_sum_assignment
from scipy.spatial.distance import cdist


def clouds(n):
    random = np.random.default_rng(1)
    x = random.random((n, 3))
    shear = x + 0.5 * np.stack([x[:, 1] ** 2, np.zeros(n), x[:, 0] * 0.3], 1)
    return {"noise": (x, random.permutation(x + 0.03 * random.normal(size=(n, 3)))),
            "shear": (x, random.permutation(shear)),
            "two draws": (x, random.random((n, 3)))}


def write(path, x):
    bounds = [[-1.0, 3.0]] * 3
    with h5py.File(path, "w") as file:
        file["00000/position"] = np.asarray(x, "f4")[None]
        file["00000/particle_type"] = np.zeros(len(x), "i4")
        file.attrs["metadata"] = np.bytes_(json.dumps({"bounds": bounds, "dx": len(x) ** (-1 / 3)}))


def sinkhorn(mote, folder, x, y, blur):
    paths = [os.path.join(folder, name) for name in ("d.h5", "t.h5", "e.csv")]
    write(paths[0], x)
    write(paths[1], y)
    start = time.perf_counter()
    subprocess.run([mote, "evaluate", paths[0], "--against", paths[1], "--csv", paths[2], "--sinkhorn", "--quiet",
                    "--history", "0", "--blur", str(blur), "--sinkhorn-points", str(len(x))],
                   check=True, stdout=subprocess.DEVNULL)
    took = time.perf_counter() - start
    with open(paths[2]) as file:
        return float(next(csv.DictReader(file))["sinkhorn"]), took


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("mote")
    parser.add_argument("--points", type=int, default=1000)
    parser.add_argument("--json")
    options = parser.parse_args()
    rows = []
    with tempfile.TemporaryDirectory() as folder:
        for name, (x, y) in clouds(options.points).items():
            x, y = (np.asarray(c, "f4").astype("f8") for c in (x, y))
            start = time.perf_counter()
            squares = cdist(x, y, "sqeuclidean")
            exact = float(np.sqrt(squares[linear_sum_assignment(squares)].mean()))
            row = {"clouds": name, "points": options.points, "exact": exact,
                   "exact_seconds": time.perf_counter() - start}
            print(f"{name:10} exact {exact:.6f}", end="")
            for blur in (1, 0.5, 0.25):
                found, took = sinkhorn(options.mote, folder, x, y, blur)
                row[f"blur {blur}"] = found
                row[f"blur {blur} seconds, with start and files"] = took
                print(f"   blur {blur} {found:.6f} ({100 * (found / exact - 1):+.2f}%)", end="")
            print()
            rows.append(row)
    if options.json:
        with open(options.json, "w") as file:
            json.dump(rows, file, indent=1)


if __name__ == "__main__":
    main()
