"""Which calls a person has to approve before they are made, and why."""

from router.approval.needed import RuleName, SoFar, needed
from router.approval.question import customers_words, may_make

__all__ = ["RuleName", "SoFar", "customers_words", "may_make", "needed"]
