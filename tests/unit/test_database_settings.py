"""What the services and their commands are told about their databases."""

import pytest
from pydantic import TypeAdapter, ValidationError

from runtime.settings import DatabaseUrl
from tests.parts.signed import PUBLIC
from users.settings import UserSettings


@pytest.mark.parametrize(
    "url",
    [
        "postgresql://users_app@postgres:5432/switchboard",
        "postgres://users_app:p%40ss:word@db.example/switchboard?sslmode=verify-full&sslrootcert=/ca.pem",
        "postgresql://users_app@[fd00::1]:5432/switchboard",
        "postgresql://users_app@one:5432,two:5433/switchboard?target_session_attrs=primary",
        "postgresql://users_app@%2Frun%2Fpostgresql/switchboard",
        "postgresql:///switchboard",
    ],
)
def test_a_url_of_a_database_is_taken(url: str) -> None:
    assert TypeAdapter(DatabaseUrl).validate_python(url).get_secret_value() == url


@pytest.mark.parametrize("password", ["p@ss", "p/ss", "p?ss", "p#ss", "p ss"])
def test_a_url_that_its_password_breaks_is_one_line_without_it_that_says_where_to_put_it(
    monkeypatch: pytest.MonkeyPatch, password: str
) -> None:
    monkeypatch.setenv("CALL_KEYS", PUBLIC)
    monkeypatch.setenv("DATABASE_URL", f"postgresql://users_app:{password}@postgres:5432/switchboard")
    with pytest.raises(SystemExit) as ended:
        UserSettings.read()
    said = str(ended.value)
    assert said.startswith("setting DATABASE_URL: expected postgresql://")
    assert said.endswith("the password may stand in DATABASE_PASSWORD")
    assert password not in said
    assert "\n" not in said


@pytest.mark.parametrize("url", ["", "users_app@postgres/switchboard", "mysql://postgres/switchboard"])
def test_what_is_no_url_of_a_database_is_refused(url: str) -> None:
    with pytest.raises(ValidationError):
        TypeAdapter(DatabaseUrl).validate_python(url)
