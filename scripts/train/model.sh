#!/usr/bin/env bash
# A model of scripts/models once more: model.sh NAME BUILD OUT [options of mote train but --minutes]. Makes the data that its
# training/N.yaml name (of training/ or scripts/datasets/), then trains the phases in turn, each from the end of the one
# before, the first from nothing or from the shipped model that training/from names; OUT/NAME-model is the last one's. Begun
# again after a stop it goes on where it was.
set -euo pipefail
here=$(cd "$(dirname "$0")/.." && pwd)
if [ $# -lt 3 ] || [ ! -d "$here/models/$1/training" ] || [ ! -x "$2/mote" ]; then
  echo "usage: model.sh NAME BUILD OUT [options of mote train]" >&2
  echo "NAME is one of: $(cd "$here/models" && ls -d */training | xargs -n1 dirname | xargs)" >&2
  exit 2
fi
name=$1 mote=$(realpath "$2/mote") out=$3 training="$here/models/$1/training"
shift 3
mkdir -p "$out"
last=()
[ ! -f "$training/from" ] || last=(--from "$here/models/$(cat "$training/from")")
mapfile -t phases < <(printf '%s\n' "$training"/[0-9]*.yaml | sort -V) # 10 behind 9
for phase in "${phases[@]}"; do
  run="$out/$name-$(basename "$phase")" model="$out/$name-$(basename "$phase" .yaml)"
  for data in $(sed -nE 's/^(data|statistics): *//p' "$phase"); do
    spec="$training/$data.yaml"
    [ -f "$spec" ] || spec="$here/datasets/$data.yaml"
    [ -f "$out/$data/test.h5" ] || "$mote" dataset "$spec" -o "$out/$data"
  done
  cp "$phase" "$run"
  "$here/train/phase.sh" "$mote" "$run" "$model" "${last[@]}" "$@"
  last=(--from "$model/last")
done
final="$out/$name-model" # the data may be called as the model is
rm -rf "$final"
mkdir "$final"
cp "$model"/{config.json,model.safetensors,metadata.json} "$final/"
echo "$final"
