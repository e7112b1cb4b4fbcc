"""One open watch: a stream of lines until the timeout, the client or a test ends it."""
import asyncio
import collections
import random

from .api import status_object
from .store import watch_line


class Watch:
    def __init__(self, server, connection, request, response, action):
        self.server, self.connection, self.request = server, connection, request
        self.spec = response
        self.lines_sent = 0
        self.last_rv = 0
        self._split = action.count if action and action.kind == "watch_split" else 0
        self._joined = bool(action and action.kind == "watch_joined")
        self._after = action if action and action.kind == "watch_after" else None
        self._pending = collections.deque()
        self._wake = asyncio.Event()
        self._end = None                # "end" or "reset" once someone wants it
        self._silent = False

    # ---- what the store and the tests do to it ----

    def offer(self, event):
        """An object that begins or ceases to match the selectors is ADDED or DELETED."""
        if event.rv <= self._start:
            return
        matches = event.type != "DELETED" and self.spec.matches(event.obj)
        before = event.old is not None and self.spec.matches(event.old)
        if matches:
            self.push(event.line("MODIFIED" if before else "ADDED"))
        elif before:
            self.push(event.line("DELETED"))

    def push(self, line):
        self._pending.append(line)
        self._wake.set()

    def end(self, how="end"):
        self._end = how
        self._wake.set()

    def silence(self):
        """Nothing more is sent, no bookmark and no end; the connection stays open."""
        self._silent = True

    # ---- the stream ----

    def _begin(self):
        """Queues what the client has missed; False if that is forgotten."""
        store, spec = self.server.store, self.spec
        if spec.start is None:
            # unset or 0: what is there comes first, as ADDED
            for obj in store.list(spec.kind, spec.namespace or None):
                if spec.matches(obj):
                    self.push(watch_line("ADDED", obj))
            self._start = store.rv
            return True
        self._start = spec.start
        missed = store.since(spec.kind, spec.start)
        if missed is None:
            self.push(watch_line("ERROR", status_object(
                410, "Expired",
                f"too old resource version: {spec.start} ({store.compacted})")))
            return False
        for event in missed:
            self.offer(event)
        return True

    def _bookmark(self):
        """Nothing but a resourceVersion; the rest is what Go makes of an empty Job."""
        kind, meta = self.spec.kind, {"resourceVersion": str(self.server.store.rv)}
        obj = {"kind": kind.kind, "apiVersion": kind.api_version, "metadata": meta}
        empty = {}
        if not self.server.is_new:
            meta["creationTimestamp"] = empty["creationTimestamp"] = None
        if kind.resource == "jobs":
            obj |= {"spec": {"template": {"metadata": empty, "spec": {"containers": None}}},
                    "status": {}}
        elif kind.resource == "pods":
            obj |= {"spec": {"containers": None}, "status": {}}
        elif kind.resource == "services":
            obj |= {"spec": {}, "status": {"loadBalancer": {}}}
        return watch_line("BOOKMARK", obj)

    def _next_bookmark(self, now, deadline):
        """About each minute, and shortly before the end."""
        if not self.spec.bookmarks:
            return float("inf")
        regular, last = now + self.server.bookmark_period, deadline - self.server.bookmark_before
        return last if now < last < regular else regular

    async def run(self):
        """Streams; returns "end", "reset" or "gone" (the client went away)."""
        loop, server = asyncio.get_running_loop(), self.server
        go_on = self._begin()
        timeout = self.spec.timeout
        if timeout is None:
            timeout = random.uniform(1800, 3600)
        deadline = loop.time() + timeout * server.watch_second
        bookmark = self._next_bookmark(loop.time(), deadline)
        if go_on:
            server.watches.setdefault((self.spec.kind, self.spec.name), []).append(self)
        eof = asyncio.ensure_future(self.connection.reader.read(1))
        eof.add_done_callback(lambda _: self._wake.set())
        try:
            await server.hooks_after(self.request)
            while True:
                await self._send_pending()
                if self._end:
                    return self._end
                if not go_on:
                    return "end"
                if eof.done():
                    return "gone"
                now = loop.time()
                if self._silent:
                    await self._sleep(None)
                    continue
                if now >= deadline:
                    return "end"
                if now >= bookmark:
                    # a watch from the future is told nothing, not even this
                    if server.store.rv >= self._start:
                        self.push(self._bookmark())
                    bookmark = self._next_bookmark(now, deadline)
                    continue
                await self._sleep(min(deadline, bookmark) - now)
        finally:
            eof.cancel()
            await asyncio.gather(eof, return_exceptions=True)
            if go_on:
                server.watches[self.spec.kind, self.spec.name].remove(self)

    async def _sleep(self, seconds):
        self._wake.clear()
        if self._pending and not self._silent or self._end:
            return
        try:
            await asyncio.wait_for(self._wake.wait(), seconds)
        except asyncio.TimeoutError:
            pass

    async def _send_pending(self):
        while self._pending or (self._after and self.lines_sent >= self._after.count):
            if self._silent or self._end:
                return
            if self._after and self.lines_sent >= self._after.count:
                what, self._after = self._after.what, None
                if isinstance(what, bytes):
                    await self._write(what)
                elif what == "silence":
                    self._silent = True
                else:
                    self._end = what
                continue
            if self._joined:
                count, data = len(self._pending), b"".join(self._pending)
                self._pending.clear()
            else:
                count, data = 1, self._pending.popleft()
            await self._write(data)
            self.lines_sent += count

    async def _write(self, data):
        size = self._split or len(data)
        for i in range(0, len(data), size):
            piece = data[i:i + size]
            await self.connection.send(b"%x\r\n%s\r\n" % (len(piece), piece))
