"""The chat page as it was built: small, pinned, and from packages that are locked without naming a registry."""

import base64
import gzip
import hashlib
import json
import re
from pathlib import Path

import pytest

GATEWAY = Path(__file__).parents[2] / "services" / "gateway"
BUILT = GATEWAY / "src" / "gateway" / "static"
ELEMENT = BUILT / "switchboard-chat.js"
MOST_BYTES = 25_000


def test_the_element_is_small_enough_for_any_site() -> None:
    assert len(gzip.compress(ELEMENT.read_bytes(), 9)) <= MOST_BYTES


@pytest.mark.parametrize("page", ["index.html", "embed.html"])
def test_a_page_names_the_hash_of_the_element(page: str) -> None:
    digest = base64.b64encode(hashlib.sha384(ELEMENT.read_bytes()).digest()).decode()
    assert f"sha384-{digest}" in (BUILT / page).read_text()


def test_nothing_makes_markup_or_code_of_a_text() -> None:
    dangerous = r"innerHTML|outerHTML|insertAdjacentHTML|document\.write|\beval\(|new Function|setHTMLUnsafe|\.srcdoc"
    for source in (GATEWAY / "page").glob("*/*.ts"):
        assert not re.search(dangerous, source.read_text()), source.name
    assert not re.search(dangerous, ELEMENT.read_text())


@pytest.mark.parametrize("page", ["index.html", "embed.html"])
def test_a_page_holds_neither_scripts_nor_styles_of_its_own(page: str) -> None:
    text = (BUILT / page).read_text()
    assert not re.search(r"<style|\sstyle=|\son\w+=|<script(?![^>]*\ssrc=)", text)


def test_packages_are_locked_by_hash_alone() -> None:
    lock = json.loads((GATEWAY / "page" / "package-lock.json").read_text())
    packages = {name: told for name, told in lock["packages"].items() if name}
    assert all(told.get("integrity", "").startswith("sha512-") for told in packages.values())
    assert not any("resolved" in told for told in packages.values())
