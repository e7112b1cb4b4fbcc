# static/openssl-test.sh - OpenSSL's own tests, on what static/openssl.sh leaves of it (which runs this)
#
# The same source, options and flags. First with the same algorithms dropped, all tests but those in
# WANT_ALL, which use dropped ones (tests look for what an option switches off, but not for that); then
# these, with the algorithms put back: the code is the same, there are only more entries in a table.
# shellcheck shell=bash disable=SC2154 # variables of openssl.sh and source.sh

WANT_ALL="rand dgst enc_more kdf mac aesgcm x509 evp_byname evp_extra evp_kdf evp pkcs12 bio_enc"
bad=0

run() { # run NAME TEST...
	local name=$1
	shift
	logged "make-$name" make -j"$jobs"
	make test HARNESS_JOBS="$jobs" TESTS="$*" >"$work/$name.log" 2>&1 || bad=1
	sed -n '/^Test Summary Report/,/^Files=/p' "$work/$name.log"
	grep -E '^(All tests successful|Files=|Result:)' "$work/$name.log"
}

mkdir -p "$work"
fetch openssl "$(installed libssl-dev)" "" || fetch openssl "" tarball # what is built, if anything is
unpack
cd "$work/tree"
[ ! -e test/recipes/30-test_evp_xof.t ] || WANT_ALL+=" rand_config speed verify evp_xof" # of 3.5
cp providers/defltprov.c "$work/all.c"
drop_unused
configure
# One test looks for the words of an error; there are no words here, but a number.
sed -i "s/expected => 'unsupported'/expected => 'error:1608010C'/" test/recipes/30-test_evp.t

say "building and running the tests of openssl $version"
# shellcheck disable=SC2046,SC2086 # words on purpose
run dropped alltests $(printf ' -test_%s' $WANT_ALL)
say "and with all algorithms: $WANT_ALL"
cp "$work/all.c" providers/defltprov.c
# shellcheck disable=SC2046,SC2086
run all $(printf ' test_%s' $WANT_ALL)
[ $bad = 0 ] && say "all passed" && rm -rf "$work/tree"
exit $bad
