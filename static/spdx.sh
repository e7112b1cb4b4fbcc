#!/bin/bash
# static/spdx.sh DIR PROG VERSION - what DIR/PROG is made of (DIR/parts), as SPDX 2.3 (JSON) on stdout
#
# The same build gives the same list: its date is that of the newest source (or SOURCE_DATE_EPOCH), its
# name has the binary's hash.
set -euo pipefail

usage="usage: $0 DIR PROG VERSION"
dir=${1:?$usage} prog=${2:?$usage} version=${3:?$usage}
sum=$(sha256sum "$dir/$prog" | cut -d' ' -f1)
date=${SOURCE_DATE_EPOCH:-$(cat "$dir"/*/source-date 2>/dev/null | sort -n | tail -n 1)}
entries='' relations=''

json() { sed -e 's/["\\]/\\&/g' -e 's/.*/"&"/' <<<"$1"; }

entry() { # entry NAME VERSION LICENCE PURL ABOUT [MORE_JSON]
	local id
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

entry "$prog" "$version" MIT "pkg:generic/$prog@$version" "this project" "
      \"checksums\": [{ \"algorithm\": \"SHA256\", \"checksumValue\": \"$sum\" }],"
while IFS='|' read -r name v from licence purl; do
	entry "$name" "$v" "$licence" "$purl" "$from"
done <"$dir/parts"

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
