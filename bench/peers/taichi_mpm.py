"""The peer that mote-bench's MPM case is measured against: MLS-MPM (Hu et al. 2018) in Taichi, 3-D, APIC,
quadratic B-splines, on the CPU, written the way Taichi's users write it: dense grid fields, one kernel a substep
for particles to grid with its atomic adds, one for the grid, one for grid to particles, f32, compile-time loops
over the 27 nodes.

The scene is that of `mote-bench mpm`: a cube of --size jittered particles, eight a cell, moving along x in a box
with free-slip walls three cells thick and about twice its edge, with the materials' defaults of Mote. `newtonian` is
lambda J (J - 1); `drucker_prager` is Hencky elasticity with the Drucker-Prager return through ti.svd. The last line
of the output is JSON. Needs: pip install taichi
"""
import argparse
import json
import math
import statistics
import sys
import time

try:
    import taichi as ti
except ImportError:
    sys.exit("taichi_mpm.py: the package taichi is not installed; try: python3 -m pip install taichi")


def parse_arguments():
    parser = argparse.ArgumentParser(description=__doc__.split("\n\n")[0])
    parser.add_argument("--material", choices=["newtonian", "drucker_prager"], default="newtonian")
    parser.add_argument("--size", type=int, default=262144, help="particles, a cube number (or the next one to it)")
    parser.add_argument("--dt", type=float, default=0, help="time step, s; 0: as Mote chooses it")
    parser.add_argument("--threads", type=int, default=2)
    parser.add_argument("--steps", type=int, default=20, help="steps a block")
    parser.add_argument("--blocks", type=int, default=5, help="timed blocks, of which the median counts")
    parser.add_argument("--warmup", type=int, default=10, help="steps before the first block")
    parser.add_argument("--seed", type=int, default=0)
    return parser.parse_args()


args = parse_arguments()
ti.init(arch=ti.cpu, cpu_max_num_threads=args.threads, default_fp=ti.f32, random_seed=args.seed, log_level=ti.ERROR)

SIDE = round(args.size ** (1 / 3))  # particles an edge of the cube, two a cell
N = SIDE**3
GRID = SIDE + 8
DX, INV_DX = 1.0 / GRID, float(GRID)
SPACING = DX / 2
ORIGIN = [4 + SIDE // 4, 4, 4 + SIDE // 4]  # the cube's lower corner, in cells
BOUNDARY = 3
GRAVITY = -9.8
SAND = args.material == "drucker_prager"
DENSITY, E, NU = (1600.0, 1e6, 0.2) if SAND else (1000.0, 1e5, 0.3)
MU, LAMBDA = E / (2 * (1 + NU)), E * NU / ((1 + NU) * (1 - 2 * NU))
WAVE_SPEED = math.sqrt((LAMBDA + (2 * MU if SAND else 0)) / DENSITY)
DT = args.dt or 0.3 * DX / (WAVE_SPEED + 1.0)  # as Mote chooses it: half of 0.6 cells a step
VOLUME = SPACING**3
MASS = DENSITY * VOLUME
SINE = math.sin(math.radians(30.0))
ALPHA = math.sqrt(2.0 / 3.0) * 2 * SINE / (3 - SINE)
FRICTION = (3 * LAMBDA + 2 * MU) / (2 * MU) * ALPHA

x = ti.Vector.field(3, ti.f32, N)
v = ti.Vector.field(3, ti.f32, N)
C = ti.Matrix.field(3, 3, ti.f32, N)
F = ti.Matrix.field(3, 3, ti.f32, N)
grid_v = ti.Vector.field(3, ti.f32, (GRID + 1, GRID + 1, GRID + 1))
grid_m = ti.field(ti.f32, (GRID + 1, GRID + 1, GRID + 1))


@ti.kernel
def fill():
    for p in x:
        at = ti.Vector([p % SIDE, p // SIDE % SIDE, p // (SIDE * SIDE)])
        jitter = ti.Vector([ti.random(), ti.random(), ti.random()])
        x[p] = ti.Vector(ORIGIN) * DX + (at + 0.25 + 0.5 * jitter) * SPACING
        v[p] = ti.Vector([1.0, 0.0, 0.0])
        C[p] = ti.Matrix.zero(ti.f32, 3, 3)
        F[p] = ti.Matrix.identity(ti.f32, 3)


@ti.func
def stress_and_return(trial):
    """Kirchhoff stress of the returned deformation, and that deformation."""
    tau = ti.Matrix.zero(ti.f32, 3, 3)
    returned = trial
    if ti.static(SAND):
        U, sigma, V = ti.svd(trial)
        e = ti.Vector([ti.log(ti.max(sigma[d, d], 1e-4)) for d in ti.static(range(3))])
        trace = e.sum()
        deviator = e - trace / 3.0
        norm = deviator.norm()
        excess = norm + FRICTION * trace
        if trace > 0.0:
            e = ti.Vector([0.0, 0.0, 0.0])
        elif excess > 0.0:
            e -= excess / norm * deviator
        stretch = ti.Matrix.zero(ti.f32, 3, 3)
        principal = ti.Matrix.zero(ti.f32, 3, 3)
        for d in ti.static(range(3)):
            stretch[d, d] = ti.exp(e[d])
            principal[d, d] = 2 * MU * e[d] + LAMBDA * e.sum()
        returned = U @ stretch @ V.transpose()
        tau = U @ principal @ U.transpose()
    else:
        J = trial.determinant()
        returned = ti.Matrix.identity(ti.f32, 3) * ti.pow(J, 1.0 / 3.0)
        tau = ti.Matrix.identity(ti.f32, 3) * (LAMBDA * J * (J - 1))
    return tau, returned


@ti.kernel
def clear():
    for node in ti.grouped(grid_m):
        grid_v[node] = ti.Vector([0.0, 0.0, 0.0])
        grid_m[node] = 0.0


@ti.kernel
def particles_to_grid():
    for p in x:
        base = ti.cast(x[p] * INV_DX - 0.5, ti.i32)
        fx = x[p] * INV_DX - ti.cast(base, ti.f32)
        w = [0.5 * (1.5 - fx) ** 2, 0.75 - (fx - 1) ** 2, 0.5 * (fx - 0.5) ** 2]
        tau, returned = stress_and_return((ti.Matrix.identity(ti.f32, 3) + DT * C[p]) @ F[p])
        F[p] = returned
        affine = (-DT * VOLUME * 4 * INV_DX * INV_DX) * tau + MASS * C[p]
        for i, j, k in ti.static(ti.ndrange(3, 3, 3)):
            offset = ti.Vector([i, j, k])
            weight = w[i][0] * w[j][1] * w[k][2]
            dpos = (ti.cast(offset, ti.f32) - fx) * DX
            grid_v[base + offset] += weight * (MASS * v[p] + affine @ dpos)
            grid_m[base + offset] += weight * MASS


@ti.kernel
def update_grid():
    for node in ti.grouped(grid_m):
        if grid_m[node] > 0:
            velocity = grid_v[node] / grid_m[node]
            velocity[1] += DT * GRAVITY
            for d in ti.static(range(3)):
                if node[d] < BOUNDARY and velocity[d] < 0:
                    velocity[d] = 0.0
                if node[d] > GRID - BOUNDARY and velocity[d] > 0:
                    velocity[d] = 0.0
            grid_v[node] = velocity


@ti.kernel
def grid_to_particles():
    for p in x:
        base = ti.cast(x[p] * INV_DX - 0.5, ti.i32)
        fx = x[p] * INV_DX - ti.cast(base, ti.f32)
        w = [0.5 * (1.5 - fx) ** 2, 0.75 - (fx - 1) ** 2, 0.5 * (fx - 0.5) ** 2]
        velocity = ti.Vector([0.0, 0.0, 0.0])
        affine = ti.Matrix.zero(ti.f32, 3, 3)
        for i, j, k in ti.static(ti.ndrange(3, 3, 3)):
            offset = ti.Vector([i, j, k])
            dpos = ti.cast(offset, ti.f32) - fx
            g = grid_v[base + offset]
            weighted = w[i][0] * w[j][1] * w[k][2] * g
            velocity += weighted
            affine += 4 * INV_DX * weighted.outer_product(dpos)
        v[p] = velocity
        C[p] = affine
        x[p] = ti.max(ti.min(x[p] + DT * velocity, 1.0 - 0.5 * DX), 0.5 * DX)


def advance(steps):
    for _ in range(steps):
        clear()
        particles_to_grid()
        update_grid()
        grid_to_particles()
    ti.sync()


def main():
    fill()
    advance(args.warmup)
    seconds = []
    for _ in range(args.blocks):
        start = time.perf_counter()
        advance(args.steps)
        seconds.append((time.perf_counter() - start) / args.steps)
    positions, velocities = x.to_numpy(), v.to_numpy()
    median = statistics.median(seconds)
    print(json.dumps({
        "engine": "taichi " + ".".join(map(str, ti.__version__)), "material": args.material, "grid": GRID,
        "n": N, "dt": DT, "threads": args.threads, "milliseconds": 1e3 * median,
        "rate": N / median, "block_seconds": seconds,
        "mean_height": float(positions[:, 1].mean()), "largest_speed": float(abs(velocities).max()),
    }))


main()
