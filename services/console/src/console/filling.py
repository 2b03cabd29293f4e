"""A macro that a form puts into its text: which ones there are, what the chosen one asks for, and what comes of it."""

from collections.abc import Awaitable, Callable, Mapping, Sequence
from dataclasses import dataclass, field

from console.macros import ASKED, MOST_ANSWER, Macro
from console.posted import MOST_CHARACTERS, Unfit

CUSTOMER_NAME = "customer.name"


@dataclass(frozen=True)
class Filling:
    """What a form shows of macros. `chosen` still asks for something; `is_done`: one was put into `text`."""

    offered: Sequence[Macro] = ()
    chosen: Macro | None = None
    answers: Mapping[str, str] = field(default_factory=dict[str, str])
    text: str = ""
    is_done: bool = False
    notice: str = ""


@dataclass(frozen=True)
class Known:
    """What a page knows of whom it is about. The customer's name is asked for when a macro names it."""

    values: Mapping[str, str]
    customer_name: Callable[[], Awaitable[str]]

    @property
    def fields(self) -> set[str]:
        return {*self.values, CUSTOMER_NAME}

    async def of(self, macro: Macro) -> Mapping[str, str]:
        if CUSTOMER_NAME not in macro.fields:
            return self.values
        return {**self.values, CUSTOMER_NAME: await self.customer_name()}


async def filled(
    form: Mapping[str, str] | None, macros: Sequence[Macro], known: Known, written: Mapping[str, str]
) -> Filling:
    """What a page shows: with the macro that `form` names, if there is one; else as it was written.

    Raises: `Unfit` when the macro cannot be put in.
    """
    there = [each for each in macros if each.is_for(known.fields)]
    if form is None:
        return Filling(there, text=_text(written))
    return await _put_in(form, there, known)


async def _put_in(form: Mapping[str, str], there: Sequence[Macro], known: Known) -> Filling:
    """The macro stands behind what is written."""
    macro = next((each for each in there if each.name == form.get("macro")), None)
    if macro is None:
        raise Unfit("Choose a macro first." if not form.get("macro") else "There is no such macro any more.")
    written = _text(form)
    answers = {each: form.get(each, "").replace("\r\n", "\n") for each in (ASKED + name for name in macro.ask)}
    if any(len(each) > MOST_ANSWER for each in answers.values()):
        raise Unfit(f"What a macro asks for has at most {MOST_ANSWER} characters.")
    if not all(each.strip() for each in answers.values()):
        return Filling(there, macro, answers, written, notice="Fill in what the macro asks for.")
    values = {**answers, **await known.of(macro)}
    text = f"{written.rstrip()}\n\n{macro.filled(values)}" if written.strip() else macro.filled(values)
    if len(text) > MOST_CHARACTERS:
        raise Unfit(f"With this macro the text would be longer than {MOST_CHARACTERS} characters.")
    return Filling(there, text=text, is_done=True, notice=_left(macro.missing(values)))


def _text(form: Mapping[str, str]) -> str:
    return form.get("text", "").replace("\r\n", "\n")


def _left(fields: list[str]) -> str:
    if not fields:
        return ""
    named = ", ".join(f"{{{{{each}}}}}" for each in fields)
    return f"This is not known, so write it yourself: {named}"
