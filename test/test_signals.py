"""A signal while nothing is decided: one read tells whether something is left to do. Section 6 of
the contract.

People delete both Jobs at once, and a drained node takes the cleaner with its job: by then the
watch may not have told yet. The program before the planner left the rest, with exit 143 and
"nothing was touched"; where a test says nothing else, that is what it did.
"""
import http.server
import json
import signal
import threading
import time
import urllib.parse

import pytest

from conftest import JOB, JOB_ID, SELF, SERVICE
from fakekube import faults

GET_JOB = {"verb": "get", "resource": "jobs", "name": JOB}
QUIET = {"CHECK_INTERVAL_SECONDS": 60}      # nothing but the signal makes it read


class Broker:
    """The two requests of RabbitMQ's management API that are made; the real one is in
    test_rabbitmq.py."""

    def __init__(self, *names):
        self.names = set(names)
        outer = self

        class Handler(http.server.BaseHTTPRequestHandler):
            protocol_version = "HTTP/1.1"

            def _answer(self, status, body=b""):
                self.send_response(status)
                self.send_header("Content-Type", "application/json")
                self.send_header("Content-Length", str(len(body)))
                self.end_headers()
                self.wfile.write(body)

            def do_GET(self):                   # pylint: disable=invalid-name
                items = [{"name": n} for n in sorted(outer.names)]
                self._answer(200, json.dumps({
                    "filtered_count": len(items), "item_count": len(items), "items": items,
                    "page": 1, "page_count": 1, "page_size": 100,
                    "total_count": len(items)}).encode())

            def do_DELETE(self):                # pylint: disable=invalid-name
                outer.names.discard(urllib.parse.unquote(self.path.rsplit("/", 1)[1]))
                self._answer(204)

            def log_message(self, *_):
                pass
        self.server = http.server.ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        self.env = {"RABBITMQ_URL": f"http://127.0.0.1:{self.server.server_port}",
                    "RABBITMQ_USER": "u", "RABBITMQ_PASSWORD": "p"}

    def __enter__(self):
        threading.Thread(target=self.server.serve_forever, daemon=True).start()
        return self

    def __exit__(self, *_):
        self.server.shutdown()
        self.server.server_close()


def quiet(world, **changes):
    """A cleaner that has seen its job and its Service, whose watch has fallen silent."""
    world.pair(cpu="900m")
    cleaner = world.run(**{**QUIET, "ADOPT_SERVICE": "false", **changes})
    cleaner.wait_log(msg="active")
    world.kube.wait_watch(resource="jobs")
    world.kube.silence_watches()
    return cleaner


def vanished(kube):
    kube.vanish("job", JOB)


def deleted(kube):
    kube.delete_job(JOB, policy="Foreground")


def completed(kube):
    kube.complete_job(JOB)


def failed(kube):
    kube.fail_job(JOB)


ENDS = [vanished, deleted, completed, failed]


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT], ids=["TERM", "INT"])
@pytest.mark.parametrize("end", ENDS)
def test_what_a_job_that_has_ended_leaves_goes(world, end, number):
    cleaner = quiet(world)
    end(world.kube)
    cleaner.signal(number)
    assert cleaner.wait(10) == 0
    world.wait_gone()


@pytest.mark.parametrize("end", [vanished, completed])
def test_its_queues_too(world, end):
    with Broker(f"grpc-job-{JOB_ID}-a", f"grpc-job-{JOB_ID}-b") as broker:
        cleaner = quiet(world, **broker.env)
        end(world.kube)
        cleaner.signal()
        assert cleaner.wait(10) == 0
        assert broker.names == set()
    world.wait_gone()


def test_both_jobs_deleted_at_once(world):
    """kubectl delete job grpc-job-… cleanup-job-…: the watch tells, and the kubelet."""
    world.pair(cpu="900m")
    cleaner = world.run(ADOPT_SERVICE="false", **QUIET)
    cleaner.wait_log(msg="active")

    def both():
        world.kube.delete_job(JOB)
        world.kube.delete_job(SELF)
        cleaner.signal()
    world.kube.call(both)
    assert cleaner.wait(10) == 0
    world.wait_gone()


def test_both_in_the_foreground_with_a_pod_that_takes_its_time(world):
    """It waited for thirty seconds, of which a signal leaves 25: the Service and queues stayed."""
    world.pair(cpu="900m")
    pod, = world.kube.pods(JOB)
    world.kube.edit("pod", pod["metadata"]["name"],
                    lambda p: p["metadata"].update(finalizers=["example.com/keep"]))
    with Broker(f"grpc-job-{JOB_ID}-a") as broker:
        cleaner = world.run(speed=20, ADOPT_SERVICE="false", CHECK_INTERVAL_SECONDS=10,
                            **broker.env)
        cleaner.wait_log(msg="active")
        world.kube.delete_job(JOB, policy="Foreground")
        cleaner.signal()
        assert cleaner.wait(10) == 1
        assert world.kube.job(JOB) and not world.kube.service(SERVICE)
        assert broker.names == set()


def test_a_signal_while_it_reads_something_slow(world):
    """The read gives way to the one that is wanted within a second."""
    cleaner = quiet(world, CHECK_INTERVAL_SECONDS=0.3)
    world.kube.fault(faults.never_answer(), times=None, verb="list", group="metrics.k8s.io")
    world.kube.wait_request(verb="list", group="metrics.k8s.io",
                            count=len(world.checks()) + 1)
    vanished(world.kube)
    cleaner.signal()
    assert cleaner.wait(5) == 0
    world.wait_gone()


def test_a_job_that_lives_is_left(world):
    """As it was, but for the one read."""
    cleaner = quiet(world)
    world.kube.wait_request(verb="list", resource="pods", group="", done=True)  # the last of all
    world.kube.clear_requests()
    cleaner.signal()
    assert cleaner.wait(5) == 143
    assert world.deletions() == []
    assert [(r.verb, r.name) for r in world.kube.requests] == [("get", JOB)]
    assert cleaner.log(msg="stopped by a signal, nothing was touched")


@pytest.mark.parametrize("failure", [faults.never_answer(), faults.unavailable(),
                                     faults.missing_role(), faults.page(404)],
                         ids=["silent", "503", "403", "404"])
def test_where_nobody_can_tell_it_is_left_too(world, failure):
    """As it was: unknown is not gone, and a second is enough."""
    cleaner = quiet(world)
    world.kube.fault(failure, times=None, **GET_JOB)
    vanished(world.kube)
    sent = time.monotonic()
    cleaner.signal()
    assert cleaner.wait(5) == 143
    assert time.monotonic() - sent < 2.5
    assert world.deletions() == [] and world.kube.service(SERVICE)


def test_beside_a_newcomer_only_what_is_its_own_is_left(world):
    """It left as it was what is not ours; the exit said that a Job lived."""
    cleaner = quiet(world)
    world.kube.recreate_job(JOB, cpu="900m")
    world.kube.recreate_service(SERVICE)
    cleaner.signal()
    assert cleaner.wait(10) == 0
    assert world.kube.job(JOB) and world.kube.service(SERVICE)


def test_before_anything_was_seen(world):
    """As it was: missing is for the time-out, not for a signal."""
    world.kube.create_service(SERVICE)
    world.kube.create_job(SELF, containers=("cleanup",))
    cleaner = world.run(**QUIET)
    world.kube.wait_watch(resource="jobs")
    cleaner.signal()
    assert cleaner.wait(5) == 143
    assert world.deletions() == []
