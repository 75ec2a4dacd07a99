#!/usr/bin/env bash
# peers.sh: gathers the jars of Flink and Kafka Streams, and compiles the benchmark's job for both (bench/peers), into .tools/peers. Does nothing, quickly,
# when all is there.
set -euo pipefail
cd "$(dirname "$0")/.."

fail() {
  printf '\npeers: CANNOT GO ON: %s\n' "$1" >&2
  printf 'peers: to mend it: %s\n' "$2" >&2
  exit 1
}

# One file for each says what it was made of.
id() { cat "bench/peers/$1/pom.xml" "bench/peers/$1"/src/main/java/bench/*.java | cksum; }
missing=()
for peer in flink kstreams; do
  [ "$(cat ".tools/peers/$peer/made" 2>/dev/null)" = "$(id $peer)" ] || missing+=("$peer")
done
[ ${#missing[@]} -gt 0 ] || exit 0

command -v mvn >/dev/null || fail "no mvn on PATH" "install Maven (Debian: apt-get install maven), then run it again"
command -v javac >/dev/null || fail "no javac on PATH" "install a JDK, 17 or newer (Debian: apt-get install default-jdk-headless), then run it again"
for peer in "${missing[@]}"; do
  echo "peers: gathering the jars of bench/peers/$peer/pom.xml by Maven, into .tools/peers/$peer and Maven's own cache"
  folder=$PWD/.tools/peers/$peer
  rm -rf "$folder"
  mkdir -p "$folder/classes"
  mvn --batch-mode --no-transfer-progress --quiet -Dstyle.color=never -f "bench/peers/$peer/pom.xml" dependency:copy-dependencies -DoutputDirectory="$folder/lib" ||
    fail "Maven could not gather the jars of $peer" "check the network and Maven's settings (~/.m2/settings.xml), then run it again"
  javac -nowarn -Xlint:-options --release 17 -d "$folder/classes" -cp "$folder/lib/*" "bench/peers/$peer"/src/main/java/bench/*.java ||
    fail "bench/peers/$peer does not compile" "read the message above"
  id "$peer" >"$folder/made"
done
