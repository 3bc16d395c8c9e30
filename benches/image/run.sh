#!/bin/bash
# Writing an image: `crates/squashfs` against mksquashfs at the same compressor, level, block size and processors.
# usage: benches/image/run.sh [DIRECTORY [ROUNDS [LEVEL]]]      (no root; /usr/share, 5 rounds, level 3 by default)
set -euo pipefail
cd "$(dirname "$0")/../.."
command -v mksquashfs >/dev/null || { echo "run.sh: mksquashfs is missing: apt-get install squashfs-tools" >&2; exit 1; }
exec .ci/cargo bench --quiet --locked -p squashfs --bench image -- "$@"
