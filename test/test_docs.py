"""The manual: what it points at is there, README stays short, and what is said of 1.1 names a source."""
import re
import subprocess

import pytest

import manifests
from cleaner import ROOT

PAGES = [ROOT / "README.md", ROOT / "CHANGELOG.md", *sorted((ROOT / "docs").glob("*.md"))]
EACH_PAGE = pytest.mark.parametrize("page", PAGES, ids=lambda p: p.name)


def prose(page):
    """Without what stands between fences."""
    return re.sub(r"^```.*?^```", "", page.read_text(), flags=re.S | re.M)


def anchors(page):
    """As GitHub makes them of headings."""
    headings = re.findall(r"^#+ (.*)$", prose(page), re.M)
    return {re.sub(r"[^\w\- ]", "", h.lower()).replace(" ", "-") for h in headings}


def links(page):
    return re.findall(r"\]\(([^)\s]+)\)", prose(page))


@EACH_PAGE
def test_each_link_leads_somewhere(page):
    for link in links(page):
        if "://" in link:
            continue
        path, _, anchor = link.partition("#")
        target = (page.parent / path).resolve() if path else page
        assert target.exists(), link
        if anchor:
            assert anchor in anchors(target), link


def test_links_and_anchors_are_found():
    assert "docs/troubleshooting.md" in links(ROOT / "README.md")
    assert "exit-2-bad-configuration" in anchors(ROOT / "docs" / "troubleshooting.md")


@EACH_PAGE
def test_each_make_target_is_there(page):
    wanted = set(re.findall(r"(?:`|^)make ([a-z][a-z0-9-]*)", page.read_text(), re.M))
    known = set(re.findall(r"^([a-z][a-z0-9-]*):", (ROOT / "Makefile").read_text(), re.M))
    assert wanted <= known


def test_readme_is_short():
    assert len((ROOT / "README.md").read_text().splitlines()) < 250


def test_readme_names_each_placeholder():
    text = (ROOT / "README.md").read_text()
    assert {name for name in manifests.VALUES if f"`${name}`" in text} == set(manifests.VALUES)


def test_nothing_is_claimed_of_the_role_of_1_1():
    for page in PAGES:
        text = " ".join(page.read_text().split())
        assert not re.search(r"\bRole that 1\.1\b|\b1\.1's Role (?!allowed is not public)", text), page


def test_each_fault_of_1_1_names_its_source():
    """Documented, or measured on the loop as documented, re-told."""
    text = (ROOT / "CHANGELOG.md").read_text()
    table = text.partition("### What was wrong in 1.1")[2].partition("###")[0]
    rows = [[cell.strip() for cell in line.strip("|").split("|")]
            for line in table.splitlines() if line.startswith("|")]
    assert rows[0] == ["1.1", "source", "2.0"] and len(rows) > 8
    assert {row[1] for row in rows[2:]} == {"documented", "documented loop", "re-told"}
    assert "**re-told**" in text and "**documented**" in text       # what the words mean


def test_no_page_names_a_machine():
    """Nor a registry, nor a directory, of somebody's."""
    done = subprocess.run(["grep", "-nE", r"/(home|work|root)/|\.amazonaws\.|\.(internal|corp)\b",
                           *map(str, PAGES), str(manifests.TEMPLATE), str(manifests.RBAC)],
                          capture_output=True, text=True, check=False)
    assert done.stdout == ""
