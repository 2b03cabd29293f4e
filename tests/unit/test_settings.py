"""Settings that every service has."""

import pytest

from runtime.settings import RestateServiceSettings


@pytest.mark.parametrize("written", ["INFO", "info", "Info"])
def test_a_log_level_may_be_written_in_any_case(monkeypatch: pytest.MonkeyPatch, written: str) -> None:
    monkeypatch.setenv("PORT", "9000")
    monkeypatch.setenv("LOG_LEVEL", written)
    assert RestateServiceSettings.read().log_level == "INFO"


def test_a_log_level_that_is_none_is_named(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PORT", "9000")
    monkeypatch.setenv("LOG_LEVEL", "loud")
    with pytest.raises(SystemExit, match="setting LOG_LEVEL: "):
        RestateServiceSettings.read()
