"""python3 -m fakekube --dir DIR: one example job to try the program on by hand."""
import argparse
import shlex
import signal

from . import FakeKube


def main():
    parser = argparse.ArgumentParser(prog="fakekube", description=__doc__)
    parser.add_argument("--dir", required=True, help="for the service account's files")
    parser.add_argument("--version", default="1.34", choices=("1.26", "1.34"))
    parser.add_argument("--id", default="1-1", help="JOB_ID of the example")
    parser.add_argument("--cpu", default="2m", help="what the job uses")
    options = parser.parse_args()
    ends = {signal.SIGINT, signal.SIGTERM}
    signal.pthread_sigmask(signal.SIG_BLOCK, ends)      # the server's thread inherits it
    with FakeKube(options.version, dir=options.dir) as kube:
        for kind in ("grpc", "cleanup"):
            kube.create_job(f"{kind}-job-{options.id}", cpu=options.cpu)
        kube.create_service(f"grpc-service-{options.id}")
        print(f"# {kube.url}, Kubernetes {kube.version}, namespace {kube.namespace}")
        for name, value in {**kube.env(), "JOB_ID": options.id}.items():
            print(f"export {name}={shlex.quote(value)}")
        print("# Ctrl-C ends it", flush=True)
        signal.sigwait(ends)


if __name__ == "__main__":
    main()
