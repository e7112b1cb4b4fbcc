"""Throw-away certificate authorities and certificates, made by the openssl command (EC P-256)."""
import atexit
import functools
import itertools
import pathlib
import shutil
import subprocess
import tempfile
import threading
import time

SERVER_NAMES = ("IP:127.0.0.1", "IP:::1", "DNS:localhost", "DNS:kubernetes.default.svc",
                "DNS:kubernetes")
DAY = 86400

_CONFIG = """\
[req]
distinguished_name = dn
[dn]
[ca_ext]
basicConstraints = critical,CA:TRUE
keyUsage = critical,keyCertSign,cRLSign,digitalSignature
subjectKeyIdentifier = hash
[ca]
default_ca = this
[this]
dir = {dir}
database = {dir}/index.txt
new_certs_dir = {dir}
certificate = {dir}/ca.crt
private_key = {dir}/ca.key
default_md = sha256
policy = any
rand_serial = yes
unique_subject = no
copy_extensions = copy
[any]
commonName = supplied
"""


def _openssl(*args):
    done = subprocess.run(["openssl", *map(str, args)], stdin=subprocess.DEVNULL,
                          capture_output=True, text=True, check=False)
    if done.returncode != 0:
        raise RuntimeError(f"openssl {args[0]} failed: {done.stderr}")


class Certificate:
    """Paths of a certificate and its key."""

    def __init__(self, cert, key):
        self.cert = pathlib.Path(cert)
        self.key = pathlib.Path(key)


class Authority(Certificate):
    """A CA that can issue server certificates."""

    def __init__(self, directory, name):
        directory.mkdir(parents=True)
        super().__init__(directory / "ca.crt", directory / "ca.key")
        self.name = name
        self._dir = directory
        self._config = directory / "openssl.cnf"
        self._config.write_text(_CONFIG.format(dir=directory))
        (directory / "index.txt").touch()
        self._numbers = itertools.count()
        self._database = threading.Lock()  # `openssl ca` takes none of its own
        _openssl("req", "-config", self._config, "-x509", "-newkey", "ec", "-pkeyopt",
                 "ec_paramgen_curve:P-256", "-nodes", "-days", 3650, "-subj", f"/CN={name}",
                 "-extensions", "ca_ext", "-keyout", self.key, "-out", self.cert)

    @property
    def pem(self):
        return self.cert.read_bytes()

    def issue(self, names=SERVER_NAMES, expired=False, not_yet=False):
        """A server certificate for these subject alternative names."""
        base = self._dir / f"cert{next(self._numbers)}"
        key, request, cert = (base.with_suffix(s) for s in (".key", ".csr", ".crt"))
        _openssl("req", "-config", self._config, "-new", "-newkey", "ec", "-pkeyopt",
                 "ec_paramgen_curve:P-256", "-nodes", "-subj", "/CN=kube-apiserver",
                 "-addext", "subjectAltName=" + ",".join(names), "-keyout", key, "-out", request)
        start, end = -DAY, 365 * DAY
        if expired:
            start, end = -2 * DAY, -DAY
        elif not_yet:
            start, end = DAY, 2 * DAY
        start, end = (time.strftime("%Y%m%d%H%M%SZ", time.gmtime(time.time() + t))
                      for t in (start, end))
        with self._database:
            _openssl("ca", "-config", self._config, "-batch", "-notext", "-startdate", start,
                     "-enddate", end, "-in", request, "-out", cert)
        return Certificate(cert, key)


class Pki:
    """Makes authorities in a directory of its own, removed at the end of the process.

    `ca` and `server` are the pair that a FakeKube uses unless told otherwise; both are made
    once. `expired` and `other_name` are server certificates that no client may accept.
    """

    def __init__(self, directory=None):
        if directory is None:
            directory = tempfile.mkdtemp(prefix="fakekube-pki-")
            atexit.register(shutil.rmtree, directory, ignore_errors=True)
        self.dir = pathlib.Path(directory)
        self._numbers = itertools.count()

    def new_ca(self, name="fake-kubernetes-ca"):
        return Authority(self.dir / f"ca{next(self._numbers)}", name)

    @functools.cached_property
    def ca(self):
        return self.new_ca()

    @functools.cached_property
    def server(self):
        return self.ca.issue()

    @functools.cached_property
    def expired(self):
        return self.ca.issue(expired=True)

    @functools.cached_property
    def other_name(self):
        return self.ca.issue(names=("DNS:other.example", "IP:192.0.2.1"))


@functools.lru_cache(maxsize=None)
def default_pki():
    """One Pki for the whole process, so that a test costs no certificates."""
    return Pki()
