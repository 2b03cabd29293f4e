"""`python -m tests.sweep`: the whole sweep and its figures; exit code 1 when a case did not hold."""

import argparse
import asyncio
import sys
import tempfile
import time
from collections.abc import Mapping, Sequence
from pathlib import Path

from tests.sweep.deciding import Deciding
from tests.sweep.door import KNOCKING, STREAMING, Door
from tests.sweep.lives import LIVING, SETTINGS, Lives
from tests.sweep.outage import AWAY_SECONDS, LASTING, REGISTRY, ROUTER, Outages
from tests.sweep.points import Position
from tests.sweep.summaries import SETTINGS as COMPACTING
from tests.sweep.summaries import Summaries
from tests.sweep.sweep import VICTIMS, Case, Summary, Sweep, Victim
from tests.sweep.talks import TALKING, Talks
from tests.sweep.world import SweepWorld, world


def main() -> None:
    arguments = _arguments()
    folder = Path(arguments.data_dir or tempfile.mkdtemp(prefix="sweep-"))
    cases = asyncio.run(_run(folder, arguments))
    _report(cases)
    if arguments.outage and cases:
        shortest = min(case.away_seconds for case in cases)
        print(f"{sum(case.accepted for case in cases)} tickets accepted; each time away for {shortest:.1f} s or longer")
    failed = [case for case in cases if case.violations]
    if failed:
        sys.exit(f"{len(failed)} of {len(cases)} cases failed; logs: {folder / 'logs'}")


def _arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser(prog="python -m tests.sweep", description=__doc__)
    parser.add_argument("--only", default="", help="sweep the positions whose names contain this")
    parser.add_argument("--victim", choices=KNOCKING, action="append", help="kill only this; may be given again")
    parser.add_argument("--every", type=int, default=1, help="sweep each so many-th position only")
    path = parser.add_mutually_exclusive_group()
    path.add_argument("--talk", action="store_true", help="sweep the path of a conversation, not that of a question")
    path.add_argument(
        "--people", action="store_true", help="sweep the path of a call that people decide, and of what they undo"
    )
    path.add_argument(
        "--summaries", action="store_true", help="sweep what summarises a long conversation, and keeps that"
    )
    path.add_argument("--door", action="store_true", help="sweep what a client asks of the gateway, and watches")
    path.add_argument("--tickets", action="store_true", help="sweep the life of a ticket, and what falls due of it")
    path.add_argument(
        "--outage",
        action="store_true",
        help=f"what is killed stays away for {AWAY_SECONDS:g} s, longer than every deadline, which are shortened",
    )
    parser.add_argument("--list", action="store_true", help="name the positions and kill nothing")
    parser.add_argument("--server", default="", help="the HTTP/2 server of the services, for their setting SERVER")
    parser.add_argument("--always-replay", action="store_true", help="with a replay at every await")
    parser.add_argument("--data-dir", help="folder for data and logs; a new temporary one otherwise")
    return parser.parse_args()


async def _run(folder: Path, arguments: argparse.Namespace) -> list[Case]:
    replay, server = arguments.always_replay, arguments.server
    registry = REGISTRY if arguments.outage else {}
    tickets = SETTINGS if arguments.tickets else {}
    async with world(
        folder,
        always_replay=replay,
        server=server,
        router=_of_the_router(arguments),
        registry=registry,
        tickets=tickets,
        door=arguments.door,
    ) as started:
        sweep = _sweep(started, arguments)
        positions = [each for each in await sweep.positions() if arguments.only in str(each)][:: arguments.every]
        if arguments.list:
            print(*positions, f"{len(positions)} positions", sep="\n")
            return []
        victims: Sequence[Victim] = arguments.victim or _usual(arguments)
        print(f"{len(positions)} positions, killing in turn: {', '.join(victims)}")
        plan: list[tuple[Position, Victim]] = [(position, victim) for victim in victims for position in positions]
        plan = [(position, victim) for position, victim in plan if sweep.is_struck(position, victim)]
        cases = [await _strike(sweep, position, victim) for position, victim in plan]
        for case in sweep.audit():
            print(f"FAILED in the end: {case}: {case.violations}")
        return cases


def _of_the_router(arguments: argparse.Namespace) -> Mapping[str, str]:
    """Its settings on this path."""
    if arguments.outage:
        return ROUTER
    if arguments.summaries:
        return COMPACTING
    return STREAMING if arguments.door else {}


def _usual(arguments: argparse.Namespace) -> Sequence[Victim]:
    if arguments.door:
        return KNOCKING
    if arguments.tickets:
        return LIVING
    if arguments.outage:
        return LASTING
    return TALKING if arguments.talk or arguments.people or arguments.summaries else VICTIMS


def _sweep(started: SweepWorld, arguments: argparse.Namespace) -> Sweep:
    if arguments.outage:
        return Outages(started)
    if arguments.door:
        return Door(started)
    if arguments.tickets:
        return Lives(started)
    if arguments.people:
        return Deciding(started)
    if arguments.summaries:
        return Summaries(started)
    return Talks(started) if arguments.talk else Sweep(started)


async def _strike(sweep: Sweep, position: Position, victim: Victim) -> Case:
    started = time.monotonic()
    case = await sweep.strike(position, victim)
    verdict = "ok" if not case.violations else "FAILED"
    print(f"{verdict:6} {time.monotonic() - started:5.1f} s  +{case.extra_paid_calls} calls  {case}", flush=True)
    for violation in case.violations:
        print(f"       {violation}", flush=True)
    return case


def _report(cases: list[Case]) -> None:
    print(
        f"\n{'killed':10}{'positions':>10}{'fired':>7}{'lost':>6}{'doubled':>9}{'extra calls':>13}{'p50':>8}{'p95':>8}"
    )
    for victim in dict.fromkeys(case.victim for case in cases):
        of = Summary.of([case for case in cases if case.victim == victim])
        print(
            f"{victim:10}{of.positions:>10}{of.fired:>7}{of.lost:>6}{of.duplicates:>9}{of.extra_paid_calls:>13}"
            f"{of.p50:>6.1f} s{of.p95:>6.1f} s"
        )


if __name__ == "__main__":
    main()
