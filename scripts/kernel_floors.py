#!/usr/bin/env python3
"""Kernels against their floors: kernel_floors.py PROFILE.csv --peaks BENCH.json [--worst N] [--json OUT]

PROFILE.csv is what Nsight Compute prints with --csv --print-units base and the metrics that METRICS names (the file
itself: `kernel_floors.py --metrics` prints them, for ncu's --metrics). BENCH.json is mote-bench's, of the same machine.

A launch's floor is the largest of three times: the bytes that reached device memory over the measured bandwidth (what
caches served is not in it), float32 operations over the measured rate of fused multiply-adds, and operations of tensor
cores over theirs. Of each kernel, all launches together: their share of the time, the mean, the floor, which of the
three it is, and what the gap costs. The kernels whose gaps cost most come first."""
import argparse
import csv
import json
import sys

TIME = "gpu__time_duration.sum"
BYTES = "dram__bytes.sum"
FMA = "smsp__sass_thread_inst_executed_op_ffma_pred_on.sum"
ADD = "smsp__sass_thread_inst_executed_op_fadd_pred_on.sum"
MULTIPLY = "smsp__sass_thread_inst_executed_op_fmul_pred_on.sum"
TENSOR = "sm__inst_executed_pipe_tensor_op_hmma.sum"
METRICS = [TIME, BYTES, FMA, ADD, MULTIPLY, TENSOR]
TILE = 2 * 16 * 8 * 16  # operations of one instruction of tensor cores with bfloat16; with tf32 half of it


def launches(path):
    """(kernel's name, {metric: value}) of each launch, from one row a metric; other lines are passed over."""
    with open(path, newline="") as file:
        rows = list(csv.reader(line for line in file if line.startswith('"')))
    head = next((row for row in rows if "Metric Name" in row), None)
    if head is None:
        raise ValueError(f"{path}: no table of Nsight Compute (a column 'Metric Name')")
    at = {name: head.index(name) for name in ("ID", "Kernel Name", "Metric Name", "Metric Value")}
    found = {}
    for row in rows:
        if row is head or len(row) < len(head):
            continue
        name = row[at["Kernel Name"]].split("(")[0].replace("void ", "").strip()
        value = row[at["Metric Value"]].replace(",", "")
        try:
            found.setdefault(row[at["ID"]], (name, {}))[1][row[at["Metric Name"]]] = float(value)
        except ValueError:
            pass  # a metric that this GPU does not have
    return [one for one in found.values() if one[1].get(TIME, 0) > 0]


def floors(metrics, peaks):
    """Seconds by what they are of."""
    operations = 2 * metrics.get(FMA, 0) + metrics.get(ADD, 0) + metrics.get(MULTIPLY, 0)
    tensor = peaks.get("measured_tensor_gflops", 0) * 1e9
    tile = TILE / 2 if peaks.get("precision") == "tf32" else TILE
    return {
        "memory": metrics.get(BYTES, 0) / (peaks["measured_bandwidth_gbs"] * 1e9),
        "float32": operations / (peaks["measured_gflops"] * 1e9),
        "tensor": tile * metrics.get(TENSOR, 0) / tensor if tensor else 0.0,
    }


def summarize(all_launches, peaks):
    """A row a kernel, the costliest gap first."""
    kernels = {}
    for name, metrics in all_launches:
        k = kernels.setdefault(name, {"kernel": name, "launches": 0, "seconds": 0.0, "floor": 0.0, "of": {}})
        parts = floors(metrics, peaks)
        bound = max(parts, key=parts.get)
        k["launches"] += 1
        k["seconds"] += metrics[TIME] * 1e-9
        k["floor"] += parts[bound]
        k["of"][bound] = k["of"].get(bound, 0.0) + parts[bound]
    for k in kernels.values():
        k["bound"] = max(k.pop("of").items(), key=lambda part: part[1])[0]
        k["gap"] = k["seconds"] - k["floor"]
    return sorted(kernels.values(), key=lambda k: -k["gap"])


def main():
    if "--metrics" in sys.argv[1:]:
        print(",".join(METRICS))
        return 0
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("profile")
    parser.add_argument("--peaks", required=True, help="mote-bench's JSON, of the same machine and precision")
    parser.add_argument("--worst", type=int, default=10, help="kernels in the table (10)")
    parser.add_argument("--json", help="write all kernels there")
    args = parser.parse_args()
    try:
        with open(args.peaks) as file:
            peaks = json.load(file)
        kernels = summarize(launches(args.profile), peaks)
        if not kernels:
            raise ValueError(f"{args.profile}: no launch with {TIME}")
    except (OSError, ValueError, KeyError) as problem:
        print(f"kernel_floors: {problem}", file=sys.stderr)
        return 1
    total = sum(k["seconds"] for k in kernels)
    print(f"{'kernel':44} {'launches':>8} {'of time':>8} {'mean us':>9} {'floor us':>9} {'reached':>8}  {'bound by':8} {'gap ms':>8}")
    for k in kernels[: args.worst]:
        n = k["launches"]
        print(f"{k['kernel'][:44]:44} {n:8d} {100 * k['seconds'] / total:7.1f}% {1e6 * k['seconds'] / n:9.1f} "
              f"{1e6 * k['floor'] / n:9.2f} {100 * k['floor'] / k['seconds']:7.1f}%  {k['bound']:8} {1e3 * k['gap']:8.3f}")
    print(f"{len(kernels)} kernels, {sum(k['launches'] for k in kernels)} launches, {1e3 * total:.3f} ms, of which the "
          f"floors are {1e3 * sum(k['floor'] for k in kernels):.3f}")
    if args.json:
        with open(args.json, "w") as file:
            json.dump(kernels, file, indent=1)
    return 0


if __name__ == "__main__":
    sys.exit(main())
