"""What is settled once, before anything else: who asks, within which budgets, since when."""

from dataclasses import dataclass
from functools import partial

from restate import Context

from contracts import Caller, ConversationRun, Question
from router.customers import Customers
from router.settings import RouterSettings
from router.signing import sign_customer_check
from router.steps import Moment
from router.turn import Limits, RunFacts
from runtime.acceptance import Acceptance
from runtime.call_tokens import CallSigner
from runtime.proof import AcceptedAt, for_question, prove
from runtime.telemetry.tracing import first_traceparent, is_tracing


@dataclass(frozen=True)
class CallerChecks:
    """Whom to ask about a caller (is it a customer's, when was a question accepted), and what signs their calls."""

    customers: Customers
    acceptance: Acceptance
    signer: CallSigner


async def fix_facts(
    ctx: Context,
    asked: Question | ConversationRun,
    settings: RouterSettings,
    callers: CallerChecks,
    prompt: str,
    moment: Moment,
) -> RunFacts:
    """The facts of a run, to be journaled with its first step. `prompt` is the digest of the system prompt.

    Raises: `Refused` 401 when the caller is not proven.
    """
    caller = await _who(asked, settings, moment.first_started_at, partial(callers.acceptance.of, ctx.request().id))
    facts = RunFacts(
        caller=caller,
        limits=Limits(
            turns=settings.max_turns,
            calls=settings.max_calls,
            tokens=settings.max_tokens,
            seconds=settings.max_seconds,
            errors=settings.max_errors,
            compact=settings.compact_tokens,
            approval_wait=settings.approval_wait,
            approval_seconds=settings.approval_hours * 3600,
        ),
        started_at=moment.first_started_at,
        check_customer=callers.customers.to_ask(caller.user_id) if is_unproven(asked) else "",
        model=settings.openai_model,
        prompt=prompt,
        conversation=asked.conversation if isinstance(asked, ConversationRun) else "",
        ticket_pattern=settings.ticket_pattern,
        question_effects=settings.question_effects,
        approval_shadow=settings.approval_shadow,
        traceparent=first_traceparent(ctx) if is_tracing() else None,
    )
    sign_customer_check(callers.signer, ctx.request().id, facts)
    return facts


def is_unproven(asked: Question | ConversationRun) -> bool:
    """Whether there is only a user id to say who asks, without a token."""
    return asked.believed if isinstance(asked, ConversationRun) else asked.caller_token is None


async def _who(
    asked: Question | ConversationRun, settings: RouterSettings, read_at: float, accepted_at: AcceptedAt
) -> Caller:
    """The caller, proven here; a conversation has proven its own before, and only it can start its runs."""
    if isinstance(asked, ConversationRun):
        return asked.caller
    return await prove(asked, settings, read_at, accepted_at, for_question(asked.message))
