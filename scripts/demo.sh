#!/usr/bin/env bash
# The demonstration: simulate 100,000 particles, keep one in twenty and one in a hundred, reconstruct all of them
# from those alone, without learning and with it, measure, and draw. Everything lands in demo-output/ (or
# $MOTE_DEMO_OUTPUT).
set -euo pipefail
build=$1
here=$(cd "$(dirname "$0")" && pwd)
out=${MOTE_DEMO_OUTPUT:-demo-output}
mote="$build/mote"
export OMP_WAIT_POLICY=${OMP_WAIT_POLICY:-passive}
mkdir -p "$out"

"$mote" simulate "$here/scenes/demo.yaml" -o "$out/truth.h5" --diagnostics
for keep in 20 100; do
  "$mote" sample "$out/truth.h5" --ratio "$(awk "BEGIN { print 1 / $keep }")" --per-body -o "$out/sparse_$keep.h5"
  "$mote" reconstruct --sparse "$out/sparse_$keep.h5" --reference "$out/truth.h5" -o "$out/unlearned_$keep.h5"
  "$mote" reconstruct --sparse "$out/sparse_$keep.h5" --reference "$out/truth.h5" --operator "$here/operators/matter" \
    -o "$out/learned_$keep.h5"
done
"$mote" render "$out/truth.h5" "$out/sparse_20.h5" "$out/learned_20.h5" \
  --titles "truth,one particle in twenty,reconstruction" -o "$out/demo.mp4"
"$mote" render "$out/truth.h5" "$out/sparse_20.h5" "$out/learned_20.h5" \
  --titles "truth,one particle in twenty,reconstruction" --frame 60 -o "$out/demo.png"
"$mote" evaluate "$out/unlearned_20.h5" "$out/learned_20.h5" "$out/unlearned_100.h5" \
  "$out/learned_100.h5" --against "$out/truth.h5" --chamfer-every 20 --history 0 \
  --csv "$out/errors.csv" --plot "$out/errors.png" | tee "$out/errors.txt"

echo
echo "trajectory for ParaView  $out/truth.xdmf ($out/truth.h5), $out/learned_20.xdmf"
echo "movie, picture           $out/demo.mp4, $out/demo.png"
echo "errors                   $out/errors.txt, $out/errors.csv, $out/errors.png"
