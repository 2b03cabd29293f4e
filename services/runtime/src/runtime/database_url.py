"""Addresses of databases, in every form in which those who host them hand one out.

libpq, Prisma, SQLAlchemy, node-postgres and JDBC each have parameters of their own. What says how to connect is kept,
or told in libpq's words (https://www.postgresql.org/docs/current/libpq-connect.html#LIBPQ-PARAMKEYWORDS). What only
another client understands is left out, since the server would refuse it; anything else goes to the server as it is.
"""

import re
from dataclasses import dataclass
from pathlib import Path
from urllib.parse import parse_qsl, quote, urlencode

_HOST = r"(\[[0-9A-Fa-f:.]+\]|[^\s@:/?#\[\],]*)(:\d+)?"
_POSTGRES = re.compile(
    r"(?P<scheme>postgres(ql)?(\+[a-z0-9]+)?)://"
    rf"(?P<server>([^\s@/?#]*@)?{_HOST}(,{_HOST})*(/[^\s/?#]*)?)(\?(?P<query>[^\s#]*))?"
)
_OF_CLIENTS = {
    *(
        "channel_binding",
        "connect_timeout",
        "fallback_application_name",
        "gssencmode",
        "keepalives",
        "keepalives_count",
    ),
    *("keepalives_idle", "keepalives_interval", "load_balance_hosts", "require_auth", "sslcompression", "sslsni"),
    *("tcp_user_timeout", "client_encoding", "replication"),
    *("schema", "connection_limit", "pool_timeout", "socket_timeout", "statement_cache_size", "sslaccept"),  # Prisma
    *("uselibpqcompat", "pool_size", "max_overflow", "prepared_statement_cache_size", "async_fallback"),
}
_POOLED = "pgbouncer"
_MODES = ("disable", "allow", "prefer", "require", "verify-ca", "verify-full")
_SSL_MODES = {"no-verify": "require", "required": "require", "true": "require", "1": "require", "false": "disable"}
FILES = ("sslrootcert", "sslcert", "sslkey", "sslcrl")
USUAL = "expected postgresql://user@host:5432/database"


@dataclass(frozen=True)
class Address:
    """A URL that the driver takes, and whether a pooler stands between that lends a connection for one transaction."""

    url: str
    is_pooled: bool = False


def address(url: str) -> Address:
    """Raises: ValueError for what is no URL of PostgreSQL, or names a file of certificates that cannot be read."""
    found = _POSTGRES.fullmatch(url)
    if found is None:
        raise ValueError(USUAL)
    is_pooled, kept = False, list[tuple[str, str]]()
    for name, value in parse_qsl(found["query"] or "", keep_blank_values=True):
        if name == _POOLED:
            is_pooled = value.lower() in ("true", "1")
        elif name in ("ssl", "sslmode"):
            kept.append(("sslmode", _ssl_mode(value.lower())))
        elif name not in _OF_CLIENTS:
            kept.append((name, value))
        if name in FILES and value != "system":
            check_file(value, f"its parameter {name}")
    query = f"?{urlencode(kept, quote_via=quote)}" if kept else ""
    return Address(f"postgresql://{found['server']}{query}", is_pooled)


def _ssl_mode(value: str) -> str:
    mode = _SSL_MODES.get(value, value)
    if mode not in _MODES:
        raise ValueError(f"its parameter sslmode is none of {', '.join(_MODES)}")
    return mode


def check_file(path: str, said: str) -> None:
    """Raises: ValueError, which begins with what was `said` of it, unless there is something in PEM in the file."""
    try:
        content = Path(path).read_bytes()
    except OSError as error:
        raise ValueError(f"{said} names {path}, which cannot be read: {error.strerror}") from None
    if b"-----BEGIN " not in content:
        raise ValueError(f"{said} names {path}, in which there is nothing in PEM (-----BEGIN CERTIFICATE-----)")
