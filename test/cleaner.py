"""The real binary under test: started with an environment, its log read line by line.

Everything waits with a deadline; nothing sleeps for a fixed time.
"""
import json
import os
import pathlib
import signal
import subprocess
import threading
import time

ROOT = pathlib.Path(__file__).resolve().parent.parent
BINARY = os.environ.get("CLEANUP_BIN", str(ROOT / "build" / "cleanup-grpc"))
FAKETIME = "/usr/lib/{}/faketime/libfaketime.so.1"


def static_binary():
    """The one of the image, or None if it is not there or older than the sources."""
    path = pathlib.Path(os.environ.get("CLEANUP_STATIC", ROOT / "build/static/cleanup-grpc"))
    sources = max(p.stat().st_mtime for p in ROOT.glob("*.[ch]"))
    return str(path) if path.exists() and path.stat().st_mtime >= sources else None


def libfaketime():
    """Debian's libfaketime: it makes the program's clocks and time-outs run faster."""
    for triplet in ("x86_64-linux-gnu", "aarch64-linux-gnu"):
        path = FAKETIME.format(triplet)
        if os.path.exists(path):
            return path
    raise RuntimeError("libfaketime is not installed: run `make deps`")


class Cleaner:
    """One process of cleanup-grpc, logging JSON; `lines` holds what it has logged so far."""

    def __init__(self, env, *args, speed=None, prefix=(), text=False, program=None):
        environ = {"LOG_FORMAT": "text" if text else "json", "LOG_LEVEL": "debug"}
        environ.update({k: str(v) for k, v in env.items() if v is not None})
        for name in ("ASAN_OPTIONS", "UBSAN_OPTIONS", "LSAN_OPTIONS"):
            if name in os.environ:
                environ.setdefault(name, os.environ[name])
        if speed:
            environ["LD_PRELOAD"] = libfaketime()
            environ["FAKETIME"] = f"+0 x{speed}"
            environ["ASAN_OPTIONS"] = environ.get("ASAN_OPTIONS", "") + ":verify_asan_link_order=0"
        self.started = time.monotonic()
        self.process = subprocess.Popen([*prefix, program or BINARY, *args], env=environ,
                                        stdout=subprocess.PIPE, stderr=subprocess.PIPE)
        self.raw = []
        self.lines = []
        self._changed = threading.Condition()
        self._readers = [threading.Thread(target=self._read_log, daemon=True),
                         threading.Thread(target=self._read_stdout, daemon=True)]
        self.stdout = b""
        for reader in self._readers:
            reader.start()

    def _read_log(self):
        for raw in self.process.stderr:
            try:
                line = json.loads(raw)
            except ValueError:
                line = {"raw": raw.decode("utf-8", "replace")}
            line["_at"] = time.monotonic() - self.started
            with self._changed:
                self.raw.append(raw)
                self.lines.append(line)
                self._changed.notify_all()
        with self._changed:
            self._changed.notify_all()

    def _read_stdout(self):
        self.stdout = self.process.stdout.read()

    @staticmethod
    def _matches(line, fields):
        return all(line.get(k) == v for k, v in fields.items())

    def log(self, **fields):
        """The lines logged so far that have these fields."""
        with self._changed:
            return [line for line in self.lines if self._matches(line, fields)]

    def wait_log(self, timeout=15, count=1, **fields):
        """Waits for the count-th line with these fields and returns it."""
        deadline = time.monotonic() + timeout
        with self._changed:
            while True:
                found = [line for line in self.lines if self._matches(line, fields)]
                if len(found) >= count:
                    return found[count - 1]
                left = deadline - time.monotonic()
                if left <= 0:
                    raise AssertionError(f"no line {fields} within {timeout} s; the log is:\n"
                                         + self.text())
                self._changed.wait(left)

    def wait(self, timeout=20):
        """Waits for the end and returns the exit status."""
        try:
            status = self.process.wait(timeout)
        except subprocess.TimeoutExpired:
            raise AssertionError(f"still running after {timeout} s; the log is:\n"
                                 + self.text()) from None
        for reader in self._readers:
            reader.join(5)
        return status

    def signal(self, number=signal.SIGTERM):
        self.process.send_signal(number)

    def text(self):
        return b"".join(self.raw).decode("utf-8", "replace")

    def close(self):
        if self.process.poll() is None:
            self.process.kill()
        self.process.wait()
        for reader in self._readers:
            reader.join(5)

    def __enter__(self):
        return self

    def __exit__(self, *exc):
        self.close()
