#!/bin/bash
# static/check.sh BINARY MAX_BYTES - fails unless BINARY is what an image FROM scratch needs:
# static-PIE, full RELRO, no executable stack, stripped, small; and unless it starts. RUN=EMULATOR is
# for a binary of another architecture; where there is no such emulator, it is not started.
set -euo pipefail
bin=$1 max=$2 bad=0

no() {
	echo "static/check.sh: $bin: $*" >&2
	bad=1
}

elf=$(readelf -hldSW "$bin")
has() { grep -qE "$1" <<<"$elf"; }

has 'Type: +DYN' || no "not position independent (ET_DYN)"
! has ' INTERP ' || no "has an INTERP segment: it is not static"
! has '\(NEEDED\)' || no "needs shared libraries"
has ' GNU_RELRO ' || no "no RELRO segment"
has '\(FLAGS(_1)?\).*NOW' || no "no BIND_NOW: RELRO is only partial"
has ' GNU_STACK .* RW ' || no "the stack is executable, or not marked"
! has ' RWE ' || no "a segment is both writable and executable"
! has '\.symtab|\.debug_' || no "not stripped"
size=$(stat -c %s "$bin")
((size <= max)) || no "$size bytes, want at most $max"
if [ -z "${RUN:-}" ] || command -v "$RUN" >/dev/null; then
	# shellcheck disable=SC2046 # none, or one word
	version=$(env -i $(command -v ${RUN:-env}) "$bin" --version) || no "--version fails"
else
	version="not started ($RUN is not installed)"
fi

exit_if_bad() { [ "$bad" = 0 ] || exit 1; }
exit_if_bad
echo "$bin: $version, static-PIE, full RELRO, NX, stripped, $size of $max bytes"
