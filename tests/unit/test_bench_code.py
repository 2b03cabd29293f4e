"""Which code the bench runs."""

from pathlib import Path

from tests.bench.code import Code, elsewhere

FORMER = Path("/former")


def test_packages_in_the_checkout_are_where_they_should_be() -> None:
    assert not elsewhere({"router": "/former/services/router/src/router/__init__.py"}, FORMER)


def test_an_installed_package_is_told_with_its_place() -> None:
    place = "/present/services/router/src/router/__init__.py"
    assert elsewhere({"router": place}, FORMER) == [f"router ({place})"]


def test_a_package_that_is_missing_or_is_a_mere_folder_is_told() -> None:
    assert elsewhere({"router": None}, FORMER) == ["router (nowhere)"]


def test_a_folder_with_a_longer_name_is_not_the_checkout() -> None:
    assert elsewhere({"router": "/former/services2/router/__init__.py"}, FORMER)


def test_every_room_of_a_checkout_stands_in_front(tmp_path: Path) -> None:
    for room in ("users", "router"):
        (tmp_path / "services" / room / "src").mkdir(parents=True)
    paths = [str(tmp_path / "services" / room / "src") for room in ("router", "users")]
    assert Code("ours", tmp_path, "postgres").env == {"PYTHONPATH": ":".join(paths)}
