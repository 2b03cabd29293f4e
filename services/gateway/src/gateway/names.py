"""Names that follow from a secret: whoever does not know it can make none, nor tell what one stands for.

Nothing is stored. The same caller with the same `Idempotency-Key` gets the same names from every replica, before and
after any crash; whoever else asks by a name gets to something that is not there.
"""

import hashlib
import hmac
import json
import secrets

from pydantic import SecretStr

DIGITS = 32
"""Of hexadecimal: 128 bits."""


class Names:
    def __init__(self, secret: SecretStr) -> None:
        self._secret = secret.get_secret_value().encode()

    def of_request(self, user_id: str, method: str, path: str, key: str) -> str:
        """The name of what a caller asks for with this `Idempotency-Key`."""
        return self._derived("request", user_id, method, path, key)

    def at_restate(self, user_id: str, question: str) -> str:
        """The idempotency key of a caller's question, which opens its answer at the ingress: told to nobody."""
        return self._derived("restate", user_id, question)

    def of_chat(self, user_id: str, header: str, chat: str) -> str:
        """The name of the conversation that a caller's chat UI knows by this id."""
        return self._derived("chat", user_id, header, chat)

    def of_message(self, conversation: str, header: str, message: str) -> str:
        """The name of a message that a chat UI knows by this id."""
        return self._derived("message", conversation, header, message)

    def _derived(self, *parts: str) -> str:
        return hmac.new(self._secret, json.dumps(parts).encode(), hashlib.sha256).hexdigest()[:DIGITS]


def fresh() -> str:
    """A name that nobody can guess."""
    return secrets.token_hex(DIGITS // 2)
