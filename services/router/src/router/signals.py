"""The router's rows of the table of signals."""

from runtime.telemetry.metrics import Table
from runtime.telemetry.signals import LIVE, LogEvent, Signal

_GENAI = ("gen_ai_operation_name", "gen_ai_provider_name", "gen_ai_request_model")

METRICS = (
    Signal(
        "switchboard_runs_total",
        "counter",
        "runs",
        ("outcome",),
        ("router",),
        f"Runs by outcome; those that end in `_exhausted` were stopped by a budget. {LIVE}",
    ),
    Signal(
        "switchboard_run_duration_seconds",
        "histogram",
        "s",
        ("outcome",),
        ("router",),
        f"Time to answer, waiting and retries included; exemplars name trace and run. {LIVE}",
        (0.25, 0.5, 1, 2, 4, 8, 15, 30, 60, 120),
    ),
    Signal(
        "switchboard_run_turns",
        "histogram",
        "turns",
        (),
        ("router",),
        f"Model turns in a run. {LIVE}",
        (1, 2, 3, 4, 5, 6, 8),
    ),
    Signal(
        "switchboard_run_calls",
        "histogram",
        "calls",
        (),
        ("router",),
        f"Tool calls in a run. {LIVE}",
        (0, 1, 2, 3, 4, 6, 8, 12, 16),
    ),
    Signal(
        "switchboard_tool_calls_total",
        "counter",
        "calls",
        ("tool", "status"),
        ("router",),
        f"The route chosen: calls by tool and how they ended; `not_on_offer` stands for made-up names. {LIVE}",
    ),
    Signal(
        "switchboard_tool_errors_total",
        "counter",
        "calls",
        ("tool", "kind"),
        ("router",),
        "Calls without a result: `unknown_tool`, `bad_arguments`, `forbidden`, `refused` (by the tool), `failed`, "
        f"`timeout`. {LIVE}",
    ),
    Signal(
        "switchboard_tool_repairs_total",
        "counter",
        "calls",
        ("tool", "kind"),
        ("router",),
        "Arguments that the model wrote in a wrong form and that could mean one thing only: `blank`, `null`, "
        "`encoded_twice`, `text_around`, `encoded_value`, `number_in_string`, `whole_number`. "
        f"{LIVE}",
    ),
    Signal(
        "switchboard_tool_call_duration_seconds",
        "histogram",
        "s",
        ("tool",),
        ("router",),
        f"From the decision to the result, queueing included. {LIVE}",
        (0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 2.5, 5, 10, 30, 60),
    ),
    Signal(
        "switchboard_model_calls_total",
        "counter",
        "calls",
        ("model", "outcome"),
        ("router",),
        "Calls at the model's endpoint, retries among them: `ok`, or why there was no usable reply.",
    ),
    Signal(
        "switchboard_model_retries_total",
        "counter",
        "calls",
        ("model",),
        ("router",),
        "Calls that repeat a failed one of the same turn, as far as this process saw it.",
    ),
    Signal(
        "gen_ai_client_token_usage",
        "histogram",
        "tokens",
        (*_GENAI, "gen_ai_token_type"),
        ("router",),
        "Tokens of a model call, as its server counted them; the sum is what was spent.",
        (1, 4, 16, 64, 256, 1024, 4096, 16384, 65536, 262144, 1048576, 4194304, 16777216, 67108864),
    ),
    Signal(
        "gen_ai_client_operation_duration_seconds",
        "histogram",
        "s",
        (*_GENAI, "error_type"),
        ("router",),
        "How long a model call took; `error_type` is empty when it succeeded.",
        (0.01, 0.02, 0.04, 0.08, 0.16, 0.32, 0.64, 1.28, 2.56, 5.12, 10.24, 20.48, 40.96, 81.92),
    ),
    Signal(
        "switchboard_compactions_total",
        "counter",
        "summaries",
        ("part", "outcome"),
        ("router",),
        "Summaries of what the model reads: of what was said before a run (`past`), or of its own `turns`; `failed` "
        f"when the model wrote none. {LIVE}",
    ),
    Signal(
        "switchboard_approvals_asked_total",
        "counter",
        "calls",
        ("tool", "rule"),
        ("router",),
        "Calls that a person has to approve, by the rule that asks: the tool is never called without (`required`), its "
        "condition holds (`when`) or has no answer (`undecided`), nobody has named where it goes (`provenance`), or "
        f"the customer has not asked for it (`question`). A call counts once for each rule. {LIVE}",
    ),
    Signal(
        "switchboard_approvals_shadowed_total",
        "counter",
        "calls",
        ("tool", "rule"),
        ("router",),
        "Calls that a person would have to approve by `provenance` or `question` without `APPROVAL_SHADOW`. They are "
        f"made. {LIVE}",
    ),
    Signal(
        "switchboard_undone_total",
        "counter",
        "effects",
        ("status",),
        ("router",),
        "Effects of runs of conversations that were to be undone: `undone`, or `not_undone` when the tool refused. "
        f"{LIVE}",
    ),
    Signal(
        "switchboard_catalogue_age_seconds",
        "gauge",
        "s",
        (),
        ("router",),
        "Since when the router has had no answer about its tools; it goes on with the last ones.",
    ),
    Signal(
        "switchboard_events_left_out_total",
        "counter",
        "events",
        (),
        ("router",),
        "Events of runs that the database did not take in time; the report of each run tells them again.",
    ),
)

TABLE = Table(METRICS)

_GENAI_SPAN = (
    "gen_ai.operation.name",
    "gen_ai.provider.name",
    "langfuse.observation.type",
)
"""On every span of the agent; `error.type` besides when it went wrong."""

SPANS = (
    Signal(
        "invoke_agent {agent}",
        "span",
        "s",
        (
            *_GENAI_SPAN,
            "gen_ai.agent.name",
            "gen_ai.conversation.id",
            "langfuse.trace.name",
            "switchboard.run",
            "switchboard.outcome",
            "switchboard.turns",
            "switchboard.prompt",
            "user.id",
        ),
        ("router",),
        "One run, from the question to the answer. `user.id` is a digest, and so is `switchboard.prompt`, of the system"
        " prompt with which the run began.",
    ),
    Signal(
        "chat {model}",
        "span",
        "s",
        (
            *_GENAI_SPAN,
            "gen_ai.request.model",
            "gen_ai.request.temperature",
            "gen_ai.response.model",
            "gen_ai.response.finish_reasons",
            "gen_ai.usage.input_tokens",
            "gen_ai.usage.output_tokens",
            "server.address",
            "server.port",
            "switchboard.turn",
            "switchboard.attempts",
            "switchboard.endpoint",
        ),
        ("router",),
        "One model turn, its retries included.",
    ),
    Signal(
        "summarise {part}",
        "span",
        "s",
        (
            *_GENAI_SPAN,
            "gen_ai.request.model",
            "gen_ai.usage.input_tokens",
            "gen_ai.usage.output_tokens",
            "switchboard.attempts",
        ),
        ("router",),
        "One summary of what the model reads: of the `past` of a conversation, or of the run's own `turns`.",
    ),
    Signal(
        "execute_tool {tool}",
        "span",
        "s",
        (
            *_GENAI_SPAN,
            "gen_ai.tool.name",
            "gen_ai.tool.call.id",
            "gen_ai.tool.type",
            "switchboard.turn",
            "switchboard.status",
        ),
        ("router",),
        "One tool call, from the decision to its result. One that a person has approved has a second one below it, "
        "for the call as it was made, without a turn.",
    ),
    Signal(
        "wait_for_person {tool}",
        "span",
        "s",
        ("langfuse.observation.type", "gen_ai.tool.name", "gen_ai.tool.call.id", "switchboard.approval"),
        ("router",),
        "How long a call waited for a person, and what came of that: `approved`, `edited`, `denied`, `expired` (an "
        "error) or `withdrawn`. It hangs below the span of its call, and may end hours after it.",
    ),
)

LOG_EVENTS = (
    LogEvent(
        "stops_not_seen",
        ("warning",),
        ("reason",),
        ("router",),
        "The database did not say which runs of conversations have been stopped; Restate tells of it too.",
    ),
    LogEvent(
        "not_undone",
        ("error",),
        ("tool", "conversation"),
        ("router",),
        "An effect was to be undone, and its tool refused. The conversation was told.",
    ),
    LogEvent(
        "no_ticket_tool",
        ("error",),
        ("tool", "reason"),
        ("router",),
        "There is no tool of the name TICKET_TOOL, or it refused: a customer to whom no person came got no ticket.",
    ),
    LogEvent(
        "approval_of_another_call",
        ("error",),
        ("tool",),
        ("router",),
        "A person's yes was for other arguments than those that were planned: the call was not made.",
    ),
    LogEvent("catalogue_read", ("info",), ("tools",), ("router",), "The tools on offer have changed, to these."),
    LogEvent(
        "catalogue_unavailable",
        ("warning",),
        ("reason", "mend"),
        ("router",),
        "The registry does not answer; the last tools stay on offer. Said once for each reason.",
    ),
    LogEvent(
        "turn_decided",
        ("info",),
        ("turn", "calls"),
        ("router",),
        "What the model chose: the tools by name, `not_on_offer` for one that it made up; none for an answer.",
    ),
    LogEvent("call_settled", ("info",), ("call", "tool", "status"), ("router",), "How one tool call ended."),
    LogEvent(
        "tool_gone",
        ("warning",),
        ("handler",),
        ("router",),
        "Restate does not find the handler of a tool that was on offer; the call was not made.",
    ),
    LogEvent(
        "prompt_changed",
        ("warning",),
        ("turn", "former", "prompt"),
        ("router",),
        "The router was started with another system prompt during this run; from this turn on the model reads it.",
    ),
    LogEvent("run_ended", ("info",), ("outcome", "turns"), ("router",), "The last line of a run, with its outcome."),
    LogEvent(
        "model_call_failed",
        ("warning",),
        ("reason",),
        ("router",),
        "One call at the model's endpoint gave no usable reply; it is tried again.",
    ),
    LogEvent(
        "model_refused",
        ("error",),
        ("status", "code", "type", "param", "said", "mend", "endpoint"),
        ("router",),
        "The endpoint will not answer until somebody mends this setting. `said` is its message, bounded and without "
        "any word that was sent.",
    ),
    LogEvent(
        "model_request_fitted",
        ("warning",),
        ("status", "code", "type", "param", "said", "lesson", "endpoint"),
        ("router",),
        "The endpoint refused a part of the request; `lesson` names what is left out or set from now on.",
    ),
    LogEvent(
        "model_not_reached",
        ("warning",),
        ("reason", "mend"),
        ("router",),
        "No reply came; `mend` names the setting to look at first.",
    ),
    LogEvent(
        "model_check_waits",
        ("info",),
        ("endpoint", "reason"),
        ("router",),
        "The check at start waits for this endpoint: for its reply, or, with a reason, until it is there.",
    ),
    LogEvent(
        "model_checked",
        ("info", "warning", "error"),
        ("endpoint", "found", "seconds", "prompt_tokens", "fewest_tokens", "mend", "left"),
        ("router",),
        "What the check at start found: `fit`, `slow`, `tools_dropped` (fewer tokens were read than prompt and tools "
        "have), `context_too_small`, `refused`, `no_answer`. `mend` names the setting, `left` how many follow.",
    ),
    LogEvent(
        "model_fallback",
        ("warning",),
        ("endpoint", "reason"),
        ("router",),
        "An endpoint did not answer, and the next of `OPENAI_FALLBACKS` is asked.",
    ),
    LogEvent(
        "model_wait_too_long",
        ("warning",),
        ("reason", "retry_after"),
        ("router",),
        "The pause before the next attempt, in seconds, is longer than the run may last; it ends.",
    ),
    LogEvent(
        "conversation_compacted",
        ("warning",),
        ("messages",),
        ("router",),
        "The conversation was too long for the model; it is sent again, shortened.",
    ),
    LogEvent(
        "conversation_summarised",
        ("info",),
        ("part",),
        ("router",),
        "The older part of what the model reads was summarised: `past` of a conversation, or `turns` of the run.",
    ),
    LogEvent(
        "conversation_not_summarised",
        ("warning",),
        ("part",),
        ("router",),
        "The model wrote no summary; the run goes on without, and the next one tries again.",
    ),
    LogEvent(
        "events_not_told",
        ("warning",),
        ("reason",),
        ("router",),
        "The database takes no events of runs; they wait, and watchers see them later. Logged once.",
    ),
    LogEvent("events_told_again", ("info",), (), ("router",), "It takes them again."),
    LogEvent(
        "events_refused", ("error",), ("sqlstate",), ("router",), "The database refused events or live text for good."
    ),
)
