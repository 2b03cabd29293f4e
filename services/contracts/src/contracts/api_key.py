"""Keys by which machines come in: what the gateway is told of one that is good."""

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
