"""ca.crt as other clients read it, and a handshake that fails told in words."""
import itertools
import pathlib
import subprocess

import pytest

from fakekube.pki import SERVER_NAMES, Certificate

TROUBLE = "API server trouble"
FAST = {"CHECK_INTERVAL_SECONDS": 0.05}
SKIPPED = "a block of the CA file cannot be read, and is skipped"
BAD_BLOCKS = {
    "DER that is cut": "-----BEGIN CERTIFICATE-----\nMIIB\n-----END CERTIFICATE-----\n",
    "no base64": "-----BEGIN CERTIFICATE-----\n!!!!\n-----END CERTIFICATE-----\n",
    "no end": "-----BEGIN CERTIFICATE-----\nMIIB\n",
    "a key": "-----BEGIN PUBLIC KEY-----\nMIIB\n-----END PUBLIC KEY-----\n",
}


def openssl(*args):
    subprocess.run(["openssl", *map(str, args)], check=True, capture_output=True)


def make_ca(directory, name, identifiers):
    """All are `/CN=one`; the leaf is told whose it is by an identifier, or not."""
    ca, leaf = directory / f"{name}-ca", directory / f"{name}-leaf"
    ext = directory / f"{name}.ext"
    curve = ("-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:P-256", "-nodes")
    which = "hash" if identifiers else "none"
    ext.write_text(f"subjectAltName={','.join(SERVER_NAMES)}\nsubjectKeyIdentifier={which}\n"
                   f"authorityKeyIdentifier={'keyid' if identifiers else 'none'}\n")
    openssl("req", "-x509", *curve, "-days", 9, "-subj", "/CN=one", "-keyout", f"{ca}.key", "-out", f"{ca}.crt",
            "-addext", f"subjectKeyIdentifier={which}")
    openssl("req", "-new", *curve, "-subj", "/CN=api", "-keyout", f"{leaf}.key", "-out", f"{leaf}.csr")
    openssl("x509", "-req", "-in", f"{leaf}.csr", "-CA", f"{ca}.crt", "-CAkey", f"{ca}.key", "-days", 9,
            "-extfile", ext, "-out", f"{leaf}.crt")
    return pathlib.Path(f"{ca}.crt").read_bytes(), Certificate(f"{leaf}.crt", f"{leaf}.key")


@pytest.fixture(scope="module", params=[True, False], ids=["key identifiers", "no key identifiers"])
def rotation(request, tmp_path_factory):
    directory = tmp_path_factory.mktemp("rotation")
    return {name: make_ca(directory, name, request.param) for name in ("old", "new")}


@pytest.mark.parametrize("order, leaf", itertools.product([("old", "new"), ("new", "old")], ["old", "new"]),
                         ids=lambda v: v if isinstance(v, str) else "-".join(v))
def test_two_cas_of_one_subject(world, rotation, order, leaf):
    world.pair(cpu="900m")
    world.kube.write_service_account(ca=b"".join(rotation[name][0] for name in order))
    world.kube.use_certificate(rotation[leaf][1])
    world.watched(**FAST)


def test_a_ca_of_that_subject_that_has_not_signed_is_no_ca(world, rotation):
    world.pair(cpu="900m")
    world.kube.write_service_account(ca=rotation["old"][0] + world.kube.pki.ca.pem)
    world.kube.use_certificate(rotation["new"][1])
    error = world.run(**FAST).wait_log(msg=TROUBLE)["error"]
    assert "SSL certificate problem" in error and "issuer /CN=one" in error and "lib(" not in error
    assert world.kube.requests == []


@pytest.mark.parametrize("block", BAD_BLOCKS.values(), ids=BAD_BLOCKS.keys())
@pytest.mark.parametrize("first", [True, False], ids=["first", "last"])
def test_a_block_that_cannot_be_read_is_skipped_and_named_once(world, block, first):
    world.pair(cpu="900m")
    ca = world.kube.pki.ca.pem
    world.kube.write_service_account(ca=block.encode() + ca if first else ca + block.encode())
    cleaner = world.watched(**FAST)
    world.kube.reset_connections()
    world.kube.wait_request(verb="watch", resource="jobs", count=2)
    lines = [line for line in cleaner.lines if line["msg"] == SKIPPED]
    assert [(line["block"], line["certificates"]) for line in lines] == [(1 if first else 2, 1)]


def test_a_file_with_no_usable_certificate_says_so(world):
    world.kube.write_service_account(ca="".join(BAD_BLOCKS.values()).encode())
    assert "ca.crt: no usable certificate in it" in world.run().wait_log(msg=TROUBLE)["error"]


WORDS = {
    "another CA": (lambda kube: kube.pki.new_ca("stranger").issue(),
                   ["unable to get local issuer certificate", "/CN=kube-apiserver", "issuer /CN=stranger"]),
    "expired": (lambda kube: kube.pki.expired, ["certificate has expired (20", "Z)", "/CN=kube-apiserver"]),
    "not yet": (lambda kube: kube.pki.ca.issue(not_yet=True), ["certificate is not yet valid (20"]),
    "another name": (lambda kube: kube.pki.other_name, ["127.0.0.1", "it is for other.example, 192.0.2.1"]),
}


@pytest.mark.parametrize("certificate, words", WORDS.values(), ids=WORDS.keys())
def test_why_a_certificate_is_not_trusted(world, certificate, words):
    world.kube.use_certificate(certificate(world.kube))
    error = world.run().wait_log(msg=TROUBLE)["error"]
    assert [w for w in words if w not in error] == [], error


def test_what_answers_is_not_tls(world):
    world.kube.connection_fault("garbage", times=None)
    error = world.run().wait_log(msg=TROUBLE)["error"]
    assert "wrong version number" in error, error
