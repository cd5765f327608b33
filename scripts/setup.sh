#!/usr/bin/env bash
# Installs what Mote needs and this machine lacks (Debian's packages). Does nothing where all is there.
# As root, or with sudo; otherwise it prints the command to run and fails.
set -euo pipefail

packages=(gcc g++ make pkg-config libhdf5-dev libcjson-dev libyaml-dev libpng-dev zlib1g-dev libopenblas-dev
  libgtest-dev libbenchmark-dev libnanoflann-dev libboost-context-dev ffmpeg)

missing=()
for package in "${packages[@]}"; do
  dpkg-query -W -f='${Status}' "$package" 2>/dev/null | grep -q 'ok installed' || missing+=("$package")
done
[ ${#missing[@]} -eq 0 ] && exit 0

if ! command -v apt-get >/dev/null; then
  echo "setup: this machine has no apt-get; install the equivalents of: ${missing[*]}" >&2
  exit 1
fi
if [ "$(id -u)" -eq 0 ]; then as_root=(); elif command -v sudo >/dev/null; then as_root=(sudo); else
  echo "setup: packages are missing; as root, run: apt-get install ${missing[*]}" >&2
  exit 1
fi
echo "setup: installing ${missing[*]}"
"${as_root[@]}" apt-get update -qq
DEBIAN_FRONTEND=noninteractive "${as_root[@]}" apt-get install -y -qq --no-install-recommends "${missing[@]}" >/dev/null
