"""Members of staff, and what each role may do."""

from typing import NamedTuple, get_args

from contracts import StaffRole

ROLES: tuple[StaffRole, ...] = get_args(StaffRole)

READERS: frozenset[str] = frozenset(ROLES)
"""May read every page."""
TALKERS: frozenset[str] = frozenset({"agent", "admin"})
"""May act in conversations and on tickets."""
ADMINS: frozenset[str] = frozenset({"admin"})
"""May see who did what."""


class Member(NamedTuple):
    """Who is signed in. `name` is what other rooms know them by, `shown` what stands on the page."""

    name: str
    shown: str
    roles: tuple[str, ...]

    def may(self, roles: frozenset[str]) -> bool:
        return bool(roles & set(self.roles))
