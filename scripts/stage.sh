#!/usr/bin/env bash
# stage.sh NAME COMMAND...: runs one stage of the tests, and says how it went and how long it took.
set -uo pipefail
name=$1
shift
echo "==> $name"
start=$SECONDS
"$@"
code=$?
if [ $code -eq 0 ]; then
  echo "<== $name: ok, $((SECONDS - start)) s"
else
  echo "<== $name: FAILED after $((SECONDS - start)) s (exit code $code)" >&2
fi
exit $code
