"""Names of what a run does: the keys of its calls and the ids of its tasks, made from the run and its question.

A question that a client asks again, by the same idempotency key, is the same run to Restate, even after Restate was
restored from a backup that knows nothing of the first time. Its effects then have the names that they had, and whoever
did them already does not do them again.

They are made with a secret of the router's: nobody can tell one from another, nor from the id of the run.
"""

import hashlib
import hmac
import json

from contracts import Caller
from runtime.call_tokens import CallSigner

KEY_CHARACTERS = 32
TASK_CHARACTERS = 16


class Names:
    """The names in one run. A call is known by its tool and by how many calls of that tool came before it."""

    def __init__(self, signer: CallSigner, run_id: str, message: str, caller: Caller) -> None:
        self._secret = signer.secret("names of calls")
        self._run = (run_id, message, caller.user_id)

    def key(self, tool: str, number: int) -> str:
        """The key of a keyed handler that is called for this run alone."""
        return self._name("key", tool, number)[:KEY_CHARACTERS]

    def once(self, tool: str, number: int) -> str:
        """The idempotency key of an effect."""
        return self._name("once", tool, number)[:KEY_CHARACTERS]

    def task_id(self, tool: str, number: int) -> str:
        """What a customer is told of an effect that goes on."""
        return f"task_{self._name('task', tool, number)[:TASK_CHARACTERS]}"

    def approval(self, tool: str, number: int) -> str:
        """What a person decides by, when the call needs a yes."""
        return f"appr_{self._name('approval', tool, number)[:KEY_CHARACTERS]}"

    def _name(self, what: str, tool: str, number: int) -> str:
        parts = json.dumps([*self._run, what, tool, number])
        return hmac.new(self._secret, parts.encode(), hashlib.sha256).hexdigest()
