"""The bench's arithmetic."""

import math

import pytest

from tests.bench.load import Load
from tests.bench.report import BASELINE, BASELINE_AS_MADE, OURS, Figures, Ratio, Report, Slice, cost, speed


def measured(runs_per_second: float, cpu: float, model_calls: int = 300) -> Slice:
    return Slice(runs_per_second, 10, 20, {"router": cpu, "model": 9, "load": 9}, runs=100, model_calls=model_calls)


def figures(*slices: Slice) -> dict[int, Figures]:
    return {64: Figures.of(list(slices), calls_per_run=3)}


def test_the_cpu_of_the_model_and_of_the_load_is_not_counted() -> None:
    assert measured(1, cpu=12).server_cpu == 12


def test_one_noisy_round_does_not_move_the_figures() -> None:
    found = figures(measured(50, 10), measured(52, 11), measured(5, 90))[64]
    assert (found.runs_per_second, found.server_cpu) == (50, 11)


def test_model_calls_beyond_three_a_run_were_made_twice() -> None:
    assert figures(measured(50, 10, model_calls=302))[64].calls_twice == 2


def test_percentiles_are_of_what_was_seen() -> None:
    load = Load(latencies=[number / 1000 for number in range(1, 101)])
    assert (load.percentile(0.5), load.percentile(0.99)) == (51, 100)


def test_a_ratio_compares_what_was_measured_in_the_same_round() -> None:
    ours, baseline = figures(measured(50, 10), measured(20, 30)), figures(measured(25, 40), measured(40, 40))
    assert Ratio.of(ours[64], baseline[64], speed) == Ratio(median=1.25, least=0.5, most=2)
    assert Ratio.of(ours[64], baseline[64], cost) == Ratio(median=0.5, least=0.25, most=0.75)


def test_a_round_in_which_the_other_finished_nothing_does_not_end_the_report() -> None:
    ours, baseline = figures(measured(50, 10), measured(50, 10)), figures(measured(25, 10), measured(0, 10))
    assert Ratio.of(ours[64], baseline[64], speed).most == math.inf


def test_a_round_that_only_one_of_both_had_is_refused() -> None:
    ours, baseline = figures(measured(50, 10)), figures(measured(25, 20), measured(40, 15))
    with pytest.raises(ValueError, match="zip"):
        Ratio.of(ours[64], baseline[64], speed)


def test_a_missed_bar_is_told() -> None:
    report = Report("a machine")
    report.figures = {OURS: figures(measured(60, 14)), BASELINE: figures(measured(50, 20))}
    report.figures[BASELINE_AS_MADE] = figures(measured(20, 40))
    report.journal = dict.fromkeys(report.figures, (25, 5000))
    told = report.as_markdown()
    assert "| same Restate settings, ours: runs/s | 1.20 x | 1.20..1.20 | at least 1.5 x | **no** |" in told
    assert "| shipped settings against Restate as made: CPU | 0.35 x | 0.35..0.35 | at most 0.4 x | yes |" in told


def test_a_former_commit_is_compared_at_each_concurrency() -> None:
    report = Report("a machine", former="ours at 1234567", notes=["ours: abc Subject"])
    report.figures = {
        OURS: figures(measured(60, 10), measured(50, 11)),
        report.former: figures(measured(50, 10), measured(50, 10)),
    }
    report.journal = dict.fromkeys(report.figures, (25, 5000))
    told = report.as_markdown()
    assert "\n\nours: abc Subject\n\n" in told
    assert "| ours / ours at 1234567 | c | median of the rounds | range |" in told
    assert "| runs/s | 64 | 1.10 x | 1.00..1.20 |\n| CPU | 64 | 1.05 x | 1.00..1.10 |" in told


def test_what_was_not_measured_has_no_table() -> None:
    report = Report("a machine", {OURS: figures(measured(60, 14))}, {OURS: (25, 5000)})
    told = report.as_markdown()
    assert "| bar" not in told
    assert "beyond" not in told


def test_milliseconds_beyond_the_model_have_their_bars() -> None:
    report = Report("a machine", felt={OURS: {1: 40, 16: 81}})
    assert report.as_markdown().endswith(
        "| ours | 1 | 40 | at most 40 | yes |\n| ours | 16 | 81 | at most 80 | **no** |"
    )
