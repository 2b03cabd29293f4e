"""A customer's question and who asks it."""

from typing import Annotated, Literal

from pydantic import BaseModel, ConfigDict, Field, StringConstraints, model_validator

MESSAGE_CHARACTERS = 8000
MAX_EARLIER = 40

USER_ID_PATTERN = r"^[A-Za-z0-9_.@-]{1,64}$"
USER_ID = Annotated[str, StringConstraints(pattern=USER_ID_PATTERN)]
"""The id of a customer, safe in a log line, a database setting and a key."""


class Earlier(BaseModel):
    """One message of before, as the client tells it: nobody has checked that it was said."""

    model_config = ConfigDict(extra="forbid")

    role: Literal["user", "assistant"]
    text: str = Field(max_length=MESSAGE_CHARACTERS)


class Question(BaseModel):
    """What the customer sent. The caller is proven by `caller_token`, or named by `user_id` where that is trusted."""

    model_config = ConfigDict(
        extra="forbid",
        json_schema_extra={
            "examples": [
                {"message": "My API calls are failing, what's wrong with my account?", "user_id": "user_12345"},
            ]
        },
    )

    message: str = Field(
        min_length=1,
        max_length=MESSAGE_CHARACTERS,
        description="The question in the customer's own words.",
        examples=["My API calls are failing, what's wrong with my account?"],
    )
    user_id: USER_ID | None = Field(
        default=None,
        description="Who asks; believed only where TRUST_USER_ID is set.",
        examples=["user_12345"],
    )
    caller_token: str | None = Field(
        default=None,
        max_length=4096,
        description="A short-lived signed JWT that names the caller (`sub`) and the caller's `roles`.",
    )
    request: str | None = Field(
        default=None,
        max_length=64,
        description="What the answer is to bring back as it is, so that whoever asks again can tell one from another.",
    )

    earlier: list[Earlier] = Field(
        default_factory=list[Earlier],
        max_length=MAX_EARLIER,
        description="What was said before, as the client tells it. The model reads it as data, never as its own words.",
    )

    @model_validator(mode="after")
    def _says_something(self) -> "Question":
        if not self.message.strip():
            raise ValueError("message is blank")
        return self


class Caller(BaseModel):
    """Who is asking: proven, never chosen by the model."""

    user_id: str
    roles: list[str] = []


class Accepted(BaseModel):
    """When Restate accepted an invocation, in seconds since the epoch."""

    accepted_at: float


class Clock(BaseModel):
    """What time it is at Restate, in seconds since the epoch."""

    now: float
