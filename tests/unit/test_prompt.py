"""The system prompt: which one it is, and what is said at the start when there is none."""

from hashlib import sha256
from pathlib import Path

import pytest

from router.prompt import read_prompt
from router.settings import PROMPT, RouterSettings
from tests.parts.signed import PRIVATE


def test_white_space_around_a_prompt_is_no_part_of_it(tmp_path: Path) -> None:
    file = tmp_path / "prompt.md"
    file.write_text("\n Sei höflich.\n\n", encoding="utf-8")
    prompt = read_prompt(file)
    assert prompt.text == "Sei höflich."
    assert prompt.digest == sha256("Sei höflich.".encode()).hexdigest()[:12]


def test_the_packaged_prompt_is_one() -> None:
    assert read_prompt(PROMPT).text.startswith("You are the support agent")


@pytest.mark.parametrize(
    ("content", "said"),
    [
        (None, "cannot be read: FileNotFoundError"),
        (b" \n", "is empty"),
        (b"\xff", "cannot be read: UnicodeDecodeError"),
    ],
)
def test_a_file_that_holds_no_prompt_is_named_at_the_start(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path, content: bytes | None, said: str
) -> None:
    file = tmp_path / "prompt.md"
    if content is not None:
        file.write_bytes(content)
    monkeypatch.setenv("TRUST_USER_ID", "true")
    monkeypatch.setenv("CALL_KEY", PRIVATE)
    monkeypatch.setenv("PROMPT_FILE", str(file))
    with pytest.raises(SystemExit, match=f"^setting PROMPT_FILE: .*prompt.md {said}$"):
        RouterSettings.read()
