"""Staff tokens: what the other rooms know a member of staff by. Each is good for a minute."""

import time

import jwt

from console.members import Member
from console.settings import ConsoleSettings

LIFE_SECONDS = 60


class Signer:
    def __init__(self, settings: ConsoleSettings) -> None:
        self._key, self._algorithm = settings.staff_key.get_secret_value(), settings.staff_algorithm
        self._more = {"aud": settings.staff_audience}
        if settings.staff_issuer:
            self._more["iss"] = settings.staff_issuer

    def token(self, member: Member) -> str:
        now = int(time.time())
        claims = {"sub": member.name, "roles": list(member.roles), "iat": now, "exp": now + LIFE_SECONDS}
        return jwt.encode(claims | self._more, self._key, self._algorithm)
