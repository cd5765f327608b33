#!/usr/bin/env python3
"""A step of constitutive training, there and back, by Mote and by PyTorch: the same cube, law and loss, in turns.

The trick: both begin with the same law and go through the same steps without a restart, so that their losses and the norms
of their gradients must agree before their times mean anything.

    bench/peers/constitutive_peer.py --mote BUILD/mote [--steps S] [--epochs E] [--rounds R] [--threads N] [--matter NAME]
        [--law FOLDER] [--compile] [-o RESULT.json]

Without --law the law is of the published form and size, 13-64-64-9, and taught for a few seconds before, so that it can be
simulated for so many steps.
"""
import argparse
import csv
import json
import math
import os
import platform
import re
import subprocess
import sys
import tempfile

HERE = os.path.dirname(os.path.abspath(__file__))
LAWS = os.path.join(HERE, "..", "..", "scripts", "laws")

RUN = """kind: constitutive
scene: cube.yaml
trajectory: cube.h5
law: {law}
frames: {frames}
restarts: {{from: {first}, to: {steps}}}
elasticity: {{{rate}}}
plasticity: {{{rate}}}
epochs: {epochs}
validate_every: 1000
save_every: 1000
"""


def run(command, **options):
    done = subprocess.run(command, capture_output=True, text=True, **options)
    if done.returncode:
        sys.exit(f"{' '.join(command)}\n{done.stderr}")
    return done.stdout


def prepare(args, folder):
    with open(os.path.join(LAWS, args.matter, "material.yaml")) as file:
        material = file.read().strip()
    with open(os.path.join(LAWS, "scenes", "cube.yaml")) as file:
        scene = re.sub(r"(?m)^  matter: .*", f"  matter: {material}", file.read())
    with open(os.path.join(folder, "cube.yaml"), "w") as file:
        file.write(scene)
    run([args.mote, "simulate", "cube.yaml", "-o", "cube.h5", "--state", "--no-xdmf", "--quiet",
         "--frames", str(args.steps)], cwd=folder)
    with open(os.path.join(folder, "run.yaml"), "w") as file:
        file.write(RUN.format(law="{}", rate="rate: 1.0e-6", frames=args.steps + 1, first=args.steps, steps=args.steps,
                              epochs=args.epochs))


def taught(args, folder):
    # slowly: at faster rates rounding decides what is learned, and not each such law can be simulated by both
    with open(os.path.join(folder, "teach.yaml"), "w") as file:
        file.write(RUN.format(law="{strain: 0.05, plasticity_scale: 0.05}", rate="rate: 2.0e-3, clip: 1.0e-3",
                              frames=args.steps + 1, first=10, steps=args.steps, epochs=40))
    run([args.mote, "train", "teach.yaml", "-o", "law", "--device", "cpu", "--quiet"], cwd=folder)
    return os.path.join(folder, "law")


def mote_round(args, folder, law):
    """(loss, gradient's norm, ms a step), the latter of all epochs but the first."""
    run([args.mote, "train", "run.yaml", "-o", "model", "--from", law, "--device", "cpu", "--threads", str(args.threads),
         "--quiet"], cwd=folder)
    with open(os.path.join(folder, "model", "metrics.csv")) as file:
        rows = list(csv.DictReader(file))
    # the last row's time holds a validation
    seconds = float(rows[-2]["seconds"]) - float(rows[0]["seconds"])
    return float(rows[0]["loss"]), float(rows[0]["gradient_norm"]), 1e3 * seconds / ((args.epochs - 2) * args.steps)


def torch_round(args, folder, law):
    out = run([sys.executable, os.path.join(HERE, "constitutive_torch.py"), "--scene", "cube.yaml", "--trajectory", "cube.h5",
               "--law", law, "--steps", str(args.steps), "--epochs", str(args.epochs), "--rate", "1e-6", "--threads",
               str(args.threads), *(["--compile"] if args.compile else [])], cwd=folder)
    first, last = out.strip().splitlines()[0], json.loads(out.strip().splitlines()[-1])
    norms = [float(x) for x in re.findall(r"\|\w+\| ([-0-9.e+]+)", first)]
    return float(re.search(r"loss ([-0-9.e+]+)", first)[1]), math.hypot(*norms), last["milliseconds_per_step"]


def main():
    parser = argparse.ArgumentParser(description=__doc__.split("\n\n")[0])
    parser.add_argument("--mote", required=True)
    parser.add_argument("--steps", type=int, default=200)
    parser.add_argument("--epochs", type=int, default=4)
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--threads", type=int, default=2)
    parser.add_argument("--matter", default="water")
    parser.add_argument("--law", metavar="FOLDER", help="instead of one of the published form")
    parser.add_argument("--compile", action="store_true", help="PyTorch's SVD by torch.compile")
    parser.add_argument("-o", "--output", metavar="RESULT.json")
    args = parser.parse_args()
    args.mote = os.path.abspath(args.mote)
    rounds = []
    with tempfile.TemporaryDirectory() as folder:
        prepare(args, folder)
        law = os.path.abspath(args.law) if args.law else taught(args, folder)
        for _ in range(args.rounds):
            mote, torch = mote_round(args, folder, law), torch_round(args, folder, law)
            for name, a, b in zip(("loss", "gradient norm"), mote, torch):
                if not abs(a - b) < 0.01 * abs(b):
                    sys.exit(f"{name}: Mote {a}, PyTorch {b}")
            rounds.append({"mote_ms": mote[2], "torch_ms": torch[2], "ratio": torch[2] / mote[2]})
            print(json.dumps(rounds[-1]), flush=True)
    ratios = sorted(r["ratio"] for r in rounds)
    import torch as library
    result = {"particles": 1000, "steps": args.steps, "threads": args.threads, "matter": args.matter,
              "law": args.law or "13-64-64-9", "compiled": args.compile, "machine": platform.processor() or platform.machine(),
              "torch": library.__version__, "rounds": rounds, "median_ratio": ratios[len(ratios) // 2]}
    print(json.dumps({"median_ratio": result["median_ratio"]}))
    if args.output:
        with open(args.output, "w") as file:
            json.dump(result, file, indent=1)
            file.write("\n")


if __name__ == "__main__":
    main()
