"""docs/timeline.svg: it is what the program does today, and can be drawn from any log."""
import json
import re
import subprocess
import sys
from xml.etree import ElementTree

import pytest

from cleaner import BINARY, ROOT

sys.path.insert(0, str(ROOT / "docs"))

import timeline  # noqa: E402  pylint: disable=wrong-import-position

SVG = "{http://www.w3.org/2000/svg}"
COMMITTED = ROOT / "docs" / "timeline.svg"


def texts(svg):
    """What a reader can read, in order: the description, each check's title, all labels."""
    root = ElementTree.fromstring(svg)
    return ["".join(e.itertext()) for e in root.iter() if e.tag in (
        SVG + "title", SVG + "desc", SVG + "text")]


def checks(svg):
    """[(kind, what its title says)] of each CPU check."""
    groups = ElementTree.fromstring(svg).iter(SVG + "g")
    return [(g.get("class").split()[1], g.find(SVG + "title").text) for g in groups]


def line(msg, **fields):
    return json.dumps({"ts": "2025-01-01T00:00:00.000Z", "level": "info", "msg": msg, **fields})


def reading(kind, count, cpu):
    return line("idle check" if kind == "idle" else kind, check=f"{count}/5", cpu=cpu,
                threshold="4m")


# ---- The committed picture ----

def test_a_new_run_tells_the_same():
    done = subprocess.run([sys.executable, str(ROOT / "docs" / "timeline.py"), BINARY],
                          capture_output=True, text=True, timeout=60, check=False)
    assert done.returncode == 0, done.stderr
    assert checks(done.stdout) == checks(COMMITTED.read_text())
    assert texts(done.stdout) == texts(COMMITTED.read_text())


def test_the_committed_picture_tells_the_rule():
    told = checks(COMMITTED.read_text())
    assert [kind for kind, _ in told] == [
        "active", "active", "idle", "idle", "active", "active", "idle", "idle", "unknown", "idle",
        "idle", "idle"]
    assert [re.search(r"count (\d)/5$", title)[1] for _, title in told] == list("001200122345")
    words = texts(COMMITTED.read_text())
    assert "trigger: idle" in words and "CPU 2m <= 4m at 5 checks" in words
    names = [w for w in words if re.fullmatch(r"(grpc|cleanup)-\w+-12-70788", w)]
    assert names == ["grpc-job-12-70788", "grpc-service-12-70788", "cleanup-job-12-70788"]


def test_the_committed_picture_stands_alone():
    svg = COMMITTED.read_text()
    root = ElementTree.fromstring(svg)
    ids = root.get("aria-labelledby").split()
    assert [e.get("id") for e in root if e.tag in (SVG + "title", SVG + "desc")] == ids
    assert len(svg.encode()) < 20000
    assert not re.search(r"<script|<image|<use|href|url\(|@import|@font-face", svg)
    background = root.find(SVG + "rect")
    assert background.get("fill") == "#ffffff"
    width, height = (float(v) for v in root.get("viewBox").split()[2:])
    assert float(background.get("width")) == width - 1
    for text in root.iter(SVG + "text"):
        assert 0 < float(text.get("x")) < width and 0 < float(text.get("y")) < height


# ---- Any log ----

RUBBISH = (
    "", "\0", "Killed", "{", "[]", "null", "7", '"active"', "{}", "[" * 100000,
    line("active"), line("active", check=5, cpu="1m", threshold="4m"),
    line("active", check="1/2/3", cpu="1m", threshold="4m"),
    line("idle check", check="-1/5", cpu="1m", threshold="4m"),
    line("idle check", check="9" * 400 + "/5", cpu="1m", threshold="4m"),
    line("active", check="0/5", cpu="1 core", threshold="4m"),
    line("active", check="0/5", cpu=4, threshold="4m"),
    line("active", check="0/5", cpu="1m", threshold=None),
    line("cpu unknown", why="held"), line("cpu unknown", count="x", why="held"),
    line("cpu unknown", count=float("inf"), why="held"), line("settings"),
    line("settings", interval_ms="soon"), line("settings", interval_ms=float("nan")),
    line("teardown"), line("job", name="too early", outcome="deleted"))


def test_rubbish_lines_change_nothing():
    log = [reading("active", 0, "900m"), reading("idle", 1, "2m"),
           line("cpu unknown", count=1, why="held")]
    mixed = [text for good in log for text in (*RUBBISH, good)]
    assert timeline.read_log(mixed) == timeline.read_log(log)
    assert timeline.draw(timeline.read_log(mixed)) == timeline.draw(timeline.read_log(log))


@pytest.mark.parametrize("log", [
    (), RUBBISH, [reading("active", 0, "0m")], [reading("idle", 0, "123456789m")],
    [line("teardown", trigger="gone", why="the Job was deleted")],
    [line("active", check="0/0", cpu="4m", threshold="0m")],
    [line("cpu unknown", count=0, why="<&\0\ud800\x1b]]>\"'\u2028")],
    [line("teardown", trigger="<b>", why="&"), line("service", name="\x07", outcome="absent")]],
    ids=["no line", "only rubbish", "one at 0m", "off the scale", "no check", "no limit",
         "markup in a reason", "markup in names"])
def test_any_log_gives_well_formed_xml(log):
    svg = timeline.draw(timeline.read_log(log))
    assert ElementTree.fromstring(svg.encode()).tag == SVG + "svg"


def test_a_long_log_still_fits():
    log = [reading("idle" if i % 7 else "active", i % 7, "2m") for i in range(400)]
    root = ElementTree.fromstring(timeline.draw(timeline.read_log(log)))
    assert all(float(t.get("x")) < timeline.WIDTH for t in root.iter(SVG + "text"))


def test_a_service_that_was_not_adopted_is_not_said_to_have_gone_with_its_job():
    log = [line("teardown", trigger="idle", why="CPU 2m <= 4m at 5 checks over 40s"),
           line("service", name="grpc-service-1", outcome="absent")]
    assert "went with its Job" not in texts(timeline.draw(timeline.read_log(log)))
    log.insert(0, line("service adopted", service="grpc-service-1", owner="grpc-job-1"))
    assert "went with its Job" in texts(timeline.draw(timeline.read_log(log)))


# ---- The command ----

def complaint(monkeypatch, *arguments):
    monkeypatch.setattr(sys, "argv", ["timeline.py", *arguments])
    with pytest.raises(SystemExit) as ended:
        timeline.main()
    return ended.value.code     # a text: it goes to stderr, and the exit status is 1


@pytest.mark.parametrize("arguments", [(), ("--help",), ("a", "b")], ids=["none", "help", "two"])
def test_it_says_how_to_call_it(monkeypatch, arguments):
    assert "docs/timeline.py BINARY" in complaint(monkeypatch, *arguments)


@pytest.mark.parametrize("binary,said", [
    ("/bin/false", "/bin/false exits 1"), ("/bin/true", "no teardown"),
    ("/no/such/program", "No such file")])
def test_a_program_that_does_not_tear_down_is_not_drawn(monkeypatch, capsys, binary, said):
    words = complaint(monkeypatch, binary)
    assert words.startswith("timeline: ") and said in words
    assert capsys.readouterr().out == ""
