"""The servers of dns_test.py: name servers, real and faulty, and an API server that only says 503."""
import http.server
import os
import pathlib
import socket
import ssl
import struct
import subprocess
import threading
import time

from image_scenario import question

A, AAAA = 1, 28
REFUSED, SERVFAIL, NXDOMAIN, TRUNCATED = 5, 2, 3, 0x200


def record(address):
    """(type, data) of an address."""
    v6 = ":" in address
    return (AAAA if v6 else A), socket.inet_pton(socket.AF_INET6 if v6 else socket.AF_INET, address)


class FaultyDns:
    """Answers from `zone` {name: addresses}, in their order; `fault(name, kind)` says what else.

    A fault is None, "silent", "truncated" (by UDP) or a response code. `zone` may be changed.
    """

    def __init__(self, address, zone, fault=lambda name, kind: None):
        self.zone, self.fault = zone, fault
        self.asked = []
        self._udp = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
        self._udp.bind((address, 53))
        self._tcp = socket.create_server((address, 53))
        for serve in (self._serve_udp, self._serve_tcp):
            threading.Thread(target=serve, daemon=True).start()

    def _answer(self, query, by_udp):
        name, kind, end = question(query)
        self.asked.append(name)
        fault = self.fault(name, kind)
        if fault == "silent":
            return None
        known = name in self.zone and fault in (None, "truncated")
        found = [r for r in map(record, self.zone[name]) if r[0] == kind] if known else []
        flags = 0x8580 | (fault if isinstance(fault, int) else 0 if known else NXDOMAIN)
        if by_udp and (fault == "truncated" or len(found) > 20):
            found, flags = [], flags | TRUNCATED
        records = b"".join(struct.pack("!HHHIH", 0xC00C, kind, 1, 0, len(data)) + data
                           for _, data in found)
        return query[:2] + struct.pack("!HHHHH", flags, 1, len(found), 0, 0) + query[12:end] + records

    def _serve_udp(self):
        while True:
            query, peer = self._udp.recvfrom(2048)
            reply = self._answer(query, True)
            if reply:
                self._udp.sendto(reply, peer)

    def _serve_tcp(self):
        while True:
            peer, _ = self._tcp.accept()
            with peer, peer.makefile("rb") as stream:
                while head := stream.read(2):
                    reply = self._answer(stream.read(*struct.unpack("!H", head)), False)
                    if reply:
                        peer.sendall(struct.pack("!H", len(reply)) + reply)


class Dnsmasq:
    """The real one, with the same `zone`."""

    def __init__(self, address, zone):
        records = [f"--host-record={name},{a}" for name, addresses in zone.items() for a in addresses]
        self.process = subprocess.Popen(    # pylint: disable=consider-using-with
            ["dnsmasq", "--keep-in-foreground", "--conf-file=/dev/null", "--no-resolv", "--no-hosts",
             f"--listen-address={address}", "--bind-interfaces", "--pid-file", "--user=root",
             "--local=/#/", *records], stdin=subprocess.DEVNULL)
        probe = b"\0\1\1\0\0\1\0\0\0\0\0\0\1a\0\0\1\0\1"
        with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as s:
            s.settimeout(0.1)
            s.connect((address, 53))
            for _ in range(100):
                try:
                    s.send(probe)
                    s.recv(512)
                    return
                except OSError:
                    time.sleep(0.05)
        raise RuntimeError("dnsmasq does not answer")


class Api:
    """Says 503 to everything, on every address; `requests`: (when, at which address), of ours."""

    def __init__(self, certificate):
        self.requests = []
        self.connections = []
        api = self

        class Handler(http.server.BaseHTTPRequestHandler):
            protocol_version = "HTTP/1.1"

            def setup(self):
                super().setup()
                api.connections.append(self.connection)

            def do_GET(self):   # pylint: disable=invalid-name
                at = self.connection.getsockname()[0].removeprefix("::ffff:")
                if self.headers["User-Agent"].startswith("cleanup-grpc/"):
                    api.requests.append((time.monotonic(), at))
                self.send_response(503)
                self.send_header("Content-Length", "0")
                self.end_headers()

            def log_message(self, *_):  # pylint: disable=arguments-differ
                pass

        class Server(http.server.ThreadingHTTPServer):
            address_family = socket.AF_INET6

            def server_bind(self):
                self.socket.setsockopt(socket.IPPROTO_IPV6, socket.IPV6_V6ONLY, 0)
                super().server_bind()

            def handle_error(self, request, client_address):
                pass    # a connection that was cut

        context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        context.load_cert_chain(certificate.cert, certificate.key)
        server = Server(("::", 0), Handler)
        server.socket = context.wrap_socket(server.socket, server_side=True)
        self.port = server.server_address[1]
        threading.Thread(target=server.serve_forever, daemon=True).start()

    def cut(self):
        for connection in self.connections:
            try:
                connection.shutdown(socket.SHUT_RDWR)
            except OSError:
                pass

    def wait(self, seconds, after=0):
        return self.wait_until(time.monotonic() + seconds, after)

    def wait_until(self, deadline, after=0):
        """The first request after the first `after`, or None."""
        while time.monotonic() < deadline:
            if len(self.requests) > after:
                return self.requests[after]
            time.sleep(0.01)
        return None


def network():
    """The API server's addresses, 192.0.2.1 and 2001:db8::1; all of 192.0.2.8/29 swallow what is sent.

    No address is one of an interface's that is asked from, so that none is nearer than another, and
    the C library leaves their order alone.
    """
    for command in ("link set lo up", "link add sink type veth peer name drain", "link set sink up",
                    "link set drain up", "addr add 192.0.2.2/32 dev sink",
                    "route add local 192.0.2.1 dev lo src 192.0.2.2",
                    "route add 192.0.2.8/29 dev sink src 192.0.2.2",
                    "addr add 2001:db8::1/128 dev sink nodad", "route add 2001:db8::8/125 dev sink"):
        subprocess.run(["ip", *command.split()], check=True)
    for n in range(8, 16):      # no ARP, which would fail
        for address in (f"192.0.2.{n}", f"2001:db8::{n:x}"):
            subprocess.run(["ip", "neigh", "add", address, "lladdr", "02:00:00:00:00:01", "dev", "sink"],
                           check=True)


def make_root(root, binary, resolv_conf, hosts, account):
    """An image's root, and one with Debian's curl and the same files."""
    ours, debian = root / "ours", root / "debian"
    for place in (ours, debian):
        (place / "etc").mkdir(parents=True)
        (place / "etc/resolv.conf").write_bytes(resolv_conf.encode())
        if hosts:
            (place / "etc/hosts").write_text(hosts)
        (place / "sa").mkdir()
        for name, content in account.items():
            (place / "sa" / name).write_bytes(content)
    (ours / "cleanup-grpc").write_bytes(pathlib.Path(binary).read_bytes())
    (ours / "cleanup-grpc").chmod(0o755)
    for name in ("lib", "lib64", "bin"):
        (debian / name).symlink_to("usr/" + name)
    (debian / "usr").mkdir()
    subprocess.run(["mount", "--bind", "/usr", debian / "usr"], check=True)
    os.chmod(root, 0o755)
    return ours, debian
