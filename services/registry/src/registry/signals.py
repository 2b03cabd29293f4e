"""The registry's rows of the table of signals."""

from runtime.telemetry.metrics import Table
from runtime.telemetry.signals import LogEvent, Signal

METRICS = (
    Signal(
        "switchboard_restate_reachable",
        "gauge",
        "1",
        (),
        ("registry",),
        "1 while Restate's admin API answers; what the registry knows of invocations is absent while it is 0.",
    ),
    Signal(
        "switchboard_invocations",
        "gauge",
        "invocations",
        ("service", "handler", "status"),
        ("registry",),
        "Unfinished invocations, exact, by Restate's own status.",
    ),
    Signal(
        "switchboard_invocation_oldest_seconds",
        "gauge",
        "s",
        ("service", "handler"),
        ("registry",),
        "Age of the oldest unfinished invocation; of one that was scheduled for later, since it was due.",
    ),
    Signal(
        "switchboard_invocations_stuck",
        "gauge",
        "invocations",
        ("service", "handler", "status", "reason"),
        ("registry",),
        "Paused or backing off, by the last error: Restate's code and the exception's class, never its text.",
    ),
    Signal(
        "switchboard_invocations_ended_total",
        "counter",
        "invocations",
        ("service", "reason"),
        ("registry",),
        "Invocations that the registry ended, and why: what was stuck, and what only `former code` could finish.",
    ),
    Signal(
        "switchboard_deployment_invocations",
        "gauge",
        "invocations",
        ("deployment", "address", "state"),
        ("registry",),
        "Unfinished invocations by the deployment that must finish them; state `current` or `draining`.",
    ),
    Signal(
        "switchboard_deployment_draining_seconds",
        "gauge",
        "s",
        ("deployment", "address"),
        ("registry",),
        "Since when a deployment that still has work has been replaced.",
    ),
    Signal(
        "switchboard_deployment_registered",
        "gauge",
        "1",
        ("deployment",),
        ("registry",),
        "1 if Restate routes to what we want registered under this name, else 0.",
    ),
    Signal(
        "switchboard_registration_failures_total",
        "counter",
        "attempts",
        ("deployment",),
        ("registry",),
        "Registrations that failed; what Restate said stands in the log and in `GET /status`.",
    ),
    Signal(
        "switchboard_tools",
        "gauge",
        "tools",
        ("state",),
        ("registry",),
        "Tools `offered` to the agent, `left_out`, and `withdrawn` because they changed (the log says which and why).",
    ),
)

TABLE = Table(METRICS)

LOG_EVENTS = (
    # what only Restate knows
    LogEvent(
        "restate_does_not_answer",
        ("warning",),
        ("loop", "reason"),
        ("registry",),
        "Restate's admin API is away, or refuses; said once for each reason.",
    ),
    LogEvent("restate_answers_again", ("info",), ("loop",), ("registry",), "And is back."),
    LogEvent(
        "deployment_registered",
        ("info",),
        ("deployment", "url", "deployment_id", "services"),
        ("registry",),
        "Restate routes these services to this URL.",
    ),
    LogEvent(
        "deployment_not_registered",
        ("info", "warning"),
        ("deployment", "url", "reason"),
        ("registry",),
        "Not yet, while it may still come by itself; a warning once somebody has to look.",
    ),
    LogEvent(
        "deployment_forced",
        ("info",),
        ("url", "why"),
        ("registry",),
        "A known URL was discovered anew, so that it gets its services back.",
    ),
    LogEvent(
        "former_code_ended",
        ("info",),
        ("url", "deployments", "runs"),
        ("registry",),
        "What only former code at this address could finish was ended (`END_FORMER`).",
    ),
    LogEvent(
        "stuck_run_ended",
        ("warning",),
        ("id", "target", "state", "reason"),
        ("registry",),
        "An invocation was stuck for too long and was killed.",
    ),
    LogEvent(
        "stuck_run_does_not_end",
        ("error",),
        ("id", "target", "state", "reason"),
        ("registry",),
        "It was killed, and goes on.",
    ),
    LogEvent(
        "catalogue_changed",
        ("info",),
        ("tools", "added", "removed"),
        ("registry",),
        "The tools on offer have changed: how many there are, and which came and went.",
    ),
    LogEvent(
        "tool_left_out",
        ("warning",),
        ("tool", "handler", "reason"),
        ("registry",),
        "A handler cannot be a tool, and why.",
    ),
    LogEvent(
        "tool_withdrawn",
        ("warning",),
        ("tool", "handler", "reason"),
        ("registry",),
        "A tool is not where, or not what, was accepted; what differs.",
    ),
    LogEvent("services_awaited", ("info",), ("missing",), ("registry",), "The first catalogue waits for these."),
    LogEvent(
        "services_missing",
        ("warning",),
        ("missing", "after_seconds"),
        ("registry",),
        "They have not come; the catalogue is on offer without them.",
    ),
    LogEvent("policy_changed", ("info",), ("tools",), ("registry",), "The policy file has changed and is in force."),
    LogEvent(
        "policy_refused",
        ("warning",),
        ("reason", "in_force"),
        ("registry",),
        "The policy file has a fault; the last good one stays in force.",
    ),
    LogEvent("policy_without_effect", ("warning",), ("reason",), ("registry",), "A policy that changes nothing."),
    LogEvent(
        "wanted_deployments_unreadable",
        ("warning",),
        ("file", "reason"),
        ("registry",),
        "The file that names the wanted deployments has a fault; it counts as empty.",
    ),
    # the registry's commands
    LogEvent("waiting", ("info",), ("reason",), ("registry",), "A command tries again; said once for each reason."),
    LogEvent("command_failed", ("error",), ("command", "reason"), ("registry",), "A command has given up."),
    LogEvent("nothing_pruned", ("warning",), ("reason",), ("registry",), "Restate was away; the next round will do."),
    LogEvent(
        "version_deleted",
        ("info",),
        ("version", "deployments", "objects", "unfinished", "why"),
        ("registry",),
        "A version that nothing needs any more is gone, from Kubernetes and from Restate.",
    ),
    LogEvent(
        "version_kept",
        ("info", "warning"),
        ("version", "deployments", "objects", "unfinished", "why"),
        ("registry",),
        "A version stays, and why; a warning if Restate needs it and nobody serves it.",
    ),
    LogEvent(
        "object_deleted", ("info",), ("kind", "object"), ("registry",), "An uninstalled release's object is gone."
    ),
)
