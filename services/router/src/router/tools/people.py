"""`hand_over_to_person`: the model lets a person go on with a conversation. The run ends with it."""

from pydantic import BaseModel, ConfigDict, Field

HAND_OVER = "hand_over_to_person"
REASON_CHARACTERS = 500


class HandOverToPerson(BaseModel):
    """Why a person has to go on."""

    model_config = ConfigDict(extra="forbid")

    reason: str = Field(
        min_length=1,
        max_length=REASON_CHARACTERS,
        description="What the customer wants and why a person is needed, in one or two sentences for that person.",
        examples=["The customer wants to talk to a human about a charge that they do not recognise."],
    )
    promised: str = Field(
        default="", max_length=REASON_CHARACTERS, description="What you have promised the customer, if anything."
    )


class HandedOver(BaseModel):
    """A person goes on."""

    handed_over: bool = True


def hand_over_to_person() -> HandedOver:
    """Hand this conversation over to a person, a human of the support staff, who then answers instead of you.

    Use it when the customer asks for a human, a person, an agent or somebody to talk to, or when nothing that you can
    do helps. It ends your part: say beside the call what the customer shall read meanwhile.
    """
    return HandedOver()
