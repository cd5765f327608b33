#!/usr/bin/env python3
"""Trains a time-stepper in Mote and in PyTorch side by side: the same weights, the same examples, the same threads. Gradients
are compared tensor by tensor, and steps (the loss, its gradient, AdamW) are timed in alternating rounds, so that whatever else
the machine does meets both.

    bench/peers/training_peer.py MOTE_BENCH [--models giorom gns FOLDER ...] [--styles plain best split] [--particles N]
                                 [--batch B] [--threads T] [--rounds R] [--repeat S] [--allocator keep|stock]
                                 [--wait spin|passive] [--precision float32|bfloat16x2]
                                 [--torch-precision highest|high|medium] [--tolerance X] [--examples H5] [--json OUT]

MOTE_BENCH is the command `mote-bench`, whose case `train` says what giorom and gns are; it makes up the examples (about 30
neighbours a particle, far from walls), or takes the first frames of the trajectories of H5, and leaves them, the weights and the
gradient of the first example's loss in files. PyTorch lives in a
process of its own, in a style of batch_torch.py, with the graphs of the batch given; Mote searches them in each step. A round
is S steps of each engine after warm-up. Without --allocator each style has its own: stock for plain, keep for the others, which
tells glibc's malloc to keep the memory of large tensors instead of paying for their pages anew (stepper_peer.py). --wait
passive lets the threads of both engines sleep at barriers instead of spinning: on a machine that others use too, PyTorch
spinning takes several times as long. Beside the time that passes stands the processor time of all threads, which
does not see the others; it leaves out what threads lose by waiting for each other. --precision is of Mote's dense layers;
PyTorch is told the setting that says the same of its own (set_float32_matmul_precision: "high" is a sum of two bfloat16, where
it has that), or --torch-precision.

Gradients are compared with PyTorch's in float64, autograd's of the same loss on the same graph. The error of a tensor is
relative to its gradient's norm, and fails above --tolerance (1e-3; 1e-2 for bfloat16x2): a gradient that is left out or counted
twice is off by 0.3 or more; rounding alone makes 1e-6; and where rounding decides the sign of a ReLU's input, of which a step
has some millions, one row's part goes missing, up to some 1e-4, and with fewer bits more of them. Where the terms of a gradient cancel, as those of attention's keys do under
small weights, float32 has fewer digits: a tensor may always be off by three times what PyTorch's own float32 is; and where
they cancel altogether, as those of the last bias of an answer for edges, by 1e-7 of the gradient of all tensors.
"""
import argparse
import json
import os
import statistics
import subprocess
import sys
import tempfile
import time
from importlib.metadata import version

import numpy

import batch_torch
from giorom_torch import read_safetensors
from torch_worker import Worker, processor, serve


def parse_arguments():
    parser = argparse.ArgumentParser(description=__doc__.split("\n\n")[0])
    parser.add_argument("bench", nargs="?", metavar="MOTE_BENCH")
    parser.add_argument("--models", nargs="+", default=["giorom", "gns"], metavar="MODEL")
    parser.add_argument("--styles", nargs="+", choices=batch_torch.STYLES, default=["best"])
    parser.add_argument("--particles", type=int, default=1000)
    parser.add_argument("--batch", type=int, default=2)
    parser.add_argument("--threads", type=int, default=os.cpu_count())
    parser.add_argument("--rounds", type=int, default=3, help="turns of each engine; 0: gradients alone")
    parser.add_argument("--repeat", type=int, default=3, help="steps of PyTorch a turn")
    parser.add_argument("--allocator", choices=("keep", "stock"), help="of PyTorch's process")
    parser.add_argument("--wait", choices=("spin", "passive"), default="spin", help="of OpenMP's threads, in both engines")
    parser.add_argument("--precision", choices=("float32", "bfloat16x2"), default="float32", help="of Mote's dense layers")
    parser.add_argument("--torch-precision", choices=("highest", "high", "medium"), dest="torch_precision",
                        help="PyTorch's name for its own: highest for float32, high (two bfloat16) for bfloat16x2 if not given")
    parser.add_argument("--tolerance", type=float, help="of gradients: 1e-3, for bfloat16x2 1e-2")
    parser.add_argument("--examples", metavar="H5", help="trajectories of the models' dim, in place of --particles")
    parser.add_argument("--json", help="also write the results to this file")
    parser.add_argument("--worker", nargs=2, metavar=("FOLDER", "STYLE"), help=argparse.SUPPRESS)
    args = parser.parse_args()
    if args.tolerance is None:
        args.tolerance = {"float32": 1e-3, "bfloat16x2": 1e-2}[args.precision]
    if not (args.bench or args.worker):
        parser.error("give the command MOTE_BENCH")
    if args.wait == "passive":
        os.environ["OMP_WAIT_POLICY"] = "passive"  # for the processes of both
    return args


# ---- PyTorch's process ----

def gradients_of(folder, style, double):
    """Of the first example's loss, by tensors, in float64; and the loss."""
    model, config, metadata = batch_torch.load(folder, style)
    batch = batch_torch.Batch(os.path.join(folder, "batch.h5"), metadata, config, 1)
    if double:
        model, batch = model.double(), batch.double()
    loss = batch_torch.loss_of(model, batch)
    loss.backward()
    return loss.item(), {name: (p.grad if p.grad is not None else p.new_zeros(p.shape)).double().numpy()
                         for name, p in model.named_parameters()}


def work(args):
    """Takes a command a line (facts, gradients PATH, time), answers in JSON."""
    import torch
    folder, style = args.worker
    torch.set_num_threads(args.threads)
    torch.set_float32_matmul_precision(torch_precision(args))
    model, config, metadata = batch_torch.load(folder, style)
    batch = batch_torch.Batch(os.path.join(folder, "batch.h5"), metadata, config)
    adamw = torch.optim.AdamW(model.parameters(), lr=1e-4, weight_decay=1e-4, fused=True)

    def step():
        begin, used = time.perf_counter(), time.process_time()
        adamw.zero_grad(set_to_none=True)
        loss = batch_torch.loss_of(model, batch)
        middle = time.perf_counter()
        loss.backward()
        end = time.perf_counter()
        adamw.step()
        done = time.perf_counter()
        parts = (middle - begin, end - middle, done - end, done - begin, time.process_time() - used)
        return dict(zip(("forward", "backward", "update", "step", "processor"), (1e3 * part for part in parts)))

    def facts():
        step()  # the warm-up
        return {"particles": batch.n // len(batch.sizes), "edges": len(batch.senders), "latent_pairs": batch.pairs}

    def gradients(path):
        losses = {}
        for name, double in (("float64", True), ("float32", False)):
            losses[name], values = gradients_of(folder, style, double)
            numpy.savez(f"{path}-{name}.npz", **values)
        return losses

    serve({"facts": facts, "gradients": gradients, "time": lambda: {"steps": [step() for _ in range(args.repeat)]}})


# ---- Mote ----

def torch_precision(args):
    return args.torch_precision or {"float32": "highest", "bfloat16x2": "high"}[args.precision]


def run_mote(args, folder, *options):
    """What `mote-bench train` says of a step: the last of its results, with the parts beside it."""
    path = os.path.join(folder, "mote.json")
    command = [args.bench, "train", "--quick", "--device", "cpu", "--threads", str(args.threads), "--precision", args.precision,
               "--json", path, *options]
    result = subprocess.run(command, capture_output=True, text=True)
    if result.returncode:
        sys.exit(f"training_peer.py: {' '.join(command)} failed:\n{result.stdout}{result.stderr}")
    with open(path) as file:
        rows = json.load(file)["results"]
    parts = {row["name"].split(", ")[-1]: row["milliseconds"] for row in rows}
    return {**rows[-1], **parts, "processor": rows[-1]["processor_milliseconds"]}


# ---- both ----

def compare_gradients(folder, tolerance):
    """Relative errors by tensors against float64, those of Mote and of PyTorch's float32, the worst first."""
    mote = read_safetensors(os.path.join(folder, "gradients.safetensors"))
    rows = []
    with numpy.load(os.path.join(folder, "torch-float64.npz")) as truth, \
            numpy.load(os.path.join(folder, "torch-float32.npz")) as single:
        if set(mote) != set(truth):
            sys.exit(f"training_peer.py: tensors of one side alone: {sorted(set(mote) ^ set(truth))}")
        rounding = 1e-7 * sum(numpy.linalg.norm(truth[name]) ** 2 for name in truth) ** 0.5
        for name in truth:
            norm = numpy.linalg.norm(truth[name])
            errors = [float(numpy.linalg.norm(one[name].reshape(truth[name].shape).astype(float) - truth[name]))
                      for one in (mote, single)]
            limit = max(tolerance * norm, 3 * errors[1], rounding)
            rows.append({"tensor": name, "error": errors[0] / norm if norm else errors[0],
                         "torch_error": errors[1] / norm if norm else errors[1], "norm": float(norm),
                         "good": bool(errors[0] <= limit)})
    return sorted(rows, key=lambda row: -row["error"])


def check_gradients(args, folder, worker):
    losses = worker.ask("gradients " + os.path.join(folder, "torch"))
    rows = compare_gradients(folder, args.tolerance)
    total = sum(row["norm"] ** 2 for row in rows) ** 0.5
    print(f"  gradients of {len(rows)} tensors: median error {statistics.median(row['error'] for row in rows):.1e}; the worst:")
    for row in rows[:4]:
        print(f"    {row['error']:.1e} (PyTorch's float32 {row['torch_error']:.1e}), {row['norm'] / total:.0e} of the norm of "
              f"all: {row['tensor']}", flush=True)
    return {"tensors": len(rows), "median": statistics.median(row["error"] for row in rows), "worst": rows[:4],
            "good": all(row["good"] for row in rows), "loss": losses["float64"]}


def summary(steps):
    return {part: statistics.median(step[part] for step in steps) for part in ("forward", "backward", "update", "step", "processor")}


def time_both(args, folder, worker):
    torch, mote, ratios = [], [], []
    for turn in range(args.rounds):
        ours = run_mote(args, folder, "--model", folder, "--input", os.path.join(folder, "batch.h5"))
        theirs = worker.ask("time")["steps"]
        mote.append(ours)
        torch += theirs
        ratios.append(summary(theirs)["step"] / ours["step"])
        print(f"  round {turn + 1}: mote {ours['step']:9.1f} ms, torch {summary(theirs)['step']:9.1f} ms a step", flush=True)
    torch, mote = summary(torch), summary(mote)
    return {"torch_milliseconds": torch, "mote_milliseconds": mote,
            "torch_samples_a_second": 1e3 * args.batch / torch["step"], "mote_samples_a_second": 1e3 * args.batch / mote["step"],
            "ratio": torch["step"] / mote["step"], "ratios_of_rounds": ratios,
            "processor_ratio": torch["processor"] / mote["processor"]}


def measure(args, model, style, folder):
    """One model in one style."""
    allocator = args.allocator or ("stock" if style == "plain" else "keep")
    worker = Worker(__file__, ["--worker", folder, style, "--threads", str(args.threads), "--repeat", str(args.repeat), "--wait",
                               args.wait, "--torch-precision", torch_precision(args)], allocator == "keep")
    facts, mote = worker.ask("facts"), run_mote(args, folder, "--model", folder, "--input", os.path.join(folder, "batch.h5"))
    print(f"{model}, {style}: {facts['particles']} particles, batch {args.batch}, {facts['edges']} edges, {facts['latent_pairs']} "
          f"latent pairs, {args.threads} threads, malloc {allocator}, waiting {args.wait}", flush=True)
    result = {"model": os.path.basename(os.path.normpath(model)), "style": style, "particles": facts.pop("particles"), "batch": args.batch, **facts,
              "parameters": int(mote["parameters"]), "threads": args.threads, "rounds": args.rounds, "repeat": args.repeat,
              "allocator": allocator, "wait": args.wait, "processor": processor(), "torch": version("torch"),
              "precision": args.precision, "torch_precision": torch_precision(args)}
    for name, value in facts.items():
        if int(mote[name]) != value:
            sys.exit(f"training_peer.py: the graphs differ: {name} is {int(mote[name])} in Mote, {value} in PyTorch")
    result["gradients"] = check_gradients(args, folder, worker)
    digits = 1e-5 if args.precision == "float32" else 1e-4
    if abs(mote["first_loss"] - result["gradients"]["loss"]) > digits * abs(result["gradients"]["loss"]):
        sys.exit(f"training_peer.py: the losses differ: {mote['first_loss']} and {result['gradients']['loss']}")
    if args.rounds:
        result.update(time_both(args, folder, worker), load_average=os.getloadavg()[0])
        print(f"  mote trains {result['ratio']:.2f} times as many samples a second ({result['mote_samples_a_second']:.2f} and "
              f"{result['torch_samples_a_second']:.2f}); processor time {result['processor_ratio']:.2f} times as little", flush=True)
    worker.close()
    return result


def main():
    args = parse_arguments()
    if args.worker:
        work(args)
        return
    runs = []
    for model in args.models:
        with tempfile.TemporaryDirectory() as folder:
            examples = ("--input", args.examples) if args.examples else ("--size", str(args.particles))
            run_mote(args, folder, "--model", model, *examples, "--batch", str(args.batch), "--save", folder,
                     "--gradients", os.path.join(folder, "gradients.safetensors"))
            runs += [measure(args, model, style, folder) for style in args.styles]
    if args.json:
        with open(args.json, "w") as file:
            json.dump({"remade_by": "bench/peers/training_peer.py", "runs": runs}, file, indent=1)
    if not all(run["gradients"]["good"] for run in runs):
        sys.exit("training_peer.py: gradients differ")


if __name__ == "__main__":
    main()
