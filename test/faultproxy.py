"""A proxy in front of a real HTTP server: forwards bytes as they are, and makes faults on demand.

    with FaultProxy(broker.port) as proxy:
        proxy.fault(answer(503), method="DELETE", times=2)
        run_program(RABBITMQ_URL=proxy.url)
        assert [r.path for r in proxy.requests] == [...]

It notes every request. A fault is done instead of forwarding:
    answer(status, body, headers)   any answer
    never()                         the connection stays open, silent
    slow(seconds)                   forwarded, but late
    reset()                         RST, nothing was forwarded
    lose()                          forwarded, then RST instead of the answer
    cut()                           forwarded, half of the answer's body, then a clean close
    huge(size)                      a JSON list that does not end
And the whole proxy can refuse() connections, and listen() again.
"""
import contextlib
import json
import socket
import ssl
import struct
import threading
import time


class Request:
    """`path` is the target as it came, names of headers are in lower case."""

    def __init__(self, head):
        (self.method, self.path, _), self.headers = parse_head(head)
        self.monotonic = time.monotonic()

    def __repr__(self):
        return f"{self.method} {self.path}"


class Exchange:
    """One request: the client that waits for its answer, and the way to the true answer."""

    def __init__(self, proxy, client, head):
        self.proxy, self.client, self.head = proxy, client, head
        self.request = Request(head)

    def forward(self):
        """What the server answers, byte for byte."""
        with socket.create_connection(("127.0.0.1", self.proxy.target), 60) as server, \
                server.makefile("rb") as stream:
            server.sendall(self.head)
            head = read_head(stream)
            return head + read_body(head, stream)

    def send(self, data):
        self.client.sendall(data)
        self.proxy.sent += len(data)

    def hang_up(self, reset=False):
        if reset:
            self.client.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
        raise ConnectionAbortedError


def parse_head(head):
    """The three words of the first line, and the headers."""
    first, *lines = head.decode("latin-1").rstrip("\r\n").split("\r\n")
    pairs = (line.partition(":") for line in lines)
    return first.split(" ", 2), {name.lower(): value.strip() for name, _, value in pairs}


def read_head(stream):
    """Up to the empty line; b"" when nothing more comes."""
    head = b""
    while not head.endswith(b"\r\n\r\n"):
        line = stream.readline()
        if not line:
            return b""
        head += line
    return head


def read_body(head, stream):
    """By Content-Length, or in chunks as they are."""
    _, headers = parse_head(head)
    if headers.get("transfer-encoding") != "chunked":
        return stream.read(int(headers.get("content-length", 0)))
    body = b""
    while True:
        size = stream.readline()
        body += size + stream.read(int(size, 16) + 2)
        if int(size, 16) == 0:
            return body


# ---- Faults ----

def answer(status, body=b"", headers=None):
    """`body` is bytes, or an object (JSON)."""
    body = body if isinstance(body, bytes) else json.dumps(body).encode()
    fields = {"Content-Type": "application/json", "Content-Length": len(body), **(headers or {})}
    head = "".join(f"{name}: {value}\r\n" for name, value in fields.items())
    return lambda x: x.send(f"HTTP/1.1 {status} Because\r\n{head}\r\n".encode() + body)


def forward(exchange):
    exchange.send(exchange.forward())


def never():
    return lambda x: x.proxy.stopping.wait()


def slow(seconds):
    def act(exchange):
        exchange.proxy.stopping.wait(seconds)
        forward(exchange)
    return act


def reset():
    return lambda x: x.hang_up(reset=True)


def lose():
    def act(exchange):
        exchange.forward()
        exchange.hang_up(reset=True)
    return act


def cut():
    def act(exchange):
        whole = exchange.forward()
        body = whole.partition(b"\r\n\r\n")[2]
        exchange.send(whole[:-max(1, len(body) // 2)])
        exchange.hang_up()
    return act


def huge(size=100_000_000):
    def act(exchange):
        exchange.send(b"HTTP/1.1 200 OK\r\nContent-Type: application/json\r\n"
                      b'Content-Length: %d\r\n\r\n{"items":[' % (size + 10))
        for _ in range(size // 10_000):
            exchange.send(b" " * 10_000)
    return act


class Fault:
    def __init__(self, action, method, part, times):
        self.action, self.method, self.part, self.times = action, method, part, times

    def takes(self, request):
        if self.times == 0 or self.method not in (None, request.method) \
                or self.part not in request.path:
            return False
        if self.times is not None:
            self.times -= 1
        return True


class FaultProxy:
    """Forwards to `target`, a port of 127.0.0.1. With a certificate it speaks TLS to clients."""

    def __init__(self, target, certificate=None):
        self.target = target
        self.requests = []
        self.connections = 0            # accepted, whatever came of them
        self.sent = 0                   # bytes to clients, without TLS's own
        self.stopping = threading.Event()
        self._faults = []
        self._port = 0
        self._scheme = "https" if certificate else "http"
        self._tls = None
        if certificate:
            self._tls = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
            self._tls.load_cert_chain(certificate.cert, certificate.key)
        self._changed = threading.Condition()
        self._listener = None
        self._clients = set()

    @property
    def url(self):
        return f"{self._scheme}://127.0.0.1:{self._port}"

    def __enter__(self):
        self.listen()
        return self

    def __exit__(self, *exc):
        self.stopping.set()
        self.refuse()

    # ---- what tests do ----

    def fault(self, action, method=None, part="", times=1):
        """For the next requests with this method and this part in their path; None: for all."""
        with self._changed:
            self._faults.append(Fault(action, method, part, times))

    def clear_faults(self):
        with self._changed:
            self._faults.clear()

    def listen(self):
        """The same port each time."""
        self._listener = socket.create_server(("127.0.0.1", self._port))
        self._port = self._listener.getsockname()[1]
        threading.Thread(target=self._accept, args=(self._listener,), daemon=True).start()

    def refuse(self):
        """Nobody listens any more, and the connections that there are break."""
        with self._changed:
            there = [self._listener, *self._clients]
        for s in there:
            with contextlib.suppress(OSError):
                s.shutdown(socket.SHUT_RDWR)
            s.close()

    def wait_request(self, count=1, method=None, timeout=15):
        """The count-th request with this method."""
        def found():
            return [r for r in self.requests if method in (None, r.method)]
        with self._changed:
            if not self._changed.wait_for(lambda: len(found()) >= count, timeout):
                raise AssertionError(f"not {count} requests {method or ''} within {timeout} s: "
                                     f"{self.requests}")
            return found()[count - 1]

    # ---- connections ----

    def _accept(self, listener):
        while True:
            try:
                client, _ = listener.accept()
            except OSError:
                return
            self.connections += 1
            threading.Thread(target=self._serve, args=(client,), daemon=True).start()

    def _serve(self, client):
        with contextlib.suppress(OSError), contextlib.ExitStack() as stack:
            stack.enter_context(client)
            if self._tls:
                client = stack.enter_context(self._tls.wrap_socket(client, server_side=True))
            stack.callback(self._note, self._clients.discard, client)
            self._note(self._clients.add, client)
            stream = stack.enter_context(client.makefile("rb"))
            while head := read_head(stream):
                self._handle(Exchange(self, client, head + read_body(head, stream)))

    def _note(self, change, what):
        with self._changed:
            change(what)
            self._changed.notify_all()

    def _handle(self, exchange):
        self._note(self.requests.append, exchange.request)
        with self._changed:
            fault = next((f for f in self._faults if f.takes(exchange.request)), None)
        (fault.action if fault else forward)(exchange)
