#!/usr/bin/env python3
"""GIOROM's time-stepper in PyTorch, the peer of Mote's own: loads a published checkpoint folder (config.json and
model.safetensors) and computes a step as a competent user of PyTorch writes the published model: eager, float32, nn.Linear on
concatenated inputs, a dense latent grid, sums by index. Nothing is cached between steps.

Papers: Viswanath et al., arXiv 2407.03925 (GIOROM); Hao et al. 2023, arXiv 2302.14376 (GNOT, the transformer); Li et al. 2020,
arXiv 2003.03485 (GNO, the transfer to and from the grid); Zhu and Koniusz 2021 (SSGC, which here comes down to a Linear).

As in the published code, the kernels of both transfers are evaluated a (particle, grid point) pair. They depend on one end of
the pair alone, so `kernels="point"` evaluates them a point: the faster way, kept as an option to show what that saves.

    bench/peers/giorom_torch.py --check FOLDER... [--threads 2] [--tolerance 5e-6]
    bench/peers/giorom_torch.py --make FOLDER [--seed N]

--check compares with the answers in FOLDER/case.h5 and fails when the relative L2 error of one is above the tolerance, which is
tight because with default weights the grid moves an answer little: heads cut the wrong way show as 1e-5. --make writes a
checkpoint of the published sizes with random weights, larger ones, under which every part of the network shows.
"""
import argparse
import json
import os
import struct
import sys

import numpy
import torch
from scipy.spatial import cKDTree
from torch import nn
from torch.nn.functional import gelu

ALPHA = 0.7  # of the simple spectral convolution

# The config.json of the published 3-D models.
PUBLISHED = {
    "architectures": ["PhysicsEngine"], "hidden_size": 128, "n_mp_layers": 2, "num_particle_types": 9, "particle_type_dim": 16,
    "dim": 3, "window_size": 5, "heads": 3, "use_open3d": False, "in_gno_mlp_hidden_layers": [131, 32, 64, 64],
    "in_gno_transform_type": "nonlinear_kernelonly", "out_gno_in_dim": 3, "out_gno_hidden": 128,
    "out_gno_mlp_hidden_layers": [3, 32, 64, 128], "out_gno_transform_type": "linear", "gno_radius": 0.125, "not_heads": 4,
    "not_layers": 1, "not_output_size": 128, "not_space_dim": 64, "not_branch_size": 3, "not_trunk_size": 64,
    "projection_channels": 256, "projection_layers": 1, "projection_n_dim": 1, "latent_grid_dim": 16,
    "latent_domain_lims": [[0.0, 1.0], [0.0, 1.0], [0.0, 1.0]]}


def read_safetensors(path):
    """Every tensor of the file, as float32 NumPy arrays by name."""
    types = {"F64": "<f8", "F32": "<f4", "F16": "<f2", "I64": "<i8", "I32": "<i4"}
    with open(path, "rb") as file:
        header = json.loads(file.read(struct.unpack("<Q", file.read(8))[0]))
        data = file.read()
    header.pop("__metadata__", None)
    tensors = {}
    for name, entry in header.items():
        begin, end = entry["data_offsets"]
        array = numpy.frombuffer(data[begin:end], types[entry["dtype"]])
        tensors[name] = array.reshape(entry["shape"]).astype(numpy.float32)
    return tensors


def write_safetensors(path, tensors):
    """Writes float32 arrays by name, with the header padded to 8 bytes."""
    header, offset = {"__metadata__": {"format": "pt"}}, 0
    arrays = {name: numpy.ascontiguousarray(array, "<f4") for name, array in tensors.items()}
    for name, array in arrays.items():
        header[name] = {"dtype": "F32", "shape": array.shape, "data_offsets": [offset, offset + array.nbytes]}
        offset += array.nbytes
    text = json.dumps(header).encode()
    text += b" " * (-len(text) % 8)
    with open(path, "wb") as file:
        file.write(struct.pack("<Q", len(text)) + text)
        for array in arrays.values():
            file.write(array.tobytes())


def radius_edges(x, radius):
    """(senders, receivers): all ordered pairs closer than radius, self-loops included, by receiver. x is (n, dim) float32."""
    pairs = cKDTree(x).query_pairs(1.00001 * radius, output_type="ndarray")
    difference = x[pairs[:, 0]] - x[pairs[:, 1]]
    pairs = pairs[(difference * difference).sum(1) < numpy.float32(radius) ** 2]
    loops = numpy.arange(len(x))
    senders = numpy.concatenate([pairs[:, 0], pairs[:, 1], loops])
    receivers = numpy.concatenate([pairs[:, 1], pairs[:, 0], loops])
    order = numpy.lexsort((senders, receivers))
    return torch.from_numpy(senders[order]), torch.from_numpy(receivers[order])


def grid_pairs(x, grid, radius):
    """(particles, points): all pairs of a particle and a grid point no farther than radius, by particle."""
    found = cKDTree(grid).query_ball_point(x, 1.00001 * radius, return_sorted=True)
    particles = numpy.repeat(numpy.arange(len(x)), [len(f) for f in found])
    points = numpy.concatenate(found).astype(numpy.int64)
    difference = x[particles] - grid[points]
    keep = (difference * difference).sum(1) <= numpy.float32(radius) ** 2
    return torch.from_numpy(particles[keep]), torch.from_numpy(points[keep])


def scatter_sum(values, index, n):
    return values.new_zeros(n, values.shape[1]).index_add_(0, index, values)


def scatter_mean(values, index, n):
    """Mean of the rows of values that share an index, zero where there is none."""
    count = torch.bincount(index, minlength=n).clamp(min=1).to(values.dtype)
    return scatter_sum(values, index, n) / count[:, None]


class Layers(nn.Module):
    """Linear-ReLU-Linear-ReLU-Linear, and a LayerNorm where norm is set."""

    def __init__(self, sizes, norm=True):
        super().__init__()
        layers = []
        for i in range(len(sizes) - 1):
            layers += [nn.ReLU()] * (i > 0) + [nn.Linear(sizes[i], sizes[i + 1])]
        self.layers = nn.Sequential(*layers, *[nn.LayerNorm(sizes[-1])] * norm)

    def forward(self, x):
        return self.layers(x)


class Spectral(nn.Module):
    """The one-hop SSGC whose propagation matrix, normalised by its zero row sums, is zero: Linear(alpha h)."""

    def __init__(self, width):
        super().__init__()
        self.lin = nn.Linear(width, width)

    def forward(self, h):
        return self.lin(ALPHA * h)


class Interaction(nn.Module):
    def __init__(self, width):
        super().__init__()
        self.lin_edge = Layers([3 * width, width, width, width])
        self.lin_node = Layers([2 * width, width, width, width])
        self.spectralConv = Spectral(width)

    def forward(self, h, e, senders, receivers, distance):
        m = self.lin_edge(torch.cat([h[receivers], h[senders], e], dim=1))
        a = scatter_mean(m / (1 + distance), receivers, len(h))
        return h + self.lin_node(torch.cat([h, a], dim=1)) + self.spectralConv(h), e + m


class Pointwise(nn.Module):
    """Linears with GELU between, called fcs: the kernels of the transfers."""

    def __init__(self, sizes):
        super().__init__()
        self.fcs = nn.ModuleList(nn.Linear(a, b) for a, b in zip(sizes, sizes[1:]))

    def forward(self, x):
        for i, layer in enumerate(self.fcs):
            x = layer(gelu(x) if i else x)
        return x


class Transfer(nn.Module):
    def __init__(self, sizes):
        super().__init__()
        self.mlp = Pointwise(sizes)


class Projection(nn.Module):
    """The same over channels, its weights those of 1-D convolutions of width one."""

    def __init__(self, sizes):
        super().__init__()
        self.fcs = nn.ModuleList(nn.Conv1d(a, b, 1) for a, b in zip(sizes, sizes[1:]))

    def forward(self, x):
        x = x.T[None]
        for i, layer in enumerate(self.fcs):
            x = layer(gelu(x) if i else x)
        return x[0].T


class ResidualMLP(nn.Module):
    def __init__(self, n_in, width, n_out, depth):
        super().__init__()
        self.linear_pre = nn.Linear(n_in, width)
        self.linears = nn.ModuleList(nn.Linear(width, width) for _ in range(depth))
        self.linear_post = nn.Linear(width, n_out)

    def forward(self, x):
        x = gelu(self.linear_pre(x))
        for linear in self.linears:
            x = gelu(linear(x)) + x
        return self.linear_post(x)


def linear_attention(q, k, v, heads):
    """q + q (k^T v) / (q . sum k), a head at a time, with q and k softmaxed over the head's channels."""
    def split(x):
        return x.view(len(x), heads, -1).transpose(0, 1)

    q, k, v = split(q).softmax(-1), split(k).softmax(-1), split(v)
    weight = 1 / (q * k.sum(1, keepdim=True)).sum(-1, keepdim=True)
    y = q + (q @ (k.transpose(1, 2) @ v)) * weight
    return y.transpose(0, 1).reshape(y.shape[1], -1)


class SelfAttention(nn.Module):
    def __init__(self, width, heads):
        super().__init__()
        self.heads = heads
        self.key, self.query, self.value, self.proj = (nn.Linear(width, width) for _ in range(4))

    def forward(self, x):
        return self.proj(linear_attention(self.query(x), self.key(x), self.value(x), self.heads))


class CrossAttention(nn.Module):
    def __init__(self, width, heads):
        super().__init__()
        self.heads = heads
        self.query, self.proj = nn.Linear(width, width), nn.Linear(width, width)
        self.keys, self.values = (nn.ModuleList([nn.Linear(width, width)]) for _ in range(2))

    def forward(self, x, z):
        return self.proj(linear_attention(self.query(x), self.keys[0](z), self.values[0](z), self.heads))


class Block(nn.Module):
    def __init__(self, width, inner, heads, experts, gate_in):
        super().__init__()
        self.ln1, self.ln3, self.ln4, self.ln5 = (nn.LayerNorm(width) for _ in range(4))
        self.ln2_branch = nn.ModuleList([nn.LayerNorm(width)])
        self.selfattn, self.crossattn = SelfAttention(width, heads), CrossAttention(width, heads)
        self.moe_mlp1, self.moe_mlp2 = (nn.ModuleList(
            nn.Sequential(nn.Linear(width, inner), nn.GELU(), nn.Linear(inner, width)) for _ in range(experts))
            for _ in range(2))
        self.gatenet = nn.Sequential(nn.Linear(gate_in, inner), nn.GELU(), nn.Linear(inner, inner), nn.GELU(),
                                     nn.Linear(inner, experts))

    def forward(self, x, z, place):
        gate = self.gatenet(place).softmax(-1)[:, None]

        def experts(mlps):
            return (gate * torch.stack([mlp(x) for mlp in mlps], dim=-1)).sum(-1)

        x = x + self.crossattn(self.ln1(x), self.ln2_branch[0](z))
        x = x + self.ln3(experts(self.moe_mlp1))
        x = x + self.selfattn(self.ln4(x))
        return x + self.ln5(experts(self.moe_mlp2))


class Transformer(nn.Module):
    """GNOT on the grid: shapes gives what the config leaves out (width, inner width, experts, depths)."""

    def __init__(self, config, width, inner, experts, depth):
        super().__init__()
        self.space_dim = config["not_space_dim"]
        self.trunk_mlp = ResidualMLP(config["not_trunk_size"], width, width, depth)
        self.branch_mlps = nn.ModuleList([ResidualMLP(config["not_branch_size"], width, width, depth)])
        self.blocks = nn.ModuleList(Block(width, inner, config["not_heads"], experts, self.space_dim)
                                    for _ in range(config["not_layers"]))
        self.out_mlp = ResidualMLP(width, width, config["not_output_size"], depth)

    def forward(self, latent, grid):
        x, z, place = self.trunk_mlp(latent), self.branch_mlps[0](grid), latent[:, :self.space_dim]
        for block in self.blocks:
            x = block(x, z, place)
        return self.out_mlp(x)


class Giorom(nn.Module):
    """The network of a checkpoint. Sizes that the config does not say are those of its tensors."""

    def __init__(self, config, width_not=256, inner=256, experts=2, depth=1, kernels="pair"):
        super().__init__()
        dim, width, frames = config["dim"], config["hidden_size"], config["window_size"]
        self.config, self.kernels = config, kernels
        self.embed_type = nn.Embedding(config["num_particle_types"], config["particle_type_dim"])
        self.node_in = Layers([config["particle_type_dim"] + dim * (frames + 2), width, width, width])
        self.edge_in = Layers([dim + 1, width, width, width])
        self.node_out = Layers([width, width, width, dim], norm=False)
        self.in_layers, self.out_layers = (nn.ModuleList(Interaction(width) for _ in range(config["n_mp_layers"]))
                                           for _ in range(2))
        self.gnot_layer = Transformer(config, width_not, inner, experts, depth)
        self.gno_in = Transfer(config["in_gno_mlp_hidden_layers"])
        self.gno_out = Transfer(config["out_gno_mlp_hidden_layers"])
        layers, channels = config["projection_layers"], config["projection_channels"]
        self.projection = Projection([config["out_gno_hidden"]] + [channels] * (layers - 1) + [width])
        axes = [torch.linspace(low, high, config["latent_grid_dim"]) for low, high in config["latent_domain_lims"]]
        self.register_buffer("grid", torch.cartesian_prod(*axes), persistent=False)

    @classmethod
    def load(cls, folder, kernels="pair"):
        with open(os.path.join(folder, "config.json")) as file:
            config = json.load(file)
        tensors = read_safetensors(os.path.join(folder, "model.safetensors"))
        first = "gnot_layer.blocks.0.moe_mlp1."
        config["not_layers"] = 1 + max(int(k.split(".")[2]) for k in tensors if k.startswith("gnot_layer.blocks."))
        model = cls(config, width_not=tensors["gnot_layer.trunk_mlp.linear_pre.weight"].shape[0],
                    inner=tensors[first + "0.0.weight"].shape[0],
                    experts=sum(k.startswith(first) and k.endswith(".0.weight") for k in tensors),
                    depth=sum(k.startswith("gnot_layer.trunk_mlp.linears.") for k in tensors) // 2, kernels=kernels)
        model.load_state_dict({name: torch.from_numpy(array) for name, array in tensors.items()})
        return model.eval()

    def graph(self, x, radius):
        """What a step needs of the geometry: the edges, and the pairs of particles and grid points."""
        return radius_edges(x, radius) + grid_pairs(x, self.grid.cpu().numpy(), self.config["gno_radius"])

    def gno(self, kernel, inputs, values, sources, targets, n):
        """For each target the mean over its sources of kernel(inputs), times values where they are given."""
        if self.kernels == "point":
            y = kernel(inputs) if values is None else kernel(inputs) * values
            return scatter_mean(y[sources], targets, n)
        y = kernel(inputs[sources])
        return scatter_mean(y if values is None else y * values[sources], targets, n)

    def forward(self, position, particle_type, bounds, radius, graph):
        """position (window+1, n, dim) float32, particle_type (n) int64, bounds (dim, 2) -> normalised acceleration (n, dim)."""
        senders, receivers, particles, points = graph
        x = position[-1]
        velocity = (position[1:] - position[:-1]).transpose(0, 1).flatten(1)
        walls = torch.cat([x - bounds[:, 0], bounds[:, 1] - x], dim=1) / radius
        h = self.node_in(torch.cat([self.embed_type(particle_type), velocity, walls.clamp(-1, 1)], dim=1))
        offset = (x[senders] - x[receivers]) / radius
        distance = offset.norm(dim=1, keepdim=True)
        e = self.edge_in(torch.cat([offset, distance], dim=1))
        for layer in self.in_layers:
            h, e = layer(h, e, senders, receivers, distance)
        latent = self.gno(self.gno_in.mlp, torch.cat([x, h], dim=1), None, particles, points, len(self.grid))
        latent = self.gnot_layer(latent, self.grid)
        h = h + self.projection(self.gno(self.gno_out.mlp, self.grid, latent, points, particles, len(x)))
        for layer in self.out_layers:
            h, e = layer(h, e, senders, receivers, distance)
        return self.node_out(h)


def integrate(position, a_hat, metadata):
    """The next frame: position (window+1, n, dim), a_hat (n, dim)."""
    acceleration = a_hat * torch.tensor(metadata["acc_std"]) + torch.tensor(metadata["acc_mean"])
    return position[-1] + (position[-1] - position[-2] + acceleration)


def make(folder, seed):
    """Writes a checkpoint of the published sizes: weights of variance 2 / fan-in, biases and LayerNorms off their defaults."""
    torch.manual_seed(seed)
    model = Giorom(PUBLISHED)
    for name, tensor in model.state_dict().items():
        if tensor.dim() > 1:
            nn.init.normal_(tensor, 0, (2 / tensor.shape[1]) ** 0.5)
        elif name.endswith("bias"):
            nn.init.normal_(tensor, 0, 0.1)
        else:
            nn.init.uniform_(tensor, 0.7, 1.3)
    os.makedirs(folder, exist_ok=True)
    write_safetensors(os.path.join(folder, "model.safetensors"), {k: v.numpy() for k, v in model.state_dict().items()})
    with open(os.path.join(folder, "config.json"), "w") as file:
        json.dump(PUBLISHED, file, indent=1)


def check(folder, tolerance):
    """Prints the errors against the folder's case.h5 and returns whether they are within the tolerance."""
    import h5py
    with open(os.path.join(folder, "metadata.json")) as file:
        metadata = json.load(file)
    with h5py.File(os.path.join(folder, "case.h5")) as file:
        case = {name: file[name][()] for name in file}
        radius, edges = float(file.attrs["connectivity_radius"]), int(file.attrs["edges"])
    position, kind = torch.from_numpy(case["position"]), torch.from_numpy(case["particle_type"]).long()
    good = True
    for kernels in ("pair", "point"):
        model = Giorom.load(folder, kernels)
        graph = model.graph(case["position"][-1], radius)
        with torch.no_grad():
            a_hat = model(position, kind, torch.tensor(metadata["bounds"]), radius, graph)
            x = integrate(position, a_hat, metadata)
        errors = []
        for name, value in (("normalized_acceleration", a_hat), ("next_position", x)):
            truth = case[name].astype(numpy.float64)
            errors.append(numpy.linalg.norm(value.numpy() - truth) / numpy.linalg.norm(truth))
        good &= max(errors) <= tolerance and len(graph[0]) == edges
        print(f"{os.path.basename(os.path.normpath(folder)):20} {kernels:6} {len(graph[0])} edges (said: {edges}), "
              f"relative L2: normalized_acceleration {errors[0]:.2e} next_position {errors[1]:.2e}")
    return good


def main():
    parser = argparse.ArgumentParser(description=__doc__.split("\n\n")[0])
    parser.add_argument("--check", nargs="+", metavar="FOLDER", default=[])
    parser.add_argument("--make", metavar="FOLDER")
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--threads", type=int, default=2)
    parser.add_argument("--tolerance", type=float, default=5e-6)
    args = parser.parse_args()
    if not args.make and not args.check:
        parser.error("nothing to do: give --check or --make")
    torch.set_num_threads(args.threads)
    if args.make:
        make(args.make, args.seed)
    results = [check(folder, args.tolerance) for folder in args.check]
    sys.exit(0 if all(results) else "giorom_torch.py: an error above the tolerance")


if __name__ == "__main__":
    main()
