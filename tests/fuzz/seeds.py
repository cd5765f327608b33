#!/usr/bin/env python3
"""Writes seed inputs for the fuzzers of files into a folder: seeds.py FOLDER (numpy and h5py needed)."""
import io, json, os, struct, sys
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
