"""Whether a value stands in what somebody wrote: as people read it, as whole words, and nothing that only looks so."""

import pytest

from router.approval.words import Text

IBAN = "DE89370400440532013000"


@pytest.mark.parametrize(
    ("text", "value"),
    [
        ("Send it to anna@example.com, please.", "anna@example.com"),
        ("Send it to <Anna@Example.COM>!", "anna@example.com"),
        ("mailto:anna@example.com", "anna@example.com"),
        ("My address:anna@example.com;thanks", "anna@example.com"),
        ("(anna@example.com)", "anna@example.com"),
        ("anna@example.com's inbox", "anna@example.com"),
        ("anna@exam\u200bple.com", "anna@example.com"),
        ("anna\uff20example.com", "anna@example.com"),
        ("请发到anna@example.com谢谢", "anna@example.com"),
        ("anna@example.com으로 보내 주세요", "anna@example.com"),
        ("Pay DE89 3704 0044 0532 0130 00 today", IBAN),
        ("Pay de89\u00a03704\u00a00044\u00a00532\u00a00130\u00a000 today", IBAN),
        ("Pay DE89-3704-0044-0532-0130-00.", IBAN),
        (f"IBAN:{IBAN}", "DE89 3704 0044 0532 0130 00"),
        ("50 to DE89 3704 0044 0532 0130 00 50 EUR", IBAN),
        ("GB29 NWBK 6016 1331 9268 19", "GB29NWBK60161331926819"),
        ("Call +49 (0)30 1234-567 now", "+49301234567"),
        ("Call 030 1234 567.", "0301234567"),
        ("account 12-34-5678", "12345678"),
        ("account 12345678", "12-34-5678"),
        ("Our office is at 5 Main Street,\n  Springfield", "5 Main Street, Springfield"),
        ("Tell José", "Jose\u0301"),
        ("Tell jose\u0301", "José"),
        ("webhook https://hooks.example.com/a?b=1.", "https://hooks.example.com/a?b=1"),
        ("well\u2011known@example.com", "well-known@example.com"),
        ("to \uff11\uff12\uff13\uff14\uff15\uff16", "\uff11\uff12\uff13\uff14\uff15\uff16"),
        ("to \uff11\uff12\uff13\uff14\uff15\uff16", "123456"),
        ("the team\u2800north", "team north"),
        ("user_12345", "user_12345"),
    ],
)
def test_what_stands_there_is_found(text: str, value: str) -> None:
    assert Text(text).holds(value)


@pytest.mark.parametrize(
    ("text", "value"),
    [
        ("Please start", "art"),
        ("Mail joanna@example.com", "anna@example.com"),
        ("Mail jöanna@example.com", "anna@example.com"),
        ("Mail anna@example.com.evil.com", "anna@example.com"),
        ("Mail anna@example.com", "example.com"),
        ("Mail anna@example.com", "anna"),
        ("Mail anna@example.com", "anna@example.co"),
        ("Mail anna@example.com", "anna@example.com,eve@evil.com"),
        ("Mail anna@example.com", "anna@example.com\nbcc: eve@evil.com"),
        ("Mail anna@example.com", "anna@example.com eve@evil.com"),
        ("Mail anna@example.com", "anna@example.com<eve@evil.com>"),
        ("Mail anna@example.com", "\u0430nna@example.com"),
        ("Mail anna@example.com", "anna\uff20example.com"),
        ("Mail anna@example.com", "anna\u200b@example.com"),
        ("Mail anna@example.com", "an\u034fna@example.com"),
        ("Mail anna@strasse.de", "anna@straße.de"),
        ("See evil2go.com", "evil-2go.com"),
        ("anna1990", "anna-1990"),
        ("host 1.2.3.45", "12.3.4.5"),
        ("invoice 1234 of 5678", "12345678"),
        ("invoice 1234 5678", "12345678"),
        ("my numbers are 1234, 5678", "12345678"),
        ("Call +49 30 1234 567, ticket 89", "+4930123456789"),
        ("Call +49 30 1234 567, 89", "+4930123456789"),
        ("Call +49 30 1234 567", "1234567"),
        (f"Pay {IBAN}", "DE89370400440532013001"),
        (f"Pay {IBAN}", "370400440532013000"),
        ("Pay DE89 3704 0044 and 0532 0130 00", IBAN),
        ("Pay DE89 3704 0044. 0532 0130 00", "DE8937040044"),
        ("send it to me", "me"),
        ("Please send it", "please"),
        ("is it to go?", "to"),
        ("account 7", "7"),
        ("anything", ""),
        ("anything", "."),
        ("anything", "\u200b"),
        ("", "anna@example.com"),
        ("5 Main Street. We moved from Springfield", "5 Main Street, Springfield"),
        ("eve @ evil . com", "eve@evil.com"),
        ("https://example.com/a", "https://example.com/b"),
        ("https://example.com:eve", "eve"),
    ],
)
def test_what_only_looks_so_is_not(text: str, value: str) -> None:
    assert not Text(text).holds(value)
