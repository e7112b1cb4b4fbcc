# static/source.sh - for the scripts that build a library from the distribution's source package
#
# Why from source: the distribution's archives hold what this program never uses (OpenSSL), or cannot
# be linked at all (libcurl wants krb5 and ldap); and the source packages are where the security
# patches are. A script sets $out, defines config() (words that decide what is built) and build()
# (called in the unpacked tree; installs into $dest), and calls
#
#	make_from PACKAGE [archive:DEV_PACKAGE] [tarball]
#
# That leaves $out/lib, $out/include and, for the list of parts (parts.sh), $out/source-package,
# source-version, source-date, origin and not-held. A second run with the same version and flags does
# nothing, and within a day it does not even read the package lists.
# Needs no root, and leaves the machine's apt configuration as it is: a private copy of its entries,
# "deb" changed to "deb-src", is used. DEBIAN_RELEASE=trixie: and this machine's release to that one.
# Only sources can be of another release: its archives want its C library.
#
# A mirror can list a version that it does not hold (yet). Then, in this order:
#  - "tarball": upstream's tarball of that version, if that can be had (apt knows its hash from the
#    signed list), without the distribution's patches;
#  - the next older version; with "archive:DEV_PACKAGE" only if it is not older than the installed
#    DEV_PACKAGE, since that would take security fixes back;
#  - with "archive:DEV_PACKAGE": nothing is built, and the linker takes DEV_PACKAGE's archive.
# What was taken is in $out/origin, and what the list has but could not be fetched in $out/not-held.
# shellcheck shell=bash

work=$out.work
apt=$(dirname "$out")/apt # shared by all libraries
apt_options=()
APT_ETC=${APT_ETC:-/etc/apt}
CC=${CC:-cc}
CFLAGS=${CFLAGS:--Os -fPIE}
HOST=${HOST:-} # a triplet: cross-build
machine_release=$(. /etc/os-release && echo "${VERSION_CODENAME:-}")
release=${DEBIAN_RELEASE:-$machine_release}
jobs=${JOBS:-$(nproc)}
unset LIBRARY_PATH CPATH C_INCLUDE_PATH PKG_CONFIG_PATH # of this machine, not of this build
export LC_ALL=C TZ=UTC

say() { echo "static/${0##*/}: $*"; }

case $out in
*[[:space:]]*)
	say "$out: no library can be built in a path with white space (its own makefiles cannot)" >&2
	exit 1
	;;
esac

logged() { # logged NAME COMMAND...: output to $work/NAME.log; its end, if the command fails
	local log=$work/$1.log
	shift
	"$@" >"$log" 2>&1 || { tail -n 30 "$log" >&2 && exit 1; }
}

# ---- apt, for source packages ----

private_apt() { # private_apt COMMAND ARG...: sees deb-src entries, keeps its lists under $apt
	local cmd=$1
	shift
	"$cmd" -q -o Dir::Etc::SourceList="$apt/sources.list" -o Dir::Etc::SourceParts="$apt/parts" \
		-o Dir::State::Lists="$apt/lists" -o Dir::Cache="$apt/cache" \
		-o APT::Sandbox::User=root -o Acquire::Languages=none "${apt_options[@]}" "$@"
}

apt_setup() { # apt_setup deb-src|deb: the machine's entries (with their Signed-By), for these packages
	local f type=$1 suites=''
	if [ "$type" = deb-src ] && [ "$release" != "$machine_release" ]; then
		suites="s/\b$machine_release\b/$release/g;"
	fi
	[ -z "$(find "$apt/read" -mmin -60 2>/dev/null)" ] || return 0
	mkdir -p "$apt"/{parts,lists/partial,cache/archives/partial}
	: >"$apt/sources.list"
	for f in "$APT_ETC/sources.list" "$APT_ETC"/sources.list.d/*.list; do
		[ ! -r "$f" ] || sed -n -E "${suites}s/^[[:space:]]*deb[[:space:]]/$type /p" "$f" >>"$apt/sources.list"
	done
	for f in "$APT_ETC"/sources.list.d/*.sources; do
		[ ! -r "$f" ] || sed -E "${suites}s/^[Tt]ypes:.*/Types: $type/" "$f" >"$apt/parts/${f##*/}"
	done
	if [ -n "$suites" ] && ! grep -rqsw "$release" "$apt/sources.list" "$apt/parts"; then
		say "no entry of apt's names $machine_release, so none can be made for $release" >&2
		exit 1
	fi
	sort -u -o "$apt/sources.list" "$apt/sources.list"
	say "reading the package lists ($type)"
	private_apt apt-get update >"$apt/update.log" 2>&1 || {
		say "apt-get update had errors, going on with what it got:"
		grep -E '^[EW]:' "$apt/update.log" | head -n 5 || true
	}
	touch "$apt/read"
}

showsrc() { private_apt apt-cache showsrc --only-source "$1" 2>/dev/null || true; }

versions() { # newest first, without backports
	showsrc "$1" | sed -n 's/^Version: //p' | grep -v '~bpo' | sort -Vru || true
}

download() { # download PACKAGE VERSION, into the current directory
	[ ! -e complete ] || return 0
	private_apt apt-get source --download-only "$1=$2" >"$work/apt.log" 2>&1 && touch complete
}

has_tarball() { # has_tarball PACKAGE VERSION: upstream's tarball came, and is what the list says
	local file sum
	file=$(find . -name "$1_${2%-*}.orig.tar.?z" -printf '%f') && [ -n "$file" ] || return 1
	sum=$(showsrc "$1" | awk -v f="$file" '$3 == f && length($1) == 64 { print $1; exit }')
	echo "$sum  $file" | sha256sum --check --status
}

# Sets $version, $origin and $files (a directory), or fails; and $not_held, in any case.
fetch() { # fetch PACKAGE MIN TARBALL
	local v
	not_held=''
	apt_setup deb-src
	for v in $(versions "$1"); do
		[ -z "$2" ] || dpkg --compare-versions "$v" ge "$2" || break
		files=$work/$v
		mkdir -p "$files"
		cd "$files"
		if download "$1" "$v"; then
			version=$v origin="source package of $release"
			return
		fi
		not_held+="${not_held:+, }$v"
		say "$1 $v is listed but cannot be fetched:"
		grep -m 1 '^E:' "$work/apt.log" | sed -E 's#[a-z]+://\S*/##; s# *\[IP.*##' || true
		if [ -n "$3" ] && has_tarball "$1" "$v"; then
			version=${v%-*} origin="upstream's tarball, without the distribution's patches"
			say "upstream's tarball of $version can"
			return
		fi
	done
	return 1
}

# ---- Building ----

unpack() { # the source, patched, at $work/tree
	rm -rf "$work/tree"
	if [ -e "$files/complete" ]; then
		logged unpack dpkg-source --no-check -x "$files"/*.dsc "$work/tree" # apt has checked
	else
		mkdir "$work/tree"
		tar -xf "$files"/*.orig.tar.[gx]z -C "$work/tree" --strip-components=1
	fi
}

source_date() { # of the newest entry in the changelog, or of the newest file
	if [ -e debian/changelog ]; then
		dpkg-parsechangelog -S Timestamp
	else
		find . -type f -printf '%T@\n' | awk '$1 > t { t = $1 } END { printf "%d\n", t }'
	fi
}

# Nothing of the place where it is built gets into what is built: no prefix (DESTDIR is one), names of
# files relative to the tree, dates from the source; and the .pc files find their own place.
build_tree() {
	dest=$work/dest
	rm -rf "$out" "$dest"
	cd "$work/tree"
	SOURCE_DATE_EPOCH=$(source_date)
	export SOURCE_DATE_EPOCH
	build
	mv "$dest/usr" "$out"
	# shellcheck disable=SC2016 # pkg-config's variable
	sed -i 's#^prefix=.*#prefix=${pcfiledir}/../..#' "$out"/lib/pkgconfig/*.pc
	rm -f "$out"/lib/*.la
	cd /
	rm -rf "$work/tree" "$dest"
	echo "$SOURCE_DATE_EPOCH" >"$out/source-date"
}

autoconf_build() { # autoconf_build CONFIGURE_OPTION...
	[ -x configure ] || logged autoreconf autoreconf -fi
	CFLAGS=$CFLAGS logged configure ./configure --quiet --prefix=/usr --disable-shared \
		--enable-static --disable-dependency-tracking ${HOST:+--host="$HOST"} "$@"
}

installed() { # installed DEV_PACKAGE: its source's version; none that could be linked with another release
	[ "$release" != "$machine_release" ] || dpkg-query -W -f '${source:Version}' "$1" 2>/dev/null || true
}

use_archive() { # use_archive DEV_PACKAGE: the installed one, or for HOST that of foreign.sh
	local v foreign
	foreign=$(dirname "$out")/$1
	rm -rf "$out"
	mkdir -p "$out"
	if [ -n "$HOST" ]; then
		v=$(cat "$foreign/source-version") && cp -a "$foreign/." "$out" || return 1
	else
		v=$(installed "$1")
	fi
	[ -n "$v" ] || return 1
	version=$v origin="archive of package $1"
	say "no source that is new enough: the archive in $1 $v is linked, and it is larger"
}

make_from() {
	local package=$1 archive='' tarball='' min='' stamp version origin not_held
	shift
	for o in "$@"; do
		case $o in
		archive:*) archive=${o#archive:} ;;
		tarball) tarball=yes ;;
		esac
	done
	[ "$release" = "$machine_release" ] || archive=''
	mkdir -p "$work"
	stamp=$(config | cat - <(echo "$CC $CFLAGS $HOST $release $*") "$0" "$here/source.sh" | sha256sum)
	if [ "$stamp" = "$(cat "$out/stamp" 2>/dev/null)" ] && [ -n "$(find "$out/stamp" -mmin -1440)" ]; then
		say "$package $(cat "$out/source-version") is there already"
		return
	fi
	[ "$stamp" = "$(cat "$out/stamp" 2>/dev/null)" ] || rm -f "$out/source-version"
	[ -z "$archive" ] || min=$(installed "$archive")
	if ! fetch "$package" "$min" "$tarball"; then
		if [ -z "$archive" ] || ! use_archive "$archive"; then
			say "no source package of $package can be fetched; entries used:" >&2
			cat "$apt/sources.list" "$apt"/parts/* >&2 2>/dev/null || true
			exit 1
		fi
		stamp='' # looked at again the next time
	elif [ "$version" = "$(cat "$out/source-version" 2>/dev/null)" ]; then
		say "$package $version is still the newest that can be had"
	else
		say "building $package $version"
		unpack
		build_tree
	fi
	echo "$package" >"$out/source-package"
	echo "$version" >"$out/source-version"
	echo "$origin" >"$out/origin"
	echo "$not_held" >"$out/not-held"
	echo "$stamp" >"$out/stamp"
}
