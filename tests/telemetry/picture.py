"""`python -m tests.telemetry.picture`: asks one question for real and draws its trace into docs/images/trace.svg.

Every bar is a span that the receiver got, with its own times.
"""

import asyncio
import tempfile
from collections.abc import Iterator, Sequence
from pathlib import Path
from xml.sax.saxutils import escape

from tests.parts.otlp import ReceivedSpan
from tests.sweep.sweep import Sweep
from tests.sweep.world import world

PICTURE = Path(__file__).parents[2] / "docs" / "images" / "trace.svg"
COLOURS = {"Restate": "#9ca3af", "router": "#6366f1", "users": "#10b981", "tickets": "#f59e0b"}
ROW, INDENT, NAMES, WIDTH, MARGIN = 22, 14, 380, 1040, 12
RESTATE_EXPORTS_SECONDS = 30


def main() -> None:
    spans = asyncio.run(_one_trace())
    PICTURE.write_text(draw(spans))
    print(f"{PICTURE}: {len(spans)} spans")


async def _one_trace() -> list[ReceivedSpan]:
    """All spans of the trace of a question that makes a ticket; not the first question, which warms everything up."""
    with tempfile.TemporaryDirectory(ignore_cleanup_errors=True) as folder:
        async with world(Path(folder)) as here:
            sweep = Sweep(here)
            await sweep.ask_without_fault()
            here.receiver.spans.clear()
            await sweep.ask_without_fault()
            await here.receiver.wait_for(_restate_told, RESTATE_EXPORTS_SECONDS)
            return _one_tree(here.receiver.spans)


def _restate_told(spans: Sequence[ReceivedSpan]) -> bool:
    return any(span.name == "invocation-end ToolRouter/route" for span in spans)


def _one_tree(spans: Sequence[ReceivedSpan]) -> list[ReceivedSpan]:
    trace = next(span.trace_id for span in spans if span.name.startswith("invoke_agent"))
    of_trace = {span.id: span for span in spans if span.trace_id == trace}
    return sorted(of_trace.values(), key=lambda span: (span.started_at, -span.ended_at))


def draw(spans: Sequence[ReceivedSpan]) -> str:
    """The spans of one trace as an SVG waterfall, children below their parents."""
    rows = list(_rows(spans, "", 0))
    start = min(span.started_at for span in spans)
    end = max(span.ended_at for span in spans)
    height = MARGIN * 2 + ROW * (len(rows) + 2)
    body = "\n".join(_row(index, depth, span, start, end - start) for index, (depth, span) in enumerate(rows))
    box = f'viewBox="0 0 {WIDTH} {height}"'
    return f"""<svg xmlns="http://www.w3.org/2000/svg" {box} font-family="sans-serif" font-size="12">
<rect width="{WIDTH}" height="{height}" fill="#ffffff"/>
{_legend(height, end - start)}
{body}
</svg>
"""


def _rows(spans: Sequence[ReceivedSpan], parent: str, depth: int) -> Iterator[tuple[int, ReceivedSpan]]:
    known = {span.span_id for span in spans}
    for span in spans:
        if span.parent == parent or (not parent and span.parent not in known and span.parent):
            yield depth, span
            yield from _rows(spans, span.span_id, depth + 1)


def _row(index: int, depth: int, span: ReceivedSpan, start: float, seconds: float) -> str:
    scale = (WIDTH - NAMES - 2 * MARGIN - 60) / seconds
    y = MARGIN + ROW * (index + 1)
    x = NAMES + MARGIN + (span.started_at - start) * scale
    width = max(2.0, (span.ended_at - span.started_at) * scale)
    colour = COLOURS.get(span.service, "#ef4444")
    taken = f"{(span.ended_at - span.started_at) * 1000:.1f} ms"
    name = f'<text x="{MARGIN + depth * INDENT}" y="{y + 15}" fill="#1f2937">{escape(span.name)}</text>'
    bar = f'<rect x="{x:.1f}" y="{y + 4}" width="{width:.1f}" height="14" rx="2" fill="{colour}"/>'
    time = f'<text x="{x + width + 5:.1f}" y="{y + 15}" fill="#6b7280" font-size="10">{taken}</text>'
    return name + bar + time


def _legend(height: int, seconds: float) -> str:
    entries = "".join(
        f'<rect x="{MARGIN + 110 * place}" y="{height - ROW}" width="12" height="12" rx="2" fill="{colour}"/>'
        f'<text x="{MARGIN + 110 * place + 18}" y="{height - ROW + 10}" fill="#374151">{service}</text>'
        for place, (service, colour) in enumerate(COLOURS.items())
    )
    words = f"One question, {seconds * 1000:.0f} ms"
    return f'<text x="{MARGIN}" y="{MARGIN + 8}" fill="#111827" font-weight="bold">{words}</text>' + entries


if __name__ == "__main__":
    main()
