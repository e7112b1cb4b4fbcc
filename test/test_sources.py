"""What static/source.sh takes from a release that lists more than it holds, and what it says of that.

A package archive of our own, in files: the package `little` is a directory with one header, which is
"built" by a copy.
"""
import hashlib
import pathlib
import shutil
import subprocess
import tarfile
import tempfile

import pytest

from cleaner import ROOT

pytestmark = pytest.mark.skipif(not shutil.which("dpkg-source") or not shutil.which("apt-get"),
                                reason="dpkg-dev is missing: make deps-static")
OLD, NEW, NEWEST = "1.0-1", "2.0-1", "2.0-2"
SCRIPT = """set -euo pipefail
here="HERE" out="OUT"
. "$here/source.sh"
config() { echo little; }
build() { mkdir -p "$dest/usr/lib/pkgconfig" && cp version "$dest/usr/" && : >"$dest/usr/lib/pkgconfig/x.pc"; }
make_from little "$@"
"""


def codename():
    lines = (line.split("=") for line in open("/etc/os-release", encoding="utf-8") if "=" in line)
    return dict(lines)["VERSION_CODENAME"].strip()


def checksums(files, kind="sha256"):
    return "".join(f" {hashlib.new(kind, f.read_bytes()).hexdigest()} {f.stat().st_size} {f.name}\n"
                   for f in files)


class Archive:
    """Suites of source packages, in a directory; `release()` has apt's entries for one of them."""

    def __init__(self, directory):
        self.root = directory / "archive"
        self.etc = directory / "etc"
        self.out = directory / "out" / "little"
        (self.etc / "sources.list.d").mkdir(parents=True)
        self.entry(codename())

    def entry(self, suite):
        (self.etc / "sources.list").write_text(f"deb [trusted=yes] file:{self.root} {suite} main\n")

    def lists(self, suite, *versions, held, tarballs=None):
        """@suite lists @versions; those @held can be fetched, and of @tarballs upstream's part."""
        stanzas = ""
        sources = self.root / "dists" / suite / "main" / "source"
        sources.mkdir(parents=True)
        for version in versions:
            pool = self.root / "pool" / suite / version
            pool.mkdir(parents=True)
            files = self.package(pool, version)
            stanzas += (f"Package: little\nBinary: little\nVersion: {version}\nFormat: 3.0 (quilt)\n"
                        f"Directory: pool/{suite}/{version}\nChecksums-Sha256:\n{checksums(files)}\n")
            for file in files:
                if version not in held and not (version in (tarballs or ()) and "orig" in file.name):
                    file.unlink()
        (sources / "Sources").write_text(stanzas)

    @staticmethod
    def package(pool, version):
        upstream = version.partition("-")[0]
        tree = pool / "tree" / f"little-{upstream}"
        (tree / "debian" / "source").mkdir(parents=True)
        (tree / "version").write_text(upstream)
        (tree / "debian" / "changelog").write_text(
            f"little ({version}) unstable; urgency=low\n\n  * It.\n\n"
            " -- A B <a@b.example>  Thu, 01 Jan 2026 00:00:00 +0000\n")
        orig, debian = pool / f"little_{upstream}.orig.tar.gz", pool / f"little_{version}.debian.tar.gz"
        for file, name in ((orig, "version"), (debian, "debian")):
            with tarfile.open(file, "w:gz") as tar:
                tar.add(tree / name, f"little-{upstream}/{name}" if file == orig else name)
        dsc = pool / f"little_{version}.dsc"
        dsc.write_text(f"Format: 3.0 (quilt)\nSource: little\nBinary: little\nArchitecture: any\n"
                       f"Version: {version}\nMaintainer: A B <a@b.example>\nChecksums-Sha256:\n"
                       f"{checksums([orig, debian])}Files:\n{checksums([orig, debian], 'md5')}")
        shutil.rmtree(pool / "tree")
        return [dsc, orig, debian]

    def make(self, ways="", **env):
        script = self.root.parent / "little.sh"
        script.write_text(SCRIPT.replace("HERE", str(ROOT / "static")).replace("OUT", str(self.out)))
        done = subprocess.run(["bash", script, *ways.split()],
                              env={"PATH": "/usr/sbin:/usr/bin:/sbin:/bin", "APT_ETC": str(self.etc), **env},
                              capture_output=True, text=True, timeout=60, check=False)
        done.said = done.stdout + done.stderr
        return done

    def took(self, ways="", **env):
        """(version, origin, what was listed but is not held)"""
        done = self.make(ways, **env)
        assert done.returncode == 0, done.said
        return tuple((self.out / name).read_text().strip() for name in ("source-version", "origin", "not-held"))


@pytest.fixture
def archive():
    with tempfile.TemporaryDirectory(dir="/tmp") as directory:  # no library can be built where there is a space
        yield Archive(pathlib.Path(directory))


def test_the_newest_where_it_is_held(archive):
    archive.lists(codename(), OLD, NEWEST, NEW, held=(OLD, NEW, NEWEST))
    assert archive.took() == (NEWEST, f"source package of {codename()}", "")
    assert (archive.out / "version").read_text() == "2.0"


def test_an_older_one_where_it_is_not_and_what_is_newer_is_said(archive):
    archive.lists(codename(), OLD, NEW, NEWEST, held=(OLD,))
    assert archive.took() == (OLD, f"source package of {codename()}", f"{NEWEST}, {NEW}")
    assert (archive.out / "version").read_text() == "1.0"


def test_what_has_become_newer_since_is_said_though_nothing_is_built(archive):
    archive.lists(codename(), OLD, held=(OLD,))
    archive.took()
    shutil.rmtree(archive.root)
    archive.lists(codename(), OLD, NEW, held=(OLD,))
    shutil.rmtree(archive.out.parent / "apt")
    subprocess.run(["touch", "-d", "2 days ago", archive.out / "stamp"], check=True)
    assert archive.took() == (OLD, f"source package of {codename()}", NEW)


def test_upstreams_tarball_only_for_who_asks_and_without_a_day_of_memory(archive):
    archive.lists(codename(), OLD, NEWEST, held=(OLD,), tarballs=(NEWEST,))
    tarball = ("2.0", "upstream's tarball, without the distribution's patches", NEWEST)
    assert archive.took()[0] == OLD
    assert archive.took("tarball") == tarball
    assert (archive.out / "version").read_text() == "2.0"
    assert archive.took()[0] == OLD


def test_the_distributions_archive_before_a_source_that_is_older(archive):
    """libssl-dev stands for one that is installed; it is newer than 2.0."""
    archive.lists(codename(), OLD, NEW, held=(OLD, NEW))
    version, origin, not_held = archive.took("archive:libssl-dev")
    assert version not in (OLD, NEW) and (origin, not_held) == ("archive of package libssl-dev", "")


def test_another_release(archive):
    archive.lists(codename(), NEW, held=(NEW,))
    archive.lists("another", OLD, NEWEST, held=(OLD,))
    assert archive.took("archive:libssl-dev", DEBIAN_RELEASE="another") == (
        OLD, "source package of another", NEWEST)     # this machine's archive is of no use there


def test_another_release_that_no_entry_can_be_made_for(archive):
    archive.lists("stable", NEW, held=(NEW,))
    archive.entry("stable")
    done = archive.make(DEBIAN_RELEASE="another")
    assert done.returncode == 1 and not archive.out.exists()
    assert f"no entry of apt's names {codename()}, so none can be made for another" in done.said


def test_nothing_can_be_fetched(archive):
    archive.lists(codename(), NEW, held=())
    done = archive.make()
    assert done.returncode == 1 and "no source package of little can be fetched" in done.said
