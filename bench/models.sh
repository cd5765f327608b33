#!/usr/bin/env bash
# The figures of the shipped time-steppers: models.sh BUILD [RESULTS [NAME ...]]. Makes each model's data sets where they
# are not there ($MOTE_DATA, or bench-data/) and rolls out 150 frames of scenes that training never saw, only stepped
# particles counting: the test split of the model's own data from several numbers of particles; five scenes like them, but
# of no fewer than 2,001 particles, from 500, 1,000 and 2,000; meshes, where ../shared/meshes is. Its first five scenes once
# more for 1,000 frames, and with all particles: 1,000 are stepped and the rest is reconstructed, without learning and with
# it, and 500 with it, beside the dense graph network's steps where there is a NAME-gns. Writes RESULTS/model-NAME.txt.
set -euo pipefail
if [ $# -lt 1 ] || [ ! -x "$1/mote" ]; then
  echo "usage: models.sh BUILD [RESULTS [NAME ...]]" >&2
  exit 2
fi
build=$1
results=${2:-bench/results}
data=${MOTE_DATA:-bench-data}
here=$(cd "$(dirname "$0")/.." && pwd)
mote="$build/mote"
meshes=${MOTE_SHARED:-$here/../shared}/meshes
export OMP_WAIT_POLICY=${OMP_WAIT_POLICY:-passive}
mkdir -p "$data" "$results"
shift $(($# < 2 ? $# : 2))
names=("$@")
[ ${#names[@]} -gt 0 ] || for config in "$here"/scripts/models/*/config.json; do
  name=$(basename "$(dirname "$config")")
  [[ $name == *-gns ]] || names+=("$name")
done

# Five scenes of the test split of a spec: SPEC [PARTICLES], the latter as the key's value (the spec's own).
only_test() {
  sed -E "s/^  (train|valid): .*/  \1: 1/; s/^    count: .*/    count: 5/; ${2:+s/^particles: .*/particles: $2/}" "$1"
}

# Its bodies as meshes: SPEC SIZE.
with_meshes() {
  local body
  body=$(grep -A1 '^  bodies:' "$1" | tail -1 | tr -d ' :')
  only_test "$1" "[800, 9000]" | sed '/^    scene:/,$d; s/number: .*/number: 1/'
  printf '    scene:\n      bodies:\n        %s:\n          form:\n            choose:\n' "$body"
  for mesh in bunny spot bob; do
    printf '              - mesh: {file: %s, size: %s}\n' "$(realpath "$meshes/$mesh.obj")" "$2"
  done
  printf '          rotation: random\n          velocity: {isotropic: [0.5, 1.5]}\n'
}

# NAME: makes $data/NAME of the spec on standard input.
make_data() {
  cat >"$data/$1.yaml"
  [ -f "$data/$1/test.h5" ] || "$mote" dataset "$data/$1.yaml" -o "$data/$1" --quiet
}

# How far beyond the walls matter gets in the model's own data: NAME.
reach_of() { sed -nE 's/.*"reach":[[:space:]]*([0-9.e-]+).*/\1/p' "$data/$1/metadata.json"; }

# NAME TEST COUNT...: rolls out, then the table without what is the same for every file of it.
table() {
  local model="$here/scripts/models/$1" reach test=$2 files=()
  reach=$(reach_of "$1")
  shift 2
  for count in "$@"; do
    "$mote" rollout --model "$model" --input "$test" --sparse "$count" --only-sparse --steps 150 \
      -o "$data/sparse-$count.h5" --quiet
    files+=("$data/sparse-$count.h5")
  done
  "$mote" evaluate "${files[@]}" --against "$test" --reach "$reach" --chamfer-every 30 |
    grep -vE 'of its label|ends after'
}

# OUT TEST ...: a rollout of all particles, and what its steps took, mean over the trajectories.
timed() {
  local out=$1 test=$2 said
  shift 2
  said=$("$mote" rollout "$@" --input "$test" --steps 150 -o "$data/$out" 2>&1) || { echo "$said" >&2; return 1; }
  tail -1 <<<"$said"
}

# WHAT COMMAND...: whether the rollout ends; says that it diverged where it did. Any other failure is one of the whole.
finite() {
  local what=$1 said
  shift
  { said=$("$@" 2>&1 >&3 3>&-); } 3>&1 && return 0
  grep -q 'the rollout diverged' <<<"$said" || { echo "$said" >&2; exit 1; }
  echo "$what diverged"
  return 1
}

# NAME TEST: all particles, by the baseline where there is one, and by the model with either operator.
dense() {
  local ours=(--model "$here/scripts/models/$1") files=() baseline= learned="$here/scripts/operators/datasets"
  [ ! -d "$here/scripts/models/$1-gns" ] || baseline="the dense graph network; "
  echo "all particles of the first five: ${baseline}1,000 stepped and the rest reconstructed without learning, and with it; 500 stepped, with it"
  if [ -n "$baseline" ]; then
    if finite "the dense graph network" timed dense.h5 "$2" --model "$here/scripts/models/$1-gns"; then
      files+=("$data/dense.h5")
    fi
  fi
  timed unlearned.h5 "$2" "${ours[@]}" --sparse 1000
  timed learned.h5 "$2" "${ours[@]}" --sparse 1000 --operator "$learned"
  timed learned-500.h5 "$2" "${ours[@]}" --sparse 500 --operator "$learned"
  "$mote" evaluate "${files[@]}" "$data"/{unlearned,learned,learned-500}.h5 --against "$2" --reach "$(reach_of "$1")" \
    --chamfer-every 30 | grep -vE 'ends after'
}

for name in "${names[@]}"; do
  model="$here/scripts/models/$name" spec="$here/scripts/datasets/$name.yaml"
  [ -f "$data/$name/test.h5" ] || "$mote" dataset "$spec" -o "$data/$name"
  only_test "$spec" | make_data "$name-few"
  only_test "$spec" "[2001, 9000]" | make_data "$name-fine"
  {
    echo "$name: rollouts of 150 frames from as many particles as the name says"
    echo
    echo "scripts/datasets/$name.yaml, test split"
    table "$name" "$data/$name/test.h5" 500 1000
    echo
    echo "five like them, those of fewer than 2,001 particles drawn again"
    table "$name" "$data/$name-fine/test.h5" 500 1000 2000
    echo
    if [ -f "$meshes/bunny.obj" ]; then
      size=$(grep -q 'cells: 24' "$spec" && echo 0.5 || echo 0.42)
      with_meshes "$spec" "$size" | make_data "$name-meshes"
      echo "meshes: bunny, spot and bob, of size $size m"
      table "$name" "$data/$name-meshes/test.h5" 500
    else
      echo "meshes: ../shared/meshes is not there"
    fi
    echo
    long="1,000 frames of the first five, from 500 particles:"
    if finite "$long" "$mote" rollout --model "$model" --input "$data/$name-few/test.h5" --sparse 500 --only-sparse \
      --steps 994 --every 7 -o "$data/long.h5" --quiet; then
      echo "$long finite"
    fi
    echo
    dense "$name" "$data/$name-few/test.h5"
  } | sed "s#$data/##g" | tee "$results/model-$name.txt"
done
