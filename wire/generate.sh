#!/usr/bin/env bash
# Generates the Go code of the .proto files beside it (make generate), with tools that it
# installs into .tools: protoc in the version of protoc.txt, by pip, and the two plugins
# in the versions that go.mod has of their modules, by go install. generated.sha256
# says what was generated from what; TestGenerated compares it with what is there.
set -euo pipefail
cd "$(dirname "$0")/.."
tools=$PWD/.tools

fail() {
  printf 'generate: CANNOT GO ON: %s\n' "$1" >&2
  printf 'generate: to mend it: %s\n' "$2" >&2
  exit 1
}

protoc=$tools/protoc
if ! cmp -s wire/protoc.txt "$protoc/installed.txt"; then
  echo "generate: installing $(sed -n 's/^\(grpcio-tools==[^ ]*\).*/\1/p' wire/protoc.txt) (protoc), by pip, into .tools/protoc"
  rm -rf "$protoc"
  python3 -m venv "$protoc" || fail "python3 -m venv failed" "install Python 3 with venv (Debian: apt-get install python3-venv)"
  "$protoc/bin/python" -m pip install --quiet --disable-pip-version-check --require-hashes --no-deps --only-binary :all: -r wire/protoc.txt ||
    fail "pip could not install grpcio-tools" "check the network and pip's settings; for another Python or CPU, add the hash of its wheel to wire/protoc.txt"
  cp wire/protoc.txt "$protoc/installed.txt"
fi

# plugin MODULE PACKAGE installs one plugin in the version of its module in go.mod.
plugin() {
  local version name=${2##*/}
  version=$(go list -m -f '{{.Version}}' "$1")
  if ! go version -m "$tools/bin/$name" 2>/dev/null | awk '$1 == "mod" { print $2 "@" $3 }' | grep -qxF "$1@$version"; then
    echo "generate: installing $name $version, by go install, into .tools/bin"
    GOBIN=$tools/bin go install "$2@$version" ||
      fail "go install $2@$version failed" "check the network and the GOPROXY setting (go env GOPROXY)"
  fi
}
plugin google.golang.org/protobuf google.golang.org/protobuf/cmd/protoc-gen-go
plugin github.com/planetscale/vtprotobuf github.com/planetscale/vtprotobuf/cmd/protoc-gen-go-vtproto

out=$(mktemp -d)
trap 'rm -rf "$out"' EXIT
"$protoc/bin/python" -m grpc_tools.protoc --proto_path=. \
  --plugin=protoc-gen-go="$tools/bin/protoc-gen-go" --go_out="$out" --go_opt=paths=source_relative \
  --plugin=protoc-gen-go-vtproto="$tools/bin/protoc-gen-go-vtproto" --go-vtproto_out="$out" \
  --go-vtproto_opt=paths=source_relative,features=marshal+unmarshal+size \
  wire/*.proto
gofmt -s -w "$out"/wire/*.pb.go
rm -f wire/*.pb.go
cp "$out"/wire/*.pb.go wire/
(cd wire && sha256sum -- *.proto *.pb.go generate.sh protoc.txt) >wire/generated.sha256
git --no-pager diff --stat -- wire || true
