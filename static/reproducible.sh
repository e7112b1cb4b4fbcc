#!/bin/bash
# static/reproducible.sh DIR PROG - builds everything that is in DIR once more, and compares
#
# In a directory with a name of another length, with another umask, time zone, language and number of
# jobs; from the same downloaded sources. Compared are the binary, its list of parts, and each archive
# (libcurl, OpenSSL) that was built.
set -euo pipefail
dir=${1:?usage: $0 DIR PROG} prog=${2:?usage: $0 DIR PROG}
top=$PWD
again=$top/build/reproducible/a/rather/longer/name/than/before

rm -rf "$top/build/reproducible"
umask 027
mkdir -p "$again/$dir"
cp -a Makefile static ./*.c ./*.h "$again/"
cp -a "$dir/apt" "$again/$dir/"
for w in "$dir"/*.work; do # what was downloaded, and nothing that was built
	mkdir "$again/$w"
	find "$w" -mindepth 1 -maxdepth 1 -type d ! -name tree ! -name dest -exec cp -a {} "$again/$w/" \;
done
touch "$again/$dir/apt/read"
echo "static/reproducible.sh: building everything again, in another place"
(cd "$again" && env TZ=Pacific/Chatham LC_ALL=C.UTF-8 JOBS=1 make static) >"$top/build/reproducible/log" 2>&1 ||
	{ tail -n 30 "$top/build/reproducible/log" >&2 && exit 1; }

bad=0 same=0
while read -r file; do
	if cmp "$dir/$file" "$again/$dir/$file"; then
		same=$((same + 1))
	else
		bad=$((bad + 1))
	fi
done < <(cd "$dir" && ls "$prog" sbom.spdx.json && find . -path '*.work' -prune -o -name '*.a' -print | sort)
echo "static/reproducible.sh: $same files are the same bit for bit, $bad differ"
[ $bad = 0 ] || exit 1
rm -rf "$top/build/reproducible"
