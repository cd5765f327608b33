#!/usr/bin/env bash
# The figures of the learned laws of matter (NCLaw, Ma et al. 2023): laws.sh BUILD [RESULTS [EXPERIMENT ...]]. An experiment
# is one scene of scripts/laws/scenes, simulated with the classical material, with the law that was learned from cube.yaml,
# and with the law as it was before training; errors are mean squared distances of particles over all frames.
#   cube time velocity shape boundary collision  one material, learned and untrained, for each of the four
#   contact                                      two laws in one scene: each material on or in water
#   melting                                      one law turns into another: each solid into water
#   training                                     how long 300 epochs take ($MOTE_TRAINING=1; long, and alone on the machine)
#   million                                      a million particles of the law of jelly ($MOTE_MILLION=1; long)
#   identify                                     parameters and velocities found again, without noise and with 1 %
#   movies                                       truth beside learned, an MP4 each ($MOTE_DATA/movies), and RESULTS/laws.png
# Writes RESULTS/laws.txt; its work stays in $MOTE_DATA, or bench-data/.
set -euo pipefail
if [ $# -lt 1 ] || [ ! -x "$1/mote" ]; then
  echo "usage: laws.sh BUILD [RESULTS [EXPERIMENT ...]]" >&2
  exit 2
fi
here=$(cd "$(dirname "$0")/.." && pwd)
mote=$(realpath "$1")/mote
results=${2:-bench/results}
work=$(realpath -m "${MOTE_DATA:-bench-data}")/laws
laws=$here/scripts/laws
export OMP_WAIT_POLICY=${OMP_WAIT_POLICY:-passive}
mkdir -p "$work" "$results"
results=$(realpath "$results")
shift $(($# < 2 ? $# : 2))
all=(cube time velocity shape boundary collision contact melting identify movies)
experiments=("$@")
[ ${#experiments[@]} -gt 0 ] || experiments=("${all[@]}" ${MOTE_MILLION:+million} ${MOTE_TRAINING:+training})
matters=(jelly plasticine sand water)

declare -A truth
for matter in "${matters[@]}"; do truth[$matter]=$(cat "$laws/$matter/material.yaml"); done
# The same with a law: MATTER FOLDER.
neural() { sed -E "s/kind: [a-z_]+, (density: [0-9]+, youngs_modulus: [^,]+, poisson_ratio: [^,}]+).*/kind: neural, \1, law: ${2//\//\\/}}/" <<<"${truth[$1]}"; }

# A scene with other materials: SCENE MATTER [OTHER], as mappings.
scene() {
  sed -E "s|^  matter: .*|  matter: $2|; ${3:+s|^  other: .*|  other: $3|}" "$laws/scenes/$1.yaml"
}

# The truth's trajectory: NAME, its scene on standard input.
simulate() {
  cat >"$work/$1.yaml"
  [ -f "$work/$1.h5" ] || "$mote" simulate "$work/$1.yaml" -o "$work/$1.h5" --no-xdmf --quiet "${@:2}"
}

# The mean squared distance from the truth of a law: NAME (whose truth is there) [options of mote train].
squared() {
  printf 'kind: constitutive\nscene: %s.yaml\ntrajectory: %s.h5\nepochs: 0\nlaw: {}\n' "$1" "$1" >"$work/$1-run.yaml"
  "$mote" train "$work/$1-run.yaml" -o "$work/scratch" --device cpu "${@:2}" 2>&1 |
    sed -nE 's/^before: .*squared ([^ ]+) m\^2( \(.*)?/\1\2/p' | sed 's/ (.*/*/'
}

# The law of a material before its training.
untrained() {
  if [ ! -f "$work/untrained-$1/model.safetensors" ]; then
    scene cube "${truth[$1]}" | simulate "cube-$1" --state
    mkdir -p "$work/untrained-$1"
    sed -E "s|^scene: .*|scene: $work/cube-$1.yaml|; s|^trajectory: .*|trajectory: $work/cube-$1.h5|; s|^epochs: .*|epochs: 0|" \
      "$laws/$1/training/1.yaml" >"$work/untrained-$1.yaml"
    "$mote" train "$work/untrained-$1.yaml" -o "$work/untrained-$1" --device cpu --quiet
  fi
  echo "$work/untrained-$1"
}

one_material() {
  printf '\n%s: mean squared distance, m^2 (*: it cannot be simulated to its end, and counts as if it stopped there)\n' "$1"
  printf '%-12s %12s %12s %12s\n' "" learned untrained times
  for matter in "${matters[@]}"; do
    scene "$1" "${truth[$matter]}" | simulate "$1-$matter" $([ "$1" != cube ] || echo --state)
    local learned before
    learned=$(squared "$1-$matter" --from "$laws/$matter")
    before=$(squared "$1-$matter" --from "$(untrained "$matter")")
    printf '%-12s %12s %12s %12.0f\n' "$matter" "$learned" "$before" "$(awk -v a="${before%\*}" -v b="${learned%\*}" 'BEGIN {print a / b}')"
  done
}

# Two laws in one scene, truth against learned: SCENE.
two_materials() {
  printf '\n%s: mean distance, mm\n' "$1"
  for matter in "${matters[@]}"; do
    [ "$matter" != water ] || continue
    local name="$1-$matter"
    scene "$1" "${truth[$matter]}" "${truth[water]}" | simulate "$name"
    scene "$1" "$(neural "$matter" "$laws/$matter")" "$(neural water "$laws/water")" | simulate "$name-learned"
    printf '%-12s %s\n' "$matter" "$("$mote" evaluate "$work/$name-learned.h5" --against "$work/$name.h5" --history 0 \
      --no-sinkhorn --device cpu --quiet | awk '$1 ~ /learned.h5/ {print $5; exit}')"
  done
}

# A law of the published size, from the start: 300 epochs of 1,000 particles and 1,000 steps.
training() {
  scene cube "${truth[sand]}" | simulate cube-sand --state
  cat >"$work/training.yaml" <<YAML
kind: constitutive
scene: cube-sand.yaml
trajectory: cube-sand.h5
law: {strain: 0.05, plasticity_scale: 0.05}
isotropic: true
loss: {position: 1, velocity: 1}
restarts: {from: 8, to: 400}
elasticity: {rate: 4.0e-3, clip: 1.0e-2}
plasticity: {rate: 4.0e-3, clip: 1.0e-2}
epochs: 300
validate_every: 5
ema: 0.98
YAML
  rm -rf "$work/training"
  printf '\ntraining: 300 epochs of sand, 1,000 particles, 1,000 steps, networks 13-64-64-9, on %s threads\n' "$(nproc)"
  env -u OMP_WAIT_POLICY "$mote" train "$work/training.yaml" -o "$work/training" --device cpu 2>&1 | sed -nE 's/^.*: 300 steps, [0-9]+ parameters, /took /p'
}

million() {
  printf '\nmillion: the law of jelly at a tenth of the spacing, %s\n' "mean distance from the classical material, mm"
  scene million "${truth[jelly]}" | simulate million
  scene million "$(neural jelly "$laws/jelly")" | simulate million-learned
  "$mote" evaluate "$work/million-learned.h5" --against "$work/million.h5" --history 0 --no-sinkhorn --device cpu --quiet |
    awk '$1 ~ /learned.h5/ {print $5; exit}'
}

# Parameters of a material and the cube's velocity from positions alone, a frame every 5 steps: MATTER TRUE GUESS UNKNOWNS
# NOISE, the latter in m; a line for each number.
identify_one() {
  local name="identify-$1" run="$work/identify-$1-$5.yaml"
  frames() { sed 's/steps_per_frame: 1, frames: 1000/steps_per_frame: 5, frames: 120/'; }
  scene cube "$2" | frames | simulate "$name"
  scene cube "$3" | frames | sed 's/velocity: \[1.2, -2, 0.6\]/velocity: [0.6, -1.4, 0.2]/' >"$work/$name-guess.yaml"
  cat >"$run" <<YAML
kind: constitutive
scene: $name-guess.yaml
trajectory: $name.h5
noise: $5
identify:
  materials: {matter: $4}
  bodies: {0: {velocity: [[-4, -4, -4], [4, 4, 4]]}}
restarts: {from: 100}
epochs: 80
YAML
  rm -rf "$work/found-$1-$5"
  "$mote" train "$run" -o "$work/found-$1-$5" --device cpu --quiet
  local key value expected
  sed -nE 's/^[[:space:]]*"([^"]+)":[[:space:]]*([-0-9.e+]+),?$/\1 \2/p' "$work/found-$1-$5/identified.json" | sed 's/^body 0/body-0/' |
    while read -r key value; do
      case $key in
      matter.*) expected=$(sed -nE "s/.*${key#matter.}: ([-0-9.e+]+).*/\1/p" <<<"$2") ;;
      *.x) expected=1.2 ;; *.y) expected=-2 ;; *.z) expected=0.6 ;;
      *) continue ;;
      esac
      awk -v m="$1" -v n="$5" -v k="$key" -v v="$value" -v e="$expected" \
        'BEGIN {printf "%-12s %-8s %-26s %12.6g %12.6g %9.2f %%\n", m, n, k, v, e, 100 * (v / e - 1)}'
    done
}

identify() {
  printf '\nidentify: from positions alone, every fifth step; noise of 2.5 mm is 1 %% of the cube\n'
  printf '%-12s %-8s %-26s %12s %12s %11s\n' "" "noise, m" "" found true off
  for noise in 0 2.5e-3; do
    identify_one jelly "${truth[jelly]}" '{kind: fixed_corotated, density: 1000, youngs_modulus: 4.0e4, poisson_ratio: 0.2}' \
      '{youngs_modulus: [1.0e4, 3.0e5], poisson_ratio: [0.05, 0.42]}' "$noise"
    identify_one plasticine "${truth[plasticine]}" \
      '{kind: von_mises, density: 1000, youngs_modulus: 5.0e4, poisson_ratio: 0.2, yield_stress: 6000}' \
      '{youngs_modulus: [1.0e4, 3.0e5], poisson_ratio: [0.05, 0.42], yield_stress: [500, 2.0e4]}' "$noise"
    identify_one sand "${truth[sand]}" \
      '{kind: drucker_prager, density: 1600, youngs_modulus: 1.0e5, poisson_ratio: 0.2, friction_angle: 40, volume_correction: 0}' \
      '{friction_angle: [5, 60]}' "$noise"
    identify_one water '{kind: newtonian, density: 1000, youngs_modulus: 1.0e5, poisson_ratio: 0.3, viscosity: 10}' \
      '{kind: newtonian, density: 1000, youngs_modulus: 4.0e4, poisson_ratio: 0.3, viscosity: 30}' \
      '{youngs_modulus: [1.0e4, 3.0e5], viscosity: [1, 100]}' "$noise"
  done
}

movies() {
  mkdir -p "$work/movies"
  for scene in cube shape collision contact melting; do
    for matter in "${matters[@]}"; do
      local name="$scene-$matter"
      [ -f "$work/$name.h5" ] || continue
      [ -f "$work/$name-learned.h5" ] ||
        scene "$scene" "$(neural "$matter" "$laws/$matter")" "$(neural water "$laws/water")" | simulate "$name-learned"
      "$mote" render "$work/$name.h5" "$work/$name-learned.h5" -o "$work/movies/$name.mp4" -t truth,learned \
        --every $([ "$scene" = cube ] && echo 10 || echo 1) --quiet
    done
  done
  if [ -f "$work/contact-jelly-learned.h5" ]; then
    "$mote" render "$work/contact-jelly.h5" "$work/contact-jelly-learned.h5" -o "$results/laws.png" -t truth,learned --frame 60 --quiet
  fi
  printf '\nmovies: %s\n' "$(find "$work/movies" -name '*.mp4' | wc -l) in the work's folder"
}

for experiment in "${experiments[@]}"; do
  case $experiment in
  cube | time | velocity | shape | boundary | collision) one_material "$experiment" ;;
  contact | melting) two_materials "$experiment" ;;
  million | movies | identify | training) "$experiment" ;;
  *) echo "laws.sh: no experiment is called $experiment: expected some of ${all[*]} million training" >&2 && exit 2 ;;
  esac | tee "$work/$experiment.txt"
done
# all that were made so far, in their order
for experiment in "${all[@]}" million training; do
  [ ! -f "$work/$experiment.txt" ] || cat "$work/$experiment.txt"
done >"$results/laws.txt"
