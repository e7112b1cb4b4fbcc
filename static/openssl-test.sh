# static/openssl-test.sh - OpenSSL's own tests, on what static/openssl.sh leaves of it (which runs this)
#
# The same source, options and flags, and the same algorithms dropped. Most tests look for what is
# switched off, and skip that; those in NOT_HERE do not, and want it.
# shellcheck shell=bash disable=SC2154 # variables of openssl.sh and source.sh

NOT_HERE=""

mkdir -p "$work"
fetch openssl "" tarball
unpack
cd "$work/tree"
drop_unused
configure
say "building the tests of openssl $version"
logged make make -j"$jobs"
skip=''
for t in $NOT_HERE; do skip+=" -test_$t"; done
say "running them, without:$skip"
make test HARNESS_JOBS="$jobs" TESTS="alltests$skip" >"$work/test.log" 2>&1 && bad=0 || bad=1
sed -n '/^Test Summary Report/,$p' "$work/test.log"
grep -E '^(All tests successful|Files=|Result:)' "$work/test.log"
exit $bad
