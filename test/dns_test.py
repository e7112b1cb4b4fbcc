#!/usr/bin/python3
"""dns_test.py BINARY PROFILE [ROW...]: does the static BINARY find a name as Debian's own curl does?

Each row has a network namespace of its own, name servers, and two roots with the same resolv.conf
and hosts: the image's, and one with curl. Both must reach the API server, in about the same time, or
both must not. Ours is under the seccomp profile. Needs root, dnsmasq, curl and ip. --wrong: each row
once more with something wrong (the name is nowhere; or in /etc/hosts, where it must not be found), and
without curl: all must fail.
"""
import concurrent.futures
import json
import os
import pathlib
import shutil
import signal
import subprocess
import sys
import tempfile
import time
import traceback

import seccomp      # noqa: F401 pylint: disable=W0611  load() wants it, in a root that has none

from dns_servers import AAAA, REFUSED, SERVFAIL, Api, Dnsmasq, FaultyDns, make_root, network
from fakekube.pki import Pki
from test_seccomp import load

ONE, TWO = "127.0.0.11", "127.0.0.12"           # the name servers
NAME = "api.shoot.example.com"
CLUSTER = "panda.svc.cluster.local svc.cluster.local cluster.local"
SERVICE = "kubernetes.default.svc"
AT, SWALLOWS, SWALLOWS_V6 = "192.0.2.1", "192.0.2.9", "2001:db8::9"
MANY = [f"127.0.1.{n}" for n in range(1, 41)]
SLACK_S = 2.5       # a process more on a busy machine, and a backoff of 0.5 to 1 s


class Row:
    """`zone`: the default is NAME at AT. `one`, `two`: name servers; None: nobody listens there."""

    def __init__(self, about, conf, *, name=NAME, zone=None, hosts="", one=Dnsmasq, two=None,
                 works=True, curl=(), also=None):
        self.about, self.conf, self.name, self.hosts = about, conf, name, hosts
        self.zone = {name: [AT]} if zone is None else zone
        self.one, self.two, self.works, self.curl, self.also = one, two, works, curl, also


def faulty(fault):
    return lambda address, zone: FaultyDns(address, zone, fault)


def always(what):
    return faulty(lambda name, kind: what)


def at_step(domain, what):
    """One domain of the search list: svc.cluster.local is the second."""
    return faulty(lambda name, kind: what if name.endswith(".default.svc." + domain) else None)


def servers(*addresses, search="", options=""):
    return "".join([f"search {search}\n" if search else "", *(f"nameserver {a}\n" for a in addresses),
                    f"options {options}\n" if options else ""])


IN_CLUSTER = servers(ONE, search=CLUSTER, options="ndots:5")
KNOWN = {SERVICE + ".cluster.local": [AT]}


# ---- What else a row looks at: (row, api, dns, cleaner) -> what is wrong, or "" ----

def threads_of(cleaner):
    status = pathlib.Path(f"/proc/{cleaner.pid}/status").read_text(encoding="ascii")
    return int(status.split("Threads:")[1].split()[0])


def one_thread_is_left(_row, _api, _dns, cleaner):
    return "" if threads_of(cleaner) == 1 else f"{threads_of(cleaner)} threads"


def nothing_is_asked_again(_row, api, dns, _cleaner):
    asked, seen = len(dns.asked), len(api.requests)
    if not api.wait(10, seen + 3):
        return "no more requests came"
    return "" if len(dns.asked) == asked else f"asked again for {dns.asked[asked:]}"


def it_moves(row, api, dns, _cleaner):
    time.sleep(2)       # an address is kept for the second in which it was found
    dns.zone[row.name] = ["127.0.0.7"]
    seen = len(api.requests)
    if api.wait(10, seen + 1)[1] != AT:
        return "it left its connection"
    seen = len(api.requests)
    api.cut()
    found = api.wait(10, seen + 1)      # one may have been on its way
    return "" if found and found[1] == "127.0.0.7" else f"then it was at {found}"


def sigterm_ends_it(_row, _api, _dns, cleaner):
    """While the lookup hangs: one read of at most a second, and it is gone."""
    if threads_of(cleaner) != 2:
        return f"{threads_of(cleaner)} threads"
    start = time.monotonic()
    cleaner.send_signal(signal.SIGTERM)
    status = cleaner.wait(10)
    took = time.monotonic() - start
    return "" if status == 143 and took < 1.5 else f"status {status} after {took:.1f} s"


ROWS = {
    "cluster": Row("ndots:5 and a cluster's search list", IN_CLUSTER, name=SERVICE, zone=KNOWN,
                   also=one_thread_is_left),
    "outside": Row("a name outside of the cluster, which is asked for as it is at last", IN_CLUSTER),
    "dot": Row("a dot at its end", IN_CLUSTER, name=NAME + ".", zone={NAME: [AT]}),
    "eight": Row("eight search domains, the last has it",
                 servers(ONE, search=" ".join(f"d{n}.example" for n in range(8)), options="ndots:5"),
                 zone={NAME + ".d7.example": [AT]}),
    "root": Row("a search list that ends in '.'",
                servers(ONE, search="a.example b.example .", options="ndots:5")),
    "tabs": Row("tabs", IN_CLUSTER.replace(" ", "\t"), name=SERVICE, zone=KNOWN),
    "crlf": Row("CRLF", IN_CLUSTER.replace("\n", "\r\n"), name=SERVICE,
                zone=KNOWN, works=False),
    "refused-step": Row("a search step is REFUSED", IN_CLUSTER, name=SERVICE, zone=KNOWN,
                        one=at_step("svc.cluster.local", REFUSED), works=False),
    "servfail-step": Row("a search step is SERVFAIL", IN_CLUSTER, name=SERVICE, zone=KNOWN,
                         one=at_step("svc.cluster.local", SERVFAIL)),
    "mixed-steps": Row("REFUSED, SERVFAIL, then '.'",
                       servers(TWO, ONE, search="a.example b.example .", options="ndots:5"),
                       one=faulty(lambda name, kind: {"a": REFUSED, "b": SERVFAIL}.get(
                           name.removeprefix(NAME + ".").removesuffix(".example"))),
                       two=always(REFUSED)),
    "silent-step": Row("a search step is silent", servers(ONE, search=CLUSTER, options="ndots:5 timeout:2"),
                       name=SERVICE, zone=KNOWN, one=at_step("svc.cluster.local", "silent"), works=False),
    "first-silent": Row("the first of two name servers is silent", servers(ONE, TWO),
                        one=always("silent"), two=Dnsmasq),
    "first-refuses": Row("the first of two name servers says REFUSED", servers(ONE, TWO),
                         one=always(REFUSED), two=Dnsmasq),
    "first-closed": Row("nobody listens at the first of two name servers", servers(ONE, TWO),
                        one=None, two=Dnsmasq),
    "first-silent-1-2": Row("the first is silent, timeout:1 attempts:2",
                            servers(ONE, TWO, options="timeout:1 attempts:2"),
                            one=always("silent"), two=Dnsmasq),
    "longer": Row("the first is silent, at each of four steps: longer than the limit of one try",
                  servers(ONE, TWO, search=CLUSTER, options="ndots:5"), one=always("silent"), two=Dnsmasq,
                  also=one_thread_is_left),
    "no-aaaa": Row("AAAA is never answered", servers(ONE, options="timeout:2"),
                   one=faulty(lambda name, kind: "silent" if kind == AAAA else None)),
    "only-aaaa": Row("AAAA only", servers(ONE), zone={NAME: ["2001:db8::1"]}),
    "truncated": Row("truncated by UDP, told by TCP", servers(ONE), one=always("truncated")),
    "forty": Row("40 addresses", servers(ONE), zone={NAME: MANY}),
    "hosts": Row("/etc/hosts, and a name server that does not know it", servers(ONE), zone={},
                 hosts=f"127.0.0.1 localhost\n{AT}\tother {NAME}\n"),
    "hosts-alone": Row("/etc/hosts, and no resolv.conf to speak of", "", zone={},
                       hosts=f"{AT} {NAME}\n", one=None),
    "kept": Row("nothing is asked again while the connection lives", servers(ONE), one=always(None),
                also=nothing_is_asked_again),
    "moves": Row("another address: used at the next connection", servers(ONE), one=always(None),
                 also=it_moves),
    "swallows": Row("two addresses, the first swallows SYNs", servers(ONE), one=always(None),
                    zone={NAME: [SWALLOWS, AT]}, curl=("--connect-timeout", "10")),
    "swallow": Row("three addresses, two swallow SYNs", servers(ONE), one=always(None),
                   zone={NAME: ["192.0.2.10", SWALLOWS, AT]}, curl=("--connect-timeout", "14")),
    "swallows-v6": Row("an IPv6 address that swallows SYNs beside an IPv4 one", servers(ONE),
                       one=always(None), zone={NAME: [SWALLOWS_V6, AT]}),
    "silent": Row("silent, and SIGTERM", servers(ONE), one=always("silent"), works=False,
                  curl=("--max-time", "3"), also=sigterm_ends_it),
    "unknown": Row("a name that does not exist", IN_CLUSTER, zone={}, works=False),
}


# ---- One row, in its namespaces ----

def confine(root, profile):
    """In the child: as a container's runtime does it."""
    os.chroot(root)
    os.chdir("/")
    os.setgroups([])
    os.setgid(65532)
    os.setuid(65532)
    load(profile)


def start(root, row, port, profile):
    environment = {"KUBERNETES_SERVICE_HOST": row.name, "KUBERNETES_SERVICE_PORT": str(port),
                   "SERVICE_ACCOUNT_DIR": "/sa", "JOB_ID": "1-1", "CHECK_INTERVAL_SECONDS": "0.3"}
    with open(root / "log", "wb") as log:
        return subprocess.Popen(["/cleanup-grpc"], env=environment, stdout=log, stderr=log,
                                preexec_fn=lambda: confine(root, profile))   # pylint: disable=W1509


def curl(root, row, port):
    """How long it took to a 503, None: it did not get there."""
    begin = time.monotonic()
    done = subprocess.run([shutil.which("chroot"), root, "/usr/bin/curl", "-sS", "--cacert", "/sa/ca.crt",
                           "-w", "%{http_code}", *row.curl, f"https://{row.name}:{port}/version"],
                          env={"PATH": "/usr/bin"}, capture_output=True, text=True, check=False)
    took = time.monotonic() - begin
    return (took, "") if done.stdout == "503" else (None, done.stderr.strip())


def play(row, binary, profile, directory, wrong):
    """Both at a time; returns (what is wrong, what it took)."""
    network()
    pki = Pki(directory / "pki")
    api = Api(pki.ca.issue(names=[f"DNS:{row.name.rstrip('.')}"]))
    dns = [server(address, row.zone) if server else None
           for server, address in ((row.one, ONE), (row.two, TWO))]
    account = {"ca.crt": pki.ca.pem, "token": b"token", "namespace": b"panda"}
    ours, debian = make_root(directory, binary, row.conf, row.hosts, account)
    begin = time.monotonic()
    cleaner = start(ours, row, api.port, profile)
    try:
        theirs, words = (1, "") if wrong else curl(debian, row, api.port)
        if (theirs is not None) != row.works and not wrong:
            return f"curl: {words or 'it got there'}", ""
        found = api.wait_until((begin + theirs if theirs else time.monotonic()) + SLACK_S)
        complaint = ""
        if bool(found) != row.works:
            complaint = "it got there" if found else f"it is not there {SLACK_S} s later"
        elif row.also:
            complaint = row.also(row, api, dns[0], cleaner)
        if complaint:
            complaint += "\n" + "\n".join((ours / "log").read_text().splitlines()[2:][-4:])
        took = [f"{t:5.1f} s" if t is not None else "never" for t in (found and found[0] - begin, theirs)]
        return complaint, f"{took[0]}, curl {took[1]}"
    finally:
        cleaner.kill()


def inside(name, binary, profile, wrong):
    row = ROWS[name]
    if wrong:
        row.zone = {}
        row.hosts = "" if row.works else f"{AT} {row.name}\n"
    directory = pathlib.Path(tempfile.mkdtemp(prefix="dns-test-"))
    try:
        rules = json.loads(pathlib.Path(profile).read_text(encoding="ascii"))
        print(json.dumps(play(row, binary, rules, directory, wrong)), flush=True)
    except BaseException:   # pylint: disable=broad-except
        traceback.print_exc()
    finally:
        subprocess.run(["umount", directory / "debian/usr"], check=False)
        shutil.rmtree(directory, ignore_errors=True)
        os._exit(0)     # the servers' threads


# ---- All of them ----

def run(name, binary, profile, options):
    done = subprocess.run(["unshare", "--net", "--mount", "--pid", "--fork", "--kill-child", "--mount-proc",
                           sys.executable, __file__, "--inside", name, binary, profile, *options],
                          capture_output=True, text=True, check=False, timeout=120)
    try:
        return json.loads(done.stdout.splitlines()[-1])
    except (IndexError, ValueError):
        return f"the test itself: {done.stdout[-500:]}{done.stderr[-1500:]}", ""


def main(args):
    wrong = "--wrong" in args
    binary, profile, *names = [a for a in args if a != "--wrong"]
    names = names or list(ROWS)
    bad = 0
    with concurrent.futures.ThreadPoolExecutor(8) as pool:
        played = pool.map(lambda n: run(n, binary, profile, ["--wrong"] if wrong else []), names)
        for name, (complaint, took) in zip(names, played):
            fails = bool(complaint) != wrong
            bad += fails
            if fails or not wrong:
                print(f"{'FAILED' if fails else 'ok':7} {name:17} {took or '-':22} {ROWS[name].about}",
                      flush=True)
            for line in complaint.splitlines()[-12:] if fails else ():
                print(f"        {line}")
    print(f"{len(names) - bad} passed, {bad} failed", "(with something wrong, a row must fail)" if wrong else "")
    return 1 if bad else 0


if __name__ == "__main__":
    if sys.argv[1] == "--inside":
        inside(*sys.argv[2:5], "--wrong" in sys.argv)
    sys.exit(main(sys.argv[1:]))
