#!/usr/bin/python3
"""memory.py BINARY... - size, and memory while watching (kB; the file's pages are shared by two).

Two processes of each BINARY watch a job on the fake API server and make five checks a second; after
2.5 s, one is measured by /proc/PID/smaps_rollup. With a single process all pages of the file would
count as private, too, and so would those of a file that was just written: hence two, and a sync.
"""
import collections
import os
import pathlib
import subprocess
import sys
import tempfile
import time

sys.path.insert(0, str(pathlib.Path(__file__).resolve().parent.parent))
from fakekube import FakeKube  # noqa: E402

JOB_ID = "12-70788"
Memory = collections.namedtuple("Memory", "rss private pss")


def of_process(pid):
    """What smaps_rollup says, in kB. OSError if the process is gone."""
    lines = pathlib.Path(f"/proc/{pid}/smaps_rollup").read_text(encoding="ascii").splitlines()[1:]
    kb = {line.split(":")[0]: int(line.split()[1]) for line in lines}
    return Memory(kb["Rss"], kb["Private_Clean"] + kb["Private_Dirty"], kb["Pss"])


def cpu_of(pid):
    """Seconds on a processor."""
    schedstat = pathlib.Path(f"/proc/{pid}/schedstat").read_text(encoding="ascii")
    return int(schedstat.split()[0]) / 1e9


def measure(binary):
    """Memory and the seconds of CPU since the start, of one of two."""
    os.sync()
    with tempfile.TemporaryDirectory() as directory, FakeKube(dir=pathlib.Path(directory) / "sa") as kube:
        kube.create_job(f"grpc-job-{JOB_ID}")
        kube.create_service(f"grpc-service-{JOB_ID}")
        kube.create_job(f"cleanup-job-{JOB_ID}", containers=("cleanup",))
        env = {**kube.env(), "JOB_ID": JOB_ID, "CHECK_INTERVAL_SECONDS": "0.2", "CPU_USAGE_THRESHOLD": "0",
               "TERMINATION_LOG": os.devnull}
        started = [subprocess.Popen([binary], env=env, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
                   for _ in range(2)]
        try:
            kube.wait_request(verb="watch", resource="jobs")
            time.sleep(2.5)
            return of_process(started[0].pid), cpu_of(started[0].pid)
        finally:
            for process in started:
                process.kill()
                process.wait()


def main(paths):
    for path in paths:
        memory, cpu = measure(os.path.abspath(path))
        print(f"{path}: {os.path.getsize(path)} bytes, Rss {memory.rss} kB, private {memory.private} kB, "
              f"CPU since the start {cpu * 1000:.1f} ms", flush=True)


if __name__ == "__main__":
    main(sys.argv[1:])
