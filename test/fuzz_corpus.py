"""fuzz_corpus.py DIR: a start corpus for each target of fuzz.c, out of the recorded answers."""
import json
import pathlib
import sys

RECORDINGS = pathlib.Path(__file__).resolve().parent / "recordings"
TARGETS = ("env", "job", "metrics", "quantity", "queues", "status", "token", "watch")
ENVIRONMENT = b"JOB_ID=1\nNAMESPACE=n\nKUBERNETES_SERVICE_HOST=10.0.0.1\n" \
              b"KUBERNETES_SERVICE_PORT=443\n"
SEEDS = {
    "quantity": [b"0", b"499990833n", b"2m", b"500u", b"0.5", b"1k", b"1e-3", b"5E3", b"1Ki", b"-1",
                 b"99999999999999999999E"],
    "queues": [b'{"filtered_count":1,"item_count":1,"items":[{"name":"grpc-job-1-1-a"}],"page":1,'
               b'"page_count":1,"page_size":100,"total_count":6}',
               b'{"error":"bad_request","reason":"cannot obtain exclusive access"}'],
    "token": [b'{"kubernetes.io":{"namespace":"n","pod":{"name":"cleanup-job-1-1-x7k2p","uid":"u"}}}',
              b'{"kubernetes.io/serviceaccount/namespace":"n"}', b"a.e30.c"],
    "env": [ENVIRONMENT,
            ENVIRONMENT + b"RABBITMQ_URL=https://h:1\nRABBITMQ_USER=u\nRABBITMQ_PASSWORD=geheim\n"
                          b"RABBITMQ_CA_FILE=/x\n"
                          b"RABBITMQ_QUEUES=grpc-job-$JOB_ID-*, focus_baby.1,x-$JOB_ID*\n",
            ENVIRONMENT + b"CPU_USAGE_THRESHOLD=0.5\nCHECK_INTERVAL_SECONDS=0.05\nDRY_RUN=yes\n"
                          b"LOG_LEVEL=debug\nLOG_FORMAT=json\nKUBE_API_URL=http://[::1]:8001/\n"],
}


def from_recordings():
    """(target, bytes) of every recorded answer."""
    for path in sorted(RECORDINGS.glob("*/*.json")):
        response = json.loads(path.read_text())["response"]
        if "stream" in response:
            lines = [line if isinstance(line, str) else json.dumps(line, separators=(",", ":"))
                     for line in response["stream"]]
            for chunk in (b"\x00", b"\x11"):
                yield "watch", chunk + "\n".join(lines).encode() + b"\n"
        body = response.get("body")
        text = (json.dumps(body, separators=(",", ":")) if body is not None
                else response.get("body_text", "")).encode()
        kind = body.get("kind", "") if isinstance(body, dict) else ""
        yield {"Job": "job", "JobList": "job", "PodMetricsList": "metrics"}.get(kind, "status"), text


def main(directory):
    seeds = [(t, s) for t, many in SEEDS.items() for s in many] + list(from_recordings())
    for number, (target, content) in enumerate(seeds):
        path = directory / target / f"seed-{number:03}"
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(content)
    assert {t for t, _ in seeds} == set(TARGETS), "a target without a corpus"


if __name__ == "__main__":
    main(pathlib.Path(sys.argv[1]))
