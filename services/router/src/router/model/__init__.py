"""The model behind an OpenAI-compatible endpoint: what goes over the wire, and what its faults mean."""

from router.model.client import Model
from router.model.endpoint import Asked
from router.model.faults import ContextTooLong, ModelBusy, ModelFault
from router.model.patience import wait
from router.model.reply import Reply, read_reply

__all__ = ["Asked", "ContextTooLong", "Model", "ModelBusy", "ModelFault", "Reply", "read_reply", "wait"]
