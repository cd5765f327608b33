#!/usr/bin/env python3
"""Time-steppers in PyTorch as they are trained, the peers of Mote's training: the modules of giorom_torch.py and gns_torch.py,
evaluated on a whole batch, whose graphs are one graph of disconnected parts, with what does not change between steps computed
once. Mote's own variants are in it: kernels on pairs, occupied latent points, normalised velocities and the normalised graph
convolution of GIOROM; and of both, lengths at rest and the decoder of forces between pairs (scripts/models/README.md).

Three styles give the same numbers:

    plain   as one writes it: rows are gathered by x[index], an MLP takes [h_i, h_j, e] put side by side
    best    rows are gathered by index_select, whose reverse is several times as fast on a CPU, and ReLUs work in place
    split   and the first layer of such an MLP is the sum of three products, two of them of nodes, which are gathered after it:
            less arithmetic (Mote does the same), and no row of three widths
"""
import json
import os

import h5py
import numpy
import torch
from torch import nn
from torch.nn.functional import gelu, linear

import giorom_torch
import gns_torch

STYLES = ("plain", "best", "split")
PAIR_GAIN, FARTHEST_REST = 8, 2


class Styled:
    """What models of a style have in common."""
    style = "best"

    def pick(self, rows, index):
        return rows[index] if self.style == "plain" else rows.index_select(0, index)

    def first_layer(self, layer, parts):
        """layer(the parts side by side); a part is rows, or (rows, index) where the index picks rows."""
        pairs = [part if isinstance(part, tuple) else (part, None) for part in parts]
        if self.style != "split":
            return layer(torch.cat([rows if index is None else self.pick(rows, index) for rows, index in pairs], dim=1))
        begin, total = 0, None
        for rows, index in pairs:
            weight = layer.weight[:, begin:begin + rows.shape[1]]
            product = linear(rows, weight, None if begin else layer.bias)
            product = product if index is None else self.pick(product, index)
            total = product if total is None else total + product
            begin += rows.shape[1]
        return total


def add_up(values, index, n):
    return values.new_zeros(n, values.shape[1]).index_add_(0, index, values)


def reciprocal_counts(index, n):
    return (1 / torch.bincount(index, minlength=n).clamp(min=1).to(torch.float32))[:, None]


class Batch:
    """Examples of a file of trajectories, one behind the other, with their graphs: window + 2 frames each, of which the last is
    what is learned from."""

    def __init__(self, path, metadata, config, count=None):
        self.metadata, self.config, self.radius = metadata, config, metadata["default_connectivity_radius"]
        frames = config["window_size"] + 2
        with h5py.File(path) as file:
            names = sorted(file)[:count]
            examples = [(file[name]["position"][:frames], file[name]["particle_type"][()]) for name in names]
        self.sizes = [len(kind) for _, kind in examples]
        position = torch.from_numpy(numpy.concatenate([x for x, _ in examples], axis=1))
        self.position, self.kind = position[:-1], torch.from_numpy(numpy.concatenate([k for _, k in examples])).long()
        self.n = len(self.kind)
        self.find_target(position)
        edges, offset = [], 0
        for x, _ in examples:
            edges.append(torch.stack(giorom_torch.radius_edges(x[-2], self.radius)) + offset)
            offset += x.shape[1]
        self.senders, self.receivers = torch.cat(edges, dim=1).contiguous().unbind(0)
        self.per_degree = reciprocal_counts(self.receivers, self.n)
        root = self.per_degree.sqrt()
        self.propagation = root[self.receivers] * root[self.senders]
        if config.get("decoder") == "pairs":
            self.find_opposites()
            self.find_walls()
        self.pairs = 0
        if "latent_grid_dim" in config:
            self.find_latent([x[-2] for x, _ in examples])

    def scales(self, name):
        """Mean and deviation, that of the training's noise included, of "vel" or "acc"; in float64."""
        noise = self.config.get("noise_std", 0 if "latent_grid_dim" in self.config else gns_torch.NOISE_STD)
        return (numpy.array(self.metadata[name + "_mean"], float),
                numpy.hypot(numpy.array(self.metadata[name + "_std"], float), noise))

    def find_target(self, position):
        """The normalised acceleration, and how much each particle's square counts: 0 for kinematic ones."""
        mean, deviation = (torch.tensor(a, dtype=torch.float32) for a in self.scales("acc"))
        acceleration = (position[-1] - position[-2]) - (position[-2] - position[-3])
        self.target = (acceleration - mean) / deviation
        free = (self.kind != 3).float()
        parts = [part / (part.sum().clamp(min=1) * self.target.shape[1] * len(self.sizes)) for part in free.split(self.sizes)]
        self.share = torch.cat(parts)[:, None]

    def find_latent(self, positions):
        """Pairs of a particle and a row of latent points: where those are the occupied ones alone, they are numbered anew."""
        config, radius = self.config, self.config["gno_radius"]
        axes = [torch.linspace(low, high, config["latent_grid_dim"]) for low, high in config["latent_domain_lims"]]
        grid = torch.cartesian_prod(*axes)
        occupied = config.get("latent_points") == "occupied"
        particles, rows, points, self.row_counts, begin = [], [], [], [], 0  # points: of the grid, by rows
        for x in positions:
            of, point = giorom_torch.grid_pairs(x, grid.numpy(), radius)
            kept, row = point.unique(return_inverse=True) if occupied else (torch.arange(len(grid)), point)
            particles.append(of + begin)
            rows.append(row + sum(self.row_counts))
            points.append(kept)
            self.row_counts.append(len(kept))
            begin += len(x)
        self.grid, self.point, self.particles, self.rows = grid, torch.cat(points), torch.cat(particles), torch.cat(rows)
        self.pairs = len(self.particles)
        self.per_reached = reciprocal_counts(self.rows, len(self.point))
        self.per_reaching = reciprocal_counts(self.particles, self.n)
        away = (self.position[-1][self.particles] - grid[self.point][self.rows]) / radius
        distance = away.norm(dim=1, keepdim=True)
        self.pair_in, self.pair_out = torch.cat([away, distance], dim=1), torch.cat([-away, distance], dim=1)

    def find_opposites(self):
        """For each edge (j -> i) the place of (i -> j), and what their difference counts in a_i: nothing of i with itself."""
        key = self.receivers * self.n + self.senders  # ascending
        self.opposite = torch.searchsorted(key, self.senders * self.n + self.receivers)
        degree = torch.bincount(self.receivers, minlength=self.n).to(torch.float32)
        weight = PAIR_GAIN / (degree[self.receivers] * degree[self.senders]).sqrt()
        self.pair_weight = torch.where(self.senders == self.receivers, 0, weight)[:, None]

    def find_walls(self):
        """The walls' share of each particle, and the normalised acceleration of free flight."""
        reach = self.radius * self.config.get("boundary_clamp_limit", 1)
        x, bounds = self.position[-1], torch.tensor(self.metadata["bounds"], dtype=torch.float32)
        nearest = torch.minimum(x - bounds[:, 0], bounds[:, 1] - x).amin(dim=1, keepdim=True) / reach
        self.wall_share = (2 - 2 * nearest).clamp(0, 1)
        mean, deviation = self.scales("acc")
        frame = self.metadata["dt"] * self.metadata["write_every"]
        free = numpy.array(self.metadata.get("gravity", [0] * len(mean)), float) * frame ** 2
        self.free = torch.tensor((free - mean) / deviation, dtype=torch.float32)

    def accelerations(self, wall, pair):
        """Of each particle, from the walls' answers and the edges'."""
        difference = self.pair_weight * (pair - pair.index_select(0, self.opposite))
        return add_up(difference, self.receivers, self.n) + self.wall_share * wall + self.free

    def double(self):
        for name, value in vars(self).items():
            if isinstance(value, torch.Tensor) and value.is_floating_point():
                setattr(self, name, value.double())
        return self

    def node_features(self, clamp, normalized):
        """Velocities and distances to the walls, apart."""
        x = self.position[-1]
        velocity = self.position[1:] - self.position[:-1]
        if normalized:
            mean, deviation = (torch.tensor(a).to(x.dtype) for a in self.scales("vel"))
            velocity = (velocity - mean) / deviation
        bounds = torch.tensor(self.metadata["bounds"]).to(x.dtype)
        walls = torch.cat([x - bounds[:, 0], bounds[:, 1] - x], dim=1) / self.radius
        return velocity.transpose(0, 1).flatten(1), walls.clamp(-clamp, clamp)

    def edge_features(self):
        x = self.position[-1]
        offset = (x[self.senders] - x[self.receivers]) / self.radius
        features = [offset, offset.norm(dim=1, keepdim=True)]
        if self.config.get("edge_rest_lengths"):
            rest = (self.position[0][self.senders] - self.position[0][self.receivers]) / self.radius
            features.append(rest.norm(dim=1, keepdim=True).clamp(max=FARTHEST_REST))
        return torch.cat(features, dim=1)


def attend(query, key, value, heads, counts):
    """The attention of each example on its own: counts are its rows. Keys and values that are not as many are of all."""
    keys, values = ([part] * len(counts) if len(part) != len(query) else part.split(counts) for part in (key, value))
    return torch.cat([giorom_torch.linear_attention(q, k, v, heads) for q, k, v in zip(query.split(counts), keys, values)])


class Giorom(Styled, giorom_torch.Giorom):
    """GIOROM and Mote's variants of it, on a Batch."""

    def __init__(self, config, style, **sizes):
        super().__init__(config, **sizes)
        dim, width = config["dim"], config["hidden_size"]
        self.style, self.pairs = style, config.get("decoder") == "pairs"
        self.edge_in = giorom_torch.Layers([dim + 1 + config.get("edge_rest_lengths", False), width, width, width])
        if self.pairs:
            self.edge_out = giorom_torch.Layers([width, width, width, dim], norm=False)
        if config.get("latent_points") == "occupied":
            del self.gnot_layer.branch_mlps
            for block in self.gnot_layer.blocks:
                del block.crossattn, block.ln1, block.ln2_branch

    def interact(self, layer, h, e, batch, near, last):
        edge, alpha = layer.lin_edge.layers, self.config.get("graph_convolution_alpha", giorom_torch.ALPHA)
        m = edge[1:](self.first_layer(edge[0], [(h, batch.receivers), (h, batch.senders), e]))
        a = add_up(m * near, batch.receivers, batch.n) * batch.per_degree
        s = alpha * h
        if self.config.get("graph_convolution") == "normalized":
            s = s + (1 - alpha) * add_up(self.pick(h, batch.senders) * batch.propagation, batch.receivers, batch.n)
        h = h + layer.lin_node(torch.cat([h, a], dim=1)) + layer.spectralConv.lin(s)
        return h, None if last else e + m

    def way_in(self, h, batch):
        fcs, count = self.gno_in.mlp.fcs, len(batch.point)
        if self.config.get("in_gno_transform_type") != "pair":
            y = self.pick(self.gno_in.mlp(torch.cat([batch.position[-1], h], dim=1)), batch.particles)
        else:
            y = self.first_layer(fcs[0], [batch.pair_in, (h, batch.particles)])
            for layer in fcs[1:]:
                y = layer(gelu(y))
        return add_up(y, batch.rows, count) * batch.per_reached

    def way_back(self, f, batch):
        if self.config.get("out_gno_transform_type") == "pair":
            y = self.gno_out.mlp(batch.pair_out) * self.pick(f, batch.rows)
        else:
            y = self.pick(self.pick(self.gno_out.mlp(batch.grid), batch.point) * f, batch.rows)
        return add_up(y, batch.particles, batch.n) * batch.per_reaching

    def transform(self, latent, batch):
        net, counts = self.gnot_layer, batch.row_counts
        x, place = net.trunk_mlp(latent), latent[:, :net.space_dim]
        z = net.branch_mlps[0](batch.grid) if hasattr(net, "branch_mlps") else None
        for block in net.blocks:
            gate = block.gatenet(place).softmax(-1)

            def experts(mlps):
                return sum(gate[:, k:k + 1] * mlp(x) for k, mlp in enumerate(mlps))

            if z is not None:
                cross, q, k = block.crossattn, block.ln1(x), block.ln2_branch[0](z)
                x = x + cross.proj(attend(cross.query(q), cross.keys[0](k), cross.values[0](k), cross.heads, counts))
            x = x + block.ln3(experts(block.moe_mlp1))
            own, y = block.selfattn, block.ln4(x)
            x = x + own.proj(attend(own.query(y), own.key(y), own.value(y), own.heads, counts))
            x = x + block.ln5(experts(block.moe_mlp2))
        return net.out_mlp(x)

    def forward(self, batch):
        velocity, walls = batch.node_features(self.config.get("boundary_clamp_limit", 1),
                                              self.config.get("normalized_velocities", False))
        pairs, dim = batch.edge_features(), self.config["dim"]
        near = 1 / (1 + pairs[:, dim:dim + 1])
        h, e = self.node_in(torch.cat([self.embed_type(batch.kind), velocity, walls], dim=1)), self.edge_in(pairs)
        for layer in self.in_layers:
            h, e = self.interact(layer, h, e, batch, near, False)
        latent = self.transform(self.way_in(h, batch), batch)
        h = h + self.projection(self.way_back(latent, batch))
        for layer in self.out_layers:
            h, e = self.interact(layer, h, e, batch, near, layer is self.out_layers[-1] and not self.pairs)
        return batch.accelerations(self.node_out(h), self.edge_out(e)) if self.pairs else self.node_out(h)


class Gns(Styled, gns_torch.Gns):
    def __init__(self, config, style, **sizes):
        super().__init__(**sizes, edge_update=config.get("edge_update", "message"))
        self.config, self.style, self.pairs = config, style, config.get("decoder") == "pairs"
        inner = [sizes["width"]] * (sizes["hidden"] + 1)
        if config.get("edge_rest_lengths"):
            self._encode_process_decode._encoder.edge_fn[0] = gns_torch.multilayer([sizes["dim"] + 2] + inner)
        if self.pairs:
            self._encode_process_decode._decoder.edge_fn = gns_torch.multilayer(inner + [sizes["dim"]])

    def forward(self, batch):
        network = self._encode_process_decode
        velocity, walls = batch.node_features(self.config.get("boundary_clamp_limit", 1), True)
        h = network._encoder.node_fn(torch.cat([velocity, walls, self._particle_type_embedding(batch.kind)], dim=1))
        e, layers = network._encoder.edge_fn(batch.edge_features()), network._processor.gnn_stacks
        for layer in layers:
            edge, norm = layer.edge_fn
            m = norm(edge[1:](self.first_layer(edge[0], [(h, batch.receivers), (h, batch.senders), e])))
            h = h + layer.node_fn(torch.cat([add_up(m, batch.receivers, batch.n), h], dim=1))
            if layer is not layers[-1] or self.pairs:
                e = e + (e if self.edge_update == "doubled" else m)
        decoder = network._decoder
        return batch.accelerations(decoder.node_fn(h), decoder.edge_fn(e)) if self.pairs else decoder.node_fn(h)


def load(folder, style="best"):
    """(model, config, metadata) of a model's folder, as `mote train` and `mote-bench train --save` write it."""
    with open(os.path.join(folder, "config.json")) as file:
        config = json.load(file)
    with open(os.path.join(folder, "metadata.json")) as file:
        metadata = json.load(file)
    tensors = giorom_torch.read_safetensors(os.path.join(folder, "model.safetensors"))
    if "embed_type.weight" in tensors:
        mlp = "gnot_layer.blocks.0.moe_mlp1."
        model = Giorom(config, style, width_not=tensors["gnot_layer.trunk_mlp.linear_pre.weight"].shape[0],
                       inner=tensors[mlp + "0.0.weight"].shape[0],
                       experts=sum(k.startswith(mlp) and k.endswith(".0.weight") for k in tensors),
                       depth=sum(k.startswith("gnot_layer.trunk_mlp.linears.") for k in tensors) // 2)
    else:
        model = Gns(config, style, dim=config["dim"], layers=config["n_mp_layers"], width=config["hidden_size"],
                    hidden=config.get("mlp_layers", 2), types=config["num_particle_types"],
                    embedding=config["particle_type_dim"], frames=config["window_size"] + 1)
    own = model.state_dict()
    if set(own) != set(tensors):
        raise SystemExit(f"batch_torch.py: tensors of one side alone: {sorted(set(own) ^ set(tensors))}")
    model.load_state_dict({name: torch.from_numpy(array).reshape(own[name].shape) for name, array in tensors.items()})
    for module in model.modules():
        if isinstance(module, nn.ReLU):
            module.inplace = style != "plain"
    return model, config, metadata


def loss_of(model, batch):
    return (batch.share * (model(batch) - batch.target).square()).sum()
