"""`search_help_articles`: the right article first, and nothing a customer types is query syntax."""

import random
import re
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest
from pydantic import ValidationError

from router.settings import ARTICLES
from router.tools.articles import ArticleIndex, Articles, SearchHelpArticles, search_help_articles
from tests.parts.processor import seconds_of_work

RESULT_BYTES = 6 * 1024


@pytest.fixture(scope="module")
def index() -> ArticleIndex:
    return ArticleIndex.of_folder(ARTICLES)


def slugs(index: ArticleIndex, query: str, limit: int = 3) -> list[str]:
    return [hit.slug for hit in search_help_articles(index, SearchHelpArticles(query=query, limit=limit)).articles]


@pytest.mark.parametrize(
    ("question", "best"),
    [
        ("My API calls are failing, what's wrong with my account?", "api-calls-fail"),
        ("how do I rotate an API key", "api-keys"),
        ("error 401", "error-401-unauthorized"),
        ("403 scope_missing", "error-403-forbidden"),
        ("getting 429 too many requests", "error-429-rate-limits"),
        ("what happens when I reach my monthly limit?", "monthly-usage-limits"),
        ("how much does the Pro plan cost?", "plans-compared"),
        ("my card was declined", "failed-payments"),
        ("VAT number on the invoice", "invoices-and-tax"),
        ("refund a customer payment", "payments-api"),
        ("webhook signature does not match", "webhook-troubleshooting"),
        ("set up SAML login with Okta", "single-sign-on"),
        ("how long do you keep my logs", "data-retention-and-deletion"),
        ("download my data as csv", "export-your-data"),
        ("I forgot my password", "sign-in-and-passwords"),
        ("I need to report a bug with the dashboard", "dashboard-problems"),
        ("Is there an outage affecting the payment service?", "status-page"),
    ],
)
def test_a_question_finds_the_right_article_first(index: ArticleIndex, question: str, best: str) -> None:
    assert slugs(index, question)[0] == best


def test_a_word_is_found_in_its_other_forms(index: ArticleIndex) -> None:
    assert slugs(index, "rotating keys") == slugs(index, "rotate key")


def test_a_word_in_the_title_outweighs_the_same_word_in_a_text(tmp_path: Path) -> None:
    (tmp_path / "a.md").write_text("# Something else\n" + "The refund is mentioned here. A refund, again.\n")
    (tmp_path / "b.md").write_text("# Refund\n" + "How it works in a few words.\n")
    (tmp_path / "c.md").write_text("# Unrelated\n" + "Nothing to see.\n")
    assert slugs(ArticleIndex.of_folder(tmp_path), "refund") == ["b", "a"]


def test_the_best_article_comes_with_its_whole_text(index: ArticleIndex) -> None:
    best = search_help_articles(index, SearchHelpArticles(query="rotate an API key")).articles[0]
    assert best.title == "Create, rotate and revoke API keys"
    assert best.text == (ARTICLES / "api-keys.md").read_text().partition("\n")[2].strip()
    assert "otate" in best.excerpt
    assert "\n" not in best.excerpt


def test_no_result_is_larger_than_six_kilobytes(index: ArticleIndex) -> None:
    for file in ARTICLES.glob("*.md"):
        words = " ".join(file.read_text().split())[:200]
        found = search_help_articles(index, SearchHelpArticles(query=words, limit=5))
        assert len(found.articles) == 5
        assert len(found.model_dump_json().encode()) <= RESULT_BYTES


def test_an_article_that_is_too_long_is_cut_at_a_whole_character(tmp_path: Path) -> None:
    (tmp_path / "long.md").write_text("# Long\n" + "zażółć gęślą jaźń 🌩 " * 1000)
    found = search_help_articles(ArticleIndex.of_folder(tmp_path), SearchHelpArticles(query="gesla"))
    assert len(found.model_dump_json().encode()) <= RESULT_BYTES
    assert found.articles[0].text is not None
    assert found.articles[0].text.endswith("…")


@pytest.mark.parametrize(
    "query",
    [
        '"',
        '"""',
        "' OR 1=1 --",
        "title:",
        "body: api",
        "api AND",
        "NEAR(api key, 2)",
        "NOT",
        "AND OR NOT NEAR",
        "api*",
        "^api",
        "{title body}: key",
        "(((",
        "a-b+c",
        "api\x00key",
        "\x00",
        "\ud800 key",
        "'; DROP TABLE articles; --",
        "ключ апи 鍵 مفتاح 🔑",
        "ⅷ ½ ² ٣ ꙮ \u0301\u200d\ufeff",
        "_" * 200,
        "9" * 200,
        "x " * 100,
    ],
)
def test_hostile_text_is_only_words_to_look_for(index: ArticleIndex, query: str) -> None:
    assert isinstance(search_help_articles(index, SearchHelpArticles.model_construct(query=query, limit=3)), Articles)
    assert slugs(index, "rotate an API key")[0] == "api-keys"


def test_any_text_at_all_can_be_searched(index: ArticleIndex) -> None:
    random_text = random.Random(7)
    for _ in range(2000):
        query = "".join(
            chr(random_text.choice((random_text.randrange(128), random_text.randrange(0x11_0000)))) for _ in range(40)
        )
        search_help_articles(index, SearchHelpArticles.model_construct(query=query, limit=5))


@pytest.mark.parametrize("query", ["?!…", "   ", "how do I", "xyzzy"])
def test_a_query_without_a_telling_word_finds_nothing(index: ArticleIndex, query: str) -> None:
    assert slugs(index, query) == []


@pytest.mark.parametrize(
    "given", [{"query": ""}, {"query": "a" * 201}, {"query": "a", "limit": 0}, {"query": "a", "limit": 6}, {}]
)
def test_a_request_outside_its_bounds_is_refused(given: dict[str, object]) -> None:
    with pytest.raises(ValidationError):
        SearchHelpArticles.model_validate(given)


def test_threads_may_search_at_the_same_time(index: ArticleIndex) -> None:
    expected = slugs(index, "webhook retries")
    with ThreadPoolExecutor(8) as threads:
        assert all(found == expected for found in threads.map(lambda _: slugs(index, "webhook retries"), range(400)))


def test_a_search_is_too_short_to_hold_up_the_event_loop(index: ArticleIndex) -> None:
    longest = SearchHelpArticles(
        query="api key error limit plan invoice payment webhook team export data status", limit=5
    )
    assert seconds_of_work(lambda: search_help_articles(index, longest), 0.005, tries=50) < 0.005


def test_a_folder_without_articles_is_named_at_start(tmp_path: Path) -> None:
    with pytest.raises(ValueError, match=f"no Markdown articles in {tmp_path}"):
        ArticleIndex.of_folder(tmp_path)


def test_an_article_without_a_title_is_named_at_start(tmp_path: Path) -> None:
    (tmp_path / "untitled.md").write_text("Just text.\n")
    with pytest.raises(ValueError, match=r"untitled\.md must be its title"):
        ArticleIndex.of_folder(tmp_path)


def test_an_article_refers_only_to_articles_that_exist() -> None:
    texts = [file.read_text() for file in ARTICLES.glob("*.md")]
    references = re.findall(r'[Ss]ee "([^"]+)"', "\n".join(texts))
    assert references
    assert all(any(text.startswith(f"# {reference}") for text in texts) for reference in references)


def test_every_plan_has_the_same_figures_in_every_article() -> None:
    calls = {"Free": "1,000", "Starter": "50,000", "Pro": "500,000", "Business": "5,000,000"}
    monthly = (ARTICLES / "monthly-usage-limits.md").read_text()
    rates = (ARTICLES / "error-429-rate-limits.md").read_text()
    assert all(f"| {plan} | {figure} |" in monthly for plan, figure in calls.items())
    assert all(f"| {plan} | {rate} |" in rates for plan, rate in zip(calls, ("2", "10", "50", "200"), strict=True))
    assert f"| {' | '.join(calls.values())} |" in (ARTICLES / "plans-compared.md").read_text()


def test_the_schema_that_the_model_sees_is_closed_and_explains_itself() -> None:
    schema = SearchHelpArticles.model_json_schema()
    assert schema["additionalProperties"] is False
    assert all("description" in value for value in schema["properties"].values())
