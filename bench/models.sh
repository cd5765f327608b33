#!/usr/bin/env bash
# The figures of the shipped time-steppers: models.sh BUILD [RESULTS]. Makes each model's data set where it is not there
# ($MOTE_DATA, or bench-data/), rolls out its test split, which has shapes and velocities that training never saw, from
# several numbers of particles, and once for 1,000 frames. Writes RESULTS/model-NAME.txt (bench/results/).
set -euo pipefail
build=$1
results=${2:-bench/results}
data=${MOTE_DATA:-bench-data}
here=$(cd "$(dirname "$0")/.." && pwd)
mote="$build/mote"
export OMP_WAIT_POLICY=${OMP_WAIT_POLICY:-passive}
mkdir -p "$data" "$results"

# The table without what is the same for every file of it.
table() { "$mote" evaluate "$@" --chamfer-every 30 | grep -vE 'of its label|ends after'; }

for config in "$here"/scripts/models/*/config.json; do
  model=$(dirname "$config")
  name=$(basename "$model")
  test="$data/$name/test.h5"
  [ -f "$test" ] || "$mote" dataset "$here/scripts/datasets/$name.yaml" -o "$data/$name"
  out="$results/model-$name.txt"
  {
    echo "$name: rollouts of 150 frames of scripts/datasets/$name.yaml, test split, from as many particles as the name says"
    for count in 500 1000 1500; do
      "$mote" rollout --model "$model" --input "$test" --sparse $count --only-sparse --steps 150 \
        -o "$data/sparse-$count.h5" --quiet
    done
    table "$data"/sparse-{500,1000,1500}.h5 --against "$test"
    echo
    if "$mote" rollout --model "$model" --input "$test" --sparse 500 --only-sparse --steps 994 --every 7 \
      -o "$data/long.h5" --quiet; then
      echo "1,000 frames of each, from 500 particles: finite"
    else
      echo "1,000 frames of each, from 500 particles: diverged"
    fi
  } | sed "s#$data/##g" | tee "$out"
done
