#!/usr/bin/env python3
"""What a step costs where a trained dense network moves all particles, and where a trained time-stepper moves some and the rest
is reconstructed: the models of two folders on the same cloud, finer than any that they learned from. Only time is measured.

    bench/peers/scale.py MOTE --dense FOLDER --sparse FOLDER --input T.h5 [--operator FOLDER] [--particles N ...]
                         [--kept K ...] [--threads T] [--rounds R] [--json OUT]

The cloud is the first trajectory of T.h5, each particle of which becomes as many as it takes, within its share of space.
The dense network's radius shrinks with the spacing, so that a particle has as many neighbours as in its training; the sparse
one keeps its own. Rounds alternate; a step's time is what `mote rollout` tells.
"""
import argparse
import json
import os
import re
import statistics
import subprocess
import sys
import tempfile

import h5py
import numpy

from torch_worker import processor

FRAMES, DENSE_STEPS, SPARSE_STEPS = 30, 2, 20


def parse_arguments():
    parser = argparse.ArgumentParser(description=__doc__.split("\n\n")[0])
    parser.add_argument("mote", metavar="MOTE")
    parser.add_argument("--dense", required=True, metavar="FOLDER")
    parser.add_argument("--sparse", required=True, metavar="FOLDER")
    parser.add_argument("--input", required=True, metavar="T.h5")
    parser.add_argument("--operator", metavar="FOLDER", help="else the unlearned one reconstructs")
    parser.add_argument("--particles", type=int, nargs="+", default=[100000])
    parser.add_argument("--kept", type=int, nargs="+", default=[500, 1000], help="stepped particles; the rest is reconstructed")
    parser.add_argument("--threads", type=int, default=os.cpu_count())
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--json", help="also write the results to this file")
    return parser.parse_args()


def run(*command):
    result = subprocess.run(command, capture_output=True, text=True)
    if result.returncode:
        sys.exit(f"scale.py: {' '.join(command)} failed:\n{result.stdout}{result.stderr}")
    return result.stdout + result.stderr


def refine(source, target, particles, spacing):
    """The first trajectory with `particles`; returns how much smaller the spacing is."""
    with h5py.File(source) as file:
        first = file[sorted(file)[0]]
        position, kind = first["position"][:FRAMES], first["particle_type"][:]
    old = position.shape[1]
    if particles < old:
        sys.exit(f"scale.py: --particles is {particles}: expected at least the {old} of {source}")
    parent = numpy.arange(particles) % old
    offset = numpy.random.default_rng(1).uniform(-0.5, 0.5, (particles, 3)) * spacing
    with h5py.File(target, "w") as file:
        group = file.create_group("00000")
        group["position"] = (position[:, parent] + offset).astype(numpy.float32)
        group["particle_type"] = kind[parent]
    finer = (old / particles) ** (1 / 3)
    with open(os.path.join(os.path.dirname(source), "metadata.json")) as file:
        metadata = json.load(file)
    metadata["dx"] *= finer
    with open(os.path.join(os.path.dirname(target), "metadata.json"), "w") as file:
        json.dump(metadata, file)
    return finer


def time_of(args, output, *options):
    """Milliseconds a step and a reconstruction, and edges."""
    told = run(args.mote, "rollout", "--output", output, "--threads", str(args.threads), "--device", "cpu", *options)
    found = re.search(r"(\d+) stepped on (\d+) edges, ([\d.]+) ms a step, reconstruction ([\d.]+) ms a frame", told)
    if not found:
        sys.exit(f"scale.py: mote rollout tells no times:\n{told}")
    return int(found[2]), float(found[3]), float(found[4])


def measure(args, particles):
    with open(os.path.join(args.dense, "metadata.json")) as file:
        metadata = json.load(file)
    with tempfile.TemporaryDirectory() as folder:
        cloud, output = os.path.join(folder, "cloud.h5"), os.path.join(folder, "out.h5")
        radius = refine(args.input, cloud, particles, metadata["dx"]) * metadata["default_connectivity_radius"]
        dense, sparse = [], {kept: [] for kept in args.kept}
        operator = ["--operator", args.operator] if args.operator else []
        for turn in range(args.rounds):
            dense.append(time_of(args, output, "--model", args.dense, "--input", cloud, "--radius", repr(radius), "--steps",
                                 str(DENSE_STEPS), "--every", str(DENSE_STEPS)))
            print(f"{particles}, round {turn + 1}: dense {dense[-1][1]:.1f} ms a step on {dense[-1][0]} edges", flush=True)
            for kept, times in sparse.items():
                times.append(time_of(args, output, "--model", args.sparse, "--input", cloud, "--sparse", str(kept), "--steps",
                                     str(SPARSE_STEPS), *operator))
                print(f"{particles}, round {turn + 1}: {kept} stepped {times[-1][1]:.1f} ms on {times[-1][0]} edges, and "
                      f"{times[-1][2]:.1f} ms to reconstruct", flush=True)
    return [ratio_of(args, particles, kept, dense, times) for kept, times in sparse.items()]


def ratio_of(args, particles, kept, dense, sparse):
    ratios = [d[1] / (s[1] + s[2]) for d, s in zip(dense, sparse)]
    print(f"{particles}: a step of {kept} by {args.sparse} with reconstruction takes {statistics.median(ratios):.1f} times less "
          f"than one of {args.dense}")
    return {"particles": particles, "kept": kept, "dense_edges": dense[0][0], "sparse_edges": sparse[0][0],
            "dense_milliseconds": statistics.median(d[1] for d in dense),
            "sparse_milliseconds": statistics.median(s[1] for s in sparse),
            "reconstruction_milliseconds": statistics.median(s[2] for s in sparse),
            "ratio": statistics.median(ratios), "ratios_of_rounds": ratios, "load_average": os.getloadavg()[0]}


def main():
    args = parse_arguments()
    result = {"remade_by": "bench/peers/scale.py", "dense": os.path.basename(os.path.normpath(args.dense)),
              "sparse": os.path.basename(os.path.normpath(args.sparse)), "learned_operator": bool(args.operator),
              "threads": args.threads, "processor": processor(), "rounds": args.rounds,
              "runs": [run for particles in args.particles for run in measure(args, particles)]}
    if args.json:
        with open(args.json, "w") as file:
            json.dump(result, file, indent=1)
            file.write("\n")


if __name__ == "__main__":
    main()
