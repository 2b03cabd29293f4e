"""What becomes of a statement that a database did not do."""

import asyncpg
import pytest
from restate.exceptions import RetryableError

from runtime.postgres import UNUSABLE
from runtime.postgres.transactions import sql_errors


@pytest.mark.parametrize(
    "broken",
    [
        ConnectionResetError(),
        TimeoutError(),
        asyncpg.InterfaceError("the connection is closed"),
        asyncpg.InternalClientError("cannot switch to state 12; another operation (2) is in progress"),
        asyncpg.CannotConnectNowError("starting up"),
    ],
    ids=lambda broken: type(broken).__name__,
)
def test_a_broken_connection_is_no_defect_and_is_tried_again(broken: Exception) -> None:
    with pytest.raises(RetryableError), sql_errors():
        raise broken
    assert isinstance(broken, UNUSABLE)
