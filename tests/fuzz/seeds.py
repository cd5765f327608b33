#!/usr/bin/env python3
"""Writes seed inputs for the fuzzers of files into a folder: seeds.py FOLDER (numpy and h5py needed)."""
import collections, io, json, os, pickle, struct, sys, types, zipfile
import h5py
import numpy as np

root = sys.argv[1]


def put(kind, name, data):
    os.makedirs(f"{root}/{kind}", exist_ok=True)
    with open(f"{root}/{kind}/{name}", "wb") as f:
        f.write(data)


def pair(*items):
    a = np.empty(len(items), dtype=object)
    for i, item in enumerate(items):
        a[i] = item
    return a


metadata = {"dim": 2, "bounds": [[0, 1], [0, 1]], "dt": 1e-3, "dx": 0.1, "write_every": 5, "sequence_length": 4,
            "sequence_length_train": 4, "num_particles_max": 3, "default_connectivity_radius": 0.1,
            "periodic_boundary_conditions": [True, False], "gravity": [0, -9.8], "vel_mean": [0, 0], "vel_std": [1, 1],
            "acc_mean": [0, 0], "acc_std": [1, 1]}
put("metadata", "full", json.dumps(metadata).encode())
put("metadata", "small", b'{"bounds":[[0,1],[0,1],[0,1]]}')

header = {"__metadata__": {"format": "pt"}, "a": {"dtype": "F32", "shape": [2, 2], "data_offsets": [0, 16]},
          "b": {"dtype": "BF16", "shape": [3], "data_offsets": [16, 22]}}
text = json.dumps(header).encode()
put("safetensors", "header", text)
put("safetensors", "whole", struct.pack("<Q", len(text)) + text + bytes(22))

put("operator", "config", json.dumps({
    "model_type": "mote_operator", "features": 32, "hidden": 32, "bases": 12, "experts": ["newtonian"], "levels": 3,
    "node_spacing": 1.4, "radius": 3, "ridge": 1e-3, "shrink": 1e-4, "flight_reach": 0.1, "drift_gain": 1.4,
    "kin_gain": 0.05}).encode())
def linear(shapes, name, n_in, n_out, *more):
    shapes[name + ".weight"], shapes[name + ".bias"] = [n_out, n_in, *more], [n_out]


def norm(shapes, name, width):
    shapes[name + ".weight"], shapes[name + ".bias"] = [width], [width]


def model(name, config, shapes):
    """config.json, a zero byte, the header of model.safetensors."""
    header, end = {}, 0
    for key, shape in shapes.items():
        size = 4 * int(np.prod(shape))
        header[key] = {"dtype": "F32", "shape": shape, "data_offsets": [end, end + size]}
        end += size
    put("model", name, json.dumps(config).encode() + b"\0" + json.dumps(header).encode())


def gns(name, **changes):
    c = {"architectures": ["LearnedSimulator"], "dim": 2, "window_size": 2, "hidden_size": 4, "n_mp_layers": 1,
         "mlp_layers": 1, "num_particle_types": 2, "particle_type_dim": 2, "noise_std": 0.001,
         "boundary_clamp_limit": 1.0, "edge_update": "message", "normalized_velocities": True} | changes
    w, d, t, root = c["hidden_size"], c["dim"], {}, "_encode_process_decode."

    def mlp(name, n_in, n_out, stem):
        for k in range(c["mlp_layers"] + 1):
            linear(t, name + stem + str(k), w if k else n_in, w if k < c["mlp_layers"] else n_out)
        if stem == ".0.NN-":
            norm(t, name + ".1", n_out)

    t["_particle_type_embedding.weight"] = [c["num_particle_types"], c["particle_type_dim"]]
    mlp(root + "_encoder.node_fn", d * (c["window_size"] + 2) + c["particle_type_dim"], w, ".0.NN-")
    mlp(root + "_encoder.edge_fn", d + 1, w, ".0.NN-")
    for k in range(c["n_mp_layers"]):
        mlp(f"{root}_processor.gnn_stacks.{k}.node_fn", 2 * w, w, ".0.NN-")
        mlp(f"{root}_processor.gnn_stacks.{k}.edge_fn", 3 * w, w, ".0.NN-")
    mlp(root + "_decoder.node_fn", w, d, ".NN-")
    if c.get("decoder") == "pairs":
        mlp(root + "_decoder.edge_fn", w, d, ".NN-")
    model(name, c, t)


def giorom(name, **changes):
    c = {"architectures": ["PhysicsEngine"], "dim": 2, "window_size": 2, "hidden_size": 4, "n_mp_layers": 1,
         "num_particle_types": 2, "particle_type_dim": 2, "noise_std": 0.0, "boundary_clamp_limit": 1.0, "wall_stop": 0.03,
         "normalized_velocities": False, "graph_convolution": "degenerate", "graph_convolution_alpha": 0.7,
         "latent_points": "grid", "in_gno_transform_type": "nonlinear_kernelonly",
         "out_gno_transform_type": "linear", "out_gno_in_dim": 2, "out_gno_hidden": 3, "gno_radius": 0.4,
         "not_heads": 2, "not_layers": 1, "not_output_size": 3, "not_space_dim": 2, "not_branch_size": 2,
         "not_trunk_size": 3, "projection_layers": 1, "projection_channels": 4, "latent_grid_dim": 3,
         "latent_domain_lims": [[0, 1], [0, 1]]} | changes
    pair_in, pair_out = (c[k] == "pair" for k in ("in_gno_transform_type", "out_gno_transform_type"))
    w, d, m, t = c["hidden_size"], c["dim"], 4, {}
    c["in_gno_mlp_hidden_layers"], c["out_gno_mlp_hidden_layers"] = [d + w + pair_in, 5, 3], [d + pair_out, 5, 3]

    def mlp(name, n_in, n_out, normed=True):
        for k, (a, b) in {0: (n_in, w), 2: (w, w), 4: (w, n_out)}.items():
            linear(t, f"{name}.layers.{k}", a, b)
        if normed:
            norm(t, name + ".layers.5", n_out)

    def residual(name, n_in, n_out):
        for part, a, b in (("linear_pre", n_in, m), ("linears.0", m, m), ("linear_post", m, n_out)):
            linear(t, f"{name}.{part}", a, b)

    t["embed_type.weight"] = [c["num_particle_types"], c["particle_type_dim"]]
    mlp("node_in", c["particle_type_dim"] + d * (c["window_size"] + 2), w)
    mlp("edge_in", d + 1, w)
    mlp("node_out", w, d, False)
    if c.get("decoder") == "pairs":
        mlp("edge_out", w, d, False)
    for series in ("in_layers.0", "out_layers.0"):
        mlp(series + ".lin_edge", 3 * w, w)
        mlp(series + ".lin_node", 2 * w, w)
        linear(t, series + ".spectralConv.lin", w, w)
    for side in "in", "out":
        widths = c[f"{side}_gno_mlp_hidden_layers"]
        for k in range(2):
            linear(t, f"gno_{side}.mlp.fcs.{k}", widths[k], widths[k + 1])
    residual("gnot_layer.trunk_mlp", 3, m)
    block = "gnot_layer.blocks.0."
    if c["latent_points"] == "grid":
        residual("gnot_layer.branch_mlps.0", d, m)
        for ln in ("ln1", "ln2_branch.0"):
            norm(t, block + ln, m)
        for part in ("query", "keys.0", "values.0", "proj"):
            linear(t, f"{block}crossattn.{part}", m, m)
    for ln in ("ln3", "ln4", "ln5"):
        norm(t, block + ln, m)
    for part in ("query", "key", "value", "proj"):
        linear(t, f"{block}selfattn.{part}", m, m)
    for k, a, b in ((0, c["not_space_dim"], m), (2, m, m), (4, m, 2)):
        linear(t, f"{block}gatenet.{k}", a, b)
    for moe in ("moe_mlp1", "moe_mlp2"):
        for k in range(2):
            linear(t, f"{block}{moe}.{k}.0", m, 5)
            linear(t, f"{block}{moe}.{k}.2", 5, m)
    residual("gnot_layer.out_mlp", m, 3)
    linear(t, "projection.fcs.0", 3, w, 1)
    model(name, c, t)


gns("gns")
gns("gns-forces", decoder="pairs")
gns("gns-3d", dim=3, edge_update="doubled", mlp_layers=2, n_mp_layers=2)
giorom("giorom")
giorom("giorom-forces", decoder="pairs")
giorom("giorom-pairs", in_gno_transform_type="pair", out_gno_transform_type="pair", latent_points="occupied",
       graph_convolution="normalized", normalized_velocities=True)
put("run", "full", b"""kind: operator
data: ["/dev/null", "/dev/nul?"]
valid: [/dev/null]
sampling: {method: poisson, ratio: [0.035, 0.06]}
frames: 101
points: 1000
batch: 4
steps: 1350
validate_every: 75
rate: 2.5e-3
seed: 1
""")
put("stepper_run", "giorom", b"""kind: stepper
data: set
model:
  {architecture: giorom, dim: 2, width: 64, layers: 3, window: 4, types: 7, type_width: 8, convolution: normalized,
   alpha: 0.5, radius: 0.03, clip: 0.75, normalized_velocities: false,
   latent: {grid: 12, radius: 0.2, heads: 6, blocks: 2, width: 96, experts: 3, inner: 2, kernel_in: [20, 40],
            kernel_out: [30, 72], pairs: true, points: occupied, projection: 33, projection_layers: 2, space_width: 9}}
particles: {method: poisson, count: [300, 400]}
noise: 6.7e-4
pushforward: {steps: 3, from_step: 2000}
loss: {position: 0.5}
optimizer: {kind: adamax, rate: 2.0e-3, betas: [0.8, 0.99], epsilon: 1.0e-7, decay: 0.01}
schedule: {kind: exponential, warmup: 20, decay: 0.5, decay_steps: 700, floor: 1.0e-5}
validation: {every: 250, frames: 60, trajectories: 2}
clip: 0.5
ema: 0.99
batch: 8
steps: 3000
seed: 9223372036854775807
save_every: 50
memory: 512
""")
put("constitutive_run", "law", b"""kind: constitutive
scene: /dev/shm/mote-fuzz-scene.yaml
trajectory: truth.h5
law: {form: invariants, width: 24, layers: 1, strain: 0.1, elasticity_scale: 1.0e3, plasticity_scale: 0.1}
isotropic: true
loss: {position: 1, velocity: 1}
restarts: {from: 10, to: 60}
elasticity: {rate: 1.0e-2, clip: 1}
schedule: {kind: cosine, floor: 0.1}
epochs: 60
betas: [0.9, 0.99]
ema: 0.9
""")
put("constitutive_run", "identify", b"""kind: constitutive
scene: /dev/shm/mote-fuzz-scene.yaml
trajectory: truth.h5
noise: 1.0e-3
identify:
  materials: {matter: {youngs_modulus: [1.0e4, 2.0e5], yield_stress: [300, 1.0e4]}}
  bodies: {0: {velocity: [[-2, -4], [2, 1]]}}
epochs: 80
""")
put("stepper_run", "gns", b"""kind: stepper
data: /set
model: {architecture: gns, hidden_layers: 1}
particles: {method: uniform, count: 250}
schedule: {kind: constant, warmup: 0}
""")

put("dataset", "flat", b"""seed: 5
particles: [10, 500]
gap: 0.05
tries: 2
scene:
  dim: 2
  domain: {lower: [0, 0], upper: [1, 1], cells: 16}
  walls: {all: {contact: separate, friction: {uniform: [0, 0.5]}}}
  gravity: [0, -9.81]
  time: {frame_interval: 0.01, frames: 6}
  materials: {jelly: {kind: fixed_corotated, youngs_modulus: {log_uniform: [1.0e+4, 1.0e+5]}}}
  bodies:
    block: &b
      number: {integer: [1, 2]}
      material: {choose: [jelly]}
      form: {choose: [{shape: {kind: sphere, radius: {uniform: [0.08, 0.12]}}}, {shape: {kind: box, size: [0.1, 0.2]}}]}
      rotation: random
      position: {uniform: [[0.2, 0.2], [0.8, 0.8]]}
      velocity: {isotropic: [0.5, 1]}
splits:
  train: 3
  test: {count: 2, scene: {materials: {more: {kind: newtonian}}, bodies: {block: {form: {shape: {kind: torus, radius: 0.1, tube_radius: 0.05}}}, c: *b}}}
record: {velocity: false, compression: 1, particle_type: material, keep: {count: 20, method: poisson}}
""")
put("dataset", "deep", b"""scene:
  materials: {sand: {kind: drucker_prager}}
  time: {step: 1.0e-4, steps_per_frame: 10, frames: 2}
  bodies:
    a: {material: sand, shape: {kind: cone, radius: 0.1, height: 0.2}, rotation: random, angular_velocity: {isotropic: [0, 1]}}
splits: {train: 1, valid: {count: 1}}
""")

x = np.zeros((3, 2, 2), np.float32)
kind = np.array([6, 3])
both = np.empty(1, dtype=object)
both[0] = (x, kind)
for name, arrays in {"pair": {"a": pair(x, kind)}, "one": {"a": pair(x, 6, 30.0)}, "list": {"gns_data": both}}.items():
    for save in (np.savez, np.savez_compressed):
        b = io.BytesIO()
        save(b, **arrays)
        put("npz", f"{name}-{save.__name__}", b"\0" + b.getvalue())
    b = io.BytesIO()
    np.save(b, list(arrays.values())[0], allow_pickle=True)
    put("npz", f"{name}-member", (b"\4" if name == "list" else b"\3") + b.getvalue())
    put("npz", f"{name}-pickle", b"\2" + b.getvalue()[128:])
b = io.BytesIO()
np.save(b, x)
put("npz", "header", b"\1" + b.getvalue())
put("npz", "numbers", b"\3" + b.getvalue())

# Checkpoints of PyTorch, pickled as torch.save does it, by stand-ins of the same names.
torch = types.ModuleType("torch")
utils = torch._utils = types.ModuleType("torch._utils")
sys.modules.update({"torch": torch, "torch._utils": utils})
storage_types = {}
for name in ("FloatStorage", "HalfStorage", "BFloat16Storage", "DoubleStorage", "LongStorage"):
    storage_types[name] = type(name, (), {"__module__": "torch"})
    setattr(torch, name, storage_types[name])


def stand_in(module, name):
    def function(*arguments): pass
    function.__module__, function.__name__, function.__qualname__ = module.__name__, name, name
    setattr(module, name, function)
    return function


rebuild_tensor, rebuild_parameter = stand_in(utils, "_rebuild_tensor_v2"), stand_in(utils, "_rebuild_parameter")
Size, device = stand_in(torch, "Size"), stand_in(torch, "device")


class Storage:
    def __init__(self, kind, key, extent):
        self.id = ("storage", storage_types[kind], key, "cpu", extent)


class Call:
    def __init__(self, function, *arguments):
        self.call = function, arguments

    def __reduce__(self):
        return self.call


def View(storage, offset, shape, stride):
    return Call(rebuild_tensor, storage, offset, tuple(shape), tuple(stride), False, collections.OrderedDict())


class TorchPickler(pickle.Pickler):
    def persistent_id(self, value):
        return value.id if isinstance(value, Storage) else None


def torch_pickle(value, protocol=2):
    b = io.BytesIO()
    TorchPickler(b, protocol).dump(value)
    return b.getvalue()


class StateDict(collections.OrderedDict):  # with an attribute, as Module.state_dict() has
    def __reduce__(self):
        metadata = {"_metadata": collections.OrderedDict({"": {"version": 1}})}
        return collections.OrderedDict, (), metadata, None, iter(self.items())


def gns(width, types):
    shared, at, tensors = Storage("FloatStorage", "0", 1024), 0, StateDict()

    def add(name, *shape):
        nonlocal at
        stride = [shape[1], 1] if len(shape) == 2 else [1]
        tensors[name] = View(shared, at, shape, stride)
        at += int(np.prod(shape))

    def linear(name, rows, columns):
        add(name + ".weight", *([rows, columns] if columns else [rows]))
        add(name + ".bias", rows)

    def normed(name, inputs):
        linear(name + ".0.NN-0", width, inputs)
        linear(name + ".0.NN-1", width, width)
        linear(name + ".1", width, 0)

    net = "_encode_process_decode."
    add("_particle_type_embedding.weight", types, 2)
    normed(net + "_encoder.node_fn", 2 * 7 + 2)
    normed(net + "_encoder.edge_fn", 3)
    normed(net + "_processor.gnn_stacks.0.node_fn", 2 * width)
    normed(net + "_processor.gnn_stacks.0.edge_fn", 3 * width)
    linear(net + "_decoder.node_fn.NN-0", width, width)
    linear(net + "_decoder.node_fn.NN-1", 2, width)
    return tensors


views = {
    "a": View(Storage("FloatStorage", "0", 1024), 3, (2, 3), (1, 2)),
    "b": View(Storage("HalfStorage", "1", 8), 0, (8,), (1,)),
    "c": View(Storage("BFloat16Storage", "1", 8), 1, (), ()),
    "d": View(Storage("DoubleStorage", "2", 2), 0, (2, 1), (1, 1)),
    "e": View(Storage("LongStorage", "2", 2), 0, (2,), (1,))
}
nested = {"epoch": 3, "loss": 0.5, "optimizer": {"state": {0: views["a"]}, "groups": [{"lr": 1e-3}]},
          "size": Call(Size, (2, 3)), "device": Call(device, "cpu"), "seen": {1},
          "model": {"module." + name: view for name, view in views.items()}}
nested["model"]["module.f"] = Call(rebuild_parameter, views["a"], True, collections.OrderedDict())
for name, value in {"views": views, "nested": nested, "gns": gns(3, 9)}.items():
    for protocol in (2, 4):
        text = torch_pickle(value, protocol)
        put("torch", f"{name}-{protocol}", b"\1" + text)
        for compression in (zipfile.ZIP_STORED, zipfile.ZIP_DEFLATED):
            b = io.BytesIO()
            with zipfile.ZipFile(b, "w", compression) as z:
                z.writestr("m/data.pkl", text)
                z.writestr("m/byteorder", "little")
                for key, size in {"0": 4096, "1": 16, "2": 16}.items():
                    z.writestr("m/data/" + key, bytes(size))
                z.writestr("m/version", "3\n")
            put("torch", f"{name}-{protocol}-{compression}", b"\0" + b.getvalue())

for name, chunks in {"contiguous": None, "chunked": (1, 2, 2)}.items():
    for libver in ("earliest", "latest"):
        b = io.BytesIO()
        with h5py.File(b, "w", libver=libver) as f:
            f.attrs["metadata"] = np.bytes_(json.dumps(metadata))
            g = f.create_group("00000")
            options = dict(chunks=chunks, compression="gzip", shuffle=True) if chunks else {}
            g.create_dataset("position", data=x, **options)
            g.create_dataset("velocity", data=x, **options)
            g.create_dataset("particle_type", data=kind.astype(np.int32))
            g.create_dataset("volume", data=np.ones(2, np.float32))
            g.create_dataset("time", data=np.arange(3.0))
        put("hdf5_bytes", f"{name}-{libver}", b.getvalue())
