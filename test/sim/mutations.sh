#!/bin/bash
# Would a mistake be noticed? Makes one in a copy of the program, one at a time, and counts the lives
# that the simulator takes until a promise is broken that the program as it is keeps for that seed.
#   test/sim/mutations.sh [NAME...]     prints a line for each: name, lives, the kinds of that life
set -euo pipefail
cd "$(dirname "$0")/../.."
copy=build/mutation most=${LIVES:-100000}

mutations() {
	grep -v '^#' test/sim/mutations
}

build() {
	make -s -C "$copy" sim-build >"$copy/log" 2>&1 || { tail -5 "$copy/log"; return 1; }
}

# The seeds up to $1 with what they break, sorted.
lives() {
	local first=$1 count=$2
	"$copy/build/sim/sim" --first "$first" --lives "$count" --list 2>/dev/null |
		grep -E '^[0-9]+ [a-z]' | grep -vE '^[0-9]+ (lives|passed)' | sort -n || true
}

# The first line of $2 that has a kind, one of $3, which the same seed does not have in $1.
first_new() {
	awk -v kinds=" $3 " 'FILENAME == ARGV[1] { had[$1] = " " $0 " "; next }
	{
		for (i = 2; i <= NF; i++)
			if (index(kinds, " " $i " ") && index(had[$1], " " $i " ") == 0)
				new = new " " $i
		if (new != "") { print $1 new; exit }
	}' "$1" "$2"
}

mkdir -p "$copy"
# By content, and dated now: what the last run, or one that was cut off, has left is built anew.
rsync -rlpc --delete --exclude build --exclude .git ./ "$copy/" 2>/dev/null ||
	{ rm -rf "$copy" && mkdir -p "$copy" && cp -rp Makefile ./*.[ch] "$copy/" && mkdir -p "$copy/test" &&
		cp -rp test/sim "$copy/test/"; }
build
steps=(300 3000 30000 "$most")
first=1
for step in "${steps[@]}"; do
	((step > first)) || continue
	lives $first $((step - first + 1)) >"$copy/base.$step"
	first=$((step + 1))
done

found=0 missed=0
while IFS='|' read -r name file kinds change; do
	[ $# = 0 ] || [[ " $* " == *" $name "* ]] || continue
	cp -p "$file" "$copy/original"
	perl -0pe "$change" "$copy/original" >"$copy/$file"
	if cmp -s "$copy/original" "$copy/$file"; then
		echo "$name: nothing to change in $file"
		missed=$((missed + 1))
	elif ! build; then
		echo "$name: does not compile"
		missed=$((missed + 1))
	else
		first=1 result=
		for step in "${steps[@]}"; do
			((step > first)) || continue
			lives $first $((step - first + 1)) >"$copy/mutant"
			result=$(first_new "$copy/base.$step" "$copy/mutant" "$kinds")
			[ -z "$result" ] || break
			first=$((step + 1))
		done
		if [ -n "$result" ]; then
			printf '%-26s %8s lives: %s\n' "$name" ${result%% *} "${result#* }"
			found=$((found + 1))
		else
			printf '%-26s not found in %s lives\n' "$name" "$most"
			missed=$((missed + 1))
		fi
	fi
	cp -p "$copy/original" "$copy/$file"
	touch "$copy/$file"
done < <(mutations)
echo "$found found, $missed missed"
[ $missed = 0 ]
