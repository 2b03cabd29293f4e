"""Whatever somebody writes stands there as text: it loads nothing, runs nothing, and hides nothing."""

import re
from typing import Any

import pytest
from playwright.async_api import Page, Request

from tests.browser.conftest import Visit
from tests.browser.injections import CANARY, INJECTIONS
from tests.parts.fake_gateway import FakeGateway

ALLOWED_ELEMENTS = {
    *("article", "div", "span", "p", "ul", "ol", "li", "br", "pre", "code", "strong", "em", "b", "bdi", "time", "i"),
    *("svg", "path", "a", "button"),
}
UNSEEN = re.compile(
    "[\x00-\x08\x0b-\x1f\x7f-\x9f\u00ad\u200b\u202a-\u202e\u2060-\u206f\u2800\u3164\ufeff\uffa0\U000e0000-\U000e0fff]"
)
PICTURE = "(log) => [...log.querySelectorAll('*')].map((each) => [each.localName, each.getAttribute('href') ?? ''])"


def test_there_are_enough() -> None:
    assert len(set(INJECTIONS)) >= 60


@pytest.fixture
async def canary() -> list[str]:
    return []


async def watched(page: Page, canary: list[str]) -> None:
    def asked(request: Request) -> None:
        if "127.0.0.1" not in request.url and not request.url.startswith("data:"):
            canary.append(request.url)

    page.on("request", asked)
    page.on("dialog", lambda dialog: canary.append(f"a dialog: {dialog.message}"))
    page.on("popup", lambda popup: canary.append(f"a window: {popup.url}"))


@pytest.mark.parametrize("place", ["question", "answer", "live text", "person", "tool", "ticket and note"])
async def test_it_is_shown_as_text(visit: Visit, gateway: FakeGateway, canary: list[str], place: str) -> None:
    page = await visit(gateway.page)
    await watched(page.page, canary)
    await page.page.evaluate(
        "document.querySelector('switchboard-chat').setAttribute('link-hosts', 'help.nimbus.example')"
    )
    await page.ask("The first question of this conversation, which is not a short one.")
    talk = await gateway.heard()
    talk.event("run_started", "run_1")
    for number, words in enumerate(INJECTIONS, start=10):
        run = f"run_{number}"
        match place:
            case "question":
                talk.event("input", run, type="message", text=words, disposition="started", position=number)
            case "answer":
                talk.answer(run, words)
            case "live text":
                talk.text(run, words)
                talk.answer(run, words + " ")
            case "person":
                talk.event("person", run, text=words)
            case "tool":
                talk.tool(run, words, call=words, status="ok")
            case _:
                talk.event("ticket", run, ticket_id=f"{number} {words}")
                talk.event("note", run, text=words)
    talk.event("note", "run_1", text="This is the end.")
    await page.sees("This is the end.")

    found: list[list[str]] = await page.log.evaluate(PICTURE)
    assert {name for name, _ in found} <= ALLOWED_ELEMENTS
    assert {href for _, href in found} == {""}
    shown = await page.log.inner_text()
    assert not UNSEEN.search(shown)
    for words in INJECTIONS:
        told = words.replace("_", " ") if place == "tool" else words
        if place not in ("answer", "live text"):
            assert _visible(told) in _squeezed(shown), words
        for inside in re.findall(re.escape(CANARY) + r"/\d+", words):
            assert inside in shown, words
    over = "(log) => [log.scrollWidth - log.clientWidth, document.documentElement.scrollWidth - innerWidth]"
    assert all(more <= 0 for more in await page.log.evaluate(over))
    assert canary == []


def _visible(words: str) -> str:
    """As it stands on the page: what nobody would see, by its number."""

    def named(found: re.Match[str]) -> str:
        code = ord(found[0])
        return chr(0x2400 + code) if code < 0x20 else f"U+{code:04X}"

    return _squeezed(re.sub(UNSEEN.pattern[:-1] + "\u034f\u200c\u200d]", named, words))


def _squeezed(text: str) -> str:
    return re.sub(r"\s+", "", text)


async def test_it_may_be_the_name_of_a_customer_or_of_the_chat(
    visit: Visit, gateway: FakeGateway, canary: list[str]
) -> None:
    gateway.customers |= {f"user_3{number:04}": words for number, words in enumerate(INJECTIONS)}
    page = await visit(gateway.page)
    await watched(page.page, canary)
    for words in INJECTIONS:
        heading = "(words) => document.querySelector('switchboard-chat').setAttribute('heading', words)"
        await page.page.evaluate(heading, words)
        shown = _squeezed(await page.page.get_by_role("heading", level=2).inner_text())
        assert shown == _visible(words)
    names = _squeezed(await page.page.get_by_role("group").inner_text())
    assert [words for words in INJECTIONS if _visible(words) not in names] == []
    found: list[list[str]] = await page.page.get_by_role("group").evaluate(PICTURE)
    assert {name for name, _ in found} <= {"legend", "div", "label", "input", "span", "b", "small"}
    assert canary == []


LINKS: list[tuple[str, Any]] = [
    (
        "[the guide](https://help.nimbus.example/a)",
        ("https://help.nimbus.example/a", "the guide (help.nimbus.example)"),
    ),
    ("See https://help.nimbus.example/b.", ("https://help.nimbus.example/b", "https://help.nimbus.example/b")),
    ("[status](https://status.nimbus.example)", ("https://status.nimbus.example/", "status (status.nimbus.example)")),
    ("[\u202eabc](https://help.nimbus.example)", ("https://help.nimbus.example/", "U+202Eabc (help.nimbus.example)")),
    ("[x](https://nimbus.example)", None),
    ("[x](https://help.nimbus.example:444)", None),
    ("[x](https://evilhelp.nimbus.example.org)", None),
    ("https://user:pass@help.nimbus.example/", None),
    ("[x](ftp://help.nimbus.example)", None),
    ("[x](https://hеlp.nimbus.example)", None),  # noqa: RUF001 - that "e" is Cyrillic
]


async def test_links_lead_to_allowed_hosts_alone_and_say_where(visit: Visit, gateway: FakeGateway) -> None:
    page = await visit(gateway.page)
    hosts = "help.nimbus.example status.nimbus.example"
    await page.page.evaluate(
        "(hosts) => document.querySelector('switchboard-chat').setAttribute('link-hosts', hosts)", hosts
    )
    await page.ask("Where do I find the guide to the keys of the API?")
    await gateway.heard()
    for number, (words, _) in enumerate(LINKS):
        gateway.talk.answer(f"run_{number}", words)
    await page.sees("nimbus.example.org")
    for number, (words, link) in enumerate(LINKS):
        found = page.log.locator(".agent").nth(number).locator("a")
        if link is None:
            assert await found.count() == 0, words
            continue
        assert (await found.get_attribute("href"), _first_line(await found.inner_text())) == link
        assert await found.get_attribute("rel") == "noopener noreferrer nofollow"
        assert await found.get_attribute("target") == "_blank"


def _first_line(text: str) -> str:
    return text.partition("\n")[0]
