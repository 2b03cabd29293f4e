"""When a person has to say yes before a tool is called: what `Tool.approval` says, and which of two rules is stricter.

`never` < `provenance`, `when:<CEL>`, or both of them (`provenance,when:<CEL>`: either asks) < `required`
"""

from typing import NamedTuple, Self

_WHEN = "when:"


class Rule(NamedTuple):
    """`when` is an expression in CEL; empty: none."""

    required: bool = False
    provenance: bool = False
    when: str = ""

    @classmethod
    def of(cls, text: str) -> Self:
        """Raises: ValueError for what is no rule."""
        text = text.strip()
        if text in ("never", "required"):
            return cls(required=text == "required")
        before, _, when = text.partition(_WHEN)
        when = when.strip()
        if before.rstrip(", ") not in ("", "provenance") or not (when or text == "provenance"):
            raise ValueError("it is none of never, required, provenance, when:<CEL>, provenance,when:<CEL>")
        return cls(provenance=bool(before), when=when)

    @property
    def text(self) -> str:
        """As a tool says it."""
        if self.required:
            return "required"
        parts = [*(["provenance"] if self.provenance else []), *([_WHEN + self.when] if self.when else [])]
        return ",".join(parts) or "never"

    def or_else(self, other: "Rule") -> "Rule":
        """The rule that asks whenever either of the two does."""
        if self.required or other.required:
            return Rule(required=True)
        conditions = list(dict.fromkeys(each for each in (self.when, other.when) if each))
        when = " || ".join(f"({each}\n)" for each in conditions) if len(conditions) > 1 else "".join(conditions)
        return Rule(provenance=self.provenance or other.provenance, when=when)
