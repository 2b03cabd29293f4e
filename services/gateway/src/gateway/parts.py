"""What the routes work with."""

from dataclasses import dataclass

from fastapi import Request

from gateway.callers import Doors, Visitor
from gateway.events import Leaving
from gateway.issuers import IssuerDoor
from gateway.limits import Limits
from gateway.names import Names
from gateway.reading import Conversations
from gateway.restate import Restate
from gateway.settings import GatewaySettings
from gateway.signing import Signer


@dataclass(frozen=True)
class Parts:
    settings: GatewaySettings
    doors: Doors
    issuers: IssuerDoor
    signer: Signer
    names: Names
    restate: Restate
    rooms: Conversations
    leaving: Leaving
    limits: Limits

    def token(self, visitor: Visitor, purpose: str) -> str:
        return self.signer.token(visitor, purpose)


async def parts_of(request: Request) -> Parts:
    return request.app.state.parts
