#!/usr/bin/env python3
"""Times a step of a neural time-stepper in Mote and in PyTorch side by side and compares their numbers: the same weights, the
same particles, the same graph, the same threads, in alternating rounds, so that whatever else the machine does meets both.

    bench/peers/stepper_peer.py MOTE [--model giorom|gns] [--particles N] [--neighbours K] [--side L] [--threads T]
                                [--device cpu|cuda] [--rounds R] [--repeat S]
                                [--kernels pair|point] [--allocator keep|stock] [--wait spin|passive] [--torch-only] [--json OUT]

MOTE is the command `mote`. The particles are a jittered lattice in a corner of the domain, near three walls; the radius is that
at which one of them has K neighbours on average, itself not counted. --side is the side of the cube they fill, in a domain of
1 m: without it, 0.53, which makes the radius of 1,000 particles with 30 neighbours the 0.105 m of the published checkpoints; 0.94
fills the domain, and with it each point of GIOROM's latent grid. Weights are random (giorom_torch.py, gns_torch.py), GNS's handed to Mote
through `mote convert`. A round is S steps of each engine, after warm-up; PyTorch lives in a process of its own, timed twice,
the network alone with its graph given, and with the graph search (a k-d tree of SciPy) before it. glibc's malloc gives large
tensors back to the system after each operation and pays for their pages anew, up to half of PyTorch's time; the timed process
is therefore told to keep them (--allocator stock: not told). PyTorch's peak memory is what a first step adds to the
resident set of a fresh process with the stock allocator, the median of a process a round. On a machine that is not
idle, threads that spin at a barrier wait for one that is not running, and PyTorch on two threads takes three times as long as on
one: --wait passive lets the threads of both engines sleep there. On a GPU the graph is still searched
on the CPU, and stands apart. Fails when the normalised accelerations differ by more than
--tolerance (relative L2) or the edges in number.
"""
import argparse
import json
import os
import statistics
import subprocess
import sys
import tempfile
import time

import h5py
import numpy
from scipy.spatial import cKDTree

from torch_worker import Worker, processor, serve

DEFAULTS = {"giorom": {"particles": 1000, "repeat": 10}, "gns": {"particles": 10000, "repeat": 1}}
FRAMES, DIM = 6, 3


def parse_arguments():
    parser = argparse.ArgumentParser(description=__doc__.split("\n\n")[0])
    parser.add_argument("mote", nargs="?", metavar="MOTE", help="the command; not needed with --torch-only")
    parser.add_argument("--model", choices=list(DEFAULTS), default="giorom")
    parser.add_argument("--particles", type=int, help="1,000 for giorom and 10,000 for gns when left out")
    parser.add_argument("--neighbours", type=float, default=30, help="on average, the particle itself not counted")
    parser.add_argument("--side", type=float, default=0.53, help="of the cube that the particles fill, m (0.53)")
    parser.add_argument("--threads", type=int, default=os.cpu_count())
    parser.add_argument("--device", default="cpu", choices=("cpu", "cuda"), help="of both engines (cpu)")
    parser.add_argument("--rounds", type=int, default=3, help="turns of each engine")
    parser.add_argument("--repeat", type=int, help="steps a turn")
    parser.add_argument("--kernels", choices=("pair", "point"), default="pair",
                        help="how PyTorch evaluates GIOROM's transfer kernels: as published, or without the repetition")
    parser.add_argument("--allocator", choices=("keep", "stock"), default="keep", help="of the timed process of PyTorch")
    parser.add_argument("--wait", choices=("spin", "passive"), default="spin", help="of OpenMP's threads, in both engines")
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--tolerance", type=float, default=1e-4)
    parser.add_argument("--torch-only", action="store_true")
    parser.add_argument("--json", help="also write the result to this file")
    parser.add_argument("--worker", metavar="CASE", help=argparse.SUPPRESS)
    args = parser.parse_args()
    if not (args.mote or args.torch_only or args.worker):
        parser.error("give the command MOTE, or --torch-only")
    args.particles = args.particles or DEFAULTS[args.model]["particles"]
    args.repeat = args.repeat or DEFAULTS[args.model]["repeat"]
    if args.wait == "passive":
        os.environ["OMP_WAIT_POLICY"] = "passive"  # for the processes of both
    return args


def median_radius(x, neighbours):
    """The radius at which the particles x have that many neighbours on average, in the middle of a gap between distances so
    that rounding decides no edge."""
    wanted = int(len(x) * neighbours / 2)
    radius = numpy.ptp(x, axis=0).max() * (neighbours / len(x)) ** (1 / DIM)
    pairs = cKDTree(x).query_pairs(radius, output_type="ndarray")
    distances = numpy.sort(numpy.linalg.norm(x[pairs[:, 0]] - x[pairs[:, 1]], axis=1))
    if len(distances) < wanted + 1:
        sys.exit("stepper_peer.py: too many neighbours for so few particles")
    window = distances[max(0, wanted - 50):wanted + 50]
    widest = numpy.argmax(numpy.diff(window))
    return float(numpy.float32((window[widest] + window[widest + 1]) / 2))


def clear_of_grid(x, radius, points, limits):
    """Whether every particle keeps off the spheres of that radius around the latent points by more than rounding."""
    grid = numpy.stack(numpy.meshgrid(*[numpy.linspace(a, b, points) for a, b in limits], indexing="ij"), -1).reshape(-1, DIM)
    near, far = (cKDTree(x).count_neighbors(cKDTree(grid), radius * (1 + sign * 5e-7)) for sign in (-1, 1))
    return near == far


def make_cloud(args):
    """Positions (frames, n, 3) float32 and types (n) int32: a jittered lattice in a cube in a corner of the unit cube, with
    small random velocities."""
    from giorom_torch import PUBLISHED
    for attempt in range(100):
        random = numpy.random.default_rng([args.seed, attempt])
        side = round(args.particles ** (1 / DIM) + 0.499)
        lattice = numpy.stack(numpy.meshgrid(*[numpy.arange(side)] * DIM, indexing="ij"), -1).reshape(-1, DIM)
        lattice = lattice[numpy.sort(random.permutation(len(lattice))[:args.particles])]
        x = 0.03 + args.side * (lattice + 0.5 + random.uniform(-0.35, 0.35, lattice.shape)) / side
        x = random.permutation(x).astype(numpy.float32)
        if clear_of_grid(x.astype(float), PUBLISHED["gno_radius"], PUBLISHED["latent_grid_dim"],
                         PUBLISHED["latent_domain_lims"]):
            break
    velocity = random.normal([0.001, -0.004, 0.0005], [0.002, 0.003, 0.0025], (FRAMES - 1,) + x.shape)
    frames = [x]
    for v in velocity:
        frames.insert(0, (frames[0] - v).astype(numpy.float32))
    return numpy.stack(frames), random.integers(0, 9, len(x)).astype(numpy.int32)


def make_case(args, folder):
    """Writes model/, S.h5 and case.json into the folder; the model through `mote convert` where it is GNS."""
    import torch

    import giorom_torch
    import gns_torch
    model = os.path.join(folder, "model")
    position, kind = make_cloud(args)
    case = {"model": args.model, "radius": median_radius(position[-1].astype(float), args.neighbours),
            "noise_std": gns_torch.NOISE_STD, "boundary_clamp_limit": 1.0, "edge_update": "message"}
    if args.model == "giorom":
        giorom_torch.make(model, args.seed)
    else:
        checkpoint = os.path.join(folder, "gns.pt")
        torch.save(gns_torch.make(args.seed, dim=DIM).state_dict(), checkpoint)
        if args.mote:
            run([args.mote, "convert", checkpoint, model])
            with open(os.path.join(model, "config.json")) as file:
                case.update({key: value for key, value in json.load(file).items() if key in case and key != "model"})
    case["metadata"] = {
        "bounds": [[0.0, 1.0]] * DIM, "default_connectivity_radius": case["radius"], "dim": DIM, "dt": 0.005,
        "vel_mean": [0.001, -0.004, 0.0005], "vel_std": [0.002, 0.003, 0.0025],
        "acc_mean": [1e-5, -2e-5, 3e-6], "acc_std": [2e-4, 3e-4, 2.5e-4]}
    os.makedirs(model, exist_ok=True)
    for name, content in ((os.path.join(model, "metadata.json"), case["metadata"]), (os.path.join(folder, "case.json"), case)):
        with open(name, "w") as file:
            json.dump(content, file, indent=1)
    with h5py.File(os.path.join(folder, "S.h5"), "w") as file:
        file["position"], file["particle_type"] = position, kind


class Stepper:
    """PyTorch's side of a case: search() builds the graph, step(graph) runs the network on it."""

    def __init__(self, folder, kernels, device, particles=None):
        import torch

        import giorom_torch
        import gns_torch
        self.torch, self.integrate, self.gns = torch, giorom_torch.integrate, gns_torch
        with open(os.path.join(folder, "case.json")) as file:
            self.case = json.load(file)
        with h5py.File(os.path.join(folder, "S.h5")) as file:
            position = file["position"][:, :particles]
            self.position = torch.from_numpy(position).to(device)
            self.kind = torch.from_numpy(file["particle_type"][:particles]).long().to(device)
        if self.case["model"] == "giorom":
            self.model = giorom_torch.Giorom.load(os.path.join(folder, "model"), kernels)
            find = self.model.graph
        else:
            self.model = gns_torch.Gns.load(os.path.join(folder, "gns.pt"), self.case["edge_update"])
            find = giorom_torch.radius_edges
        self.model.to(device)
        self.search = lambda: tuple(part.to(device) for part in find(position[-1], self.case["radius"]))
        self.bounds = torch.tensor(self.case["metadata"]["bounds"])

    def step(self, graph):
        """(normalised acceleration, next position)."""
        case = self.case
        if case["model"] == "gns":
            return self.gns.step(self.model, self.position, self.kind, case["metadata"], case["radius"], graph,
                                 case["noise_std"], case["boundary_clamp_limit"])
        with self.torch.no_grad():
            a_hat = self.model(self.position, self.kind, self.bounds, case["radius"], graph)
            return a_hat, self.integrate(self.position, a_hat, case["metadata"])


def status_bytes(field):
    with open("/proc/self/status") as file:
        return next(1024 * int(line.split()[1]) for line in file if line.startswith(field + ":"))


def work(args):
    """The process that holds PyTorch: memory, time, save PATH."""
    import torch
    torch.set_num_threads(args.threads)
    torch.set_default_device(args.device)
    on_gpu = args.device != "cpu"
    wait = torch.cuda.synchronize if on_gpu else lambda: None
    small = Stepper(args.worker, args.kernels, args.device, 64)
    small.step(small.search())  # loads what a first step loads
    stepper = Stepper(args.worker, args.kernels, args.device)
    graph = stepper.search()

    def memory():
        weights = sum(4 * p.numel() for p in stepper.model.parameters())
        if on_gpu:
            wait()
            torch.cuda.reset_peak_memory_stats()
            before = torch.cuda.memory_allocated()
            stepper.step(graph)
            wait()
            peak = torch.cuda.max_memory_allocated()
        else:
            with open("/proc/self/clear_refs", "w") as file:
                file.write("5")  # forgets the peak so far
            before = status_bytes("VmRSS")
            stepper.step(graph)
            peak = status_bytes("VmHWM")
        return {"peak_bytes": peak - before, "resident_bytes": before, "weight_bytes": weights}

    def times():
        answer = {"network": [], "graph": []}
        for _ in range(args.repeat):
            start = time.perf_counter()
            graph = stepper.search()
            wait()
            middle = time.perf_counter()
            stepper.step(graph)
            wait()
            answer["network"].append(1e3 * (time.perf_counter() - middle))
            answer["graph"].append(1e3 * (middle - start))
        return answer

    def save(path):
        a_hat, x = stepper.step(graph)
        numpy.savez(path, normalized_acceleration=a_hat.cpu().numpy(), next_position=x.cpu().numpy())
        return {"edges": len(graph[0])}

    serve({"memory": memory, "time": times, "save": save})


def run(command):
    result = subprocess.run(command, capture_output=True, text=True)
    if result.returncode:
        sys.exit(f"stepper_peer.py: {' '.join(command)} failed:\n{result.stdout}{result.stderr}")
    return result.stdout


def time_mote(args, folder):
    """The numbers that `mote step` prints last: step_milliseconds, peak_bytes, edges, and others it may have."""
    output = run([args.mote, "step", "--model", os.path.join(folder, "model"), "--input", os.path.join(folder, "S.h5"), "-o",
                  os.path.join(folder, "O.h5"), "--repeat", str(args.repeat), "--device", args.device, "--threads",
                  str(args.threads)])
    numbers = {}
    for line in output.splitlines():
        name, colon, value = line.partition(": ")
        try:
            numbers[name.strip()] = float(value)
        except ValueError:
            pass
    missing = {"step_milliseconds", "peak_bytes", "edges"} - set(numbers)
    if missing:
        sys.exit(f"stepper_peer.py: mote step did not print {', '.join(sorted(missing))}:\n{output}")
    return numbers


def compare(folder):
    """Relative L2 of Mote's answers against PyTorch's."""
    with h5py.File(os.path.join(folder, "O.h5")) as file, numpy.load(os.path.join(folder, "torch.npz")) as truth:
        return {name: float(numpy.linalg.norm(file[name][()].astype(float) - truth[name].astype(float))
                            / numpy.linalg.norm(truth[name].astype(float)))
                for name in ("normalized_acceleration", "next_position")}


def measure(args, folder):
    make_case(args, folder)
    command = ["--worker", folder, "--threads", str(args.threads), "--repeat", str(args.repeat), "--kernels", args.kernels,
               "--device", args.device]
    worker = Worker(__file__, command, args.allocator == "keep")
    edges = worker.ask("save " + os.path.join(folder, "torch.npz"))["edges"]  # also the warm-up
    print(f"{args.model}: {args.particles} particles, {edges} edges with the loops, {args.threads} threads", flush=True)
    network, graph, memory, mote = [], [], [], []
    for turn in range(args.rounds):
        fresh = Worker(__file__, command)
        memory.append(fresh.ask("memory"))
        fresh.close()
        times = worker.ask("time")
        network += times["network"]
        graph += times["graph"]
        print(f"round {turn + 1} torch {statistics.median(times['network']):9.2f} ms network, "
              f"{statistics.median(times['graph']):8.2f} ms graph, peak {1e-6 * memory[-1]['peak_bytes']:.1f} MB", flush=True)
        if not args.torch_only:
            mote.append(time_mote(args, folder))
            print(f"round {turn + 1} mote  {mote[-1]['step_milliseconds']:9.2f} ms step", flush=True)
    worker.close()
    both = [a + b for a, b in zip(network, graph)]
    peak = statistics.median(m["peak_bytes"] for m in memory)
    result = {
        "model": args.model, "particles": args.particles, "edges": edges, "threads": args.threads, "device": args.device,
        "rounds": args.rounds, "repeat": args.repeat, "kernels": args.kernels, "allocator": args.allocator, "wait": args.wait,
        "processor": processor(),
        "load_average": os.getloadavg()[0],
        "torch": {"network_milliseconds": statistics.median(network), "network_milliseconds_min": min(network),
                  "with_graph_milliseconds": statistics.median(both), "with_graph_milliseconds_min": min(both),
                  **memory[-1], "peak_bytes": peak, "network": network, "graph": graph}}
    if mote:
        step = statistics.median(m["step_milliseconds"] for m in mote)
        result["mote"] = {**mote[-1], "step_milliseconds": step, "steps": [m["step_milliseconds"] for m in mote]}
        result["error"] = compare(folder)
        result["ratio"] = result["torch"]["network_milliseconds"] / step
        result["ratio_with_graph"] = result["torch"]["with_graph_milliseconds"] / step
        result["memory_ratio"] = peak / mote[-1]["peak_bytes"]
    return result


def main():
    args = parse_arguments()
    if args.worker:
        work(args)
        return
    with tempfile.TemporaryDirectory() as folder:
        result = measure(args, folder)
    torch, mote = result["torch"], result.get("mote")
    print(f"torch: {torch['network_milliseconds']:.2f} ms the network (min {torch['network_milliseconds_min']:.2f}), "
          f"{torch['with_graph_milliseconds']:.2f} ms with the graph (min {torch['with_graph_milliseconds_min']:.2f}), "
          f"peak {1e-6 * torch['peak_bytes']:.1f} MB a step")
    if mote:
        error = result["error"]
        print(f"mote:  {mote['step_milliseconds']:.2f} ms a step, peak {1e-6 * mote['peak_bytes']:.1f} MB, "
              f"{int(mote['edges'])} edges\n"
              f"mote is {result['ratio']:.2f} times as fast as torch's network, {result['ratio_with_graph']:.2f} times "
              f"as fast as torch with its graph search\n"
              f"relative L2: normalized_acceleration {error['normalized_acceleration']:.2e}, "
              f"next_position {error['next_position']:.2e}")
    if args.json:
        with open(args.json, "w") as file:
            json.dump(result, file, indent=1)
    if mote and int(mote["edges"]) != result["edges"]:
        sys.exit("stepper_peer.py: the graphs differ")
    if mote and not error["normalized_acceleration"] <= args.tolerance:
        sys.exit("stepper_peer.py: the numbers differ")


if __name__ == "__main__":
    main()
