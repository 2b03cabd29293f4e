"""What the services and their commands are told about their databases."""

from pathlib import Path

import pytest
from pydantic import TypeAdapter, ValidationError

from runtime.database_url import Address, address
from runtime.settings import DatabaseUrl
from tests.parts.signed import PUBLIC
from users.settings import UserSettings


@pytest.mark.parametrize(
    "url",
    [
        "postgresql://users_app@postgres:5432/switchboard",
        "postgres://users_app:p%40ss:word@db.example/switchboard?sslmode=verify-full&sslrootcert=system",
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
    assert "@ is written %40" in said
    assert said.endswith("the password may stand in DATABASE_PASSWORD")
    assert password not in said
    assert "\n" not in said


@pytest.mark.parametrize("url", ["", "users_app@postgres/switchboard", "mysql://postgres/switchboard"])
def test_what_is_no_url_of_a_database_is_refused(url: str) -> None:
    with pytest.raises(ValidationError):
        TypeAdapter(DatabaseUrl).validate_python(url)


@pytest.mark.parametrize(
    ("handed_out", "taken"),
    [
        (
            "postgres://u:p@ep-x.neon.tech/db?sslmode=require&channel_binding=require",
            "u:p@ep-x.neon.tech/db?sslmode=require",
        ),
        ("postgresql://u:p@h:5432/db?sslmode=no-verify", "u:p@h:5432/db?sslmode=require"),
        ("postgresql://u:p@h/db?ssl=true", "u:p@h/db?sslmode=require"),
        ("postgresql+asyncpg://u:p@h/db?prepared_statement_cache_size=0", "u:p@h/db"),
        ("postgresql+psycopg2://u:p@h/db", "u:p@h/db"),
        ("postgresql://u:p@h/db?schema=public&connection_limit=5&pool_timeout=10", "u:p@h/db"),
        ("postgresql://u:p@h/db?connect_timeout=10&keepalives=1&gssencmode=disable", "u:p@h/db"),
        ("postgresql://u:p@h/db?options=endpoint%3Dep-x", "u:p@h/db?options=endpoint%3Dep-x"),
        ("postgresql://u:p@a,b/db?target_session_attrs=read-write", "u:p@a,b/db?target_session_attrs=read-write"),
        ("postgresql://u@/db?host=/cloudsql/project:region:name", "u@/db?host=%2Fcloudsql%2Fproject%3Aregion%3Aname"),
    ],
)
def test_a_url_is_taken_in_the_form_in_which_hosts_of_databases_hand_it_out(handed_out: str, taken: str) -> None:
    assert address(handed_out) == Address(f"postgresql://{taken}")


@pytest.mark.parametrize(("query", "pooled"), [("pgbouncer=true&sslmode=require", True), ("pgbouncer=false", False)])
def test_a_url_says_that_it_leads_to_a_pooler(query: str, pooled: bool) -> None:
    assert address(f"postgresql://u:p@h:6543/db?{query}").is_pooled == pooled


def test_a_mode_of_tls_that_is_none_is_refused_with_those_that_are() -> None:
    with pytest.raises(ValueError, match="sslmode is none of disable, allow"):
        address("postgresql://u:p@h/db?sslmode=yes-please")


@pytest.mark.parametrize("named_by", ["sslrootcert", "PGSSLROOTCERT"])
@pytest.mark.parametrize(("content", "complaint"), [(None, "cannot be read"), ("no certificate", "nothing in PEM")])
def test_a_file_of_certificates_that_is_none_is_named_with_what_named_it(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, named_by: str, content: str | None, complaint: str
) -> None:
    path = tmp_path / "ca.pem"
    if content:
        path.write_text(content)
    url = "postgresql://u:p@h/db?sslmode=verify-full"
    if named_by == "PGSSLROOTCERT":
        monkeypatch.setenv(named_by, str(path))
    else:
        url += f"&sslrootcert={path}"
    with pytest.raises(ValueError, match=complaint) as refused:
        TypeAdapter(DatabaseUrl).validate_python(url)
    assert named_by in str(refused.value)
    assert str(path) in str(refused.value)
