"""The system prompt: its text, and the digest by which runs, spans and tickets say which one it was."""

import hashlib
from pathlib import Path
from typing import NamedTuple


class Prompt(NamedTuple):
    text: str
    digest: str
    """The first 12 digits of the text's SHA-256."""


def read_prompt(file: Path) -> Prompt:
    """The prompt in this file, without the white space around it.

    Raises: ValueError for a file that cannot be read, or holds nothing.
    """
    try:
        text = file.read_text(encoding="utf-8").strip()
    except (OSError, UnicodeDecodeError) as error:
        raise ValueError(f"{file} cannot be read: {type(error).__name__}") from None
    if not text:
        raise ValueError(f"{file} is empty")
    return Prompt(text, hashlib.sha256(text.encode()).hexdigest()[:12])
