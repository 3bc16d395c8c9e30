#!/bin/bash
# Wall time of `lamina build --dry-run` on a made tree: 300 packages to build, and a store with 1, 301, 601, 901 and 1,201
# records, all but the last of earlier builds of the same packages. Limit: 200 ms with the most records. Planning is to read each
# record once, so the time may grow with the number of records and no faster.
set -eu
cd "$(dirname "$0")/../.."
lamina=${LAMINA:-${LAMINA_OUT:-out}/lamina}
packages=300
runs=${RUNS:-11}
[ -x "$lamina" ] || { echo "$lamina is missing: run 'make build', or give LAMINA=FILE" >&2; exit 1; }
lamina=$(realpath "$lamina")
made=$(mktemp -d)
trap 'rm -rf "$made"' EXIT
tree=$made/tree store=$made/store
mkdir -p "$tree/profiles" "$tree/packages" "$store/builds"
cp -r packages/bootstrap "$tree/packages/bootstrap"

# A package needs the ones numbered 0 to 4 and the one before it: every build root has a handful of layers, as in packages/.
recipe() {
    local depends='' build_depends='' number
    if [ "$1" -gt 4 ]; then
        for number in 0 1 2 3 4; do build_depends+=" p$number;"; done
        depends=" p$((10#$1 % 5));"
    fi
    printf 'recipe "p%d" {\n    version "2"\n    description "Package %d"\n    license "MIT"\n' "$1" "$1"
    printf '    source "p%d.tar.gz" sha256="%064x" size=1 { mirror "https://example.org/p%d.tar.gz"; }\n' "$1" "$1" "$1"
    printf '    feature "tls" default=#true\n    build-depends {%s }\n    depends {%s }\n' "$build_depends" "$depends"
    printf '    step "configure" """\n        ./configure --prefix=/usr\n        """\n'
    printf '    step "make" """\n        make -j"$JOBS"\n        """\n'
    printf '    step "install" """\n        make install DESTDIR="$OUT"\n        """\n}\n'
}

# record NAME NUMBER ID
record() {
    local layer
    printf 'build "%s" format=1 {\n    version "1.%d"\n    id "%s"\n    license "MIT"\n    target "x86_64-linux"\n' "$1" "$2" "$3"
    printf '    feature "tls" on=#true\n    source "%s.tar.gz" sha256="%064x"\n' "$1" 1
    for layer in bootstrap p0 p1 p2 p3 p4; do
        printf '    layer "%s" version="1" id="%064x" digest="sha256:%064x"\n' "$layer" "$2" "$2"
    done
    printf '    depends "p0"\n    image digest="sha256:%064x" size=569344 root-hash="%064x" salt="%064x" data-blocks=133 fec-roots=2\n}\n' \
        "$2" 3 4
}

for number in $(seq 0 $((packages - 1))); do
    mkdir "$tree/packages/p$number"
    recipe "$number" > "$tree/packages/p$number/recipe.kdl"
done
printf -v id '%064x' 0
record other 0 "$id" > "$store/builds/$id.kdl"

TIMEFORMAT='%R'
for round in 0 1 2 3 4; do
    if [ "$round" -gt 0 ]; then
        for number in $(seq 0 $((packages - 1))); do
            printf -v id '%064x' $((round * 1000 + number))
            record "p$number" "$round" "$id" > "$store/builds/$id.kdl"
        done
    fi
    for _ in $(seq "$runs"); do
        { time "$lamina" --store "$store" --tree "$tree" build --all --dry-run > "$made/plan"; } 2>&1
    done | awk '{ printf "%.0f\n", $1 * 1000 }' | sort -n | awk -v limit=200 -v round="$round" -v packages="$packages" '
        { wall[NR] = $1 }
        END {
            median = wall[int((NR + 1) / 2)]
            printf "plan of %d packages, %d records: wall time %d ms least, %d ms median, %d ms most\n",
                packages, 1 + round * packages, wall[1], median, wall[NR]
            exit round == 4 && median > limit
        }'
    [ "$(grep -c '^build' "$made/plan")" -eq $((packages + 1)) ] || { echo "the plan is not of $packages packages" >&2; exit 1; }
done
