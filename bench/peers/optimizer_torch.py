#!/usr/bin/env python3
"""Holds Mote's optimisers against PyTorch's: the same weights and the same gradients through torch.optim.AdamW and
torch.optim.Adamax and through the CPU kernels of libmote.so, and both against PyTorch in float64.

    bench/peers/optimizer_torch.py LIBMOTE [--parameters N] [--steps S] [--seed N] [--time]

LIBMOTE is build/release/libmote.so, whose table of kernels is called as it is. Gradients are normal, of sizes between 1e-6 and
1e2 a parameter. The figure is the largest difference of a weight after S steps, in units of the S steps' rate, which is what
a weight may move; it fails above --tolerance, or where Mote is farther from float64 than 1.5 times as far as PyTorch in
float32 is, plus 1e-6. PyTorch's AdamW multiplies its weights with 1 - rate decay, which as a float32 has a few digits of the
decay only: with a decay it is a few times farther from float64 than Mote, and that much from Mote. --time also times a
step of each on all cores, PyTorch's with foreach and fused where it has them.
"""
import argparse
import ctypes
import statistics
import sys
import time

try:
    import torch
except ImportError:
    sys.exit("optimizer_torch.py: the package torch is not installed; try: python3 -m pip install torch")

RATE, BETAS, EPSILON = 1e-3, (0.9, 0.999), 1e-8
CASES = [("AdamW", 0.0), ("AdamW", 0.01), ("Adamax", 0.0), ("Adamax", 0.01)]


class Optimizer(ctypes.Structure):  # mote_optimizer
    _fields_ = [("adamax", ctypes.c_int), ("rate", ctypes.c_float), ("beta1", ctypes.c_float), ("beta2", ctypes.c_float),
                ("epsilon", ctypes.c_float), ("decay", ctypes.c_float), ("step", ctypes.c_int64)]


UPDATE = ctypes.CFUNCTYPE(ctypes.c_int, ctypes.c_void_p, ctypes.c_int64, ctypes.POINTER(Optimizer), ctypes.c_void_p,
                          ctypes.c_void_p, ctypes.c_void_p, ctypes.c_void_p, ctypes.c_void_p)


class Kernels(ctypes.Structure):  # mote_optimize_kernels
    _fields_ = [(name, ctypes.c_void_p) for name in ("pack", "combine", "sum_rows", "sum_squares", "clip")] + [("update", UPDATE)]


class Mote:
    """The weights and the means of an optimiser, in the CPU's memory."""

    def __init__(self, library, start, kind, decay):
        self.library = ctypes.CDLL(library)
        device = ctypes.c_void_p()
        self.stream = ctypes.c_void_p()
        if self.library.mote_device_open(b"cpu", None, ctypes.byref(device)) != 0:
            sys.exit("optimizer_torch.py: Mote's CPU device did not open")
        if self.library.mote_stream_create(device, ctypes.byref(self.stream)) != 0:
            sys.exit("optimizer_torch.py: no stream on Mote's CPU device")
        self.update = Kernels.in_dll(self.library, "mote_optimize_cpu").update
        self.weight = start.clone()
        self.first, self.second = torch.zeros_like(start), torch.zeros_like(start)
        self.settings = Optimizer(kind == "Adamax", RATE, *BETAS, EPSILON, decay, 0)

    def step(self, gradient):
        self.settings.step += 1
        status = self.update(self.stream, len(self.weight), ctypes.byref(self.settings), gradient.data_ptr(), None,
                             self.first.data_ptr(), self.second.data_ptr(), self.weight.data_ptr())
        assert status == 0


class Torch:
    def __init__(self, start, kind, decay, **options):
        self.weight = start.clone().requires_grad_()
        self.optimizer = getattr(torch.optim, kind)([self.weight], lr=RATE, betas=BETAS, eps=EPSILON, weight_decay=decay,
                                                    **options)

    def step(self, gradient):
        self.weight.grad = gradient.to(self.weight.dtype)
        self.optimizer.step()


def parse_arguments():
    parser = argparse.ArgumentParser(description=__doc__.split("\n\n")[0])
    parser.add_argument("library", metavar="LIBMOTE")
    parser.add_argument("--parameters", type=int, default=100000)
    parser.add_argument("--steps", type=int, default=100)
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--tolerance", type=float, default=1e-3)
    parser.add_argument("--time", action="store_true")
    return parser.parse_args()


def farthest(a, b, steps):
    return float((a.detach().double() - b.detach().double()).abs().max()) / (steps * RATE)


def compare(args, kind, decay):
    """Whether Mote is where PyTorch is."""
    random = torch.Generator().manual_seed(args.seed)
    start = torch.randn(args.parameters, generator=random)
    size = 10 ** (8 * torch.rand(args.parameters, generator=random) - 6)
    mote, single, exact = Mote(args.library, start, kind, decay), Torch(start, kind, decay), Torch(start.double(), kind, decay)
    for _ in range(args.steps):
        gradient = torch.randn(args.parameters, generator=random) * size
        for engine in (mote, single, exact):
            engine.step(gradient)
    between = farthest(mote.weight, single.weight, args.steps)
    ours, theirs = (farthest(x.weight, exact.weight, args.steps) for x in (mote, single))
    print(f"{kind:7} decay {decay:<5} {args.steps} steps: Mote from PyTorch {between:.1e}, from float64 Mote {ours:.1e} "
          f"PyTorch {theirs:.1e}")
    return between <= args.tolerance and ours <= 1.5 * theirs + 1e-6


def time_step(engine, gradient):
    engine.step(gradient)
    seconds = []
    for _ in range(20):
        begin = time.perf_counter()
        engine.step(gradient)
        seconds.append(time.perf_counter() - begin)
    return 1e3 * statistics.median(seconds)


def time_all(args):
    start, gradient = torch.randn(args.parameters), torch.randn(args.parameters)
    for kind in ("AdamW", "Adamax"):
        engines = {"Mote": Mote(args.library, start, kind, 0.01), "PyTorch": Torch(start, kind, 0.01)}
        engines["PyTorch foreach"] = Torch(start, kind, 0.01, foreach=True)
        if kind == "AdamW":
            engines["PyTorch fused"] = Torch(start, kind, 0.01, fused=True)
        times = (f"{name} {time_step(engine, gradient):.2f} ms" for name, engine in engines.items())
        print(f"{kind:7} {args.parameters} parameters a step: " + ", ".join(times))


def main():
    args = parse_arguments()
    passed = [compare(args, kind, decay) for kind, decay in CASES]
    if args.time:
        time_all(args)
    if not all(passed):
        sys.exit("optimizer_torch.py: Mote's updates differ from PyTorch's")


if __name__ == "__main__":
    main()
