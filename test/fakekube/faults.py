"""What can go wrong on demand. Each function makes an action for FakeKube.fault().

Instead of doing what was asked:
    answer(status, body, ...)   any answer; text() is the plain-text kind
    throttled(), unavailable(), timeout_text(), etcd_timeout(), page()  answers seen in the wild
    missing_role()              403 in RBAC's own words for this very request
    denied_by_webhook(), denied_by_policy(), over_quota(), webhook_down()   what admission says
    reset_before_answer()       TCP RST, nothing was done
    close_before_answer()       clean close, nothing was done
    never_answer()              the connection stays open, silent
    hang_then_close(seconds)    what a GET gets when etcd is down
    huge_body(size)             a JSON string that does not end
After doing it, with the true answer:
    hang(seconds)               late: the delay comes first, then it is done
    late_answer(seconds)        done at once, answered late
    lose_answer()               RST instead of the answer: the client cannot know
    reset_mid_body(after)       RST after so many bytes of the body
    cut_body(after)             clean close after so many bytes; Content-Length says more
    drip(rate)                  so many bytes a second, head included
    reset_after_answer()        RST behind the whole answer, which invited to keep alive
    edit(fn)                    fn(Response) changes it in place
    empty_body(), not_json(), body(obj)    the same status with another body
Watches (the request itself is answered as usual):
    watch_split(size)           every line in chunks, and TLS records, of so many bytes
    watch_joined()              lines that wait together go out in one chunk
    watch_after(n, what)        after n lines: b"raw bytes", "end", "reset" or "silence"
"""
import dataclasses
import json

from .api import JSON, TEXT, Response, json_response, status_object


@dataclasses.dataclass
class Action:
    kind: str
    seconds: float = 0.0
    count: int = 0
    rate: float = 1.0
    response: Response = None
    fn: object = None
    what: object = None


def answer(status, body=b"", content_type=None, headers=None):
    """`body` is bytes, a str (text/plain) or an object (JSON). status 0xx is not checked."""
    if isinstance(body, str):
        body, content_type = body.encode(), content_type or TEXT
    elif not isinstance(body, bytes):
        body = json.dumps(body).encode()
    return Action("answer", response=Response(status, body, content_type or JSON,
                                              dict(headers or {})))


def text(status, message, **headers):
    return answer(status, message, headers=headers)


def status(code, reason, message, details=None, headers=None):
    """A Status object as the API server makes them."""
    return answer(code, status_object(code, reason, message, details), headers=headers)


def throttled(retry_after=1):
    headers = {} if retry_after is None else {"Retry-After": str(retry_after)}
    return answer(429, "Too many requests, please try again later.\n", headers=headers)


def unavailable():
    return answer(503, "service unavailable\n")


def timeout_text():
    """GET ?timeout=5s without etcd: JSON that says it is text, and has no kind."""
    body = status_object(504, "Timeout",
                         "Timeout: request did not complete within the allotted timeout", {})
    del body["kind"], body["apiVersion"]
    return answer(504, json.dumps(body))


def etcd_timeout():
    """DELETE or POST without etcd, after 34 s: the outcome is unknown."""
    return status(504, "Timeout", "Timeout: request did not complete within requested timeout - "
                                  "context deadline exceeded", {})


def page(code=404):
    return answer(code, b"<html><body><h1>Not here</h1></body></html>", "text/html")


def answer_to(fn):
    """fn(api, request) makes the Response."""
    return Action("answer_to", fn=fn)


def missing_role():
    """What RBAC says; and what a 1.36 API server says to anybody for its first second."""
    return answer_to(lambda api, request: api.forbidden(request))


def denied_by_webhook(words="not today", name="guard.example.com", code=403):
    """The status is the webhook's choice."""
    return status(code, "Forbidden" if code == 403 else None,
                  f'admission webhook "{name}" denied the request: {words}')


def denied_by_policy(words="not today", name="guard", reason="Invalid"):
    """A ValidatingAdmissionPolicy; without a reason of its own it is 422 Invalid."""
    def fn(api, request):
        details = api.subject_details(request)
        message = (f"{api.subject(request)} is forbidden: ValidatingAdmissionPolicy '{name}' with "
                   f"binding '{name}' denied request: {words}")
        code = {"Invalid": 422, "Forbidden": 403, "RequestEntityTooLarge": 413}[reason]
        return json_response(code, status_object(code, reason, message, details))
    return answer_to(fn)


def over_quota(words="exceeded quota: objects, requested: count/events=1, used: "
                     "count/events=100, limited: count/events=100"):
    def fn(api, request):
        return json_response(403, status_object(
            403, "Forbidden", f"{api.subject(request)} is forbidden: {words}",
            api.subject_details(request)))
    return answer_to(fn)


def webhook_down(name="guard.example.com"):
    """failurePolicy: Fail, and nobody is there: an outage, no answer."""
    return status(500, "InternalError", "Internal error occurred: failed calling webhook "
                  f'"{name}": failed to call webhook: Post "https://guard.guard.svc:443/?timeout='
                  '10s": dial tcp 10.0.0.9:443: connect: connection refused',
                  {"causes": [{"message": f'failed calling webhook "{name}"'}]})


def reset_before_answer():
    return Action("reset_before")


def close_before_answer():
    return Action("close_before")


def never_answer():
    return Action("never")


def hang_then_close(seconds):
    return Action("hang_then_close", seconds=seconds)


def huge_body(size=100_000_000):
    return Action("huge", count=size)


def hang(seconds):
    return Action("hang", seconds=seconds)


def late_answer(seconds):
    return Action("late", seconds=seconds)


def lose_answer():
    return Action("lose")


def reset_mid_body(after=20):
    return Action("reset_mid", count=after)


def cut_body(after=20):
    return Action("cut", count=after)


def drip(rate=1.0):
    return Action("drip", rate=rate)


def reset_after_answer():
    return Action("reset_after")


def edit(fn):
    return Action("edit", fn=fn)


def _set_body(content):
    def change(response):
        response.body = content
    return edit(change)


def empty_body():
    return _set_body(b"")


def not_json():
    return _set_body(b'{"kind":"Job","metadata":{"name":')


def body(obj):
    """The true status, but another JSON value: [], null, a Job without metadata..."""
    return _set_body(obj if isinstance(obj, bytes) else json.dumps(obj).encode())


def watch_split(size):
    return Action("watch_split", count=size)


def watch_joined():
    return Action("watch_joined")


def watch_after(count, what):
    return Action("watch_after", count=count, what=what)


class Match:
    """Which requests: None matches all; `when` is a function of the request."""

    def __init__(self, verb=None, resource=None, group=None, name=None, namespace=None,
                 method=None, user=None, when=None):
        self.fields = {k: v for k, v in dict(
            verb=verb, resource=resource, group=group, name=name, namespace=namespace,
            method=method, user=user).items() if v is not None}
        self.when = when

    def __call__(self, request):
        return (all(getattr(request, k) == v for k, v in self.fields.items())
                and (self.when is None or bool(self.when(request))))


class Trigger:
    """A fault or a hook: fires on the nth request that matches and those behind it, `times`
    often (None: for ever). `hits` are the requests it fired on."""

    def __init__(self, match, what, nth=1, times=1):
        self.match, self.what = match, what
        self.skip, self.times = (nth or 1) - 1, times
        self.hits = []
        self.active = True

    def fires(self, request):
        if not self.active or not self.match(request):
            return False
        if self.skip:
            self.skip -= 1
            return False
        self.hits.append(request)
        if self.times is not None and len(self.hits) >= self.times:
            self.active = False
        return True

    def remove(self):
        self.active = False
