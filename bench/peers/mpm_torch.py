"""The material point method of Mote as differentiable tensors in PyTorch, in three dimensions and without colliders: the
equations of kernels/transfer, for matter whose stress and flow are functions of the deformation.

The trick: places are kept in cells, stencils lie in front of particles, and what a particle gives to the nodes is written about
its stencil's middle node, q' + A o with o of -1, 0, 1 the same for all. So the 27 rows of all particles are one product of a
constant (27, 4) with (4, 4 n), their weights one factor, and the way from the grid back is the same product transposed; no
distances are stored.
"""
import math

import numpy
import torch

CONTACTS = ("free_slip", "no_slip", "separate")
SIDES = [side + axis for axis in "xyz" for side in ("lower_", "upper_")]


# ---- the scene ----

def only(mapping, keys, title):
    for key in mapping:
        if key not in keys:
            raise ValueError(f"{title}: '{key}' is not known here (known: {', '.join(keys)})")
    return mapping


def read_wall(value, title):
    """(contact, friction)"""
    wall = only(value, ("contact", "friction"), title) if isinstance(value, dict) else {"contact": value}
    contact, friction = wall.get("contact", "free_slip"), float(wall.get("friction", 0))
    if contact not in CONTACTS or friction and contact != "separate":
        raise ValueError(f"{title}: not a contact, or one without friction: {value}")
    return contact, friction


class Scene:
    """Of a scene file, what a step needs. Bodies are the trajectory's matter, and so only their material's density is read."""

    def __init__(self, content, title="scene"):
        keys = ("name", "dim", "domain", "walls", "gravity", "time", "materials", "bodies")
        only(content, keys, title)
        if content.get("dim", 3) != 3:
            raise ValueError(f"{title}: only three dimensions are known here")
        domain = only(content["domain"], ("lower", "upper", "cells"), "domain")
        self.lower = [float(x) for x in domain.get("lower", (0, 0, 0))]
        size = [float(up) - low for up, low in zip(domain["upper"], self.lower)]
        cells = domain["cells"]
        self.spacing = float(numpy.float32(size[0] / cells[0] if isinstance(cells, list) else max(size) / cells))
        self.cells = [round(side / self.spacing) for side in size]
        walls = only(content.get("walls", {}), ("all", "boundary_cells", "clip_cells", *SIDES), "walls")
        every = walls.get("all", "free_slip")
        self.walls = [read_wall(walls.get(side, every), side) for side in SIDES]
        self.boundary, self.clip = int(walls.get("boundary_cells", 3)), float(walls.get("clip_cells", 0.5))
        self.gravity = [float(g) for g in content.get("gravity", (0, -9.8, 0))]
        times = only(content["time"], ("step", "frames", "steps_per_frame"), "time")
        if not isinstance(times.get("step"), float) or times.get("steps_per_frame", 1) != 1:
            raise ValueError("time: a 'step' in seconds, with a decimal point, and a frame a step are needed")
        self.time_step = float(numpy.float32(times["step"]))
        densities = {float(m["density"]) for m in content["materials"].values()}
        if len(densities) != 1:
            raise ValueError("materials: one density is needed")
        self.density = densities.pop()


# ---- a step ----

class Scatter(torch.autograd.Function):
    """Sums of rows by node. index_add_ of single numbers is several times as fast as that of rows, and so it runs on those;
    `index` says where a row's numbers go."""

    @staticmethod
    def forward(ctx, rows, node, nodes):
        ctx.save_for_backward(node)
        width = rows.shape[1]
        index = (node[:, None] * width + torch.arange(width, dtype=node.dtype)).view(-1)
        return rows.new_zeros(nodes * width).index_add_(0, index, rows.reshape(-1)).view(nodes, width)

    @staticmethod
    def backward(ctx, gradient):
        node, = ctx.saved_tensors
        return gradient.contiguous().index_select(0, node), None, None


class Gather(torch.autograd.Function):
    """Rows of nodes, with Scatter's sum as its reverse."""

    @staticmethod
    def forward(ctx, rows, node):
        ctx.save_for_backward(node)
        ctx.nodes = rows.shape[0]
        return rows.index_select(0, node)

    @staticmethod
    def backward(ctx, gradient):
        node, = ctx.saved_tensors
        return Scatter.forward(ctx, gradient, node, ctx.nodes), None


class Engine:
    """Steps of one scene. A state is (x (n, 3) in cells, v (n, 3) m/s, C (3, n, 3) 1/s by columns, F (n, 3, 3))."""

    def __init__(self, scene, law, dtype):
        """law: an object with stress(F) in Pa, Kirchhoff's, and flow(F), the deformation that is kept."""
        self.scene, self.law, self.dtype = scene, law, dtype
        self.cells = torch.tensor(scene.cells, dtype=dtype)
        self.sides = [c + 2 for c in scene.cells]  # nodes 0 to cells + 1
        self.strides = torch.tensor([self.sides[1] * self.sides[2], self.sides[2], 1], dtype=torch.int32)
        steps = torch.cartesian_prod(*[torch.arange(-1, 2)] * 3)
        self.offsets = torch.cat([torch.ones(27, 1), steps], dim=1).to(dtype)
        self.stencil = ((steps.to(torch.int32) + 1) * self.strides).sum(1, keepdim=True)
        self.fall = torch.tensor(scene.gravity, dtype=dtype) * scene.time_step
        self.low, self.high = torch.full_like(self.cells, scene.clip), self.cells - scene.clip
        self.prepare_walls()

    def prepare_walls(self):
        """Without friction all walls are one clamp of each node's velocity, whatever their order. Otherwise they come one after
        another, as (its nodes, axis, sign of the normal, contact, friction)."""
        scene, place = self.scene, torch.stack(torch.meshgrid(*map(torch.arange, self.sides), indexing="ij"), -1).view(-1, 3)
        self.least = torch.full(place.shape, -math.inf, dtype=self.dtype)
        self.most, self.rubbing = -self.least, []
        for k, (contact, friction) in enumerate(scene.walls):
            axis, upper = divmod(k, 2)
            at = place[:, axis]
            inside = at > scene.cells[axis] - scene.boundary if upper else at < scene.boundary
            if any(friction for _, friction in scene.walls):
                self.rubbing.append((inside.nonzero().view(-1), axis, -1.0 if upper else 1.0, contact, friction))
            elif contact == "no_slip":
                self.least[inside] = self.most[inside] = 0
            else:
                (self.most if upper else self.least)[inside, axis] = 0

    def contact(self, v):
        if not self.rubbing:
            return torch.minimum(torch.maximum(v, self.least), self.most)
        for node, axis, sign, contact, friction in self.rubbing:
            if contact == "no_slip":
                v = v.index_fill(0, node, 0.0)
                continue
            before = v.index_select(0, node)
            into = sign * before[:, axis:axis + 1]
            along = before.index_fill(1, torch.tensor([axis]), 0.0)
            if friction:  # the impulse along the surface is at most friction times the one into it
                square = (along * along).sum(1, keepdim=True)
                slides = square > (friction * into) ** 2
                slide = torch.where(slides, square, 1.0).sqrt()
                along = along * torch.where(slides, 1 + friction * into / slide, 0.0)
            v = v.index_copy(0, node, torch.where(into < 0, along, before))
        return v

    def step(self, x, v, C, F):
        scene, n, h, dt = self.scene, x.shape[0], self.scene.spacing, self.scene.time_step
        with torch.no_grad():
            base = torch.minimum((x - 0.5).clamp_min(0), self.cells - 1).to(torch.int32)
            node = (self.stencil + (base * self.strides).sum(1, dtype=torch.int32)).view(-1)
        g = x - (base + 1).to(self.dtype)
        w = torch.stack([0.5 * (0.5 - g) ** 2, 0.75 - g * g, 0.5 * (0.5 + g) ** 2])  # (3, n, axis)
        weight = (w[:, None, None, :, 0] * (w[:, None, :, 1] * w[None, :, :, 2])).view(27, n, 1)
        g = g.T.unsqueeze(-1)

        # all particles have one mass, which cancels: records are per unit of it
        A = h * C - (4 * dt / (h * scene.density)) * self.law.stress(F).permute(2, 0, 1)
        record = torch.cat([(v - (A * g).sum(0)).unsqueeze(0), A])
        mass = self.offsets.new_zeros(4, n, 1)
        mass[0] = 1
        rows = (self.offsets @ torch.cat([record, mass], dim=2).view(4, 4 * n)).view(27, n, 4)
        grid = Scatter.apply((weight * rows).view(-1, 4), node, math.prod(self.sides))

        velocity = self.contact(grid[:, :3] / grid[:, 3:].clamp_min(1e-30) + self.fall)

        rows = weight * Gather.apply(velocity, node).view(27, n, 3)
        moments = (self.offsets.T @ rows.view(27, 3 * n)).view(4, n, 3)
        v = moments[0]
        C = (4 / h) * (moments[1:] - g * v)
        x = torch.minimum(torch.maximum(x + (dt / h) * v, self.low), self.high)
        return x, v, C, self.law.flow(F + dt * (C.permute(1, 2, 0) @ F))
