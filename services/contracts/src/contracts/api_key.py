"""Keys by which machines come in: what the gateway, and the desk, are told of one that is good."""

from datetime import datetime
from typing import Literal

from pydantic import BaseModel, Field

Scope = Literal["ask", "act-for-users"]
"""What a key may do.

- `ask`: ask, say and delete, and not only read
- `act-for-users`: name in a header the user for whom it does so
"""


class KeyQuery(BaseModel):
    """Asks whether a key is good, by the SHA-256 of it."""

    digest: str = Field(pattern=r"^[0-9a-f]{64}$")


class ApiKey(BaseModel):
    """A key that is good. `user_header` is the header in which it names its user; `prefix` is put before that name."""

    key_id: str
    name: str
    scopes: list[Scope]
    user_header: str = ""
    prefix: str = ""
    expires_at: datetime


StaffScope = Literal["read", "act", "approve", "audit"]
"""What a key of the staff's own tools may do, as far as its roles allow that.

- `read`: whatever staff read; every key may
- `act`: in conversations and on tickets
- `approve`: decide calls that wait for a person's yes
- `audit`: read who did what
"""

KEYS = "key."
"""Before the name of a key that acts for no person, so that no person can have it."""


class StaffKey(BaseModel):
    """A key of the staff's own tools that is good. What is done by it is done by `person`, or where that is empty by
    the key itself."""

    key_id: str
    name: str
    scopes: list[StaffScope]
    roles: list[str]
    person: str = ""
    expires_at: datetime

    @property
    def acts_as(self) -> str:
        """By what name the other rooms know whoever uses it."""
        return self.person or KEYS + self.name
