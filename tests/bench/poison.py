"""What poisonous questions cost everybody else: ordinary questions alone, beside ordinary and beside poisonous ones."""

import asyncio
import json
import uuid
from collections.abc import Sequence
from dataclasses import dataclass, field
from statistics import median

import aiohttp

from tests.bench.load import Client, Target
from tests.bench.model import POISON
from tests.bench.parts import Variant
from tests.parts.restate import RestateServer

ALONE, ORDINARY, POISONOUS = "alone", "beside ordinary ones", "beside poisonous ones"
BESIDE = 60
ROUNDS, SECONDS, ASKERS = 4, 12, 2
BAR = 1.1


def poisonous(caller_token: str) -> list[tuple[bytes, bool]]:
    """Bodies, each with whether it is accepted as a question."""
    who = f'"caller_token": "{caller_token}"'
    deep = "[" * 450 + "]" * 450
    refused = [
        f'{{"message": "hi", {who}, "x": {deep}}}',
        f'{{"message": {deep}, {who}}}',
        f'{{"message": "{"x" * 900_000}", {who}}}',
        "[" * 100_000,
        f'{{"message": "\\ud800", {who}}}',
        '{"message": ' + "9" * 50_000 + "}",
    ]
    accepted = [f'{{"message": "poison: {kind}", {who}}}' for kind in POISON]
    return [(body.encode(), False) for body in refused] + [(body.encode(), True) for body in accepted]


@dataclass
class Poisoned:
    """The 95th percentile of the ordinary questions in ms, round by round; `stuck`: what had not ended afterwards."""

    p95: dict[str, list[float]] = field(default_factory=dict[str, list[float]])
    stuck: int = 0

    def as_markdown(self) -> str:
        lines = [
            f"| {ASKERS} askers for {SECONDS} s, {BESIDE} questions beside them | p95 ms, median of {ROUNDS} rounds |"
            " to alone, median | range |",
            "|---|---|---|---|",
        ]
        for name, measured in self.p95.items():
            ratios = [mine / its for mine, its in zip(measured, self.p95[ALONE], strict=True)]
            lines.append(
                f"| {name} | {median(measured):.0f} | {median(ratios):.2f} x | {min(ratios):.2f}..{max(ratios):.2f} |"
            )
        return "\n".join([*lines, f"\nNot ended afterwards: {self.stuck}. Bar for poisonous ones: at most {BAR} x."])


async def poisoned(http: aiohttp.ClientSession, client: Client, ours: Variant) -> Poisoned:
    """Raises SystemExit when a poisonous question is answered otherwise than it has to be."""
    found = Poisoned()
    token = ours.target.body(0)["caller_token"]
    ordinary = [(json.dumps(ours.target.body(number)).encode(), True) for number in range(BESIDE)]
    beside: dict[str, Sequence[tuple[bytes, bool]]] = {ALONE: [], ORDINARY: ordinary, POISONOUS: poisonous(token)}
    for number in range(ROUNDS):
        for name in [*beside][number % 3 :] + [*beside][: number % 3]:
            asking = asyncio.create_task(_ask_beside(http, ours.target, beside[name]))
            load = await client.load(ours.target, ASKERS, SECONDS)
            await asking
            if load.wrong:
                raise SystemExit(f"{name}: wrong answer: {load.wrong[0]}")
            found.p95.setdefault(name, []).append(load.percentile(0.95))
    found.stuck = await _unended(ours.restate)
    return found


async def _ask_beside(http: aiohttp.ClientSession, target: Target, bodies: Sequence[tuple[bytes, bool]]) -> None:
    async with asyncio.TaskGroup() as asking:
        for number in range(BESIDE if bodies else 0):
            asking.create_task(_ask(http, target, *bodies[number % len(bodies)]))
            await asyncio.sleep(0.8 * SECONDS / BESIDE)


async def _ask(http: aiohttp.ClientSession, target: Target, body: bytes, accepted: bool) -> None:
    headers = {"content-type": "application/json", "Idempotency-Key": uuid.uuid4().hex}
    async with http.post(target.url, data=body, headers=headers) as reply:
        text = await reply.text()
    if not (reply.status == 200 if accepted else 400 <= reply.status < 500):
        raise SystemExit(f"{reply.status} for {body[:80]!r}: {text[:300]}")


async def _unended(restate: RestateServer) -> int:
    rows = await restate.query("SELECT count(*) AS open FROM sys_invocation WHERE status <> 'completed'")
    return int(rows[0]["open"])
