#!/usr/bin/env python3
"""Times the material point method of Mote and of Taichi side by side: the same scene, the same threads, in turns in one
run, so that whatever else the machine does meets both. Prints every round and the ratio of the medians.

    bench/peers/mpm_peer.py [--size 262144] [--threads 2] [--rounds 3] [--mote build/latest/mote-bench]
"""
import argparse
import json
import os
import statistics
import subprocess
import sys
import tempfile

MATERIALS = ["newtonian", "drucker_prager"]


def parse_arguments():
    parser = argparse.ArgumentParser(description=__doc__.split("\n\n")[0])
    parser.add_argument("--material", choices=MATERIALS, action="append", help="both when left out")
    parser.add_argument("--size", type=int, default=262144, help="particles, a cube number")
    parser.add_argument("--threads", type=int, default=os.cpu_count())
    parser.add_argument("--rounds", type=int, default=3, help="turns of each engine")
    parser.add_argument("--mote", default="build/latest/mote-bench")
    parser.add_argument("--json", help="also write the result to this file")
    return parser.parse_args()


def run(command):
    result = subprocess.run(command, capture_output=True, text=True)
    if result.returncode:
        sys.exit(f"mpm_peer.py: {' '.join(command)} failed:\n{result.stdout}{result.stderr}")
    return result.stdout


def time_mote(args, material):
    """Particle-steps a second of `mote-bench mpm`, which takes the median of its own blocks."""
    with tempfile.TemporaryDirectory() as folder:
        path = os.path.join(folder, "mote.json")
        run([args.mote, "mpm", "--device", "cpu", "--material", material, "--size", str(args.size),
             "--threads", str(args.threads), "--json", path])
        with open(path) as file:
            results = json.load(file)["results"]
    return next(r for r in results if r["name"] == "mpm/" + material)


def time_taichi(args, material):
    script = os.path.join(os.path.dirname(os.path.abspath(__file__)), "taichi_mpm.py")
    output = run([sys.executable, script, "--material", material, "--size", str(args.size),
                  "--threads", str(args.threads)])
    return json.loads(output.splitlines()[-1])


def main():
    args = parse_arguments()
    summary = {"threads": args.threads, "materials": {}}
    for material in args.material or MATERIALS:
        rates = {"mote": [], "taichi": []}
        for turn in range(args.rounds):
            for engine, measure in (("mote", time_mote), ("taichi", time_taichi)):
                result = measure(args, material)
                rates[engine].append(result["n"] / (1e-3 * result["milliseconds"]))
                print(f"{material:15} round {turn + 1} {engine:7} {result['n']:9d} particles "
                      f"{result['milliseconds']:9.2f} ms/step {1e-6 * rates[engine][-1]:8.2f} M particle-steps/s",
                      flush=True)
        ratio = statistics.median(rates["mote"]) / statistics.median(rates["taichi"])
        print(f"{material:15} mote is {ratio:.2f} times as fast as taichi (medians of {args.rounds} rounds)")
        summary["materials"][material] = {"particle_steps_per_second": rates, "ratio": ratio}
    if args.json:
        with open(args.json, "w") as file:
            json.dump(summary, file, indent=1)


main()
