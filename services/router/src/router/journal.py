"""What goes into the journal: pydantic models as JSON without their defaults, since every byte is kept and replayed."""

from datetime import timedelta
from typing import Generic, TypeVar

from pydantic import BaseModel
from restate import RunOptions
from restate.serde import Serde

Model = TypeVar("Model", bound=BaseModel)


class _Compact(Serde[Model], Generic[Model]):
    def __init__(self, model: type[Model]) -> None:
        self._model = model

    def deserialize(self, buf: bytes) -> Model:
        return self._model.model_validate_json(buf)

    def serialize(self, obj: Model | None) -> bytes:
        return b"" if obj is None else obj.model_dump_json(exclude_defaults=True).encode()


def journaled(
    model: type[Model], max_attempts: int | None = None, retry_within: timedelta | None = None
) -> RunOptions[Model]:
    """Options of a `ctx.run_typed` whose result is a `model`; no attempt begins later than `retry_within`."""
    return RunOptions[Model](serde=_Compact(model), max_attempts=max_attempts, max_duration=retry_within)
