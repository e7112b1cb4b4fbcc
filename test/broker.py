"""A real RabbitMQ with its management API, on loopback, in a directory of its own.

    with Broker(directory, ca, certificate) as broker:
        broker.add_vhost("v")
        broker.add_user("u", "secret")
        broker.allow("u", "v", configure=".*")
        broker.declare("v", "some queue", "another", queue_type="quorum")
        run_program(RABBITMQ_URL=broker.url, ...)
        assert broker.queues("v") == set()

Ports, node name, cookie, data, log and epmd are its own; nothing listens but on loopback. It is
killed at the end: the kernel does it if this process dies first.
"""
import base64
import concurrent.futures
import contextlib
import ctypes
import fcntl
import glob
import importlib.util
import json
import os
import pathlib
import pickle
import random
import shutil
import signal
import socket
import subprocess
import tempfile
import time
import urllib.error
import urllib.parse
import urllib.request

SERVER = "/usr/lib/rabbitmq/lib/rabbitmq_server-*/sbin/rabbitmq-server"
START_SECONDS = 180
ADMIN = ("admin", "admin-pw")
SECRET = "open-sesame"      # the part of the password that looks the same in every notation
USER, PASSWORD = "cleaner", f"pä:ß {SECRET} w'o\"r\\d$"
PR_SET_PDEATHSIG = 1

CONFIG = """\
listeners.tcp.default = 127.0.0.1:{amqp}
management.tcp.ip = 127.0.0.1
management.tcp.port = {http}
management.ssl.ip = 127.0.0.1
management.ssl.port = {https}
management.ssl.cacertfile = {ca}
management.ssl.certfile = {cert}
management.ssl.keyfile = {key}
default_user = {user}
default_pass = {password}
disk_free_limit.absolute = 1MB
log.file.level = warning
"""


def missing_packages():
    """Those of Debian's packages that must be installed first."""
    there = {"rabbitmq-server": glob.glob(SERVER), "python3-pika": importlib.util.find_spec("pika")}
    return [package for package, found in there.items() if not found]


def server_command():
    return sorted(glob.glob(SERVER))[-1]


def quote(name):
    return urllib.parse.quote(name, safe="")


def free_ports(count):
    """Distinct ports of 127.0.0.1 that nobody listens on now, below those that the kernel gives
    away: of these, one may be taken by the time that the broker has come up."""
    with contextlib.ExitStack() as stack:
        ports = []
        while len(ports) < count:
            port, s = random.randrange(20_000, 32_000), stack.enter_context(socket.socket())
            with contextlib.suppress(OSError):
                s.bind(("127.0.0.1", port))
                ports.append(port)
        return ports


def _die_with_parent():
    ctypes.CDLL(None).prctl(PR_SET_PDEATHSIG, signal.SIGKILL)


class Broker:
    """`certificate` is for the https listener; `ca` is the authority that issued it."""

    def __init__(self, directory, ca, certificate):
        self.dir = pathlib.Path(tempfile.mkdtemp(prefix="broker-", dir=directory))
        self.ca_file = ca.cert
        self.amqp_port, self.port, self.https_port, self._dist, self._epmd = free_ports(5)
        self.url = f"http://127.0.0.1:{self.port}"
        self._node = f"cleanup{os.getpid()}@localhost"
        self._processes = []
        (self.dir / "rabbitmq.conf").write_text(CONFIG.format(
            amqp=self.amqp_port, http=self.port, https=self.https_port, ca=ca.cert,
            cert=certificate.cert, key=certificate.key, user=ADMIN[0], password=ADMIN[1]))
        (self.dir / "enabled_plugins").write_text("[rabbitmq_management].\n")
        (self.dir / "env.conf").touch()
        (self.dir / ".erlang.cookie").write_text("cleanup-grpc-tests")
        (self.dir / ".erlang.cookie").chmod(0o400)

    def _env(self):
        return {"PATH": os.environ["PATH"], "HOME": str(self.dir), "LANG": "C.UTF-8",
                "ERL_EPMD_PORT": str(self._epmd), "ERL_EPMD_ADDRESS": "127.0.0.1",
                "RUNNING_UNDER_SYSTEMD": "true",    # the script becomes the server
                "RABBITMQ_NODENAME": self._node,
                "RABBITMQ_DIST_PORT": str(self._dist),
                "RABBITMQ_CONF_ENV_FILE": str(self.dir / "env.conf"),
                "RABBITMQ_CONFIG_FILE": str(self.dir / "rabbitmq.conf"),
                "RABBITMQ_ADVANCED_CONFIG_FILE": str(self.dir / "advanced.config"),
                "RABBITMQ_ENABLED_PLUGINS_FILE": str(self.dir / "enabled_plugins"),
                "RABBITMQ_MNESIA_BASE": str(self.dir / "data"),
                "RABBITMQ_LOG_BASE": str(self.dir / "log"),
                "RABBITMQ_PID_FILE": str(self.dir / "pid"),
                "RABBITMQ_SERVER_ADDITIONAL_ERL_ARGS":
                    "-kernel inet_dist_use_interface {127,0,0,1} "
                    "+sbwt none +sbwtdcpu none +sbwtdio none"}

    def _spawn(self, *command):
        with open(self.dir / "console", "ab") as console:
            self._processes.append(subprocess.Popen(
                command, env=self._env(), cwd=self.dir, stdin=subprocess.DEVNULL, stdout=console,
                stderr=console, start_new_session=True, preexec_fn=_die_with_parent))

    def start(self):
        """Returns when the management API answers and the AMQP port is open."""
        try:
            self._spawn("epmd", "-port", str(self._epmd), "-address", "127.0.0.1")
            self._spawn(server_command())
            deadline = time.monotonic() + START_SECONDS
            while not self._is_up():
                if self._processes[-1].poll() is not None or time.monotonic() > deadline:
                    raise RuntimeError("RabbitMQ does not come up:\n" + self._console())
                time.sleep(0.2)
        except BaseException:
            self.stop()
            raise
        return self

    def _is_up(self):
        try:
            self.api("GET", "/api/overview")
            socket.create_connection(("127.0.0.1", self.amqp_port), 1).close()
            return True
        except OSError:     # urllib's errors are such, too
            return False

    def _console(self):
        return (self.dir / "console").read_text(errors="replace")[-3000:]

    def stop(self):
        for process in reversed(self._processes):
            with contextlib.suppress(ProcessLookupError):
                os.killpg(process.pid, signal.SIGKILL)
            process.wait()
        shutil.rmtree(self.dir, ignore_errors=True)

    def __enter__(self):
        return self.start()

    def __exit__(self, *exc):
        self.stop()

    def __getstate__(self):
        return {**self.__dict__, "_processes": []}

    @classmethod
    @contextlib.contextmanager
    def shared(cls, directory, ca, certificate, prepare):
        """One broker for all processes that share the directory: the first one starts it, calls
        prepare(broker), and stops it when the others are done with it."""
        note = directory / "broker"
        with open(directory / "broker.start", "wb") as start, \
                open(directory / "broker.users", "wb") as users:
            fcntl.flock(start, fcntl.LOCK_EX)
            fcntl.flock(users, fcntl.LOCK_SH)
            if note.exists():
                broker = pickle.loads(note.read_bytes())
                fcntl.flock(start, fcntl.LOCK_UN)
                yield broker
                return
            with cls(directory, ca, certificate) as broker:
                prepare(broker)
                note.write_bytes(pickle.dumps(broker))
                fcntl.flock(start, fcntl.LOCK_UN)
                try:
                    yield broker
                finally:
                    fcntl.flock(start, fcntl.LOCK_EX)
                    fcntl.flock(users, fcntl.LOCK_EX)
                    note.unlink()

    # ---- the management API, as the administrator ----

    def api(self, method, path, body=None, user=ADMIN):
        """The decoded answer; urllib.error.HTTPError unless it is 2xx."""
        request = urllib.request.Request(self.url + path, method=method)
        token = base64.b64encode(":".join(user).encode()).decode()
        request.add_header("Authorization", "Basic " + token)
        if body is not None:
            request.data = json.dumps(body).encode()
            request.add_header("Content-Type", "application/json")
        with urllib.request.urlopen(request, timeout=60) as answer:
            return json.loads(answer.read() or b"null")

    def add_vhost(self, vhost):
        self.api("PUT", f"/api/vhosts/{quote(vhost)}", {})
        self.allow(ADMIN[0], vhost, configure=".*", write=".*", read=".*")

    def add_user(self, user, password, tags="management"):
        self.api("PUT", f"/api/users/{quote(user)}", {"password": password, "tags": tags})

    def allow(self, user, vhost, configure="", write="", read=""):
        """Regular expressions, as RabbitMQ has them; the empty one matches nothing."""
        self.api("PUT", f"/api/permissions/{quote(vhost)}/{quote(user)}",
                 {"configure": configure, "write": write, "read": read})

    def declare(self, vhost, *names, queue_type="classic"):
        """Durable queues. bytes for names that are no UTF-8."""
        def one(name):
            self.api("PUT", f"/api/queues/{quote(vhost)}/{quote(name)}",
                     {"durable": True, "arguments": {"x-queue-type": queue_type}})
        with concurrent.futures.ThreadPoolExecutor(8) as pool:
            list(pool.map(one, names))

    def clone(self, vhost, name, count):
        """`count` more queues like this one, named name-0 and so on.

        Only their records in the broker's table: as good as any when queues are listed, and done
        in half a second, where 20,000 declarations take half a minute.
        """
        resource = 'rabbit_misc:r(<<"%s">>, queue, <<"%s">>)'
        self.eval(f"{{ok, Q}} = rabbit_amqqueue:lookup({resource % (vhost, name)}), "
                  f'Name = fun(I) -> iolist_to_binary(["{name}-", integer_to_list(I)]) end, '
                  f"[ok = mnesia:dirty_write(rabbit_queue, setelement(2, Q, "
                  f'rabbit_misc:r(<<"{vhost}">>, queue, Name(I)))) '
                  f"|| I <- lists:seq(0, {count - 1})], ok.")

    def eval(self, erlang):
        ctl = pathlib.Path(server_command()).parent / "rabbitmqctl"
        subprocess.run([ctl, "eval", erlang], env=self._env(), check=True, timeout=60,
                       stdout=subprocess.DEVNULL)

    def publish(self, vhost, name):
        self.api("POST", f"/api/exchanges/{quote(vhost)}/amq.default/publish",
                 {"routing_key": name, "payload": "x", "payload_encoding": "string",
                  "properties": {"delivery_mode": 2}})

    def queues(self, vhost):
        return {q["name"] for q in self.api("GET", f"/api/queues/{quote(vhost)}?columns=name")}

    @contextlib.contextmanager
    def channel(self, vhost):
        """An AMQP connection with one channel, for exclusive queues and consumers."""
        import pika     # pylint: disable=import-outside-toplevel
        connection = pika.BlockingConnection(pika.ConnectionParameters(
            "127.0.0.1", self.amqp_port, vhost, pika.PlainCredentials(*ADMIN)))
        with contextlib.closing(connection):
            yield connection.channel()
