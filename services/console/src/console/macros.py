"""Macros: texts that staff send often, with fields that are filled in. The operators write them, in one TOML file.

A field is replaced once, by plain text: what a value holds is never looked at again, whatever stands in it.
"""

import re
import tomllib
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Annotated, Self

from pydantic import BaseModel, ConfigDict, Field, StringConstraints, ValidationError, field_validator, model_validator

from console.posted import MOST_CHARACTERS

FIELDS = frozenset(
    {
        *("customer.id", "customer.name", "staff.name"),
        *("conversation.id", "ticket.id", "ticket.subject"),
    }
)
"""What a text may name beside what it asks for."""
ASKED = "ask."
"""What the name of a field begins with that staff fill in themselves."""
MOST_ANSWER = 500
MOST_MACROS = 200

_FIELD = re.compile(r"\{\{(.*?)\}\}", re.DOTALL)

Line = Annotated[str, StringConstraints(min_length=1, max_length=80, pattern=r"^\S([^\r\n]*\S)?$")]
Name = Annotated[str, StringConstraints(pattern=r"^[a-z][a-z0-9_]{0,31}$")]


class Macro(BaseModel):
    """A text with fields. `ask` says which of them staff fill in, each with the words by which they are asked."""

    model_config = ConfigDict(extra="forbid", strict=True, frozen=True)

    name: Line
    text: str = Field(min_length=1, max_length=MOST_CHARACTERS)
    ask: dict[Name, Line] = Field(default_factory=dict[str, str], max_length=10)

    @field_validator("text")
    @classmethod
    def _ends_with_its_words(cls, text: str) -> str:
        if not text.strip():
            raise ValueError("has no words")
        return text.strip("\n")

    @model_validator(mode="after")
    def _names_fields_that_there_are(self) -> Self:
        for field in sorted(self.fields - FIELDS):
            if field.removeprefix(ASKED) not in self.ask or not field.startswith(ASKED):
                known = ", ".join([*sorted(FIELDS), *(ASKED + each for each in self.ask)])
                raise ValueError(f"{{{{{field}}}}} is no field; these are: {known}")
        for name in self.ask:
            if ASKED + name not in self.fields:
                raise ValueError(f"asks for {name}, but its text has no {{{{{ASKED}{name}}}}}")
        return self

    @property
    def fields(self) -> frozenset[str]:
        return frozenset(found.strip() for found in _FIELD.findall(self.text))

    def is_for(self, known: Iterable[str]) -> bool:
        """Whether a page that knows these fields can fill it in."""
        return self.fields & FIELDS <= set(known)

    def missing(self, values: Mapping[str, str]) -> list[str]:
        """Its fields that have no value, in the order of the text."""
        named = dict.fromkeys(found.strip() for found in _FIELD.findall(self.text))
        return [field for field in named if not values.get(field, "").strip()]

    def filled(self, values: Mapping[str, str]) -> str:
        """Its text, in which a field without a value stands as it was written."""

        def value_of(found: re.Match[str]) -> str:
            return values.get(found[1].strip(), "").strip() or found[0]

        return _FIELD.sub(value_of, self.text)


class MacroFile(BaseModel):
    """All of them, in the order in which staff find them."""

    model_config = ConfigDict(extra="forbid", strict=True, frozen=True)

    macro: list[Macro] = Field(default_factory=list[Macro], max_length=MOST_MACROS)

    @model_validator(mode="after")
    def _has_each_name_once(self) -> Self:
        names = [each.name for each in self.macro]
        for name in names:
            if names.count(name) > 1:
                raise ValueError(f"two macros have the name {name}")
        return self


def read_macros(path: Path | None) -> list[Macro]:
    """Raises: ValueError, with one line that says where and why."""
    if path is None:
        return []
    try:
        told = tomllib.loads(path.read_text(encoding="utf-8"))
        return MacroFile.model_validate(told).macro
    except OSError as error:
        raise ValueError(f"{path} cannot be read: {error.strerror or type(error).__name__}") from None
    except UnicodeDecodeError:
        raise ValueError(f"{path} is not in UTF-8") from None
    except tomllib.TOMLDecodeError as error:
        raise ValueError(f"{path} is no TOML: {error}") from None
    except ValidationError as error:
        raise ValueError(f"{path}: {_first(error)}") from None


def _first(error: ValidationError) -> str:
    problem = error.errors()[0]
    place = ".".join(str(part + 1) if isinstance(part, int) else part for part in problem["loc"])
    return f"{place}: {problem['msg'].removeprefix('Value error, ')}".removeprefix(": ")
