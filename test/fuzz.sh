#!/bin/bash
# test/fuzz.sh TARGET SECONDS - runs one target of fuzz.c; called by `make fuzz`
set -euo pipefail
target=$1 seconds=$2
cd "$(dirname "$0")/../build/fuzz"
if ! "./fuzz_$target" -max_total_time="$seconds" -max_len=20000 -timeout=10 -rss_limit_mb=1500 \
	-artifact_prefix="$target-" "corpus/$target" >"$target.log" 2>&1; then
	tail -n 40 "$target.log"
	echo "fuzz $target: FAILED, the input is in build/fuzz/$target-*"
	exit 1
fi
echo "fuzz $target: $(grep -o 'Done.*' "$target.log"), corpus of $(ls "corpus/$target" | wc -l)"
