#!/usr/bin/env bash
# Everything that needs a real GPU, in one command: gpu_check.sh BUILD [STAGE ...]. BUILD is a built tree, or what
# scripts/pack.sh makes of one. Stages, in this order, all by default: tests (all test programs on the device `cuda`),
# sanitizer (the kernel tests under compute-sanitizer's four tools), demo, bench, peers (a step against PyTorch's on the same
# GPU, where Python has torch, scipy and h5py); and only if named, profile (kernels against their floors, by Nsight
# Compute's counters: kernel_floors.py). What fails is said in the summary at the end, as is what the sanitizer had no time
# for ($MOTE_GPU_SECONDS for all, 480); logs and figures lie in $MOTE_GPU_OUTPUT (gpu-output/), the figures as <gpu>.json
# too.
set -u
here=$(cd "$(dirname "$0")" && pwd)
if [ $# -lt 1 ] || [ ! -x "$1/mote" ]; then
  echo "usage: gpu_check.sh BUILD [tests] [sanitizer] [demo] [bench] [peers] [profile]" >&2
  exit 2
fi
build=$(cd "$1" && pwd)
shift
stages=" ${*:-tests sanitizer demo bench peers} "
for stage in $stages; do
  case $stage in tests | sanitizer | demo | bench | peers | profile) ;; *) echo "gpu_check: unknown stage '$stage'" >&2 && exit 2 ;; esac
done
out=${MOTE_GPU_OUTPUT:-gpu-output}
jobs=${MOTE_GPU_JOBS:-$(nproc)}
patience=${MOTE_GPU_PATIENCE:-150} # seconds that a test program, or one under the sanitizer, may take
seconds=${MOTE_GPU_SECONDS:-480}   # that all may take: what is left for the sanitizer, the demo and figures apart
sanitized=$(($(date +%s) + seconds - 210 - patience / 2)) # no part of the sanitizer begins later
export OMP_WAIT_POLICY=${OMP_WAIT_POLICY:-passive} OMP_NUM_THREADS=${OMP_NUM_THREADS:-2}
[ -d "$build/lib" ] && export LD_LIBRARY_PATH="$build/lib:${LD_LIBRARY_PATH:-}"
mkdir -p "$out/tests" "$out/sanitizer"
rm -f "$out"/sanitizer/*.late
out=$(cd "$out" && pwd)
failures="$out/failures.txt"
: >"$failures"

if ! "$build/mote" devices | tee "$out/devices.txt" | grep -q '^cuda:0'; then
  echo "gpu_check: no CUDA device" >&2
  exit 1
fi

# A test program whole, but for what runs on the CPU or the emulated device.
run_test() {
  local program=$1 name log
  name=$(basename "$program") log="$out/tests/$name.log"
  timeout "$patience" "$program" --gtest_color=no --gtest_filter='-*/cpu*:*/emu*' >"$log" 2>&1
  local code=$?
  printf '%-14s %4d passed %3d failed  exit %d\n' "$name" "$(grep -c '^\[       OK \]' "$log")" \
    "$(grep -c '^\[  FAILED  \].*ms)$' "$log")" $code
  [ $code -eq 0 ] && return
  { [ $code -eq 124 ] && echo "tests/$name: not finished in $patience s"
    grep '^\[  FAILED  \].*ms)$' "$log" | sed "s/^/tests\/$name: /"
    [ $code -gt 124 ] && echo "tests/$name: crashed ($code) in $(grep '^\[ RUN' "$log" | tail -1)"; } >>"$failures"
}

# A part of the kernel tests of a program under one tool, whose exit code tells: 99. Left out are downloads of buffers
# that are not all written (what kernels read is checked), allocations that tests mean to be refused, and whole
# trajectories, whose kernels smaller tests run too.
run_sanitizer() {
  local tool=$1 program=$2 shard=$3 shards=$4 name log
  name=$(basename "$program")
  [ "$shards" -gt 1 ] && name+=.$shard
  [ "$(date +%s)" -gt "$sanitized" ] && echo "$name" >>"$out/sanitizer/$tool.late" && return
  log="$out/sanitizer/$name.$tool.log"
  local options=()
  [ "$tool" = memcheck ] && options=(--report-api-errors no)
  [ "$tool" = initcheck ] && options=(--check-api-memory-access no)
  GTEST_TOTAL_SHARDS=$shards GTEST_SHARD_INDEX=$shard timeout "$patience" compute-sanitizer --tool "$tool" "${options[@]}" \
    --error-exitcode 99 --print-limit 20 "$program" --gtest_color=no --gtest_filter='*cuda*-*OracleTest*' >"$log" 2>&1
  local code=$?
  printf '%-14s %-10s exit %3d  %s\n' "$name" "$tool" $code "$(grep -E 'SUMMARY' "$log" | tail -1)"
  [ $code -eq 124 ] && echo "sanitizer/$name $tool: not finished in $patience s, in $(grep '^\[ RUN' "$log" | tail -1)" >>"$failures"
  [ $code -eq 0 ] || [ $code -eq 124 ] || echo "sanitizer/$name $tool: exit $code" >>"$failures"
}
export -f run_test run_sanitizer
export out patience failures sanitized

has() { [[ $stages == *" $1 "* ]]; }
programs() { for p in "$build"/tests/*; do [ -f "$p" ] && [ -x "$p" ] && echo "$p"; done; }
# Shards of about eight tests each: program, shard, shards.
kernel_shards() {
  programs | while read -r p; do
    tests=$("$p" --gtest_list_tests --gtest_filter='*cuda*-*OracleTest*' 2>/dev/null | grep -c '/cuda')
    shards=$(((tests + 7) / 8))
    for ((k = 0; k < shards; k++)); do echo "$p $k $shards"; done
  done
}

if has tests; then
  programs | xargs -P "$jobs" -I{} bash -c 'run_test {}' | tee "$out/tests.txt"
fi
if has sanitizer; then
  if command -v compute-sanitizer >/dev/null; then
    for tool in memcheck synccheck initcheck racecheck; do
      kernel_shards | sed "s/^/$tool /"
    done | xargs -P "$jobs" -L1 bash -c 'run_sanitizer "$@"' _ | tee "$out/sanitizer.txt"
    for late in "$out"/sanitizer/*.late; do
      [ -s "$late" ] && echo "sanitizer/$(basename "$late" .late): $(wc -l <"$late") parts not begun in $seconds s" >>"$failures"
    done
  else
    echo "sanitizer: compute-sanitizer is not on this machine" | tee -a "$failures"
  fi
fi
if has demo; then
  start=$SECONDS
  OMP_NUM_THREADS=$(nproc) MOTE_DEMO_OUTPUT="$out/demo" "$here/demo.sh" "$build" >"$out/demo.txt" 2>&1 ||
    echo "demo: $(tail -1 "$out/demo.txt")" >>"$failures"
  echo "demo: $((SECONDS - start)) s"
  cat "$out/demo.txt"
fi
if has bench; then
  OMP_NUM_THREADS=$(nproc) timeout 200 "$build/mote-bench" --device cuda --json "$out/bench.json" 2>&1 |
    tee "$out/bench.txt"
  code=${PIPESTATUS[0]}
  if [ "$code" -ne 0 ]; then
    echo "bench: exit $code"
    grep '^mote-bench: ' "$out/bench.txt" | sed 's/^mote-bench/bench/'
  fi >>"$failures"
  for precision in bfloat16x3 bfloat16x2 tf32 bfloat16; do
    timeout 60 "$build/mote-bench" layers reduced --size 100000 --device cuda --precision $precision \
      --json "$out/bench-$precision.json" 2>&1 | tee "$out/bench-$precision.txt"
    [ -s "$out/bench-$precision.json" ] || echo "bench: precision $precision" >>"$failures"
  done
  for large in "mpm --material newtonian" neighbor; do
    name=${large%% *}-10000000
    # shellcheck disable=SC2086 # a case and its options
    timeout 60 "$build/mote-bench" $large --size 10000000 --device cuda --json "$out/bench-$name.json" 2>&1 |
      tee "$out/bench-$name.txt"
    [ -s "$out/bench-$name.json" ] || echo "bench: $name" >>"$failures"
  done
fi
if has peers; then
  if python3 -c 'import torch, scipy, h5py' 2>/dev/null; then
    for sizes in "giorom 1000" "gns 10000" "gns 100000"; do
      read -r model particles <<<"$sizes"
      timeout 120 python3 "$here/../bench/peers/stepper_peer.py" "$build/mote" --device cuda --model "$model" \
        --particles "$particles" --repeat 20 --json "$out/stepper-$model-$particles.json" 2>&1 |
        tee "$out/stepper-$model-$particles.txt" | tail -6
      [ -s "$out/stepper-$model-$particles.json" ] || echo "peers: $model, $particles particles" >>"$failures"
    done
  else
    echo "peers: left out, Python lacks torch, scipy or h5py"
  fi
fi

# Of the first launches of a case of mote-bench: kernels against their floors, the ten costliest gaps.
profile() {
  local name=$1 launches=$2 precision=$3 csv="$out/profile-$1.csv" peaks="$out/peaks-$3.json"
  shift 3
  [ -s "$peaks" ] || "$build/mote-bench" layers --quick --device cuda --precision "$precision" --json "$peaks" >/dev/null
  timeout 90 ncu --metrics "$(python3 "$here/kernel_floors.py" --metrics)" --print-units base --clock-control none --csv \
    --launch-count "$launches" "$build/mote-bench" "$@" --device cuda --precision "$precision" >"$csv" 2>"$csv.log"
  echo "== $name"
  python3 "$here/kernel_floors.py" "$csv" --peaks "$peaks" --json "$out/floors-$name.json" 2>&1 |
    tee "$out/profile-$name.txt"
  [ -s "$out/floors-$name.json" ] || echo "profile: $name" >>"$failures"
}
if has profile; then
  if command -v ncu >/dev/null && command -v python3 >/dev/null; then
    profile reduced 1500 float32 reduced --size 3000
    profile reduced-bfloat16x3 1500 bfloat16x3 reduced --size 3000
    profile mpm 600 float32 mpm --size 1000000 --material newtonian
    profile train 1500 float32 train --quick --model giorom
    profile reconstruct 600 float32 reconstruct
  else
    echo "profile: left out, ncu or python3 is not on this machine" | tee -a "$failures"
  fi
fi

# ---- figures and summary ----
ask() { nvidia-smi --query-gpu="$1" --format=csv,noheader 2>/dev/null | head -1; }
gpu=$(ask name)
{
  printf '{"gpu": "%s", "driver": "%s", "memory": "%s", "clock_sm": "%s", "clock_sm_most": "%s", "clock_memory": "%s",\n' \
    "$gpu" "$(ask driver_version)" "$(ask memory.total)" "$(ask clocks.sm)" "$(ask clocks.max.sm)" "$(ask clocks.mem)"
  printf ' "tests_passed": %d, "tests_failed": %d,\n' "$(cat "$out"/tests/*.log 2>/dev/null | grep -c '^\[       OK \]')" \
    "$(cat "$out"/tests/*.log 2>/dev/null | grep -c '^\[  FAILED  \].*ms)$')"
  printf ' "sanitizer_runs": %d, "sanitizer_clean": %d,\n' "$(ls "$out"/sanitizer | wc -l)" \
    "$(grep -lE 'ERROR SUMMARY: 0 errors|RACECHECK SUMMARY: 0 hazards' "$out"/sanitizer/*.log 2>/dev/null | wc -l)"
  printf ' "bench": '
  if [ -s "$out/bench.json" ]; then cat "$out/bench.json"; else echo null; fi
  for more in bfloat16x3 bfloat16x2 tf32 bfloat16 mpm-10000000 neighbor-10000000; do
    [ -s "$out/bench-$more.json" ] && printf ', "bench_%s": ' $more && cat "$out/bench-$more.json"
  done
  echo '}'
} >"$out/$(echo "${gpu:-gpu}" | tr 'A-Z ' 'a-z-').json"
echo
if [ -s "$failures" ]; then
  echo "FAILED:"
  sort "$failures"
  exit 1
fi
echo "all of$stages""passed on $gpu"
