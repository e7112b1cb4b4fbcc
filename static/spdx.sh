#!/bin/bash
# static/spdx.sh DIR PROG VERSION CC - what DIR/PROG is made of, as SPDX 2.3 (JSON) on stdout
#
# The libraries are what static/*.sh left in DIR; the C library and gcc's are the packages that own the
# archives that CC links. The same build gives the same list: its date is that of the newest source
# (or SOURCE_DATE_EPOCH), its name has the binary's hash.
set -euo pipefail

usage="usage: $0 DIR PROG VERSION CC"
dir=${1:?$usage} prog=${2:?$usage} version=${3:?$usage} cc=${4:?$usage}
distribution=$(. /etc/os-release && echo "$ID")
sum=$(sha256sum "$dir/$prog" | cut -d' ' -f1)
date=${SOURCE_DATE_EPOCH:-$(cat "$dir"/*/source-date 2>/dev/null | sort -n | tail -n 1)}
entries='' relations='' parts=''

json() { sed -e 's/["\\]/\\&/g' -e 's/.*/"&"/' <<<"$1"; }

entry() { # entry NAME VERSION LICENCE PURL ABOUT [MORE_JSON]
	local id
	[ "$1" = "$prog" ] || parts+="${parts:+, }$1 $2"
	id=SPDXRef-$(tr -c 'A-Za-z0-9.\n-' '-' <<<"$1")
	entries+="${entries:+,}
    {
      \"SPDXID\": \"$id\",
      \"name\": $(json "$1"),
      \"versionInfo\": $(json "$2"),
      \"supplier\": \"NOASSERTION\",
      \"downloadLocation\": \"NOASSERTION\",
      \"filesAnalyzed\": false,
      \"licenseConcluded\": \"NOASSERTION\",
      \"licenseDeclared\": $(json "$3"),
      \"copyrightText\": \"NOASSERTION\",
      \"sourceInfo\": $(json "$5"),${6:-}
      \"externalRefs\": [{
        \"referenceCategory\": \"PACKAGE-MANAGER\",
        \"referenceType\": \"purl\",
        \"referenceLocator\": $(json "$4")
      }]
    }"
	relations+="${relations:+,}
    {
      \"spdxElementId\": \"$([ "$1" = "$prog" ] && echo SPDXRef-DOCUMENT || echo "SPDXRef-$prog")\",
      \"relationshipType\": \"$([ "$1" = "$prog" ] && echo DESCRIBES || echo STATIC_LINK)\",
      \"relatedSpdxElement\": \"$id\"
    }"
}

purl() { # purl SOURCE_PACKAGE VERSION; a version without a revision is upstream's
	case $2 in
	*-*) echo "pkg:deb/$distribution/$1@${2//+/%2B}?arch=source" ;;
	*) echo "pkg:generic/$1@${2//+/%2B}" ;;
	esac
}

library() { # library DIRECTORY DEV_PACKAGE LICENCE
	local p v
	if [ -e "$dir/$1/source-version" ]; then
		p=$(cat "$dir/$1/source-package") v=$(cat "$dir/$1/source-version")
		entry "$p" "${v% (*}" "$3" "$(purl "$p" "${v% (*}")" "source package $p $v"
	else
		read -r p v < <(dpkg-query -W -f '${source:Package} ${source:Version}\n' "$2")
		entry "$p" "$v" "$3" "$(purl "$p" "$v")" "source package $p $v, archive of $2"
	fi
}

# Cross packages have sources of their own, but the version of what they hold.
archive() { # archive NAME LICENCE COMPILER_OPTION: the package with the archive that CC takes
	local file package v
	file=$(realpath "$("$cc" "$3")")
	package=$(dpkg -S "$file" | sed 's/[:,].*//;q')
	v=$(dpkg-query -W -f '${Version}\n' "$package" | head -n 1)
	v=${v%cross*}
	entry "$1" "$v" "$2" "$(purl "$1" "$v")" "archive $(basename "$file") of package $package"
}

entry "$prog" "$version" MIT "pkg:generic/$prog@$version" "this project" "
      \"checksums\": [{ \"algorithm\": \"SHA256\", \"checksumValue\": \"$sum\" }],"
library libcurl libcurl4-openssl-dev curl
library openssl libssl-dev Apache-2.0
library jansson libjansson-dev MIT
if [ -e "$dir/libc/source-version" ]; then
	library libc libc6-dev LGPL-2.1-or-later
else
	archive glibc LGPL-2.1-or-later -print-file-name=libc.a
fi
archive "gcc-$("$cc" -dumpversion | cut -d. -f1)" 'GPL-3.0-or-later WITH GCC-exception-3.1' -print-libgcc-file-name

cat <<END
{
  "spdxVersion": "SPDX-2.3",
  "dataLicense": "CC0-1.0",
  "SPDXID": "SPDXRef-DOCUMENT",
  "name": "$prog-$version",
  "documentNamespace": "https://spdx.org/spdxdocs/$prog-$version-$sum",
  "creationInfo": {
    "created": "$(date -u -d "@${date:-0}" +%Y-%m-%dT%H:%M:%SZ)",
    "creators": ["Tool: $prog-static-spdx.sh"]
  },
  "packages": [$entries
  ],
  "relationships": [$relations
  ]
}
END
echo "made from $parts" >&2
