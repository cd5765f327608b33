#!/usr/bin/env bash
# Every figure of the README once more: figures.sh BUILD [RESULTS [CASE ...]]. A case writes the files of bench/results/
# that it is named for into RESULTS (figures-output/); without a name all of them are run.
# What a case lacks (a Python package, ../shared/meshes) is said, and it counts as left out.
#   demo       demo-errors.txt demo.png jelly-errors.txt jelly.png
#   models     model-NAME.txt
#   operator   operator-errors.json operator-errors-cubes.json operator-errors-datasets.json
#   reduced    reduced.json reduced.csv reduced.png
#   bench      reconstruct.json
#   stepper    stepper-*.json     against PyTorch
#   training   training.json training-shipped.json training-bfloat16x2.json   against PyTorch (the last: CPUs with AMX)
#   scale      scale-water.json   a trained dense network's step against 500 and 1,000 particles of a trained sparse one
#   mpm        mpm-against-taichi.json
#   neighbor   neighbor-against-nanoflann.txt
#   transport  transport-against-assignment.json
set -uo pipefail
if [ $# -lt 1 ] || [ ! -x "$1/mote" ] || [ ! -x "$1/mote-bench" ]; then
  sed -n '2,/^set/p' "$0" | sed '$d; s/^# \{0,1\}//' >&2
  exit 2
fi
build=$(cd "$1" && pwd)
results=${2:-figures-output}
here=$(cd "$(dirname "$0")/.." && pwd)
meshes=${MOTE_SHARED:-$here/../shared}/meshes
mkdir -p "$results"
results=$(cd "$results" && pwd)
work="$results/work"
mkdir -p "$work"
shift $(($# < 2 ? $# : 2))
cases=("$@")
[ ${#cases[@]} -gt 0 ] || cases=(demo models operator reduced bench stepper training scale mpm neighbor transport)
peers="$here/bench/peers"
failed=()

needs() { # MODULE...: Python packages
  for module in "$@"; do
    python3 -c "import $module" 2>/dev/null || { echo "left out: Python's $module is not installed"; return 1; }
  done
}

case_demo() {
  MOTE_DEMO_OUTPUT="$work/demo" "$here/scripts/demo.sh" "$build" || return
  cp "$work/demo/errors.txt" "$results/demo-errors.txt"
  cp "$work/demo/jelly.txt" "$results/jelly-errors.txt"
  cp "$work/demo"/{demo,jelly}.png "$results/"
}
case_models() { MOTE_DATA="${MOTE_DATA:-$work/data}" "$here/bench/models.sh" "$build" "$results"; }
operator_errors() { # OPERATOR JSON FILE.h5... [options]
  local operator=$1 json=$2
  shift 2
  python3 "$peers/operator_error.py" "$build/mote" "$here/scripts/operators/$operator" "$@" --json "$results/$json"
}
case_operator() {
  needs numpy scipy h5py yaml || return
  python3 "$peers/cube_scenes.py" "$build/mote" "$work/cubes" &&
    operator_errors matter operator-errors-cubes.json "$work"/cubes/*.h5 --method uniform || return
  local data="${MOTE_DATA:-$work/data}" tests=()
  for name in elastic water nonnewtonian sand plasticine; do
    [ -f "$data/$name/test.h5" ] || "$build/mote" dataset "$here/scripts/datasets/$name.yaml" -o "$data/$name" || return
    tests+=("$data/$name/test.h5")
  done
  operator_errors datasets operator-errors-datasets.json "${tests[@]}" --ratio 0.1 --frames 156 || return
  [ -d "$meshes" ] || { echo "left out: no meshes in $meshes"; return 1; }
  python3 "$here/scripts/train/make_scenes.py" "$build/mote" "$meshes" "$work/scenes" --train 0 &&
    operator_errors matter operator-errors.json "$work"/scenes/*_test_*.h5
}
case_reduced() {
  "$build/mote-bench" reduced --json "$results/reduced.json" --csv "$results/reduced.csv" --plot "$results/reduced.png"
}
case_bench() { "$build/mote-bench" reconstruct --json "$results/reconstruct.json"; }
case_stepper() {
  needs torch numpy scipy h5py || return
  for allocator in stock keep; do
    for model in giorom gns; do
      python3 "$peers/stepper_peer.py" "$build/mote" --model "$model" --allocator "$allocator" \
        --json "$results/stepper-$model-$allocator.json" || return
    done
  done
  python3 "$peers/stepper_peer.py" "$build/mote" --side 0.94 --json "$results/stepper-giorom-filled.json"
}
case_training() {
  needs torch numpy h5py || return
  python3 "$peers/training_peer.py" "$build/mote-bench" --styles plain best split --json "$results/training.json" &&
    python3 "$peers/training_peer.py" "$build/mote-bench" --models "$here"/scripts/models/{sand,plasticine} \
      --particles 400 --batch 4 --styles plain best split --json "$results/training-shipped.json" || return
  grep -q amx_bf16 /proc/cpuinfo || { echo "no AMX: training-bfloat16x2.json is left out"; return 0; }
  python3 "$peers/training_peer.py" "$build/mote-bench" --styles plain best --precision bfloat16x2 \
    --json "$results/training-bfloat16x2.json"
}
case_scale() {
  needs numpy h5py || return
  local data="${MOTE_DATA:-$work/data}"
  [ -f "$data/water/test.h5" ] || "$build/mote" dataset "$here/scripts/datasets/water.yaml" -o "$data/water" || return
  python3 "$peers/scale.py" "$build/mote" --dense "$here/scripts/models/water-gns" --sparse "$here/scripts/models/water" \
    --operator "$here/scripts/operators/datasets" --input "$data/water/test.h5" --particles 100000 300000 \
    --json "$results/scale-water.json"
}
case_mpm() {
  needs taichi || return
  python3 "$peers/mpm_peer.py" --mote "$build/mote-bench" --json "$results/mpm-against-taichi.json"
}
case_neighbor() {
  make -s -C "$here" BUILD="$build" "$build/peers/nanoflann_peer" &&
    "$build/peers/nanoflann_peer" | tee "$results/neighbor-against-nanoflann.txt"
}
case_transport() {
  needs numpy scipy h5py || return
  python3 "$peers/transport_peer.py" "$build/mote" --json "$results/transport-against-assignment.json"
}

for name in "${cases[@]}"; do
  if ! declare -F "case_$name" >/dev/null; then
    echo "figures.sh: unknown case '$name'" >&2
    exit 2
  fi
done
for name in "${cases[@]}"; do
  echo "== $name"
  "case_$name" || failed+=("$name")
done
echo
if [ ${#failed[@]} -gt 0 ]; then
  echo "not remade: ${failed[*]}"
  exit 1
fi
echo "all in $results"
