#!/bin/sh
# Recipes for the shell: mfv2a in pipes. stdout carries results (a path a line, or JSON), stderr carries talk.
#
#   examples/pipelines.sh new    VIDEOS OUT [OPTION...]   dub what changed in the last day
#   examples/pipelines.sh large  VIDEOS OUT [OPTION...]   dub files above 1 MB, the smallest first
#   examples/pipelines.sh failed OUT                      name the files that the last run of OUT could not do
#   examples/pipelines.sh sounds PROMPTS OUT [OPTION...]  one sound a line of a text file, with its level in dBFS
#
# OPTIONs go to mfv2a as they are: --model tiny, --seed 3, --json ...
set -eu

python=${PYTHON:-python3}

recipe=${1:?new, large, failed or sounds}
shift

case $recipe in
new)
    videos=$1 out=$2
    shift 2
    # -print0 and -0: any name survives, with spaces, quotes or newlines in it
    find "$videos" -type f -name '*.mp4' -mtime -1 -print0 | mfv2a dub -0 - --out "$out" "$@"
    ;;
large)
    videos=$1 out=$2
    shift 2
    find "$videos" -type f -name '*.mp4' -size +1000k -exec ls -Sr {} + | mfv2a dub - --out "$out" "$@"
    ;;
failed)
    # the last line of a file in report.jsonl wins
    "$python" -c '
import json, sys
last = {}
for line in open(sys.argv[1], encoding="utf-8"):
    record = json.loads(line)
    last[record["source"]] = record
for source, record in last.items():
    if record["status"] == "failed":
        print(source, record["error"], sep="\t")
' "$1/report.jsonl"
    ;;
sounds)
    prompts=$1 out=$2
    shift 2
    # a prompt a line in, a file and a JSON object each out
    mfv2a tta --out "$out/" --json "$@" <"$prompts" | "$python" -c '
import json, sys
for record in map(json.loads, sys.stdin):
    print(record["output"], record["rms_dbfs"], record["prompt"], sep="\t")
'
    ;;
*)
    echo "error: no recipe $recipe - one of new, large, failed, sounds" >&2
    exit 2
    ;;
esac
