"""HTTP/1.1 over TLS on one event loop: connections, faults, and the request log."""
import asyncio
import collections
import dataclasses
import email.utils
import http
import inspect
import json
import socket
import ssl
import struct
import time
import traceback
import urllib.parse
import uuid

from . import builders
from .api import Response, WatchResponse, describe
from .watch import Watch

CHUNK_OVER = 2048       # Go's net/http: longer answers are chunked
HEAD_LIMIT = 1 << 18
BODY_LIMIT = 3 << 20    # what the API server accepts


@dataclasses.dataclass(eq=False)
class Request:
    """One request as it came, and what became of it."""
    seq: int
    time: float                     # the server's wall clock
    monotonic: float
    connection: int
    method: str
    target: str                     # as sent: path and query
    path: str
    query: dict                     # name -> list of values
    headers: dict                   # lower-case names
    raw_body: bytes
    body: object = None             # decoded if it is JSON
    group: str = ""
    resource: str = ""
    namespace: str = ""
    name: str = ""
    verb: str = ""                  # as RBAC calls it; the method for other paths
    user: str = None
    status: int = None              # of the answer; None as long as there is none
    answer: bytes = b""             # its body; not for watches
    finished: float = None          # monotonic, when the answer was sent or given up
    aborted: str = ""               # "client" or "server" if it did not end well
    route: object = dataclasses.field(default=None, repr=False)

    @property
    def manager(self):
        """The field manager is the User-Agent up to "/", and "unknown" without one."""
        agent = self.headers.get("user-agent", "")
        return agent.partition("/")[0].split(" ")[0] or "unknown"

    def __str__(self):
        return f"#{self.seq} {self.method} {self.target} -> {self.status} {self.aborted}"


class Gone(Exception):
    """The connection is no more."""


class Connection:
    def __init__(self, number, reader, writer):
        self.number, self.reader, self.writer = number, reader, writer
        self.frozen = False
        self.task = None

    async def send(self, data):
        if self.frozen:
            return
        if self.writer.transport.is_closing():
            raise Gone()
        self.writer.write(data)
        try:
            await self.writer.drain()
        except (ConnectionError, ssl.SSLError) as e:
            raise Gone() from e

    async def flush(self):
        """Until the kernel has all of it (at most 5 s)."""
        deadline = time.monotonic() + 5
        transport = self.writer.transport
        below = getattr(getattr(transport, "_ssl_protocol", None), "_transport", None)
        while time.monotonic() < deadline and any(
                t is not None and t.get_write_buffer_size() for t in (transport, below)):
            await asyncio.sleep(0.001)

    def freeze(self):
        """Half-open: nothing is sent or read any more, not even a FIN."""
        self.frozen = True
        self.writer.transport.pause_reading()

    async def reset_later(self):
        """Once the client had a chance to read what was sent: some kernels drop that."""
        await self.flush()
        await asyncio.sleep(0.05)
        self.reset()

    def reset(self):
        sock = self.writer.get_extra_info("socket")
        if sock is not None:        # else the client has closed it by now
            reset_on_close(sock)
        self.writer.transport.abort()

    async def close(self):
        self.writer.close()
        try:
            await asyncio.wait_for(self.writer.wait_closed(), 2)
        except (OSError, ssl.SSLError, asyncio.TimeoutError):
            pass


def reset_on_close(sock):
    try:
        sock.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
    except OSError:
        pass        # closed already


@dataclasses.dataclass
class Stats:
    accepted: int = 0           # TCP connections
    handshakes: int = 0         # TLS handshakes that succeeded
    failed_handshakes: int = 0
    open: int = 0
    max_open: int = 0


class Server:
    """Everything here runs on the loop's thread."""

    def __init__(self, kube, store, api, host, tls):
        self.kube, self.store, self.api, self.host = kube, store, api, host
        self.is_new = builders.is_new(api.version)
        self.ssl = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER) if tls else None
        self.port = 0
        self.stats = Stats()
        self.requests, self.connections, self.watches = [], {}, {}
        self.faults, self.before, self.after = [], [], []
        self.connection_faults = collections.deque()
        self.bookmark_period, self.bookmark_before = 60.0, 2.0
        self.watch_second = 1.0     # the length of a second of timeoutSeconds
        self.idle_timeout = 90.0
        self.errors = []            # mistakes of the fake or of a hook; stop() reports them
        self.notify = lambda: None
        self._listener = self._acceptor = None
        self._held = []
        self._flowschema = str(uuid.uuid4())
        store.listeners.append(self._publish)

    # ---- listening ----

    async def listen(self):
        if self._listener:
            return
        family = socket.AF_INET6 if ":" in self.host else socket.AF_INET
        # asyncio switches Nagle's algorithm off only where the protocol is named
        listener = socket.socket(family, socket.SOCK_STREAM, socket.IPPROTO_TCP)
        listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        listener.bind((self.host, self.port))
        listener.listen(4096)
        listener.setblocking(False)
        self.port = listener.getsockname()[1]
        self._listener = listener
        self._acceptor = asyncio.ensure_future(self._accept(listener))

    async def refuse(self):
        """Connections are refused until listen(); open ones live on."""
        if self._listener:
            self._acceptor.cancel()
            await asyncio.gather(self._acceptor, return_exceptions=True)
            self._listener.close()
            self._listener = None

    async def stop(self):
        await self.refuse()
        tasks = [c.task for c in self.connections.values() if c.task]
        for connection in list(self.connections.values()):
            connection.writer.transport.abort()
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)
        for sock in self._held:
            sock.close()

    async def _accept(self, listener):
        loop = asyncio.get_running_loop()
        tasks = set()
        while True:
            sock, _ = await loop.sock_accept(listener)
            self.stats.accepted += 1
            task = asyncio.ensure_future(self._welcome(sock, self.stats.accepted))
            tasks.add(task)
            task.add_done_callback(tasks.discard)

    async def _welcome(self, sock, number):
        """Before TLS: this is where a connection can go wrong as such."""
        self.notify()
        if self.connection_faults:
            what = self.connection_faults[0]
            if what[1] is not None:
                what[1] -= 1
                if what[1] <= 0:
                    self.connection_faults.popleft()
            if what[0] == "blackhole":
                self._held.append(sock)
                return
            if what[0] == "reset":
                reset_on_close(sock)
            elif what[0] == "garbage":
                await asyncio.get_running_loop().sock_sendall(sock, b"SSH-2.0-nothing\r\n")
            sock.close()
            return
        loop = asyncio.get_running_loop()
        reader = asyncio.StreamReader(limit=HEAD_LIMIT, loop=loop)
        protocol = asyncio.StreamReaderProtocol(reader, loop=loop)
        extra = {"ssl": self.ssl, "ssl_shutdown_timeout": 1.0} if self.ssl else {}
        try:
            transport, _ = await loop.connect_accepted_socket(lambda: protocol, sock, **extra)
        except (OSError, ssl.SSLError):
            self.stats.failed_handshakes += 1
            self.notify()
            return
        if self.ssl:
            self.stats.handshakes += 1
        writer = asyncio.StreamWriter(transport, protocol, reader, loop)
        connection = Connection(number, reader, writer)
        connection.task = asyncio.current_task()
        self.connections[number] = connection
        self.stats.open += 1
        self.stats.max_open = max(self.stats.max_open, self.stats.open)
        self.notify()
        try:
            await self._serve(connection)
        except (Gone, ConnectionError, ssl.SSLError, asyncio.IncompleteReadError,
                asyncio.LimitOverrunError, asyncio.TimeoutError):
            pass
        except Exception:       # pylint: disable=broad-except
            self.errors.append(traceback.format_exc())
        finally:
            self.stats.open -= 1
            del self.connections[number]
            self.notify()
            if not connection.frozen:
                await connection.close()

    # ---- one connection ----

    async def _serve(self, connection):
        go_on = True
        while go_on:
            try:
                request = await self._read(connection)
            except ValueError:
                await connection.send(b"HTTP/1.1 400 Bad Request\r\nConnection: close\r\n"
                                      b"Content-Type: text/plain\r\nContent-Length: 15\r\n\r\n"
                                      b"400 Bad Request")
                return
            if request is None:
                return
            self.requests.append(request)
            self.notify()
            try:
                go_on = await self._respond(connection, request)
            except (Gone, ConnectionError, ssl.SSLError):
                request.aborted = request.aborted or "client"
                raise
            finally:
                request.finished = time.monotonic()
                self.notify()
            if request.headers.get("connection", "").lower() == "close":
                return

    async def _read(self, connection):
        reader = connection.reader
        try:
            head = await asyncio.wait_for(reader.readuntil(b"\r\n\r\n"), self.idle_timeout)
        except asyncio.IncompleteReadError:
            return None
        first, *lines = head.decode("latin-1").rstrip().split("\r\n")
        method, target, _ = first.split(" ")
        headers = {}
        for line in lines:
            name, _, value = line.partition(":")
            headers[name.strip().lower()] = value.strip()
        if headers.get("expect", "").lower() == "100-continue":
            await connection.send(b"HTTP/1.1 100 Continue\r\n\r\n")
        raw = await self._read_body(reader, headers)
        path, _, query = target.partition("?")
        path = path.removeprefix(self.kube.prefix) if path.startswith(self.kube.prefix) else "/"
        request = Request(len(self.requests) + 1, self.kube.now(), time.monotonic(),
                          connection.number, method, target, path,
                          urllib.parse.parse_qs(query, keep_blank_values=True), headers, raw)
        try:
            request.body = json.loads(raw) if raw else None
        except ValueError:
            request.body = raw
        describe(request)
        return request

    async def _read_body(self, reader, headers):
        if headers.get("transfer-encoding", "").lower() == "chunked":
            body = b""
            while True:
                size = int((await reader.readline()).split(b";")[0], 16)
                body += (await reader.readexactly(size + 2))[:size]
                if size == 0:
                    return body
        size = int(headers.get("content-length", 0))
        if size > BODY_LIMIT:
            raise Gone()
        return await reader.readexactly(size)

    async def _run_hooks(self, hooks, request):
        for hook in list(hooks):
            if hook.fires(request):
                result = hook.what(self.kube, request)
                if inspect.isawaitable(result):
                    await result
        hooks[:] = [h for h in hooks if h.active]

    async def hooks_after(self, request):
        await self._run_hooks(self.after, request)

    def _fault(self, request):
        found = next((f for f in self.faults if f.fires(request)), None)
        self.faults[:] = [f for f in self.faults if f.active]
        return found.what if found else None

    async def _respond(self, connection, request):
        """Handles one request; returns whether the connection goes on."""
        await self._run_hooks(self.before, request)
        action = self._fault(request)
        kind = action.kind if action else ""
        if kind in ("reset_before", "close_before", "never", "hang_then_close"):
            request.aborted = "server"
            if kind == "never":
                await connection.reader.read(1)
            elif kind == "hang_then_close":
                await asyncio.sleep(action.seconds)
            if kind == "reset_before":
                connection.reset()
            return False
        if kind == "hang":
            await asyncio.sleep(action.seconds)
        if kind == "answer":
            request.user = self.api.access.user_of(request.headers)
            response = dataclasses.replace(action.response,
                                           headers=dict(action.response.headers))
        elif kind == "answer_to":
            request.user = self.api.access.user_of(request.headers)
            response = action.fn(self.api, request)
        elif kind == "huge":
            return await self._send_huge(connection, request, action.count)
        else:
            response = self.api.handle(request)
        if isinstance(response, WatchResponse):
            return await self._stream(connection, request, response, action)
        if response.delay:
            await asyncio.sleep(response.delay)
        request.status = response.status
        if kind == "edit":
            action.fn(response)
            request.status = response.status
        request.answer = response.body
        await self.hooks_after(request)
        if kind == "late":
            await asyncio.sleep(action.seconds)
        if kind == "lose":
            request.aborted = "server"
            connection.reset()
            return False
        return await self._send(connection, request, response, action)

    def _head(self, status, content_type, headers, length=None):
        """`length` None: chunked."""
        try:
            phrase = http.HTTPStatus(status).phrase
        except ValueError:
            phrase = "Unknown"
        lines = {"Audit-Id": str(uuid.uuid4()), "Cache-Control": "no-cache, private",
                 "Content-Type": content_type,
                 "X-Kubernetes-Pf-Flowschema-Uid": self._flowschema,
                 "Date": email.utils.formatdate(self.kube.now(), usegmt=True), **headers}
        if not any(k.lower() in ("content-length", "transfer-encoding") for k in headers):
            if length is None:
                lines["Transfer-Encoding"] = "chunked"
            else:
                lines["Content-Length"] = str(length)
        text = f"HTTP/1.1 {status} {phrase}\r\n" + "".join(
            f"{k}: {v}\r\n" for k, v in lines.items() if v is not None)
        return (text + "\r\n").encode("latin-1")

    async def _send(self, connection, request, response: Response, action):
        kind = action.kind if action else ""
        body = response.body
        chunked = len(body) > CHUNK_OVER and kind not in ("cut", "reset_mid")
        head = self._head(response.status, response.content_type, response.headers,
                          None if chunked else len(body))
        if chunked:
            data = b"".join(b"%x\r\n%s\r\n" % (len(p), p) for p in (
                body[i:i + 4096] for i in range(0, len(body), 4096))) + b"0\r\n\r\n"
        else:
            data = body
        if kind in ("cut", "reset_mid"):
            request.aborted = "server"
            await connection.send(head + data[:action.count])
            if kind == "reset_mid":
                await connection.reset_later()
            return False
        if kind == "drip":
            step = max(1, int(action.rate / 100))
            whole = head + data
            for i in range(0, len(whole), step):
                await connection.send(whole[i:i + step])
                await asyncio.sleep(step / action.rate)
        else:
            await connection.send(head + data)
        if kind == "reset_after":
            await connection.reset_later()
            return False
        return response.headers.get("Connection", "").lower() != "close"

    async def _send_huge(self, connection, request, size):
        request.status = 200
        await connection.send(self._head(200, "application/json", {}, None))
        piece = b"x" * 65536
        start = b'{"kind":"JobList","apiVersion":"batch/v1","junk":"'
        await connection.send(b"%x\r\n%s\r\n" % (len(start), start))
        for _ in range(0, size, len(piece)):
            await connection.send(b"%x\r\n%s\r\n" % (len(piece), piece))
        await connection.send(b'2\r\n"}\r\n0\r\n\r\n')
        return True

    # ---- watches ----

    def _publish(self, kind, event):
        """A watch of one name is found by that name, so that 1000 of them cost nothing."""
        for name in ("", event.obj["metadata"]["name"]):
            for watch in self.watches.get((kind, name), []):
                watch.offer(event)
        self.notify()

    def open_watches(self):
        return [w for group in self.watches.values() for w in group]

    async def _stream(self, connection, request, response, action):
        request.status = 200
        await connection.send(self._head(200, "application/json", {}, None))
        self.notify()
        ended = await Watch(self, connection, request, response, action).run()
        if ended == "end":
            await connection.send(b"0\r\n\r\n")
            return True
        request.aborted = "client" if ended == "gone" else "server"
        if ended == "reset":
            await connection.reset_later()
        return False
