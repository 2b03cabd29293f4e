"""What the registry has done: `GET /status`."""

from pydantic import BaseModel, Field


class RegisteredDeployment(BaseModel):
    deployment_id: str
    services: list[str]


class Status(BaseModel):
    """Filled by the loops; counts are since the start of this process."""

    registered: dict[str, RegisteredDeployment] = Field(default_factory=dict[str, RegisteredDeployment])
    failed: dict[str, str] = Field(default_factory=dict[str, str])
    ended_former: int = 0
    ended_stuck: dict[str, dict[str, int]] = Field(default_factory=dict[str, dict[str, int]])
    tools: int = 0
    withdrawn: dict[str, str] = Field(default_factory=dict[str, str])

    def count_stuck(self, service: str, reason: str) -> None:
        by_reason = self.ended_stuck.setdefault(service, {})
        by_reason[reason] = by_reason.get(reason, 0) + 1
