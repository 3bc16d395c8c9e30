#!/bin/bash
# Process time (user + system) and wall time of `lamina build PROFILE` when everything is up to date.
# Limit: 50 ms of process time. The programs must have been built (`make build`), and the profile (`make profiles`).
set -eu
cd "$(dirname "$0")/../.."
lamina=${LAMINA:-${LAMINA_OUT:-out}/lamina}
profile=${1:-console}
runs=${RUNS:-30}
[ -x "$lamina" ] || { echo "$lamina is missing: run 'make build', or give LAMINA=FILE" >&2; exit 1; }

# The first run makes it up to date; the files are in the page cache afterwards.
"$lamina" build "$profile" 2> /dev/null
TIMEFORMAT='%U %S %R'
for _ in $(seq "$runs"); do
    { time "$lamina" build "$profile" 2> /dev/null; } 2>&1
done | awk '{ printf "%.0f %.0f\n", ($1 + $2) * 1000, $3 * 1000 }' | sort -n | awk -v profile="$profile" '
    { process[NR] = $1; wall[NR] = $2 }
    END {
        printf "up-to-date build of %s, %d runs: process time %d ms least, %d ms median, %d ms most; wall time %d ms median\n",
            profile, NR, process[1], process[int((NR + 1) / 2)], process[NR], wall[int((NR + 1) / 2)]
        exit process[int((NR + 1) / 2)] > 50
    }'
