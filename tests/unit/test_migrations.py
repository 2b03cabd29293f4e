"""Migration files: numbered without gaps, in every service, and unchanged once merged."""

from pathlib import Path

import pytest

from runtime.postgres import read_migrations

FOLDERS = sorted((Path(__file__).parents[2] / "services").glob("*/src/*/migrations"))

MERGED = {
    "conversations/0001_conversations.sql": "05620c193efff96dc76144628e2171f83af3c6a3a6c28d494af256b5022757a8",
    "conversations/0002_watching.sql": "42c56dbb80229bdbef38bb911526523dcdcc3a59e512769e1dc190b1060bea48",
    "conversations/0003_summaries.sql": "42fac8eb4ce0946c5c36ca6d3243afd454031df9acc2dea118e12ad704eae501",
    "conversations/0004_people.sql": "97aec4a3530532e4e2763329b2dfc7c54f37a80d87c164bce271d3c23eefd115",
    "conversations/0005_approvals.sql": "360dc4341aacd8218ce5101b89b9a5e8b8ba3651959e9e33d3eb5ba6ebd046d5",
    "conversations/0006_undo.sql": "be09a76ff8d127ed78f54874a3ae3f3c65bde2488e2e1c7fa913eb7788877975",
    "conversations/0007_counts.sql": "bcac6126ca5dd9b7dff085fddafd74095ec6b1a608bac2cb25217e1ca040a3d9",
    "conversations/0008_api_keys.sql": "a3ee59c4acf88ea0238b1a10afec599cf54a636cf3adfdfb3c2ebcd1149a7f31",
    "conversations/0009_changes.sql": "cb958ebc1ab730ddb9cf4e26338610dcbab3fda4dcd4214d2c848175cc4d3b12",
    "conversations/0010_steps.sql": "cfeb5451f8c546a75542829e19960c307407b0b7deab4304074c31af3ee38da2",
    "conversations/0011_audited.sql": "7a0d671dd08933b925b938a99e24c8bdddadb43c30fb35f760dc432c6e344950",
    "conversations/0012_words.sql": "e4397470714a99657a00b1bb1d342caf584b1f8f5fea31503d591f246fc9b6d2",
    "conversations/0013_words_of_before.sql": "c10a4becc1f84482c757ea79c4cc74830c479d1fb6c58f4ef51187c39d731e05",
    "conversations/0014_approvals_page.sql": "20feec00b2496a8c032b2765214833a84af7317527b32eba0968b605db903e63",
    "conversations/0015_runs.sql": "b861145ac42cb5b28fe6b4b840b78845cfe784b01ec6cea68b8894b566c0b71a",
    "conversations/0016_staff_keys.sql": "fa08b022b13fdd9026e44a8f20c498cd80e59691d80eb89e76cfd8ecae3d718a",
    "tickets/0001_tickets.sql": "5c07f59c3a5d42af22af56a31e54cfabd404087a5a9f563c034148fefb2caef6",
    "tickets/0002_ticket_counts.sql": "892fe9dcc0f378bce0d791621068fcf330e6e422ed6f3661f679f6bcd226ca46",
    "tickets/0003_ticket_prompt.sql": "c673e4cda1f7d37f43f663596eba097938fd6e0d604ee6c95c2d3d458d1c8aad",
    "tickets/0004_notifications.sql": "091f0ba86ab21ede8d6a15e918f82e1d86d2292257a0eed51d57f5e74cb42c00",
    "tickets/0005_audit_who.sql": "34d3f5530d45835cb950f109878013e9d0af6c53bcfcfac04973254d7a053315",
    "tickets/0006_conversations.sql": "25256e67d6370902888151db07d17fb285851d9a78d52a635e213854891e848e",
    "tickets/0007_life.sql": "2221180de2b16582038713ba74a9f1a6cdbe29354fcce9edbe4299ac965c36a7",
    "tickets/0008_promises.sql": "8bed5349756afdba57f26442f7e86320aa16b9b8e10043b4282a1c9512d69cfe",
    "tickets/0009_looks.sql": "742bdbcdc6d30dab5863f45e09e15476056a115ab1fb40da2e3ce7549463f7c7",
    "tickets/0010_audited.sql": "7f341523a66f47e8717ef1b56ea7108c90565400fdf8ff846d7ebfaa8732a530",
    "tickets/0011_changed.sql": "4f850baddd651c866b22dafc098567970892508202320bc290ab2ed1b0dbc2a1",
    "tickets/0012_told.sql": "08f7b4c46709b8748308165d92789a62751d2498a07ea497b809126e3ed0fd26",
    "tickets/0013_reading_staff.sql": "f4f74829d42958c845e447cc98a1006fb5af33d1c3aa7f0fc85f6aa1ec766c03",
    "users/0001_accounts.sql": "48938873753f87f5fb0318f076f2d376813e3818dcd62c334364ca2ac7b3bb07",
    "users/0002_refunds.sql": "4b476d10d6d077a1e2ea26a684696a931b67ffc3b2f0de5fe2369de4672e28a6",
}
"""A new file gets a line here; no line ever changes, since databases out there have applied it."""


def test_merged_migrations_are_immutable() -> None:
    files = {
        f"{folder.parent.name}/{migration.name}": migration.checksum
        for folder in FOLDERS
        for migration in read_migrations(folder)
    }
    assert files == MERGED


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
