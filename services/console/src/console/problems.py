"""What a page says when something is not done."""

from typing import NamedTuple


class Said(NamedTuple):
    title: str
    advice: str


SAID = {
    400: Said("This form cannot be read", "Go back, reload the page and try again."),
    403: Said("This is not for you", "Your role does not allow it. Ask somebody whose role does."),
    404: Said("There is nothing here", "It may have been deleted, or the address is not whole."),
    405: Said("This cannot be done here", "Go back to the page you came from."),
    408: Said("That took too long", "Try again."),
    409: Said("Somebody was faster", "Reload the page to see how it stands now."),
    413: Said("That is too long", "Go back and make the text shorter."),
    415: Said("This form cannot be read", "Go back, reload the page and try again."),
    422: Said("A value is not as it must be", "Go back and change it."),
    500: Said("Something went wrong on our side", "The people who run this service have been told. Try again."),
    502: Said(
        "The other services do not believe this desk",
        "Whoever runs it: STAFF_KEY here has to be one of STAFF_KEYS there.",
    ),
    503: Said("The service does not answer right now", "Nothing is lost. Try again in a moment."),
}


class Problem(Exception):
    """Ends a request with a page that says so; `detail` is one more sentence."""

    def __init__(self, status: int, detail: str = "") -> None:
        super().__init__(status)
        self.status, self.detail = status, detail

    @property
    def said(self) -> Said:
        return SAID.get(self.status, SAID[500])
