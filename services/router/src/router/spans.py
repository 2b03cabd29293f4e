"""The spans of a run, made from what the journal holds of it, after OpenTelemetry's GenAI conventions.

Phoenix reads these as they are; Langfuse reads them too, and is told besides what is an agent, a model call or a tool
(https://langfuse.com/integrations/native/opentelemetry). Who asked is a digest, and no text is in any of it, unless the
operator has opted in to content.
"""

import hashlib
import json
from typing import Any

from yarl import URL

from contracts import Answer
from router.metrics import PROVIDER, label
from router.plan import Plan, Turn
from router.run import Run
from router.settings import RouterSettings
from router.transcript import SYSTEM_PROMPT, Chat, Result, messages
from runtime.telemetry.tracing import Span

AGENT = "switchboard"

_LANGFUSE_TYPES = {"invoke_agent": "agent", "chat": "generation", "execute_tool": "tool"}
"""What Langfuse calls the operations of the GenAI conventions."""


class RunSpans:
    """Emits the spans of runs, each as soon as the journal holds its end."""

    def __init__(self, settings: RouterSettings) -> None:
        self._content = settings.otel_instrumentation_genai_capture_message_content
        self._temperature = settings.openai_temperature
        self._endpoint = URL(settings.openai_base_url)

    def turn_decided(self, run: Run, turn: Turn) -> None:
        """The turn's model call, and the calls of the turn before: when those ended is journaled with this one."""
        if run.trace is None:
            return
        self.calls_settled(run, turn.call_ms)
        run.trace.emit(self._chat(run, turn), f"turn {len(run.turns) + 1}")

    def calls_settled(self, run: Run, took_ms: list[int]) -> None:
        """The calls of the latest turn, each with how long it took."""
        if run.trace is None or not run.turns:
            return
        turn, number = run.turns[-1], len(run.turns)
        for plan, result, ms in zip(turn.plans, run.results[-1], took_ms, strict=True):
            run.trace.emit(self._call(plan, result, number, turn.ended_at, ms / 1000), plan.call_id)

    def run_ended(self, run: Run, answer: Answer) -> None:
        if run.trace is None:
            return
        error = "" if answer.outcome == "answered" else answer.outcome
        run.trace.emit(self._run(run, answer.outcome, run.ended_at, error, answer.text))

    def run_broken_off(self, run: Run, outcome: str, at: float) -> None:
        """The run as far as it came, and the calls that were under way: what becomes of them it does not learn."""
        if run.trace is None:
            return
        if run.pending is not None:
            for plan in run.pending.plans:
                left = Result(call_id=plan.call_id, tool=plan.tool, status="unknown", content="")
                began = run.pending.ended_at
                run.trace.emit(self._call(plan, left, len(run.turns) + 1, began, at - began), plan.call_id)
        run.trace.emit(self._run(run, outcome, at, outcome))

    def _run(self, run: Run, outcome: str, ended_at: float, error: str, text: str = "") -> Span:
        attributes = _operation("invoke_agent", error) | {
            "gen_ai.agent.name": AGENT,
            "langfuse.trace.name": AGENT,
            "switchboard.run": run.id,
            "switchboard.outcome": outcome,
            "switchboard.turns": len(run.turns),
            "user.id": run.begun.caller.user_id if self._content else digest(run.begun.caller.user_id),
        }
        if self._content:
            attributes |= {
                "gen_ai.input.messages": _json([_part({"role": "user", "content": run.message})]),
                "gen_ai.output.messages": _json([_part(_said(text, "stop"))]),
            }
        return Span(f"invoke_agent {AGENT}", run.begun.started_at, ended_at, attributes, error=error)

    def _chat(self, run: Run, turn: Turn) -> Span:
        error = turn.outcome or ""
        attributes = _operation("chat", error) | {
            "gen_ai.request.model": run.begun.model,
            "gen_ai.usage.input_tokens": turn.prompt_tokens,
            "gen_ai.usage.output_tokens": turn.completion_tokens,
            "server.address": self._endpoint.host or "",
            "server.port": self._endpoint.port or 443,
            "switchboard.turn": len(run.turns) + 1,
            "switchboard.attempts": turn.attempts,
        }
        if turn.model:
            attributes["gen_ai.response.model"] = turn.model
        if self._temperature is not None:
            attributes["gen_ai.request.temperature"] = self._temperature
        if not error:
            attributes["gen_ai.response.finish_reasons"] = [_finish_reason(turn)]
        if self._content:
            attributes |= _chat_content(messages(run.message, run.turns, run.results), turn)
        return Span(f"chat {run.begun.model}", turn.started_at, turn.ended_at, attributes, "client", error)

    def _call(self, plan: Plan, result: Result, turn: int, started_at: float, seconds: float) -> Span:
        tool, error = label(plan), result.fault or ("unknown" if result.status == "unknown" else "")
        attributes = _operation("execute_tool", error) | {
            "gen_ai.tool.name": tool,
            "gen_ai.tool.call.id": plan.call_id,
            "gen_ai.tool.type": "function",
            "switchboard.turn": turn,
            "switchboard.status": result.status,
        }
        if self._content:
            attributes |= {"gen_ai.tool.call.arguments": plan.arguments, "gen_ai.tool.call.result": result.content}
        return Span(f"execute_tool {tool}", started_at, started_at + seconds, attributes, error=error)


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
    return "length" if turn.cut else "stop"


def _chat_content(chat: Chat, turn: Turn) -> dict[str, str]:
    said = [_part(each) for each in chat[1:]]
    reply = _said(turn.text, _finish_reason(turn))
    if turn.plans:
        reply["tool_calls"] = [
            {"id": plan.call_id, "function": {"name": plan.tool, "arguments": plan.arguments}} for plan in turn.plans
        ]
    return {
        "gen_ai.system_instructions": _json([{"type": "text", "content": SYSTEM_PROMPT}]),
        "gen_ai.input.messages": _json(said),
        "gen_ai.output.messages": _json([_part(reply)]),
    }


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
