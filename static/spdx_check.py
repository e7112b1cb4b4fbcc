#!/usr/bin/python3
"""spdx_check.py SBOM BINARY: SBOM is an SPDX 2.3 document in JSON, and it is about BINARY.

Checks what the specification requires of the fields that static/spdx.sh writes, that the versions that
the libraries themselves report are the ones that are listed, and that BINARY, asked by --version
--verbose, says the same of each part.
"""
import hashlib
import json
import re
import sys

REQUIRED = {"glibc", "openssl", "curl", "jansson"}
PACKAGE = ("SPDXID", "name", "versionInfo", "downloadLocation", "licenseConcluded", "licenseDeclared",
           "copyrightText", "sourceInfo")
LICENCE = re.compile(r"[A-Za-z0-9.+-]+( (AND|OR|WITH) [A-Za-z0-9.+-]+)*")
# What the libraries say of themselves in the binary (others do not, or it is not linked)
STRINGS = {"openssl": b"OpenSSL %s "}


def complaints(doc, binary):
    for key, value in (("spdxVersion", "SPDX-2.3"), ("dataLicense", "CC0-1.0"),
                       ("SPDXID", "SPDXRef-DOCUMENT")):
        if doc.get(key) != value:
            yield f"{key} is {doc.get(key)!r}, want {value!r}"
    if not re.fullmatch(r"https://[^#\s]+", doc.get("documentNamespace", "")):
        yield "documentNamespace is no URI"
    if not re.fullmatch(r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\dZ", doc["creationInfo"]["created"]):
        yield "created is no time"
    if not all(re.match("(Tool|Organization|Person): .", c) for c in doc["creationInfo"]["creators"]):
        yield "creators"
    packages = {p.get("name"): p for p in doc["packages"]}
    ids = [p.get("SPDXID") for p in doc["packages"]]
    if len(set(ids)) != len(ids):
        yield "an SPDXID is there twice"
    for name, p in packages.items():
        for field in PACKAGE:
            if not p.get(field):
                yield f"{name}: no {field}"
        if not re.fullmatch(r"SPDXRef-[A-Za-z0-9.-]+", p["SPDXID"]):
            yield f"{name}: SPDXID {p['SPDXID']}"
        if p["filesAnalyzed"] is not False:
            yield f"{name}: filesAnalyzed"
        if not LICENCE.fullmatch(p["licenseDeclared"]):
            yield f"{name}: licence {p['licenseDeclared']}"
        for ref in p["externalRefs"]:
            if not re.fullmatch(r"pkg:[a-z]+/[^\s]+@[^\s]+", ref["referenceLocator"]):
                yield f"{name}: {ref['referenceLocator']}"
    for name in REQUIRED - set(packages):
        yield f"{name} is not listed"
    main = doc["packages"][0]
    if main["checksums"] != [{"algorithm": "SHA256", "checksumValue": hashlib.sha256(binary).hexdigest()}]:
        yield "the checksum is not the binary's"
    want = {("SPDXRef-DOCUMENT", "DESCRIBES", main["SPDXID"])}
    want |= {(main["SPDXID"], "STATIC_LINK", i) for i in ids[1:]}
    if want != {(r["spdxElementId"], r["relationshipType"], r["relatedSpdxElement"])
                for r in doc["relationships"]}:
        yield "relationships"
    for name, pattern in STRINGS.items():
        upstream = packages[name]["versionInfo"].rpartition("-")[0] or packages[name]["versionInfo"]
        if pattern % upstream.encode() not in binary:
            yield f"{name} {upstream} is not what is in the binary"
    for p in doc["packages"][1:]:
        line = f"{p['name']} {p['versionInfo']}: {p['sourceInfo']}\n"
        if line.encode() not in binary:
            yield f"the binary does not say {line!r}"


def main(sbom, binary):
    with open(sbom, encoding="utf-8") as f:
        doc = json.load(f)
    with open(binary, "rb") as f:
        found = list(complaints(doc, f.read()))
    for c in found:
        print(f"spdx_check.py: {sbom}: {c}", file=sys.stderr)
    return bool(found)


if __name__ == "__main__":
    sys.exit(main(*sys.argv[1:]))
