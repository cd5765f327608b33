#!/usr/bin/env bash
# The demonstration: simulate 100,000 particles, keep one in twenty and one in a hundred, reconstruct all of them
# from those alone, without learning and with it, measure, and draw. Then a trained time-stepper: a soft torus, of which
# 500 particles are stepped from six frames on and all others reconstructed, again without learning and with it; and
# beside it the dense graph network, which steps one particle in eight, as dense as what it was trained on, the rest
# reconstructed. Everything lands in demo-output/ (or $MOTE_DEMO_OUTPUT).
set -euo pipefail
build=$1
here=$(cd "$(dirname "$0")" && pwd)
out=${MOTE_DEMO_OUTPUT:-demo-output}
mote="$build/mote"
export OMP_WAIT_POLICY=${OMP_WAIT_POLICY:-passive}
mkdir -p "$out"
movie() { # a movie of the files of its arguments
  if command -v ffmpeg >/dev/null; then "$mote" render "$@"; else echo "no ffmpeg on this machine: no movie" >&2; fi
}

"$mote" simulate "$here/scenes/demo.yaml" -o "$out/truth.h5" --diagnostics
for keep in 20 100; do
  "$mote" sample "$out/truth.h5" --ratio "$(awk "BEGIN { print 1 / $keep }")" --per-body -o "$out/sparse_$keep.h5"
  "$mote" reconstruct --sparse "$out/sparse_$keep.h5" --reference "$out/truth.h5" -o "$out/unlearned_$keep.h5"
  "$mote" reconstruct --sparse "$out/sparse_$keep.h5" --reference "$out/truth.h5" --operator "$here/operators/matter" \
    -o "$out/learned_$keep.h5"
done
movie "$out/truth.h5" "$out/sparse_20.h5" "$out/learned_20.h5" \
  --titles "truth,one particle in twenty,reconstruction" -o "$out/demo.mp4"
"$mote" render "$out/truth.h5" "$out/sparse_20.h5" "$out/learned_20.h5" \
  --titles "truth,one particle in twenty,reconstruction" --frame 60 -o "$out/demo.png"
"$mote" evaluate "$out/unlearned_20.h5" "$out/learned_20.h5" "$out/unlearned_100.h5" \
  "$out/learned_100.h5" --against "$out/truth.h5" --chamfer-every 20 --history 0 \
  --csv "$out/errors.csv" --plot "$out/errors.png" | tee "$out/errors.txt"

"$mote" simulate "$here/scenes/jelly.yaml" -o "$out/jelly.h5"
"$mote" rollout --model "$here/models/elastic" --input "$out/jelly.h5" --sparse 500 -o "$out/jelly_rollout.h5"
"$mote" rollout --model "$here/models/elastic" --input "$out/jelly.h5" --sparse 500 --operator "$here/operators/datasets" \
  -o "$out/jelly_learned.h5"
"$mote" rollout --model "$here/models/elastic-gns" --input "$out/jelly.h5" --sparse 3819 -o "$out/jelly_dense.h5"
jelly=("$out/jelly.h5" "$out/jelly_learned.h5" "$out/jelly_dense.h5" --titles "truth,500 stepped,dense network: 3819 stepped")
movie "${jelly[@]}" -o "$out/jelly.mp4"
"$mote" render "${jelly[@]}" --frame 110 -o "$out/jelly.png"
# Inside is who is no farther beyond the walls than matter in the model's training data, where the model stops it.
reach=$(sed -nE 's/.*"wall_stop":[[:space:]]*([0-9.e-]+).*/\1/p' "$here/models/elastic/config.json")
"$mote" evaluate "$out"/jelly_{rollout,learned,dense}.h5 --against "$out/jelly.h5" --reach "$reach" \
  --csv "$out/jelly.csv" --plot "$out/jelly-errors.png" | tee "$out/jelly.txt"

echo
echo "trajectory for ParaView  $out/truth.xdmf ($out/truth.h5), $out/learned_20.xdmf"
echo "movie, picture           $out/demo.mp4, $out/demo.png"
echo "errors                   $out/errors.txt, $out/errors.csv, $out/errors.png"
echo "learned time-stepper     $out/jelly_learned.h5, $out/jelly.mp4, $out/jelly.png, $out/jelly.txt, $out/jelly-errors.png"
