"""The model behind an OpenAI-compatible endpoint: what goes over the wire, and what its faults mean."""

from router.model.check import Finding, check, fewest_tokens, is_own
from router.model.client import Model
from router.model.endpoint import Asked
from router.model.faults import ContextTooLong, ModelBusy, ModelFault
from router.model.live import OnText
from router.model.patience import wait
from router.model.reply import Reply, read_reply

__all__ = [
    "Asked",
    "ContextTooLong",
    "Finding",
    "Model",
    "ModelBusy",
    "ModelFault",
    "OnText",
    "Reply",
    "check",
    "fewest_tokens",
    "is_own",
    "read_reply",
    "wait",
]
