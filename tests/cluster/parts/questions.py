"""Questions that are under way while something happens, and what must have come of them."""

import asyncio
import time
import uuid
from collections.abc import Sequence
from types import TracebackType
from typing import Any, Self

from tests.cluster.parts.product import Product

TICKET = "I need to report a bug with the dashboard, please create a ticket"
ACCOUNT = "What's my current subscription plan and usage limits?"


class AskedQuestion:
    """Asked as soon as it is made, in a task of its own."""

    def __init__(self, product: Product, words: str, *, token: str = "") -> None:
        self.token = token or f"e2e-{uuid.uuid4().hex[:12]}"
        self.message = f"{words} ({self.token})"
        self.began = time.monotonic()
        self.ended: float | None = None
        self._task = asyncio.create_task(self._ask(product))

    async def _ask(self, product: Product) -> dict[str, Any]:
        reply = await product.ask(self.message, self.token)
        self.ended = time.monotonic()
        assert reply.status_code == 200, reply.text
        return reply.json()

    def was_open_at(self, moment: float) -> bool:
        return self.began < moment and (self.ended is None or self.ended > moment)

    async def answer(self) -> dict[str, Any]:
        return await self._task


class SteadyLoad:
    """Questions at a steady pace; its end waits for every answer."""

    def __init__(self, product: Product, words: str, per_second: float = 2) -> None:
        self.questions: list[AskedQuestion] = []
        self._product, self._words, self._pause = product, words, 1 / per_second
        self._asking: asyncio.Task[None] | None = None

    async def __aenter__(self) -> Self:
        self._asking = asyncio.create_task(self._ask())
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        assert self._asking
        self._asking.cancel()
        answers = [question.answer() for question in self.questions]
        await asyncio.gather(*answers, return_exceptions=True)

    async def _ask(self) -> None:
        while True:
            self.questions.append(AskedQuestion(self._product, self._words))
            await asyncio.sleep(self._pause)

    def open_at(self, moment: float) -> list[AskedQuestion]:
        return [question for question in self.questions if question.was_open_at(moment)]


async def check_answers(
    product: Product, questions: Sequence[AskedQuestion], outcomes: frozenset[str] = frozenset({"answered"})
) -> None:
    """Each was answered, and each has the one ticket that it asked for and was told of, or none."""
    answers = [await question.answer() for question in questions]
    made = await product.tickets()
    for question, answer in zip(questions, answers, strict=True):
        assert answer["outcome"] in outcomes, (question.message, answer)
        tickets = [ticket for ticket, text in made.items() if question.token in text]
        assert answer["tickets"] == tickets, (question.message, answer, tickets)
        if answer["outcome"] == "answered":
            assert len(tickets) == question.message.startswith(TICKET), (question.message, answer)


async def check_turns(product: Product, questions: Sequence[AskedQuestion]) -> None:
    """The model was asked once for each turn, and never again."""
    for question in questions:
        turns = (await question.answer())["usage"]["turns"]
        assert await product.model_turns(question.token) == list(range(turns)), question.message
