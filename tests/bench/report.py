"""The figures: medians and ranges over the rounds, as tables to read and as JSON to keep."""

import math
from collections.abc import Callable
from dataclasses import asdict, dataclass, field
from statistics import median
from typing import Any

from tests.bench.load import Load

OURS, OURS_ON_GRANIAN, BASELINE, FLOOR = "ours", "ours on granian", "baseline", "floor"
OURS_AS_MADE, BASELINE_AS_MADE = "ours as made", "baseline as made"
"""As made: Restate with its own defaults instead of the settings of our one-machine shape."""
OURS_BY_THE_GATEWAY, OURS_WITHOUT_A_KEY = "ours by the gateway", "ours by the gateway, without a key"
OURS_OBSERVED = "ours observed"
"""With metrics that are scraped, and with spans of ours and of Restate's that are collected."""

OBSERVED_AT_MOST = 1.10
"""Times the CPU of a run that nobody observes."""

BARS = [
    ("same Restate settings, ours", OURS, BASELINE, 1.5, 0.7),
    ("shipped settings against Restate as made", OURS, BASELINE_AS_MADE, 3.5, 0.4),
    ("the same, on granian", OURS_ON_GRANIAN, BASELINE_AS_MADE, 4.5, 0.3),
]
"""Name, who, against whom; at least so many times the runs per second, at most this share of the CPU."""

DOOR_MS, DOOR_CPU_MS = 5, 3
"""Milliseconds that a question by the gateway may take longer, and use more CPU, than one at the ingress."""

AT = 64
FELT_BARS = {1: 40, 16: 80}
"""Milliseconds beyond the model's own time, by concurrency."""

NOT_COUNTED = {"model", "load"}
"""Named apart: a real model runs elsewhere, and so do real customers."""


@dataclass
class Slice:
    """One variant at one concurrency in one round."""

    runs_per_second: float
    p50: float
    p99: float
    cpu: dict[str, float]
    """Milliseconds per run by process."""
    runs: int
    model_calls: int

    @classmethod
    def of(cls, load: Load, seconds: dict[str, float], model_calls: int) -> "Slice":
        cpu = {name: 1000 * used / load.runs for name, used in seconds.items()}
        return cls(load.runs_per_second, load.percentile(0.5), load.percentile(0.99), cpu, load.runs, model_calls)

    @property
    def server_cpu(self) -> float:
        return sum(used for name, used in self.cpu.items() if name not in NOT_COUNTED)


@dataclass
class Figures:
    """The medians of all rounds, and the rounds themselves."""

    runs_per_second: float
    p50: float
    p99: float
    server_cpu: float
    cpu: dict[str, float]
    runs: int
    calls_twice: int
    rounds: list[Slice]

    @classmethod
    def of(cls, slices: list[Slice], calls_per_run: int) -> "Figures":
        return cls(
            *(median(getattr(one, name) for one in slices) for name in ("runs_per_second", "p50", "p99", "server_cpu")),
            cpu={name: median(one.cpu[name] for one in slices) for name in slices[0].cpu},
            runs=sum(one.runs for one in slices),
            calls_twice=sum(one.model_calls - calls_per_run * one.runs for one in slices),
            rounds=slices,
        )


@dataclass(frozen=True)
class Ratio:
    """One variant in relation to another, each round by itself: the median, the least and the most of all rounds."""

    median: float
    least: float
    most: float

    @classmethod
    def of(cls, one: Figures, other: Figures, figure: Callable[[Slice], float]) -> "Ratio":
        pairs = [(figure(mine), figure(its)) for mine, its in zip(one.rounds, other.rounds, strict=True)]
        ratios = [mine / its if its else math.inf for mine, its in pairs]
        return cls(median(ratios), min(ratios), max(ratios))

    def __str__(self) -> str:
        return f"{self.median:.2f} x | {self.least:.2f}..{self.most:.2f}"


@dataclass(frozen=True)
class Difference:
    """One variant less another, each round by itself: the median, the least and the most of all rounds."""

    median: float
    least: float
    most: float

    @classmethod
    def of(cls, one: Figures, other: Figures, figure: Callable[[Slice], float]) -> "Difference":
        more = [figure(mine) - figure(its) for mine, its in zip(one.rounds, other.rounds, strict=True)]
        return cls(median(more), min(more), max(more))

    def __str__(self) -> str:
        return f"{self.median:+.1f} | {self.least:+.1f}..{self.most:+.1f}"


def latency(one: Slice) -> float:
    return one.p50


def speed(one: Slice) -> float:
    return one.runs_per_second


def cost(one: Slice) -> float:
    return one.server_cpu


@dataclass
class Report:
    """Everything that was measured, by variant and concurrency. `former` is the variant of a former commit."""

    machine: str
    figures: dict[str, dict[int, Figures]] = field(default_factory=dict[str, dict[int, Figures]])
    journal: dict[str, tuple[float, float]] = field(default_factory=dict[str, tuple[float, float]])
    felt: dict[str, dict[int, float]] = field(default_factory=dict[str, dict[int, float]])
    former: str = ""
    notes: list[str] = field(default_factory=list[str])

    @property
    def calls_twice(self) -> int:
        """Model calls that were paid for twice, in all variants together."""
        return sum(one.calls_twice for by_concurrency in self.figures.values() for one in by_concurrency.values())

    def as_json(self) -> dict[str, Any]:
        return asdict(self)

    def as_markdown(self) -> str:
        head = "\n\n".join(["# Bench", self.machine, *self.notes])
        return "\n".join([f"{head}\n", *self._tables()])

    def _tables(self) -> list[str]:
        return [*self._speed(), *self._against(), *self._door(), *self._bars(), *self._cpu(), *self._felt()]

    def _speed(self) -> list[str]:
        lines = [
            "Medians over the rounds. Restate has the settings of the one-machine shape; as made, its own defaults.",
            "CPU: milliseconds a run, of all server processes with PostgreSQL, without the model's stand-in and the",
            "load.\n",
            "| variant | c | runs/s | p50 ms | p99 ms | CPU ms | entries | journal bytes | calls made twice | runs |",
            "|---|---|---|---|---|---|---|---|---|---|",
        ]
        for name, by_concurrency in self.figures.items():
            entries, size = self.journal[name]
            lines += [
                f"| {name} | {concurrency} | {one.runs_per_second:.1f} | {one.p50:.0f} | {one.p99:.0f} "
                f"| {one.server_cpu:.1f} | {entries:.1f} | {size:.0f} | {one.calls_twice} | {one.runs} |"
                for concurrency, one in by_concurrency.items()
            ]
        return lines

    def _against(self) -> list[str]:
        ours, former = self.figures.get(OURS, {}), self.figures.get(self.former, {})
        rows = [
            f"| {name} | {concurrency} | {Ratio.of(ours[concurrency], former[concurrency], figure)} |"
            for name, figure in (("runs/s", speed), ("CPU", cost))
            for concurrency in former
        ]
        return _table([f"{OURS} / {self.former}", "c", "median of the rounds", "range"], rows)

    def _door(self) -> list[str]:
        without = self.figures.get(OURS, {})
        rows: list[str] = []
        for variant in (OURS_BY_THE_GATEWAY, OURS_WITHOUT_A_KEY):
            by_it, who = self.figures.get(variant, {}), variant.removeprefix(f"{OURS} ")
            for name, bar, figure in (("p50", DOOR_MS, latency), ("CPU", DOOR_CPU_MS, cost)):
                for concurrency in by_it:
                    more = Difference.of(by_it[concurrency], without[concurrency], figure)
                    met = _met(more.median <= bar)
                    rows.append(f"| {who}: {name} | {concurrency} | {more} | at most {bar} | {met} |")
        return _table(["ms more than at the ingress", "c", "median of the rounds", "range", "goal", "met"], rows)

    def _bars(self) -> list[str]:
        rows: list[str] = []
        for name, who, whom, faster, cheaper in BARS:
            one, base = self.figures.get(who, {}).get(AT), self.figures.get(whom, {}).get(AT)
            if one and base:
                fast, cheap = Ratio.of(one, base, speed), Ratio.of(one, base, cost)
                rows.append(f"| {name}: runs/s | {fast} | at least {faster} x | {_met(fast.median >= faster)} |")
                rows.append(f"| {name}: CPU | {cheap} | at most {cheaper} x | {_met(cheap.median <= cheaper)} |")
        rows += self._overhead()
        return _table([f"bar, at concurrency {AT}", "median of the rounds", "range", "bar", "met"], rows)

    def _overhead(self) -> list[str]:
        plain, observed = self.figures.get(OURS, {}), self.figures.get(OURS_OBSERVED, {})
        ratios = {c: Ratio.of(observed[c], plain[c], cost) for c in plain if c in observed}
        return [
            f"| metrics and traces on, concurrency {c}: CPU | {ratio} | at most {OBSERVED_AT_MOST:.2f} x "
            f"| {_met(ratio.median <= OBSERVED_AT_MOST)} |"
            for c, ratio in ratios.items()
        ]

    def _cpu(self) -> list[str]:
        parts = list(dict.fromkeys(part for by in self.figures.values() for one in by.values() for part in one.cpu))
        lines = [f"\n| CPU ms a run | c | {' | '.join(parts)} |", "|---|---" + "|---" * len(parts) + "|"]
        for name, by_concurrency in self.figures.items():
            for concurrency, one in by_concurrency.items():
                cells = " | ".join(f"{one.cpu[part]:.1f}" if part in one.cpu else "" for part in parts)
                lines.append(f"| {name} | {concurrency} | {cells} |")
        return lines

    def _felt(self) -> list[str]:
        rows = [
            f"| {name} | {concurrency} | {ms:.0f} | at most {FELT_BARS[concurrency]} "
            f"| {_met(ms <= FELT_BARS[concurrency])} |"
            for name, by_concurrency in self.felt.items()
            for concurrency, ms in by_concurrency.items()
        ]
        return _table(["ms beyond the model's own time, median", "c", "ms", "bar", "met"], rows)


def _table(head: list[str], rows: list[str]) -> list[str]:
    """Nothing at all without rows."""
    return [f"\n| {' | '.join(head)} |", "|---" * len(head) + "|", *rows] if rows else []


def _met(met: bool) -> str:
    return "yes" if met else "**no**"
