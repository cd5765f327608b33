#!/usr/bin/env python3
"""GNS in PyTorch, the peer of Mote's own: Sanchez-Gonzalez et al. 2020, "Learning to Simulate Complex Physics with Graph
Networks", arXiv 2002.09405, with the state dict, the conventions and the numbers of its PyTorch port, geoelements/gns
(Kumar and Vantassel 2022, arXiv 2211.10228), eager and in float32. Written anew; what follows is all that a checkpoint means.

    bench/peers/gns_torch.py --make OUT.pt --seed N [--dim 3] [--layers 10] [--width 128]    saves a random state dict
    bench/peers/gns_torch.py --check MODEL.pt       prints its sizes and runs a step of a small cloud

Symbols: n particles, d = dim (2 or 3), W = width (128), L = message-passing layers (10), H = hidden layers an MLP (2), P =
particle types (9), T = type embedding (16), F = 7 d + T node features (30 in 2-D, 37 in 3-D), G = d + 1 edge features.

State dict, all float32, a Linear's weight (out, in); every Linear and LayerNorm has a bias; there are no buffers, so the
statistics, the bounds and the radius come from metadata.json:

    _particle_type_embedding.weight                                     (P, T)
    _encode_process_decode._encoder.node_fn.0.NN-0, NN-1, NN-2          (W, F), (W, W), (W, W)
    _encode_process_decode._encoder.node_fn.1                           (W), LayerNorm
    _encode_process_decode._encoder.edge_fn.0.NN-0, NN-1, NN-2          (W, G), (W, W), (W, W)
    _encode_process_decode._encoder.edge_fn.1                           (W), LayerNorm
    _encode_process_decode._processor.gnn_stacks.L.node_fn.0.NN-0 ...   (W, 2W), (W, W), (W, W)
    _encode_process_decode._processor.gnn_stacks.L.node_fn.1            (W), LayerNorm
    _encode_process_decode._processor.gnn_stacks.L.edge_fn.0.NN-0 ...   (W, 3W), (W, W), (W, W)
    _encode_process_decode._processor.gnn_stacks.L.edge_fn.1            (W), LayerNorm
    _encode_process_decode._decoder.node_fn.NN-0, NN-1, NN-2            (W, W), (W, W), (d, W): no ".0", no LayerNorm

An MLP is Linear-ReLU-Linear-ReLU-Linear, then a LayerNorm (eps 1e-5), which the decoder lacks. H hidden layers make H + 1
Linears. A checkpoint saved from a distributed run may have "module." before each key.

A step from x_0 .. x_5 (oldest first), types t, bounds lo and hi, radius r, and vel_mean, vel_std, acc_mean, acc_std by component:

    sigma_v = sqrt(vel_std^2 + noise_std^2), sigma_a = sqrt(acc_std^2 + noise_std^2). noise_std is that of the training noise, one
    number, 6.7e-4 unless said otherwise, and is part of the model: the port adds it in inference as well.
    u_k = (x_k - x_(k-1) - vel_mean) / sigma_v, k = 1 .. 5
    node features: u_1 | ... | u_5 | clamp((x_5 - lo) / r, -c, c) | clamp((hi - x_5) / r, -c, c) | embedding[t], with c = 1
    graph: every ordered pair (sender j, receiver i) with |x_j - x_i| < r at the last frame, self-loops included. The port
    caps a receiver at 128 neighbours, a limit of its search library; there is none here.
    edge features: s = (x_j - x_i) / r, and |s|

    h_i = MLP_node(node features); e_ij = MLP_edge(edge features)
    L times: m_ij = MLP_edge[h_i, h_j, e_ij]        (receiver, sender, edge), from the old h and e
             a_i  = sum over senders j of m_ij      (a sum, without weights)
             h_i += MLP_node[a_i, h_i]              (the aggregate comes first)
             e_ij += m_ij                           ("doubled": e_ij += e_ij, see below)
    a_hat = MLP_decoder(h)                          the normalised acceleration, (n, d)
    a = a_hat * sigma_a + acc_mean; x_6 = x_5 + (x_5 - x_4) + a

Until December 2024 the port lost the message on its way to the residual, which therefore doubled e_ij (its issue 92, pull
requests 94 and 95). The state dicts look alike, so that a checkpoint trained before needs edge_update="doubled"; the paper
and the port of today add the message, the default here.
"""
import argparse
import sys

import torch
from torch import nn

NOISE_STD = 6.7e-4


def multilayer(sizes):
    """Linears with ReLU between, named NN-0, NN-1, ..."""
    sequence = nn.Sequential()
    for i in range(len(sizes) - 1):
        if i:
            sequence.add_module(f"Act-{i - 1}", nn.ReLU())
        sequence.add_module(f"NN-{i}", nn.Linear(sizes[i], sizes[i + 1]))
    return sequence


class Functions(nn.Module):
    """The node and the edge MLP of the encoder or of a layer, each with its LayerNorm."""

    def __init__(self, node_in, edge_in, width, hidden):
        super().__init__()
        inner = [width] * (hidden + 1)
        self.node_fn = nn.Sequential(multilayer([node_in] + inner), nn.LayerNorm(width))
        self.edge_fn = nn.Sequential(multilayer([edge_in] + inner), nn.LayerNorm(width))


class Processor(nn.Module):
    def __init__(self, layers, width, hidden):
        super().__init__()
        self.gnn_stacks = nn.ModuleList(Functions(2 * width, 3 * width, width, hidden) for _ in range(layers))


class Decoder(nn.Module):
    def __init__(self, width, hidden, dim):
        super().__init__()
        self.node_fn = multilayer([width] * (hidden + 1) + [dim])


class Network(nn.Module):
    def __init__(self, node_in, edge_in, width, hidden, layers, dim):
        super().__init__()
        self._encoder = Functions(node_in, edge_in, width, hidden)
        self._processor = Processor(layers, width, hidden)
        self._decoder = Decoder(width, hidden, dim)


class Gns(nn.Module):
    def __init__(self, dim=3, layers=10, width=128, hidden=2, types=9, embedding=16, frames=6, edge_update="message"):
        super().__init__()
        self.dim, self.edge_update = dim, edge_update
        self._particle_type_embedding = nn.Embedding(types, embedding)
        self._encode_process_decode = Network(dim * (frames + 1) + embedding, dim + 1, width, hidden, layers, dim)

    @classmethod
    def load(cls, path, edge_update="message"):
        """From a file of torch.save; the sizes are those of its tensors."""
        state = torch.load(path, map_location="cpu", weights_only=True)
        return cls.from_state(state, edge_update)

    @classmethod
    def from_state(cls, state, edge_update="message"):
        state = {name.removeprefix("module."): tensor for name, tensor in state.items()}
        net = "_encode_process_decode."
        types, embedding = state["_particle_type_embedding.weight"].shape
        width, node_in = state[net + "_encoder.node_fn.0.NN-0.weight"].shape
        dim = state[net + "_encoder.edge_fn.0.NN-0.weight"].shape[1] - 1
        hidden = sum(name.startswith(net + "_decoder.") and name.endswith(".weight") for name in state) - 1
        layers = 1 + max(int(name.split(".")[3]) for name in state if ".gnn_stacks." in name)
        model = cls(dim, layers, width, hidden, types, embedding, (node_in - embedding) // dim - 1, edge_update)
        model.load_state_dict(state)
        return model.eval()

    def forward(self, position, particle_type, metadata, radius, senders, receivers, noise_std=NOISE_STD, clamp=1.0):
        """position (frames, n, dim) float32, particle_type (n) int64 -> normalised acceleration (n, dim)."""
        network, x = self._encode_process_decode, position[-1]
        mean, sigma = statistics(metadata, "vel", noise_std)
        bounds = torch.tensor(metadata["bounds"])
        velocity = ((position[1:] - position[:-1] - mean) / sigma).transpose(0, 1).flatten(1)
        walls = torch.cat([x - bounds[:, 0], bounds[:, 1] - x], dim=1) / radius
        h = network._encoder.node_fn(torch.cat(
            [velocity, walls.clamp(-clamp, clamp), self._particle_type_embedding(particle_type)], dim=1))
        offset = (x[senders] - x[receivers]) / radius
        e = network._encoder.edge_fn(torch.cat([offset, offset.norm(dim=1, keepdim=True)], dim=1))
        for layer in network._processor.gnn_stacks:
            m = layer.edge_fn(torch.cat([h[receivers], h[senders], e], dim=1))
            a = torch.zeros_like(h).index_add_(0, receivers, m)
            h = h + layer.node_fn(torch.cat([a, h], dim=1))
            e = e + (e if self.edge_update == "doubled" else m)
        return network._decoder.node_fn(h)


def statistics(metadata, name, noise_std):
    """Mean and standard deviation, the noise included, of "vel" or "acc"."""
    return torch.tensor(metadata[name + "_mean"]), (torch.tensor(metadata[name + "_std"]) ** 2 + noise_std ** 2).sqrt()


@torch.no_grad()
def step(model, position, particle_type, metadata, radius, edges, noise_std=NOISE_STD, clamp=1.0):
    """One step: position (6, n, dim), particle_type (n), edges (senders, receivers), all NumPy arrays or tensors ->
    (normalised acceleration, next position), both (n, dim)."""
    position = torch.as_tensor(position, dtype=torch.float32)
    senders, receivers = (torch.as_tensor(index, dtype=torch.int64) for index in edges)
    kind = torch.as_tensor(particle_type, dtype=torch.int64)
    a_hat = model(position, kind, metadata, radius, senders, receivers, noise_std, clamp)
    mean, sigma = statistics(metadata, "acc", noise_std)
    return a_hat, position[-1] + (position[-1] - position[-2] + (a_hat * sigma + mean))


def make(seed, **sizes):
    """A model with the port's initial weights, but LayerNorms that are not the identity, so that a test sees them."""
    torch.manual_seed(seed)
    model = Gns(**sizes)
    for module in model.modules():
        if isinstance(module, nn.LayerNorm):
            nn.init.uniform_(module.weight, 0.7, 1.3)
            nn.init.uniform_(module.bias, -0.2, 0.2)
    return model.eval()


def check(path):
    from giorom_torch import radius_edges
    model = Gns.load(path)
    torch.manual_seed(1)
    x = torch.rand(200, model.dim)
    position = torch.stack([x + 0.002 * k * torch.randn_like(x) for k in range(5, -1, -1)])
    d = model.dim
    metadata = {"bounds": [[0.0, 1.0]] * d, "vel_mean": [0.0] * d, "vel_std": [0.002] * d, "acc_mean": [0.0] * d,
                "acc_std": [2e-4] * d}
    edges = radius_edges(x.numpy(), 0.2)
    a_hat, _ = step(model, position, torch.arange(len(x)) % 9, metadata, 0.2, edges)
    if not a_hat.isfinite().all():
        sys.exit("gns_torch.py: a step of a small cloud is not finite")
    print(f"{sum(p.numel() for p in model.parameters())} parameters, dim {d}, "
          f"{len(model._encode_process_decode._processor.gnn_stacks)} layers; a step of {len(x)} particles and "
          f"{len(edges[0])} edges: rms of the normalised acceleration {a_hat.square().mean().sqrt():.4f}")


def main():
    parser = argparse.ArgumentParser(description=__doc__.split("\n\n")[0])
    parser.add_argument("--make", metavar="OUT.pt")
    parser.add_argument("--check", metavar="MODEL.pt")
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--dim", type=int, choices=(2, 3), default=3)
    parser.add_argument("--layers", type=int, default=10)
    parser.add_argument("--width", type=int, default=128)
    args = parser.parse_args()
    if not args.make and not args.check:
        parser.error("nothing to do: give --make or --check")
    if args.make:
        torch.save(make(args.seed, dim=args.dim, layers=args.layers, width=args.width).state_dict(), args.make)
    if args.check:
        check(args.check)


if __name__ == "__main__":
    main()
