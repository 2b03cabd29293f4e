"""The spans of a run, made from what the journal holds of it, after OpenTelemetry's GenAI conventions.

Phoenix reads these as they are; Langfuse reads them too, and is told besides what is an agent, a model call or a tool
(https://langfuse.com/integrations/native/opentelemetry). Who asked is a digest, and no text is in any of it, unless the
operator has opted in to content.
"""

import hashlib
import json
from collections.abc import Mapping
from typing import Any

from yarl import URL

from contracts import Answer
from router.older import done as summarised
from router.past import past, prompt_for, told_by_client
from router.prompt import Prompt
from router.run import Run
from router.seen.metrics import PROVIDER, label
from router.settings import RouterSettings
from router.steps import StepRecord
from router.transcript import Chat, messages
from router.turn import Plan, Result, Summary, Turn
from runtime.telemetry.tracing import Span

AGENT = "switchboard"

_LANGFUSE_TYPES = {"invoke_agent": "agent", "chat": "generation", "execute_tool": "tool"}
"""What Langfuse calls the operations of the GenAI conventions."""


class RunSpans:
    """Emits the spans of runs, each as soon as the journal holds its end."""

    def __init__(self, settings: RouterSettings, prompt: Prompt) -> None:
        self._content = settings.otel_instrumentation_genai_capture_message_content
        self._temperature = settings.openai_temperature
        self._endpoint = URL(settings.openai_base_url)
        self._prompt = prompt

    def turn_decided(self, run: Run, done: StepRecord[Turn]) -> None:
        if run.trace is not None:
            run.trace.emit(self._chat(run, done), f"turn {len(run.turns) + 1}")

    def calls_ended(self, run: Run, decided_at: float, call_ms: Mapping[str, int]) -> None:
        """The calls of the latest turn, each with how long it took."""
        if run.trace is None or not run.turns:
            return
        for plan, result in zip(run.turns[-1].plans, run.results[-1], strict=True):
            if plan.call_id in call_ms:  # not when a summary was made since
                self._emit_call(run, plan, result, decided_at, decided_at + call_ms[plan.call_id] / 1000)

    def summarised(self, run: Run, done: StepRecord[Summary]) -> None:
        if run.trace is None:
            return
        summary = done.value
        error = "" if summary.text else "no_summary"
        attributes = _operation("chat", error) | {
            "gen_ai.request.model": run.facts.model,
            "gen_ai.usage.input_tokens": summary.prompt_tokens,
            "gen_ai.usage.output_tokens": summary.completion_tokens,
            "switchboard.attempts": done.attempts,
        }
        if self._content:
            attributes["gen_ai.output.messages"] = _json([_part(_said(summary.text, "stop"))])
        span = Span(f"summarise {summary.part}", done.started_at, done.ended_at, attributes, "client", error)
        run.trace.emit(span, f"summary {len(run.summaries) + 1}")

    def calls_left(self, run: Run, decided_at: float, at: float) -> None:
        """The calls that are under way when a run breaks off: what becomes of them it does not learn."""
        if len(run.turns) > len(run.results):
            for plan in run.turns[-1].plans:
                left = Result(call_id=plan.call_id, tool=plan.tool, status="unknown", content="")
                self._emit_call(run, plan, left, decided_at, at)

    def run_ended(self, run: Run, answer: Answer) -> None:
        if run.trace is not None:
            error = "" if answer.outcome == "answered" else answer.outcome
            run.trace.emit(self._run(run, answer.outcome, run.steps.ended_at, error, answer.text))

    def run_broken_off(self, run: Run, outcome: str, at: float) -> None:
        """The run as far as it came."""
        if run.trace is not None:
            run.trace.emit(self._run(run, outcome, at, outcome))

    def _emit_call(self, run: Run, plan: Plan, result: Result, started_at: float, ended_at: float) -> None:
        if run.trace is not None:
            run.trace.emit(self._call(plan, result, len(run.turns), started_at, ended_at), plan.call_id)

    def _run(self, run: Run, outcome: str, ended_at: float, error: str, text: str = "") -> Span:
        attributes = _operation("invoke_agent", error) | {
            "gen_ai.agent.name": AGENT,
            "langfuse.trace.name": AGENT,
            "switchboard.run": run.id,
            "switchboard.outcome": outcome,
            "switchboard.turns": len(run.results),
            **({"gen_ai.conversation.id": run.conversation.conversation} if run.conversation else {}),
            "user.id": run.facts.caller.user_id if self._content else digest(run.facts.caller.user_id),
        }
        if run.facts.prompt:
            attributes["switchboard.prompt"] = run.facts.prompt
        if self._content:
            attributes |= {
                "gen_ai.input.messages": _json([_part({"role": "user", "content": run.message})]),
                "gen_ai.output.messages": _json([_part(_said(text, "stop"))]),
            }
        return Span(f"invoke_agent {AGENT}", run.facts.started_at, ended_at, attributes, error=error)

    def _chat(self, run: Run, done: StepRecord[Turn]) -> Span:
        turn = done.value
        error = turn.outcome or ("" if turn.was_read else "context_too_long")
        attributes = _operation("chat", error) | {
            "gen_ai.request.model": run.facts.model,
            "gen_ai.usage.input_tokens": turn.prompt_tokens,
            "gen_ai.usage.output_tokens": turn.completion_tokens,
            "server.address": self._endpoint.host or "",
            "server.port": self._endpoint.port or 443,
            "switchboard.turn": len(run.turns) + 1,
            "switchboard.attempts": done.attempts,
        }
        if turn.endpoint:
            attributes["switchboard.endpoint"] = turn.endpoint
        if turn.model:
            attributes["gen_ai.response.model"] = turn.model
        if self._temperature is not None:
            attributes["gen_ai.request.temperature"] = self._temperature
        if not error:
            attributes["gen_ai.response.finish_reasons"] = [_finish_reason(turn)]
        if self._content:
            attributes |= self._chat_content(run, turn)
        return Span(f"chat {run.facts.model}", done.started_at, done.ended_at, attributes, "client", error)

    def _call(self, plan: Plan, result: Result, turn: int, started_at: float, ended_at: float) -> Span:
        more = {"switchboard.turn": turn} | (call_content(plan.arguments, result) if self._content else {})
        return call_span(plan, result, started_at, ended_at, more)

    def _chat_content(self, run: Run, turn: Turn) -> dict[str, str]:
        told = (prompt_for(run.given, self._prompt.text), run.message, run.turns, run.results)
        chat: Chat = messages(
            *told, past=past(run.given) or told_by_client(run.earlier), inputs=turn.inputs, done=summarised(run)
        )
        reply = _said(turn.text, _finish_reason(turn))
        if turn.plans:
            reply["tool_calls"] = [
                {"id": plan.call_id, "function": {"name": plan.tool, "arguments": plan.arguments}}
                for plan in turn.plans
            ]
        content = {
            "gen_ai.input.messages": _json([_part(each) for each in chat[1:]]),
            "gen_ai.output.messages": _json([_part(reply)]),
        }
        if turn.prompt == self._prompt.digest:
            content["gen_ai.system_instructions"] = _json([{"type": "text", "content": self._prompt.text}])
        return content


def call_span(plan: Plan, result: Result, started_at: float, ended_at: float, more: Mapping[str, Any]) -> Span:
    """One call of a tool."""
    tool, error = label(plan), result.fault or ("unknown" if result.status == "unknown" else "")
    attributes = _operation("execute_tool", error) | {
        "gen_ai.tool.name": tool,
        "gen_ai.tool.call.id": plan.call_id,
        "gen_ai.tool.type": "function",
        "switchboard.status": result.status,
    }
    return Span(f"execute_tool {tool}", started_at, ended_at, attributes | dict(more), error=error)


def call_content(arguments: str, result: Result) -> dict[str, str]:
    """What a span says of arguments and result, where the operator has opted in to that."""
    return {"gen_ai.tool.call.arguments": arguments, "gen_ai.tool.call.result": result.content}


def digest(user_id: str) -> str:
    """The same for all questions of one user, so that they can be grouped, and not the id."""
    return hashlib.sha256(user_id.encode()).hexdigest()[:16]


def _operation(name: str, error: str) -> dict[str, Any]:
    attributes: dict[str, Any] = {
        "gen_ai.operation.name": name,
        "gen_ai.provider.name": PROVIDER,
        "langfuse.observation.type": _LANGFUSE_TYPES[name],
    }
    return attributes | {"error.type": error} if error else attributes


def _finish_reason(turn: Turn) -> str:
    if turn.plans:
        return "tool_calls"
    return "length" if turn.again in ("cut", "spent", "half_call") else "stop"


def _said(text: str, finish_reason: str) -> dict[str, Any]:
    return {"role": "assistant", "content": text, "finish_reason": finish_reason}


def _part(message: dict[str, Any]) -> dict[str, Any]:
    """A chat message in the conventions' form: https://opentelemetry.io/schemas/1.41.1, `gen_ai.input.messages`."""
    if message["role"] == "tool":
        response = {"type": "tool_call_response", "id": message["tool_call_id"], "response": message["content"]}
        return {"role": "tool", "parts": [response]}
    parts: list[dict[str, Any]] = []
    if message.get("content"):
        parts.append({"type": "text", "content": message["content"]})
    for call in message.get("tool_calls", []):
        function = call["function"]
        parts.append(
            {"type": "tool_call", "id": call["id"], "name": function["name"], "arguments": function["arguments"]}
        )
    told = {"role": message["role"], "parts": parts}
    return told | {"finish_reason": message["finish_reason"]} if "finish_reason" in message else told


def _json(value: Any) -> str:
    return json.dumps(value, ensure_ascii=False)
