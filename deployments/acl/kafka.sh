#!/usr/bin/env bash
# kafka.sh NAME SOURCE [GENERATION] [DEAD_LETTERS]: prints kafka.txt as commands of Kafka's own kafka-acls, for you to read and then run:
#
#   deployments/acl/kafka.sh shop views | BOOTSTRAP=kafka:9092 bash
#
# COMMAND_CONFIG is handed on to kafka-acls, such as COMMAND_CONFIG='--command-config admin.properties'.
set -euo pipefail
if [ $# -lt 2 ] || [ $# -gt 4 ]; then
  echo "kafka.sh: give the settings name and source.topic, and perhaps generation and topics.dead_letters.name: kafka.sh shop views 1" >&2
  exit 2
fi
name=$1 source=$2 generation=${3:-1} dead_letters=${4:-$2.dead-letters}
for given in "$name" "$source" "$generation" "$dead_letters"; do
  if [[ ! $given =~ ^[a-zA-Z0-9._-]+$ ]]; then
    echo "kafka.sh: \"$given\" is no name: letters, digits, . _ and - only" >&2
    exit 2
  fi
done
echo 'set -eu'
while read -r principal operation resource pattern target; do
  case $principal in '' | '#'*) continue ;; esac
  case $target in
  SOURCE) target=$source ;;
  DEAD_LETTERS) target=$dead_letters ;;
  NAME.gGENERATION.*) target=$name.g$generation.${target#NAME.gGENERATION.} ;;
  NAME.*) target=$name.${target#NAME.} ;;
  *)
    echo "kafka.sh: kafka.txt names $target, which is none of SOURCE, DEAD_LETTERS and NAME..." >&2
    exit 1
    ;;
  esac
  echo "kafka-acls.sh --bootstrap-server \"\$BOOTSTRAP\" \${COMMAND_CONFIG:-} --add --allow-principal User:$principal --operation $operation --$resource $target --resource-pattern-type $pattern"
done <"$(dirname "$0")/kafka.txt"
