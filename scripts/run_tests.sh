#!/usr/bin/env bash
# Runs every test program of a build folder, shows each one's failures, and ends with "N passed, N failed".
# A program that crashes counts as one failure more.
set -u
# For SAN=address builds: an allocation that cannot be is refused, as without the sanitizer.
export ASAN_OPTIONS=${ASAN_OPTIONS:-allocator_may_return_null=1}
build=$1
passed=0 failed=0 skipped=0
for program in "$build"/tests/*; do
  [ -x "$program" ] && [ -f "$program" ] || continue
  name=$(basename "$program")
  log="$build/tests/$name.log"
  start=$SECONDS
  OMP_WAIT_POLICY=${OMP_WAIT_POLICY:-passive} "$program" --gtest_color=no --gtest_brief=0 >"$log" 2>&1
  code=$?
  ok=$(grep -c '^\[       OK \]' "$log")
  bad=$(grep -c '^\[  FAILED  \].*ms)$' "$log")
  skip=$(grep -c '^\[  SKIPPED \].*ms)$' "$log")
  if [ $code -ne 0 ] && [ "$bad" -eq 0 ]; then bad=1; fi
  printf '%-14s %4d passed %3d failed %3d skipped  %4d s\n' "$name" "$ok" "$bad" "$skip" $((SECONDS - start))
  grep -A2 -E 'Skipped$' "$log" | grep -vE 'Skipped$|^--|^\[' | sort -u | sed 's/^/    skipped: /'
  if [ $code -ne 0 ]; then
    grep -vE '^\[ +(OK|RUN) |^\[ *\]' "$log" | tail -60 | sed 's/^/    /'
  fi
  passed=$((passed + ok)) failed=$((failed + bad)) skipped=$((skipped + skip))
done
echo "$passed passed, $failed failed, $skipped skipped"
[ "$failed" -eq 0 ] && [ "$passed" -gt 0 ]
