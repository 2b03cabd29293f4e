"""A real PgBouncer in front of a real PostgreSQL."""

import os
import shutil
from pathlib import Path

import pytest

from standalone.ports import free_port, is_free
from standalone.postgres import as_unprivileged
from standalone.process import Process, Program


def need_pgbouncer() -> None:
    """Skips the test on a machine without PgBouncer; fails it there if REQUIRE_PGBOUNCER=1."""
    if not shutil.which("pgbouncer", path=f"{os.environ['PATH']}:/usr/sbin"):
        missing = "pgbouncer is not on the PATH (Debian package `pgbouncer`)"
        pytest.fail(missing) if os.environ.get("REQUIRE_PGBOUNCER") == "1" else pytest.skip(missing)


class PgBouncer(Process):
    """Two sessions of the server for however many clients, so that each transaction may meet another one."""

    def __init__(self, folder: Path, server_port: int, mode: str, passwords: dict[str, str]) -> None:
        self.port = free_port()
        folder.mkdir(parents=True, exist_ok=True)
        users = folder / "users.txt"
        users.write_text("".join(f'"{role}" "{password}"\n' for role, password in passwords.items()))
        settings = folder / "pgbouncer.ini"
        settings.write_text(
            f"[databases]\n* = host=127.0.0.1 port={server_port}\n[pgbouncer]\n"
            f"listen_addr = 127.0.0.1\nlisten_port = {self.port}\nunix_socket_dir =\nauth_type = plain\n"
            f"auth_file = {users}\npool_mode = {mode}\ndefault_pool_size = 2\nmax_client_conn = 200\n"
        )
        for path in (folder, users, settings):
            path.chmod(0o755)
        command = as_unprivileged(["pgbouncer", str(settings)])
        super().__init__(
            Program(f"pgbouncer-{mode}", command, {"PATH": f"{os.environ['PATH']}:/usr/sbin"}, self._ready), folder
        )

    async def _ready(self) -> bool:
        return not is_free(self.port)
