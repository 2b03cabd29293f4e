"""How the handlers of a conversation are declared."""

from typing import Any, cast

from conversations.acting import Parts
from conversations.conversation import conversation
from conversations.following import conversation_runs
from runtime.retries import RETRY_UNTIL_DONE


def test_no_handler_whose_work_was_accepted_is_ended_for_its_age() -> None:
    handlers = conversation(cast(Parts, None)).handlers | conversation_runs.handlers
    of_services = {"follow"}  # its policy stands at the service
    accepted: dict[str, Any] = {
        name: handler
        for name, handler in handlers.items()
        if name in of_services or handler.invocation_retry_policy is RETRY_UNTIL_DONE
    }
    ours = {"begin", "finished", "summarised", "erase", "expire", "nobody_came", "ticketed", "outcome"}
    ours |= {"will_do", "undone"}
    assert set(accepted) == ours | {"follow"}
    assert {handler.metadata["switchboard.deadline"] for handler in accepted.values()} == {"none"}
