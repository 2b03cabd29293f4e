"""`python -m tests.bench`: our runs against the plain style, the floor or a former commit, in one interleaved run.

Every round measures each variant once at each concurrency, one after the other and beginning with another one, so that
whatever else this machine does meets all alike.
"""

import argparse
import asyncio
import json
import logging
import os
import platform
import signal
import sys
import tempfile
from collections.abc import Awaitable, Callable, Sequence
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from statistics import median
from typing import TypeVar

from tests.bench.code import Code, checked_out, compared
from tests.bench.cpu import used
from tests.bench.desk import full_desk
from tests.bench.door import UNLIMITED, both_ways
from tests.bench.due import falling_due
from tests.bench.flood import flooded
from tests.bench.growing import growing
from tests.bench.load import Client, Load, client_session
from tests.bench.parts import CUSTOMERS, Variant, World, journal, model_calls, set_latency, world
from tests.bench.poison import Poisoned, poisoned
from tests.bench.report import (
    BASELINE,
    BASELINE_AS_MADE,
    FELT_BARS,
    FLOOR,
    OURS,
    OURS_AS_MADE,
    OURS_OBSERVED,
    OURS_ON_GRANIAN,
    Figures,
    Report,
    Slice,
)
from tests.bench.stopping import stopping
from tests.bench.streaming import streaming
from tests.bench.talking import talking
from tests.bench.watching import Watching, watching
from tests.parts.service import Service

LATENCY = 0.5
FELT_SECONDS = 4
CALLS_PER_RUN = 3


@dataclass(frozen=True)
class Plan:
    """How long, how often, at which concurrency."""

    concurrencies: Sequence[int]
    rounds: int
    seconds: float
    felt_rounds: int


FULL = Plan((1, 16, 64), rounds=4, seconds=3, felt_rounds=3)
QUICK = Plan((64,), rounds=4, seconds=3.5, felt_rounds=0)
TELEMETRY = Plan((1, 16, 64), rounds=6, seconds=3, felt_rounds=0)
DOOR = Plan((1, 16, 64), rounds=6, seconds=3, felt_rounds=0)
QUICK_DOOR = Plan((1, 16), rounds=1, seconds=2, felt_rounds=0)
AGAINST = Plan((1, 16, 64), rounds=6, seconds=3, felt_rounds=4)

Measured = TypeVar("Measured")

Starting = Callable[[World, Client, Report], Awaitable[list[Variant]]]
"""Starts the variants that are wanted, warms them up, and weighs their journals."""


def main() -> None:
    signal.signal(signal.SIGTERM, signal.default_int_handler)  # so that whatever was started is ended
    Service.forks = False  # what is measured runs in a Python of its own, with the code of the commit it is of
    options = _options()
    if options.poison:
        print(asyncio.run(_poisoned()).as_markdown())
        return
    if options.watching:
        print(asyncio.run(_watching()).as_markdown())
        return
    if options.growing:
        print(asyncio.run(_in_folder(partial(growing, questions=options.growing))).as_markdown())
        return
    if options.stops:
        print(asyncio.run(_in_folder(partial(stopping, stops=options.stops))).as_markdown())
        return
    if options.conversation:
        print(asyncio.run(_in_folder(partial(talking, rounds=options.conversation))).as_markdown())
        return
    if options.door:
        _door(options.quick)
        return
    if options.due:
        _due(options.quick)
        return
    if options.desk:
        _desk(options.quick)
        return
    report = _run(options)
    print(report.as_markdown())
    if options.out:
        options.out.mkdir(parents=True, exist_ok=True)
        (options.out / "bench.md").write_text(report.as_markdown() + "\n")
        (options.out / "bench.json").write_text(json.dumps(report.as_json(), indent=1) + "\n")
    if report.calls_twice:
        sys.exit(f"{report.calls_twice} model calls were made twice")


def _door(quick: bool) -> None:
    """Each part as soon as it is measured. Quickly: whether all of it works, no figures."""
    print(asyncio.run(bench(QUICK_DOOR if quick else DOOR, _both_ways)).as_markdown(), flush=True)
    streams = partial(streaming, streams=100, seconds=3) if quick else streaming
    print(asyncio.run(_in_folder(streams)).as_markdown(), flush=True)
    flood = partial(flooded, rounds=1, seconds=4) if quick else flooded
    print(asyncio.run(_in_folder(flood)).as_markdown())


def _due(quick: bool) -> None:
    falling = partial(falling_due, tickets=200, window=60) if quick else partial(falling_due, tickets=5000, window=400)
    due = asyncio.run(_in_folder(falling))
    print(due.as_markdown())
    if not due.held:
        sys.exit("a due time was lost, came twice, or came before its time")


def _desk(quick: bool) -> None:
    few = partial(full_desk, tickets=500, messages=2500, times=5)
    desk = asyncio.run(_in_folder(few if quick else partial(full_desk, tickets=10_000, messages=50_000, times=100)))
    print(desk.as_markdown())
    if not quick and not desk.held:
        sys.exit("a page of the desk takes too long, or is too large")


def _run(options: argparse.Namespace) -> Report:
    if options.telemetry:
        return asyncio.run(bench(TELEMETRY, _observed))
    if options.streaming:
        return asyncio.run(bench(AGAINST, _streamed))
    if not options.against:
        return asyncio.run(bench(QUICK if options.quick else FULL, partial(_compared, options.only)))
    with checked_out(options.against) as former:
        return asyncio.run(bench(QUICK if options.quick else AGAINST, partial(_against, former)))


def _options() -> argparse.Namespace:
    parser = argparse.ArgumentParser(prog="python -m tests.bench", description=__doc__)
    parser.add_argument("--quick", action="store_true", help="concurrency 64 alone, short rounds, about a minute")
    what = parser.add_mutually_exclusive_group()
    what.add_argument("--telemetry", action="store_true", help="ours alone, observed and not")
    what.add_argument("--streaming", action="store_true", help="ours alone, with replies as streams and as a whole")
    what.add_argument("--poison", action="store_true", help="what poisonous questions cost everybody else")
    what.add_argument("--watching", action="store_true", help="how soon text is seen, and the CPU of 1,000 watchers")
    what.add_argument(
        "--growing",
        type=int,
        nargs="?",
        const=500,
        metavar="QUESTIONS",
        help="what a conversation of 500 questions leaves behind, and one of 100 calls",
    )
    what.add_argument(
        "--stops", type=int, nargs="?", const=200, metavar="STOPS", help="how soon a run is silent after a stop"
    )
    what.add_argument(
        "--conversation",
        type=int,
        nargs="?",
        const=6,
        metavar="ROUNDS",
        help="a conversation of 5 questions, watched and not, against as many one-shot runs",
    )
    what.add_argument(
        "--door",
        action="store_true",
        help="ours by the gateway and at the ingress, 1,000 streams through one gateway, and a flood",
    )
    what.add_argument(
        "--due",
        action="store_true",
        help="how late the due times of 5,000 tickets come, through kills and a clock that jumps",
    )
    what.add_argument(
        "--desk",
        action="store_true",
        help="how long the lists of the desk take with 10,000 tickets and 50,000 messages in it",
    )
    what.add_argument("--only", default="", help="comma-separated variants; the baseline is always measured")
    what.add_argument(
        "--against",
        metavar="REV",
        help="ours alone, as it is and as it was at this commit; both with the dependencies that are installed now, "
        "the present Restate settings, and the settings and requests of the present bench",
    )
    parser.add_argument("--out", type=Path, help="folder for bench.md and bench.json")
    return parser.parse_args()


async def _poisoned() -> Poisoned:
    logging.basicConfig(level="WARNING")
    with tempfile.TemporaryDirectory(prefix="bench-", ignore_cleanup_errors=True) as folder:
        async with world(Path(folder)) as here, client_session() as http:
            client = Client(http)
            ours = await here.ours(OURS, await here.restate("shipped"))
            await _warm_up(client, ours, Report(""))
            return await poisoned(http, client, ours)


async def _watching() -> Watching:
    return await _in_folder(watching)


async def _in_folder(measure: Callable[[Path], Awaitable[Measured]]) -> Measured:
    logging.basicConfig(level="WARNING")
    with tempfile.TemporaryDirectory(prefix="bench-", ignore_cleanup_errors=True) as folder:
        return await measure(Path(folder))


async def bench(plan: Plan, start: Starting) -> Report:
    logging.basicConfig(level="WARNING")
    report = Report(f"{platform.platform()}, {os.cpu_count()} CPUs, Python {platform.python_version()}")
    with tempfile.TemporaryDirectory(prefix="bench-", ignore_cleanup_errors=True) as folder:
        async with world(Path(folder)) as here, client_session() as http:
            client = Client(http)
            variants = await start(here, client, report)
            slices: dict[tuple[str, int], list[Slice]] = {}
            for number in range(plan.rounds):
                for concurrency in plan.concurrencies:
                    for variant in _rotated(variants, number):
                        slices.setdefault((variant.name, concurrency), []).append(
                            await _measure(here, client, variant, concurrency, plan.seconds)
                        )
                print(f"round {number + 1} of {plan.rounds} done", flush=True)
            for (name, concurrency), measured in slices.items():
                calls = 0 if name == FLOOR else CALLS_PER_RUN
                report.figures.setdefault(name, {})[concurrency] = Figures.of(measured, calls)
            if plan.felt_rounds:
                await _feel(here, client, variants, report, plan.felt_rounds)
    return report


def _rotated(variants: list[Variant], number: int) -> list[Variant]:
    """Each round begins with another one, so that none always follows the same one."""
    shift = (2 * number if len(variants) > 2 else number) % len(variants)
    return variants[shift:] + variants[:shift]


async def _against(former: Code, here: World, client: Client, report: Report) -> list[Variant]:
    report.former = former.name
    report.notes += compared(former)
    variants = [await here.ours(OURS, await here.restate("shipped")), await here.former(former)]
    for variant in variants:
        await _warm_up(client, variant, report)
    return variants


async def _streamed(here: World, client: Client, report: Report) -> list[Variant]:
    report.former = "ours, whole replies"
    report.notes.append("ours: the model is asked for streams")
    streams = {"router": {"OPENAI_STREAM": "true"}}
    variants = [
        await here.ours(OURS, await here.restate("streams"), streams),
        await here.ours(report.former, await here.restate("shipped")),
    ]
    for variant in variants:
        await _warm_up(client, variant, report)
    return variants


async def _both_ways(here: World, client: Client, report: Report) -> list[Variant]:
    variants = await both_ways(here, **UNLIMITED)
    for variant in variants:
        await _warm_up(client, variant, report)
    return variants


async def _observed(here: World, client: Client, report: Report) -> list[Variant]:
    variants = [await here.ours(OURS, await here.restate("shipped")), await here.observed(OURS_OBSERVED)]
    for variant in variants:
        await _warm_up(client, variant, report)
    return variants


async def _compared(only: str, here: World, client: Client, report: Report) -> list[Variant]:
    """The baseline offers the tools that ours was offered, the floor has as many entries: so ours comes first."""
    wanted = set(only.split(",")) if only else {FLOOR, OURS_AS_MADE, OURS_ON_GRANIAN}
    shipped = await here.restate("shipped")
    variants = [await here.ours(OURS, shipped)]
    await _warm_up(client, variants[0], report)
    as_made = await here.restate("as-made", as_made=True)
    if OURS_ON_GRANIAN in wanted:
        variants.append(await here.ours(OURS_ON_GRANIAN, await here.restate("granian"), SERVER="granian"))
    if OURS_AS_MADE in wanted:
        variants.append(await here.ours(OURS_AS_MADE, as_made))
    variants += [await here.baseline(BASELINE, shipped), await here.baseline(BASELINE_AS_MADE, as_made)]
    if FLOOR in wanted:
        variants.append(await here.floor(shipped, round(report.journal[OURS][0])))
    for variant in variants[1:]:
        await _warm_up(client, variant, report)
    return variants


async def _warm_up(client: Client, variant: Variant, report: Report) -> None:
    """The first time each customer asks, more is journaled; so a second time around is weighed."""
    weighed: list[tuple[float, float]] = []
    for _ in range(2):
        for _ in range(0, len(CUSTOMERS), 7):
            wrong = await asyncio.gather(*(client.ask(variant.target) for _ in range(7)))
            if any(wrong):
                raise SystemExit(f"{variant.name}: wrong answer: {next(filter(None, wrong))}")
        weighed.append(await journal(variant))
    (before, bytes_before), (after, bytes_after) = weighed
    report.journal[variant.name] = (after - before) / len(CUSTOMERS), (bytes_after - bytes_before) / len(CUSTOMERS)


async def _measure(here: World, client: Client, variant: Variant, concurrency: int, seconds: float) -> Slice:
    (calls, _), before = await model_calls(here), used(variant.pids)
    load = await client.load(variant.target, concurrency, seconds)
    after = used(variant.pids)
    _accept(variant, load)
    spent = {name: after[name] - before[name] for name in after}
    return Slice.of(load, spent, (await model_calls(here))[0] - calls)


def _accept(variant: Variant, load: Load) -> None:
    if load.wrong:
        raise SystemExit(f"{variant.name}: {len(load.wrong)} wrong answers, such as: {load.wrong[0]}")


async def _feel(here: World, client: Client, variants: list[Variant], report: Report, rounds: int) -> None:
    """What a run takes beyond the seconds that the model itself took for its calls."""
    await set_latency(here, LATENCY)
    felt = [variant for variant in variants if variant.name in (OURS, OURS_ON_GRANIAN, BASELINE, report.former)]
    for concurrency in FELT_BARS:
        beyond: dict[str, list[float]] = {}
        for number in range(rounds):
            for variant in _rotated(felt, number):
                beyond.setdefault(variant.name, []).extend(await _beyond(here, client, variant, concurrency))
        for name, seconds in beyond.items():
            report.felt.setdefault(name, {})[concurrency] = 1000 * median(seconds)


async def _beyond(here: World, client: Client, variant: Variant, concurrency: int) -> list[float]:
    calls, seconds = await model_calls(here)
    load = await client.load(variant.target, concurrency, FELT_SECONDS)
    _accept(variant, load)
    calls_after, seconds_after = await model_calls(here)
    models_own = CALLS_PER_RUN * (seconds_after - seconds) / (calls_after - calls)
    return [latency - models_own for latency in load.latencies]


if __name__ == "__main__":
    main()
