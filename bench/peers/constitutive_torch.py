#!/usr/bin/env python3
"""Neural constitutive laws (NCLaw, Ma et al. 2023) trained in PyTorch, the peer of Mote's: the networks and the equations of
kernels/neural around the differentiable material point method of mpm_torch.py, and Adam.

The trick: an SVD of all matrices at once, by Jacobi's rotations, serves the features and the rotation, and both have their
reverse written down: it is finite where singular values meet, which autograd's is not.

    bench/peers/constitutive_torch.py --scene SCENE.yaml --trajectory T.h5 --law FOLDER [--steps S] [--epochs E] [--rate R]
        [--restart L] [--float64] [--compile] [--save FOLDER] [--forward] [--allocator keep|stock]
    bench/peers/constitutive_torch.py --check

T.h5 is what `mote simulate SCENE.yaml -o T.h5 --velocity --deformation` writes, a frame a step. A law that is not there yet
begins with weights by chance, which are written to FOLDER, so that Mote can begin with the same ones. An epoch is the trajectory
from its first frame, the loss mean |x - x_true|^2 / spacing^2 over steps and particles, its gradient back through all steps, and
one step of Adam. --forward only says how far the trajectory's own positions are; --check holds gradients against finite
differences. The last line is JSON: milliseconds a step, forward and backward, the mean of all epochs but the first, and beside
the time that passes that of the processor in all threads: where others use the machine too, waiting for each other is most of
what two threads do, and --threads 1 is faster.
"""
import argparse
import json
import math
import os
import sys
import time

import h5py
import numpy
import torch
import yaml
from torch import nn
from torch.nn.functional import gelu, linear

from giorom_torch import read_safetensors, write_safetensors
from mpm_torch import Engine, Scene
from torch_worker import KEEP

SMALLEST_SUM = 1e-3  # of two singular values, where the rotation's derivative is cut off


def parse_arguments():
    parser = argparse.ArgumentParser(description=__doc__.split("\n\n")[0])
    parser.add_argument("--scene")
    parser.add_argument("--trajectory", metavar="T.h5")
    parser.add_argument("--law", metavar="FOLDER")
    parser.add_argument("--save", metavar="FOLDER", help="for the trained law")
    parser.add_argument("--steps", type=int, help="of the trajectory; all when left out")
    parser.add_argument("--epochs", type=int, default=4)
    parser.add_argument("--rate", type=float, default=1e-3)
    parser.add_argument("--restart", type=int, metavar="L", help="the state is the true one again every L steps")
    parser.add_argument("--float64", action="store_true")
    parser.add_argument("--compile", action="store_true", help="the SVD by torch.compile: half a minute at first")
    parser.add_argument("--threads", type=int, default=2)
    parser.add_argument("--allocator", choices=("keep", "stock"), default="keep", help="keep: malloc keeps what is freed")
    parser.add_argument("--forward", action="store_true", help="the distance from the trajectory, and nothing is trained")
    parser.add_argument("--check", action="store_true", help="gradients against finite differences, in float64")
    new = parser.add_argument_group("of a law by chance")
    new.add_argument("--seed", type=int, default=0)
    new.add_argument("--hidden-size", type=int, default=64)
    new.add_argument("--hidden-layers", type=int, default=2)
    new.add_argument("--elasticity-scale", type=float, default=1e4, help="Pa")
    new.add_argument("--plasticity-scale", type=float, default=1e-3)
    new.add_argument("--form", choices=("matrix", "invariants"), default="matrix")
    args = parser.parse_args()
    if not (args.check or args.scene and args.trajectory and args.law):
        parser.error("give --scene, --trajectory and --law, or --check")
    return args


# ---- what the law sees ----

def dot(a, b):
    return a[0] * b[0] + a[1] * b[1] + a[2] * b[2]


def cross(a, b):
    return [a[1] * b[2] - a[2] * b[1], a[2] * b[0] - a[0] * b[2], a[0] * b[1] - a[1] * b[0]]


def decompose(F):
    """F (n, 3, 3) = U diag(s) V^T with rotations U and V, s sorted and the determinant's sign on its last: one-sided Jacobi, as
    kernels/constitutive/svd.h does. Every number of a matrix is a tensor (n) of its own, so that --compile makes one loop of
    all this; that takes a tenth of the time of LAPACK's, and without it about as long."""
    wide = F.dtype == torch.float64
    tiny, orthogonal = (1e-280, 1e-31) if wide else (1e-30, 1.4e-14)
    entry = F.reshape(-1, 9).T.contiguous()
    one, zero = torch.ones_like(entry[0]), torch.zeros_like(entry[0])
    B = [[entry[3 * row + column] for row in range(3)] for column in range(3)]
    V = [[one if row == column else zero for row in range(3)] for column in range(3)]
    for _ in range(6 if wide else 4):
        for p, q in ((0, 1), (0, 2), (1, 2)):
            alpha, beta, gamma = dot(B[p], B[p]), dot(B[q], B[q]), dot(B[p], B[q])
            delta = beta - alpha
            turns = gamma * gamma > orthogonal * alpha * beta  # what is orthogonal to rounding stays
            inverse = torch.rsqrt(torch.where(turns, delta * delta + 4 * gamma * gamma, one))
            cosine = torch.where(turns, 0.5 + 0.5 * delta.abs() * inverse, one).sqrt()
            sine = torch.where(turns, torch.where(delta < 0, -gamma, gamma) * inverse / cosine, zero)
            for M in (B, V):
                M[p], M[q] = ([cosine * a - sine * b for a, b in zip(M[p], M[q])],
                              [sine * a + cosine * b for a, b in zip(M[p], M[q])])
    size = [dot(column, column) for column in B]
    for p, q in ((0, 1), (1, 2), (0, 1)):  # (p, q) becomes (q, -p): V stays a rotation
        swap = size[p] < size[q]
        size[p], size[q] = torch.maximum(size[p], size[q]), torch.minimum(size[p], size[q])
        for M in (B, V):
            M[p], M[q] = ([torch.where(swap, b, a) for a, b in zip(M[p], M[q])],
                          [torch.where(swap, -a, b) for a, b in zip(M[p], M[q])])
    scale = size[0].clamp_min(tiny).rsqrt()
    first = [scale * b for b in B[0]]
    along = dot(first, B[1])
    second = [b - along * a for a, b in zip(first, B[1])]
    scale = dot(second, second).clamp_min(tiny).rsqrt()
    second = [scale * b for b in second]
    U = [first, second, cross(first, second)]
    s = torch.stack([dot(u, b) for u, b in zip(U, B)], dim=1)
    U, V = (torch.stack([M[column][row] for row in range(3) for column in range(3)], dim=1).view(-1, 3, 3) for M in (U, V))
    return U, s, V


class Frame(torch.autograd.Function):
    """From F (n, 3, 3): x = [s - 1, F^T F - I, det F - 1] (n, 13), without cancellation near rest, and R = U V^T."""
    decompose = staticmethod(decompose)

    @staticmethod
    def forward(ctx, F):
        U, s, V = Frame.decompose(F)
        H = F - torch.eye(3, dtype=F.dtype)
        square = H.mT @ H
        a, b, c = H.unbind(1)
        trace = H.diagonal(dim1=1, dim2=2).sum(1)
        minors = 0.5 * (trace * trace - (H * H.mT).sum((1, 2)))
        volume = trace + (minors + (a * torch.linalg.cross(b, c)).sum(1))
        ctx.save_for_backward(F, U, s, V)
        return torch.cat([s - 1, (H + H.mT + square).flatten(1), volume[:, None]], dim=1), U @ V.mT

    @staticmethod
    def backward(ctx, d_x, d_R):
        F, U, s, V = ctx.saved_tensors
        inner = U.mT @ d_R @ V
        turned = (inner - inner.mT) / (s[:, :, None] + s[:, None]).clamp_min(SMALLEST_SUM) + torch.diag_embed(d_x[:, :3])
        d_C = d_x[:, 3:12].view(-1, 3, 3)
        a, b, c = F.unbind(1)
        cofactor = torch.stack([torch.linalg.cross(*pair) for pair in ((b, c), (c, a), (a, b))], dim=1)
        return U @ turned @ V.mT + F @ (d_C + d_C.mT) + d_x[:, 12, None, None] * cofactor


class Law(nn.Module):
    """Two chains of dense layers without biases; with a plasticity_scale of 0 there is no plasticity."""

    def __init__(self, config):
        super().__init__()
        self.config, width, hidden = config, config["hidden_size"], config["hidden_layers"]
        self.strain = config.get("strain_scale", 1)
        self.scales = {name: config.get(name + "_scale", default) for name, default in (("elasticity", 1), ("plasticity", 0))}
        self.invariants = config.get("form", "matrix") == "invariants"
        sizes = [4 if self.invariants else 13] + [width] * hidden + [4 if self.invariants else 9]
        for name, scale in self.scales.items():
            if scale > 0 or name == "elasticity":
                layers = nn.ModuleList(nn.Linear(i, o, bias=False) for i, o in zip(sizes, sizes[1:]))
                self.add_module(name, nn.ModuleDict({"layers": layers}))

    def answer(self, name, x):
        *before, last = getattr(self, name).layers
        for layer in before:
            x = gelu(linear(x, layer.weight))
        return linear(x, last.weight)

    def part(self, name, F):
        """scale R S"""
        x, R = Frame.apply(F)
        if self.invariants:
            return R @ (self.scales[name] * self.of_invariants(name, R.mT @ F))
        Y = self.answer(name, x / self.strain).view(-1, 3, 3)
        return R @ ((0.5 * self.scales[name]) * (Y + Y.mT))

    def of_invariants(self, name, stretch):
        """S of isotropic matter by the strain's matrices alone: kernels/neural/invariants.h without its frames."""
        identity = torch.eye(3, dtype=stretch.dtype)
        E = ((stretch + stretch.mT) / 2 - identity) / self.strain
        t = E.diagonal(dim1=1, dim2=2).sum(1)[:, None]
        dev = E - t[:, :, None] / 3 * identity
        q = (dev * dev).sum((1, 2))[:, None]
        cubes = ((dev @ dev) * dev).sum((1, 2))[:, None]
        x = torch.cat([t / (1 + t * t).sqrt(), q / (1 + q), cubes / (1 + q) ** 1.5, torch.ones_like(t)], dim=1)
        y = self.answer(name, x)[:, :, None, None]
        size = (E * E).sum((1, 2))[:, None, None]
        along = y[:, 0] * t[:, :, None] + y[:, 3] * (q / (1 + q).sqrt())[:, :, None]
        return along * identity + y[:, 1] * E + y[:, 2] * (E @ E) / (1 + size).sqrt()

    def stress(self, F):
        return self.part("elasticity", F) @ F.mT

    def flow(self, F):
        return F + self.part("plasticity", F) if self.scales["plasticity"] > 0 else F

    def save(self, folder):
        os.makedirs(folder, exist_ok=True)
        with open(os.path.join(folder, "config.json"), "w") as file:
            json.dump(self.config, file, indent=1)
        tensors = {name: p.detach().float().numpy() for name, p in self.named_parameters()}
        write_safetensors(os.path.join(folder, "model.safetensors"), tensors)


def open_law(folder, args):
    path = os.path.join(folder, "config.json")
    if not os.path.exists(path):
        torch.manual_seed(args.seed)
        law = Law({"architectures": ["NeuralConstitutiveLaw"], "dim": 3, "hidden_size": args.hidden_size,
                   "hidden_layers": args.hidden_layers, "elasticity_scale": args.elasticity_scale,
                   "plasticity_scale": args.plasticity_scale, "form": args.form})
        law.save(folder)
        return law
    with open(path) as file:
        config = json.load(file)
    if config["architectures"] != ["NeuralConstitutiveLaw"] or config.get("dim", 3) != 3:
        raise SystemExit(f"{path}: not a neural law of three dimensions")
    law = Law({"hidden_size": 64, "hidden_layers": 2, **config})
    tensors = read_safetensors(os.path.join(folder, "model.safetensors"))
    law.load_state_dict({name: torch.from_numpy(array) for name, array in tensors.items()})
    return law


# ---- training ----

class Truth:
    """States of a trajectory in the engine's units, in scene order."""

    def __init__(self, path, scene, steps, dtype):
        with h5py.File(path) as file:
            group, last = file["00000"], None if steps is None else steps + 1
            metadata = json.loads(file.attrs["metadata"])
            x, v, F = (group[key][:last] for key in ("position", "velocity", "deformation_gradient"))
            C = group["affine_velocity"][:last] if "affine_velocity" in group else None
        if metadata["write_every"] != 1 or not math.isclose(metadata["dt"], scene.time_step, rel_tol=1e-6):
            raise SystemExit(f"{path}: not a frame a step of {scene.time_step} s")
        if len(x) <= (steps or 1):
            raise SystemExit(f"{path}: {len(x) - 1} steps, fewer than {steps or 1}")
        self.steps, self.with_affine, n = len(x) - 1, C is not None, x.shape[1]
        self.x = torch.from_numpy((x.astype(numpy.float64) - scene.lower) / scene.spacing).to(dtype)
        self.v, self.F = torch.from_numpy(v).to(dtype), torch.from_numpy(F).to(dtype).view(-1, n, 3, 3)
        self.C = torch.zeros(1, 3, n, 3, dtype=dtype)
        if self.with_affine:
            self.C = torch.from_numpy(C).to(dtype).view(-1, n, 3, 3).permute(0, 3, 1, 2).contiguous()

    def state(self, k):
        return self.x[k], self.v[k], self.C[k], self.F[k]


def run_epoch(step, truth, restart):
    """The loss; its gradient is added to the parameters', a stretch between restarts at a time."""
    total = 0.0
    for begin in range(0, truth.steps, restart):
        state, end, loss = truth.state(begin), min(begin + restart, truth.steps), 0
        for k in range(begin, end):
            state = step(*state)
            off = state[0] - truth.x[k + 1]
            loss = loss + (off * off).sum()
        loss = loss / (truth.steps * truth.x.shape[1])
        loss.backward()
        total += loss.item()
    return total


def norm(module):
    return math.sqrt(sum(float((p.grad.double() ** 2).sum()) for p in module.parameters()))


def train(args, law, step, truth):
    optimizer = torch.optim.Adam(law.parameters(), lr=args.rate)
    times = []
    for epoch in range(args.epochs):
        optimizer.zero_grad()
        begin, busy = time.perf_counter(), time.process_time()
        loss = run_epoch(step, truth, args.restart or truth.steps)
        times.append((time.perf_counter() - begin, time.process_time() - busy))
        norms = "".join(f"  |{name}| {norm(part):.6e}" for name, part in law.named_children())
        optimizer.step()
        print(f"epoch {epoch + 1:4d}  loss {loss:.8e}{norms}  {time.perf_counter() - begin:.3f} s", flush=True)
    wall, processor = (1e3 * sum(column) / len(column) / truth.steps for column in zip(*(times[1:] or times)))
    print(json.dumps({"particles": truth.x.shape[1], "steps": truth.steps, "epochs": len(times), "loss": loss,
                      "milliseconds_per_step": wall, "processor_milliseconds_per_step": processor,
                      "threads": torch.get_num_threads(), "compiled": args.compile, "float64": args.float64}))


@torch.no_grad()
def compare(scene, step, truth):
    state, farthest = truth.state(0), 0.0
    for k in range(truth.steps):
        state = step(*state)
        farthest = max(farthest, float((state[0] - truth.x[k + 1]).norm(dim=1).max()) * scene.spacing)
    print(json.dumps({"particles": truth.x.shape[1], "steps": truth.steps, "farthest_m": farthest,
                      "farthest_F": float((state[3] - truth.F[-1]).abs().max())}))


# ---- gradients against finite differences ----

def loss_of(engine, state, target):
    loss = 0
    for _ in range(5):
        state = engine.step(*state)
        loss = loss + ((state[0] - target) ** 2).sum()
    return loss


def check(walls, stretch, by_state, form="matrix"):
    """20 particles between walls, 5 steps, float64: along a direction by chance of each tensor, the derivative and that by
    differences. Returns the largest relative error."""
    torch.manual_seed(1)
    scene = Scene({"domain": {"upper": [1, 1, 1], "cells": 10}, "walls": walls, "time": {"step": 0.002},
                   "materials": {"m": {"density": 1000}}})
    law = Law({"hidden_size": 16, "hidden_layers": 2, "elasticity_scale": 1e5, "plasticity_scale": 0.1,
               "form": form}).double()
    engine = Engine(scene, law, torch.float64)
    x = 2.6 + 1.6 * torch.rand(20, 3).double()
    F = stretch * torch.eye(3).double().expand(20, 3, 3)
    if by_state:
        F = F + 0.1 * torch.randn(20, 3, 3)
    state = [x, 2 * torch.randn(20, 3).double(), torch.randn(3, 20, 3).double(), F.contiguous()]
    for tensor in state:
        tensor.requires_grad_(True)
    target = x.detach().clone()
    loss_of(engine, state, target).backward()
    worst, tensors = 0.0, dict(zip("xvCF", state)) if by_state else {}
    for name, tensor in {**tensors, **dict(law.named_parameters())}.items():
        direction = torch.randn_like(tensor)
        direction *= (3e-6 if name in tensors else 3e-5) * (1 + float(tensor.detach().norm())) / direction.norm()
        with torch.no_grad():
            ends = []
            for sign in (1, -2, 1):
                tensor += sign * direction
                ends.append(float(loss_of(engine, state, target)))
        expected, found = (ends[0] - ends[1]) / 2, float((tensor.grad * direction).sum())
        error = abs(found - expected) / abs(expected)
        worst = max(worst, error)
        print(f"  {name:28} {found: .8e} differences {expected: .8e} off by {error:.1e}")
    return worst if all(bool(tensor.grad.isfinite().all()) for tensor in state) else math.inf


def check_all():
    rough = {"all": {"contact": "separate", "friction": 0.3}, "lower_z": "no_slip"}
    smooth = {"all": "free_slip", "lower_z": "no_slip"}
    cases = {"free_slip": (smooth, 1, True), "friction": (rough, 1, True), "equal singular values": (smooth, 1.1, False),
             "invariants": (smooth, 1, True, "invariants")}
    worst = {}
    for name, case in cases.items():
        print(name)
        worst[name] = check(*case)
    print(json.dumps({"largest_relative_error": worst}))
    if not all(error < 1e-5 for error in worst.values()):
        sys.exit("constitutive_torch.py: gradients differ from finite differences")


def main():
    args = parse_arguments()
    if args.allocator == "keep" and any(os.environ.get(name) != value for name, value in KEEP.items()):
        os.execve(sys.executable, [sys.executable, *sys.argv], {**os.environ, **KEEP})  # malloc reads them at its start
    torch.set_num_threads(args.threads)
    if args.check:
        return check_all()
    with open(args.scene) as file:
        scene = Scene(yaml.safe_load(file), args.scene)
    dtype = torch.float64 if args.float64 else torch.float32
    truth = Truth(args.trajectory, scene, args.steps, dtype)
    if args.restart and not truth.with_affine:
        raise SystemExit(f"{args.trajectory}: --restart needs the field affine_velocity")
    law = open_law(args.law, args).to(dtype)
    step = Engine(scene, law, dtype).step
    if args.compile:
        Frame.decompose = staticmethod(torch.compile(decompose))
    if args.forward:
        return compare(scene, step, truth)
    train(args, law, step, truth)
    if args.save:
        law.save(args.save)


if __name__ == "__main__":
    main()
