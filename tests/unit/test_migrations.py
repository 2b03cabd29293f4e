"""Migration files: numbered without gaps, in every service."""

from pathlib import Path

import pytest

from runtime.postgres import read_migrations

FOLDERS = sorted((Path(__file__).parents[2] / "services").glob("*/src/*/migrations"))


@pytest.mark.parametrize("folder", FOLDERS, ids=lambda folder: folder.parent.name)
def test_the_files_of_a_service_are_numbered_from_one_on(folder: Path) -> None:
    names = [migration.name for migration in read_migrations(folder)]
    assert names == sorted(path.name for path in folder.iterdir())


@pytest.mark.parametrize(
    "names",
    [
        ["0002_second.sql"],
        ["0001_first.sql", "0003_third.sql"],
        ["0001_first.sql", "0001_other.sql"],
        ["1_first.sql"],
        ["0001_First.sql"],
        ["0001.sql"],
    ],
)
def test_a_missing_repeated_or_odd_number_is_refused(tmp_path: Path, names: list[str]) -> None:
    for name in names:
        (tmp_path / name).write_text("SELECT 1")
    with pytest.raises(ValueError, match="expected a name like"):
        read_migrations(tmp_path)


def test_the_checksum_changes_with_the_text(tmp_path: Path) -> None:
    file = tmp_path / "0001_first.sql"
    file.write_text("SELECT 1")
    before = read_migrations(tmp_path)[0].checksum
    file.write_text("SELECT 2")
    assert read_migrations(tmp_path)[0].checksum != before
