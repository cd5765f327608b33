#!/usr/bin/env bash
# A law of scripts/laws once more: train.sh MATTER BUILD OUT [options of mote train]. Makes the trajectory of the cube of the
# matter's classical material in OUT, then learns the law from it, as MATTER/training.yaml says, into OUT/law. Begun again
# after a stop it goes on where it was.
set -euo pipefail
here=$(cd "$(dirname "$0")" && pwd)
if [ $# -lt 3 ] || [ ! -f "$here/$1/training.yaml" ] || [ ! -x "$2/mote" ]; then
  echo "usage: train.sh MATTER BUILD OUT [options of mote train]" >&2
  echo "MATTER is one of: $(cd "$here" && ls -d */training.yaml | xargs -n1 dirname | xargs)" >&2
  exit 2
fi
matter=$1 mote=$(realpath "$2/mote") out=$3
shift 3
mkdir -p "$out"
sed "s|^  matter: .*|  matter: $(cat "$here/$matter/material.yaml")|" "$here/scenes/cube.yaml" >"$out/cube.yaml"
[ -f "$out/cube.h5" ] || "$mote" simulate "$out/cube.yaml" -o "$out/cube.h5" --state --no-xdmf
cp "$here/$matter/training.yaml" "$out/training.yaml"
resume=()
[ ! -f "$out/law/state.safetensors" ] || resume=(--resume)
"$mote" train "$out/training.yaml" -o "$out/law" "${resume[@]}" "$@"
