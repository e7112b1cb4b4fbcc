#!/bin/bash
# test/e2e/control-plane.sh [DIR=build/control-plane] - etcd, API server and controller-manager
#
# For `make e2e` on a machine without a cluster: from the distribution alone, its package of etcd
# and its source package of Kubernetes (Debian 12: 1.20), built with its Go. About 8 minutes of CPU
# time and 3 GB of disk while it builds; a second run with the same version does nothing. Needs no
# root, installs and starts nothing, and leaves the machine's apt configuration as it is: a private
# copy of its entries, "deb" changed to "deb-src", is used.
set -euo pipefail

here=$(dirname "$(realpath "$0")")
out=$(realpath -m "${1:-$here/../../build/control-plane}")
work=$out.work
APT_ETC=${APT_ETC:-/etc/apt}
programs=(kube-apiserver kube-controller-manager)

say() { echo "control-plane.sh: $*"; }

die() {
	say "$*" >&2
	exit 1
}

need_tools() { # name them all at once
	local pair missing=
	for pair in go:golang-go jq:jq rsync:rsync make:make dpkg-source:dpkg-dev; do
		command -v "${pair%%:*}" >/dev/null || missing+=" ${pair##*:}"
	done
	[ -z "$missing" ] || die "these packages are needed:$missing"
}

private_apt() { # private_apt COMMAND ARG...: sees deb-src entries, keeps its lists under $work
	local cmd=$1
	shift
	"$cmd" -q -o Dir::Etc::SourceList="$work/apt/sources.list" \
		-o Dir::Etc::SourceParts="$work/apt/parts" -o Dir::State::Lists="$work/apt/lists" \
		-o Dir::Cache="$work/apt/cache" -o APT::Sandbox::User=root -o Acquire::Languages=none "$@"
}

apt_setup() { # the machine's entries (with their Signed-By), for source packages
	local f
	mkdir -p "$work"/apt/{parts,lists/partial,cache/archives/partial}
	: >"$work/apt/sources.list"
	for f in "$APT_ETC/sources.list" "$APT_ETC"/sources.list.d/*.list; do
		[ ! -r "$f" ] ||
			sed -n -E 's/^[[:space:]]*deb[[:space:]]/deb-src /p' "$f" >>"$work/apt/sources.list"
	done
	for f in "$APT_ETC"/sources.list.d/*.sources; do
		[ ! -r "$f" ] || sed -E 's/^[Tt]ypes:.*/Types: deb-src/' "$f" >"$work/apt/parts/${f##*/}"
	done
	sort -u -o "$work/apt/sources.list" "$work/apt/sources.list"
	say "reading the source package lists"
	private_apt apt-get update >"$work/apt.log" 2>&1 ||
		say "apt-get update had errors, going on with what it got (see $work/apt.log)"
}

find_version() { # sets $version
	version=$(private_apt apt-cache showsrc --only-source kubernetes 2>/dev/null |
		sed -n 's/^Version: //p' | sort -Vr | head -n 1)
	[ -n "$version" ] || die "this distribution has no source package kubernetes (Debian 12 has)"
}

get_etcd() { # unpacked, not installed: installing it would start a service
	local etcd
	etcd=$(command -v etcd || true)
	if [ -z "$etcd" ]; then
		say "fetching the package etcd-server"
		(cd "$work" && rm -f etcd-server_*.deb && apt-get -q download etcd-server) \
			>"$work/etcd.log" 2>&1 || die "apt-get download etcd-server failed, see $work/etcd.log"
		dpkg-deb -x "$work"/etcd-server_*.deb "$work/etcd"
		etcd=$work/etcd/usr/bin/etcd
	fi
	install -m 755 "$etcd" "$out/etcd"
	say "etcd: $("$out/etcd" --version | head -n 1)"
}

get_source() {
	say "fetching the source package kubernetes $version"
	rm -rf "$work/src" && mkdir -p "$work/src"
	(cd "$work/src" && private_apt apt-get source --download-only "kubernetes=$version") \
		>"$work/apt.log" 2>&1 || die "the source package cannot be fetched, see $work/apt.log"
	# apt has checked it
	dpkg-source --no-check -x "$work"/src/kubernetes_*.dsc "$work/src/kubernetes" \
		>"$work/dpkg-source.log"
	[ -d "$work/src/kubernetes/cmd/${programs[0]}" ] ||
		die "the source package kubernetes $version has kubectl alone, as from Debian 13 on"
}

build() { # everything that Go needs is in the source: it fetches nothing
	local tree=$work/src/kubernetes
	say "building ${programs[*]} $version with $(go version | cut -d' ' -f3)"
	say "this takes some minutes; log: $work/make.log"
	mkdir -p "$tree/.go/src/k8s.io" "$work/home"
	ln -sfn ../../.. "$tree/.go/src/k8s.io/kubernetes"
	(cd "$tree" && GOPATH=$tree/.go GOPROXY=off GOFLAGS='' CGO_ENABLED=0 HOME=$work/home \
		nice make WHAT="${programs[*]/#/cmd/}") >"$work/make.log" 2>&1 ||
		{ tail -n 30 "$work/make.log" >&2 && exit 1; }
	for p in "${programs[@]}"; do install -m 755 "$tree/_output/bin/$p" "$out/$p"; done
	chmod -R u+w "${work:?}/src" && rm -rf "${work:?}/src" "${work:?}/home"
}

is_there() {
	local p
	for p in etcd "${programs[@]}"; do [ -x "$out/$p" ] || return 1; done
	[ -s "$out/source-version" ]
}

report() {
	say "$out: Kubernetes $(cat "$out/source-version"), try"
	say "make e2e KUBEBUILDER_ASSETS=$out"
}

stamp() { sha256sum <"$0"; }
# Made within a week by this script: not even the package lists are read again.
if is_there && [ "$(stamp)" = "$(cat "$out/stamp" 2>/dev/null)" ] &&
	[ -n "$(find "$out/stamp" -mtime -7)" ]; then
	say "is there already"
	report
	exit 0
fi
need_tools
mkdir -p "$out" "$work"
apt_setup
find_version
get_etcd
if is_there && [ "$version" = "$(cat "$out/source-version")" ]; then
	say "kubernetes $version is still the newest"
else
	rm -f "$out/source-version"
	get_source
	build
	echo "$version" >"$out/source-version"
fi
stamp >"$out/stamp"
report
