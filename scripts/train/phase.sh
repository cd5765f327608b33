#!/usr/bin/env bash
# One phase of a training, whatever became of it before: phase.sh MOTE RUN.yaml MODEL [--from FOLDER] [options of mote train].
# A phase that ended is left as it is, one that was broken off goes on, without the --from that it began with.
set -euo pipefail
mote=$1 run=$2 model=$3
shift 3
if [ -f "$model/done" ]; then
  echo "$run is done"
  exit
fi
if [ -f "$model/state.safetensors" ]; then
  [ "${1:-}" != --from ] || shift 2
  set -- --resume "$@"
fi
"$mote" train "$run" -o "$model" "$@"
touch "$model/done"
