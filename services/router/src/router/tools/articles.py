"""`search_help_articles`: BM25 over a folder of Markdown articles, in an in-memory SQLite database."""

import re
from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path

from pydantic import BaseModel, ConfigDict, Field

from router.fulltext import FullText

TEXT_BYTES = 4096
"""What the texts of one result may weigh together, so that a search never crowds out the rest of a transcript."""

TITLE_CHARACTERS = 120
EXCERPT_WORDS = 32
EXCERPT_CHARACTERS = 280

_COLUMNS = "slug UNINDEXED, title, body, tokenize = 'porter unicode61 remove_diacritics 2'"

_SEARCH = f"""
SELECT slug, title, snippet(articles, 2, '', '', '…', {EXCERPT_WORDS}), body
FROM articles WHERE articles MATCH ? ORDER BY bm25(articles, 0.0, 4.0, 1.0), slug LIMIT ?
"""  # noqa: S608 (a constant, no input)

_WORD = re.compile(r"[^\W_]+")

_SMALL_TALK = """
a about am an and any are as at be been but by can could did do does for from get had has have how i if in into is it
its ll m me my need of on or our please re s should so some t than that the their them there these they this to us ve
want was we were what when where which who why will with would you your
"""
_STOP_WORDS = frozenset(_SMALL_TALK.split())


class SearchHelpArticles(BaseModel):
    """What to look for."""

    model_config = ConfigDict(extra="forbid")

    query: str = Field(
        min_length=1,
        max_length=200,
        description="A few words that say what the customer wants to know or do.",
        examples=["rotate an API key", "error 429 rate limit"],
    )
    limit: int = Field(default=3, ge=1, le=5, description="How many articles to return at most.")


class ArticleHit(BaseModel):
    """One article that matches; `text` is the whole article where there was room for it."""

    title: str
    slug: str
    excerpt: str
    text: str | None = None


class Articles(BaseModel):
    """The articles that match, best first."""

    articles: list[ArticleHit] = Field(default_factory=list[ArticleHit])


@dataclass(frozen=True)
class Article:
    """One Markdown file: its first line is `# Title`, its name without the ending the slug."""

    slug: str
    title: str
    body: str


class ArticleIndex:
    """The searchable articles, read once at start and never written again."""

    def __init__(self, articles: Iterable[Article]) -> None:
        # A plain function given to ctx.run runs in a thread.
        self._texts = FullText("articles", _COLUMNS, [(a.slug, a.title, a.body) for a in articles])

    @classmethod
    def of_folder(cls, folder: Path) -> "ArticleIndex":
        """Index every `*.md` in `folder`; one that cannot serve is an error at start, not at the first question."""
        files = sorted(folder.glob("*.md"))
        if not files:
            raise ValueError(f"no Markdown articles in {folder}")
        return cls(_read(file) for file in files)

    def best(self, query: str, limit: int) -> list[tuple[str, str, str, str]]:
        """Slug, title, excerpt and body of the articles that match any word of `query`, best first."""
        match = match_expression(query)
        if not match:
            return []
        return self._texts.find(_SEARCH, match, limit)


def search_help_articles(index: ArticleIndex, request: SearchHelpArticles) -> Articles:
    """Search the help articles: how the product works and how to do or mend something.

    Use it for how-to questions, error codes, limits, plans, billing rules and troubleshooting steps. It knows nothing
    about this customer's own account and nothing about current outages. Returns the best articles first, each with
    title, slug and an excerpt, the first ones with their whole text; an empty list means that no article matches.
    """
    hits: list[ArticleHit] = []
    room = TEXT_BYTES
    for slug, title, excerpt, body in index.best(request.query, request.limit):
        text = body if _weight(body) <= room else None
        if text is None and not hits:
            text = _cut(body, room)  # the best match always brings something to answer from
        room -= _weight(text or "")
        hits.append(ArticleHit(title=title, slug=slug, excerpt=_one_line(excerpt), text=text))
    return Articles(articles=hits)


def _read(file: Path) -> Article:
    first, _, rest = file.read_text(encoding="utf-8", errors="replace").lstrip("\ufeff").partition("\n")
    if not first.startswith("# "):
        raise ValueError(f"the first line of {file} must be its title: # Title")
    return Article(slug=file.stem, title=first[2:].strip()[:TITLE_CHARACTERS], body=rest.strip())


def match_expression(query: str) -> str:
    """Each word as a quoted FTS5 string, so that nothing a customer types is read as query syntax."""
    words = dict.fromkeys(_WORD.findall(query.casefold()))
    telling = [word for word in words if word not in _STOP_WORDS]
    return " OR ".join(f'"{word}"' for word in telling)


def _weight(text: str) -> int:
    return len(text.encode())


def _cut(text: str, size: int) -> str:
    return text.encode()[: size - len("…".encode())].decode(errors="ignore") + "…"


def _one_line(excerpt: str) -> str:
    return " ".join(excerpt.split())[:EXCERPT_CHARACTERS]
