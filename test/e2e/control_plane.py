"""A control plane of this machine's own, from the programs in one directory (KUBEBUILDER_ASSETS).

Everything listens on loopback and keeps its files in one temporary directory. The administrator is
a static token; service accounts get theirs from the API server.
"""
import contextlib
import os
import pathlib
import random
import shutil
import signal
import socket
import subprocess
import tempfile
import time

from fakekube import Pki

from .api import Api, Namespace, Refused

ADMIN = "e2e-admin"
NEEDED = ("etcd", "kube-apiserver")
PROXY_CLIENT = "kube-apiserver"     # the CN of the server's certificate, which is its proxy's, too


def missing(assets):
    """Names of the programs that are needed and not in this directory."""
    return [name for name in NEEDED if not os.access(pathlib.Path(assets) / name, os.X_OK)]


def free_ports(count):
    """Ports of loopback that nobody has, below those that the kernel gives to outgoing
    connections: nobody takes them while a server that had one restarts."""
    first = int(pathlib.Path("/proc/sys/net/ipv4/ip_local_port_range").read_text().split()[0])
    found = []
    for port in random.sample(range(max(1024, first // 2), first), 200):
        with contextlib.suppress(OSError), socket.socket() as s:
            s.bind(("127.0.0.1", port))
            found.append(port)
        if len(found) == count:
            return found
    raise AssertionError(f"no {count} free ports on loopback")


def wait_for(predicate, what, timeout=60, pause=0.05):
    """The first true value of predicate(); after `timeout` seconds an AssertionError that says
    `what`, words or a function that finds them then."""
    deadline = time.monotonic() + timeout
    while True:
        value = predicate()
        if value:
            return value
        if time.monotonic() > deadline:
            words = what() if callable(what) else what
            raise AssertionError(f"not within {timeout} s: {words}")
        time.sleep(pause)


def flags(**options):
    """flags(secure_port=1) -> ["--secure-port=1"]"""
    return [f"--{name.replace('_', '-')}={value}" for name, value in options.items()]


class Daemon:
    """One program that is started, stopped and started again with the same command line."""

    def __init__(self, program, directory, arguments):
        self.command = [str(program), *arguments]
        self.log = pathlib.Path(directory) / f"{pathlib.Path(program).name}.log"
        self.process = None

    def start(self):
        with self.log.open("ab") as log:
            self.process = subprocess.Popen(self.command, stdin=subprocess.DEVNULL, stdout=log,
                                            stderr=log, cwd=self.log.parent)

    def stop(self, number=signal.SIGTERM):
        """Ends it; one that does not listen is killed after 10 s."""
        if self.process is None:
            return
        self.process.send_signal(number)
        try:
            self.process.wait(10)
        except subprocess.TimeoutExpired:
            self.process.kill()
            self.process.wait()
        self.process = None

    @property
    def running(self):
        return self.process is not None and self.process.poll() is None

    def tail(self):
        return "\n".join(self.log.read_text(errors="replace").splitlines()[-15:])


class ControlPlane:
    """etcd, the API server, and the controllers if their program is there."""

    def __init__(self, assets):
        self.assets = pathlib.Path(assets).resolve()
        self.dir = pathlib.Path(tempfile.mkdtemp(prefix="e2e-"))
        self.pki = Pki(self.dir / "pki")
        self.etcd_port, peer_port, self.port = free_ports(3)
        self.url = f"https://127.0.0.1:{self.port}"
        self.cafile = str(self.pki.ca.cert)
        self.admin = Api(self.url, cafile=self.cafile, token=ADMIN)
        self._write_files()
        self.etcd = self._daemon("etcd", self._etcd_flags(peer_port))
        self.apiserver = self._daemon("kube-apiserver", self._apiserver_flags())
        self.controllers = None
        if os.access(self.assets / "kube-controller-manager", os.X_OK):
            self.controllers = self._daemon("kube-controller-manager", self._controller_flags())

    # ---- command lines ----

    def _daemon(self, name, arguments):
        return Daemon(self.assets / name, self.dir, arguments)

    def _write_files(self):
        (self.dir / "tokens.csv").write_text(f'{ADMIN},e2e-admin,1,"system:masters"\n')
        self.sa_key = self.dir / "sa.key"
        subprocess.run(["openssl", "genrsa", "-out", self.sa_key, "2048"], check=True,
                       capture_output=True)
        self.kubeconfig = self.dir / "kubeconfig"
        self.kubeconfig.write_text(KUBECONFIG.format(url=self.url, ca=self.cafile, token=ADMIN))

    def _etcd_flags(self, peer_port):
        client, peer = (f"http://127.0.0.1:{port}" for port in (self.etcd_port, peer_port))
        return flags(name="e2e", data_dir=self.dir / "etcd", listen_client_urls=client,
                     advertise_client_urls=client, listen_peer_urls=peer,
                     initial_advertise_peer_urls=peer, initial_cluster=f"e2e={peer}")

    def _apiserver_flags(self):
        server = self.pki.server
        return flags(
            etcd_servers=f"http://127.0.0.1:{self.etcd_port}", bind_address="127.0.0.1",
            advertise_address="127.0.0.1", secure_port=self.port, tls_cert_file=server.cert,
            tls_private_key_file=server.key, cert_dir=self.dir / "certificates",
            client_ca_file=self.cafile, authorization_mode="RBAC",
            token_auth_file=self.dir / "tokens.csv", service_cluster_ip_range="10.0.0.0/24",
            service_account_issuer="https://kubernetes.default.svc",
            service_account_key_file=self.sa_key, service_account_signing_key_file=self.sa_key,
            requestheader_client_ca_file=self.cafile, requestheader_allowed_names=PROXY_CLIENT,
            requestheader_username_headers="X-Remote-User",
            requestheader_group_headers="X-Remote-Group",
            requestheader_extra_headers_prefix="X-Remote-Extra-",
            proxy_client_cert_file=server.cert, proxy_client_key_file=server.key)

    def _controller_flags(self):
        program = self.assets / "kube-controller-manager"
        known = subprocess.run([program, "--help"], capture_output=True, text=True, check=False)
        # up to 1.23: an open port that is always the same
        insecure = flags(port=0) if "--port int" in known.stdout else []
        return insecure + flags(
            kubeconfig=self.kubeconfig, authentication_kubeconfig=self.kubeconfig,
            authorization_kubeconfig=self.kubeconfig, leader_elect="false",
            service_account_private_key_file=self.sa_key, root_ca_file=self.cafile,
            bind_address="127.0.0.1", secure_port=free_ports(1)[0],
            cert_dir=self.dir / "certificates", use_service_account_credentials="false")

    # ---- life ----

    def start(self):
        try:
            self.etcd.start()
            self.start_apiserver()
            if self.controllers:
                self.start_controllers()
        except BaseException:
            self.stop()
            raise
        return self

    def start_apiserver(self):
        self.apiserver.start()
        self._await(lambda: self.admin.request("GET", "/readyz") == "ok", self.apiserver)

    def start_controllers(self):
        """They are up when they have made what they make in every namespace."""
        self.controllers.start()
        default = Namespace(self.admin, "default")
        self._await(lambda: default.get("ServiceAccount", "default"), self.controllers)

    def _await(self, answers, daemon):
        """Until @answers; if the daemon ends or takes too long, the end of its log tells why."""
        def ready():
            try:
                return answers() or not daemon.running
            except (OSError, Refused):
                return not daemon.running
        name = daemon.log.stem
        try:
            wait_for(ready, f"{name} is ready")
            assert daemon.running, f"{name} has ended"
        except AssertionError as e:
            raise AssertionError(f"{e}; its log ends:\n{daemon.tail()}") from None

    def stop(self):
        for daemon in filter(None, (self.controllers, self.apiserver, self.etcd)):
            daemon.stop(signal.SIGKILL if daemon is self.etcd else signal.SIGTERM)
        shutil.rmtree(self.dir, ignore_errors=True)


KUBECONFIG = """\
apiVersion: v1
kind: Config
current-context: e2e
clusters:
- name: e2e
  cluster: {{server: "{url}", certificate-authority: "{ca}"}}
users:
- name: admin
  user: {{token: "{token}"}}
contexts:
- name: e2e
  context: {{cluster: e2e, user: admin}}
"""
