#!/usr/bin/env bash
# A model of scripts/models once more: model.sh NAME BUILD OUT [options of mote train but --minutes]. Makes the data that its
# training/N.yaml name (of training/, for NAME-gns also of NAME's, or of scripts/datasets/), then trains the phases in turn,
# each from the end of the one before or of that which training/N.from names, the first from nothing or from the shipped
# model that training/from names. training/N.mean in the place of N.yaml names phases, and N is the mean of what these came
# to (mote average). OUT/NAME-model is the last one's. Begun again after a stop it goes on where it was.
set -euo pipefail
here=$(cd "$(dirname "$0")/.." && pwd)
if [ $# -lt 3 ] || [ ! -d "$here/models/$1/training" ] || [ ! -x "$2/mote" ]; then
  echo "usage: model.sh NAME BUILD OUT [options of mote train]" >&2
  echo "NAME is one of: $(cd "$here/models" && ls -d */training | xargs -n1 dirname | xargs)" >&2
  exit 2
fi
name=$1 mote=$(realpath "$2/mote") out=$3 training="$here/models/$1/training"
shift 3
options=("$@")
mkdir -p "$out"
last=()
[ ! -f "$training/from" ] || last=(--from "$here/models/$(cat "$training/from")")
mapfile -t phases < <(cd "$training" && printf '%s\n' [0-9]*.yaml [0-9]*.mean | grep -v '\*' | sort -V) # 10 behind 9
train() { # NUMBER
  local phase="$training/$1.yaml" run="$out/$name-$1.yaml" data spec
  for data in $(sed -nE 's/^(data|statistics): *//p' "$phase"); do
    for spec in "$training" "$here/models/${name%-gns}/training" "$here/datasets"; do
      spec="$spec/$data.yaml"
      [ ! -f "$spec" ] || break
    done
    [ -f "$out/$data/test.h5" ] || "$mote" dataset "$spec" -o "$out/$data"
  done
  [ ! -f "$training/$1.from" ] || last=(--from "$out/$name-$(cat "$training/$1.from")/last")
  cp "$phase" "$run"
  "$here/train/phase.sh" "$mote" "$run" "$model" "${last[@]}" "${options[@]}"
}
mean() { # NUMBER
  local of=() number
  for number in $(cat "$training/$1.mean"); do of+=("$out/$name-$number/last"); done
  mkdir -p "$model"
  "$mote" average "${of[@]}" -o "$model/last"
  cp "$model"/last/* "$model/"
}
for phase in "${phases[@]}"; do
  number=${phase%.*} model="$out/$name-${phase%.*}"
  if [ -f "$training/$number.mean" ]; then mean "$number"; else train "$number"; fi
  last=(--from "$model/last")
done
final="$out/$name-model" # the data may be called as the model is
rm -rf "$final"
mkdir "$final"
cp "$model"/{config.json,model.safetensors,metadata.json} "$final/"
echo "$final"
