#!/usr/bin/env bash
# A law of scripts/laws once more: train.sh MATTER BUILD OUT [options of mote train but --minutes]. Makes the trajectory of the
# cube of the matter's classical material in OUT, then learns the law from it in the phases of MATTER/training/, each from the
# best of the one before; OUT/law is the last one's. Begun again after a stop it goes on where it was.
set -euo pipefail
here=$(cd "$(dirname "$0")" && pwd)
if [ $# -lt 3 ] || [ ! -d "$here/$1/training" ] || [ ! -x "$2/mote" ]; then
  echo "usage: train.sh MATTER BUILD OUT [options of mote train]" >&2
  echo "MATTER is one of: $(cd "$here" && ls -d */training | xargs -n1 dirname | xargs)" >&2
  exit 2
fi
matter=$1 mote=$(realpath "$2/mote") out=$3
shift 3
mkdir -p "$out"
sed "s|^  matter: .*|  matter: $(cat "$here/$matter/material.yaml")|" "$here/scenes/cube.yaml" >"$out/cube.yaml"
[ -f "$out/cube.h5" ] || "$mote" simulate "$out/cube.yaml" -o "$out/cube.h5" --state --no-xdmf
last=()
mapfile -t phases < <(printf '%s\n' "$here/$matter/training"/[0-9]*.yaml | sort -V) # 10 behind 9
for phase in "${phases[@]}"; do
  law="$out/$(basename "$phase" .yaml)"
  cp "$phase" "$law.yaml"
  "$here/../train/phase.sh" "$mote" "$law.yaml" "$law" "${last[@]}" "$@"
  last=(--from "$law")
done
rm -rf "$out/law"
mkdir "$out/law"
cp "$law"/{config.json,model.safetensors} "$out/law/"
echo "$out/law"
