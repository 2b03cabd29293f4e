"""The real PostgreSQL for tests."""

import subprocess

from standalone.postgres import SUPERUSER, Postgres, binaries


class PostgresServer(Postgres):
    """Gives each asker a fresh database."""

    def database(self, name: str) -> str:
        """Creates an empty database of this name, in place of an older one, and returns its superuser's URL."""
        self.psql(f'DROP DATABASE IF EXISTS "{name}" WITH (FORCE)', f'CREATE DATABASE "{name}"')
        return self.url(name)

    def psql(self, *statements: str, database: str = SUPERUSER) -> str:
        """Runs statements as the superuser, each by itself, and returns what psql printed."""
        command = [str(binaries() / "psql"), "-X", "-q", "-A", "-t", "-v", "ON_ERROR_STOP=1", "-d", self.url(database)]
        options = [part for statement in statements for part in ("-c", statement)]
        done = subprocess.run([*command, *options], capture_output=True, text=True, check=False)
        assert done.returncode == 0, done.stderr
        return done.stdout
