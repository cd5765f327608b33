#!/usr/bin/env bash
# A built tree to carry to a machine that has a GPU and few libraries: pack.sh BUILD FOLDER. Programs and test programs
# without their debug information, and in FOLDER/lib what they are linked against, the C library and the driver apart.
# There: FOLDER/mote, or scripts/gpu_check.sh FOLDER, with LD_LIBRARY_PATH=FOLDER/lib. Build with MARCH=x86-64-v3
# where the other machine's processor is not known.
set -euo pipefail
if [ $# -ne 2 ] || [ ! -x "$1/mote" ]; then
  echo "usage: pack.sh BUILD FOLDER (BUILD as 'make test-programs' leaves it)" >&2
  exit 2
fi
build=$1 to=$2
mkdir -p "$to/tests" "$to/lib"
programs=()
for file in "$build"/{mote,mote-bench,libmote.so,libmote_cuda.so} "$build"/tests/*; do
  [ -f "$file" ] && [ -x "$file" ] || continue
  target="$to/${file#"$build"/}"
  strip -S -o "$target" "$file"
  programs+=("$file")
done
# The C library and the loader are the other machine's own; so is CUDA's toolkit, where it has one.
ldd "${programs[@]}" | awk '$2 == "=>" && $3 ~ /^\// { print $3 }' | sort -u |
  grep -vE '/(libc|libm|libstdc\+\+|libgcc_s|libdl|libpthread|librt|libresolv|libmote|libmote_cuda|libcublas|libcublasLt|libcusparse|libnvJitLink|libcuda|libnvidia[^/]*)\.so' |
  while read -r library; do cp -L "$library" "$to/lib/"; done
du -sh "$to" | cut -f1
