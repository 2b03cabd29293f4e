"""Signing in at the desk by an identity provider: who comes in, and at least thirty ways in which nobody does."""

import json
import time
from collections.abc import AsyncIterator, Awaitable, Callable
from dataclasses import dataclass, field
from typing import Any
from urllib.parse import parse_qs, unquote, urlsplit

import jwt
import pytest
from yarl import URL

from standalone.ports import free_port
from tests.parts.fake_rooms import OF_A_CONSOLE, FakeRooms, fake_rooms
from tests.parts.issuer import OTHER_RSA, RSA, WEAK_RSA
from tests.parts.provider import CLIENT_ID, CLIENT_SECRET, FakeProvider, fake_provider
from tests.parts.service import Service
from tests.parts.staff import Seen, StaffBrowser

pytestmark = pytest.mark.filterwarnings("ignore::jwt.warnings.InsecureKeyLengthWarning")

SECRET = OF_A_CONSOLE["SESSION_SECRET"]
ROLES = {"agent": ["support"], "approver": ["leads", "approvers"], "admin": ["ops"]}
Launch = Callable[..., Awaitable[Service]]


@pytest.fixture(scope="module")
async def rooms() -> AsyncIterator[FakeRooms]:
    async with fake_rooms() as rooms:
        yield rooms


@pytest.fixture(scope="module")
async def the_provider() -> AsyncIterator[FakeProvider]:
    async with fake_provider() as provider:
        yield provider


@pytest.fixture
def provider(the_provider: FakeProvider) -> FakeProvider:
    the_provider.be_good()
    return the_provider


async def desk(service: Launch, rooms: FakeRooms, provider: FakeProvider, **more: str) -> Service:
    port = free_port()
    address = f"http://127.0.0.1:{port}"
    provider.redirect_uris.add(f"{address}/login/callback")
    told = {name: value for name, value in OF_A_CONSOLE.items() if name != "DEMO_STAFF"}
    told |= {"BASE_URL": address, "OIDC_ISSUER": provider.url, "OIDC_CLIENT_ID": CLIENT_ID}
    told |= {"OIDC_CLIENT_SECRET": CLIENT_SECRET, "RESTATE_INGRESS_URL": rooms.url}
    return await service("console", port=port, **(told | more))


@pytest.fixture(scope="module")
async def console(rooms: FakeRooms, the_provider: FakeProvider, service: Launch) -> Service:
    return await desk(service, rooms, the_provider)


@pytest.fixture
async def staff(console: Service) -> AsyncIterator[StaffBrowser]:
    async with StaffBrowser(console.address) as staff:
        yield staff


async def sign_in(staff: StaffBrowser, next_page: str = "") -> Seen:
    """As a browser does: to the provider, back, and on."""
    return await staff.get(f"/login/start?next={next_page}")


async def came_back(staff: StaffBrowser, console: Service) -> str:
    """To the provider and back, but the answer is kept instead of given: its address."""
    page = await staff.get("/login/start", allow_redirects=False)
    async with staff.http.get(page.headers["Location"], allow_redirects=False) as reply:
        told = reply.headers["Location"]
    assert told.startswith(console.address)
    return told


async def is_in(staff: StaffBrowser) -> bool:
    seen = await staff.get("/queue")
    return seen.path == "/queue"


async def test_somebody_with_a_role_comes_in_and_acts_by_their_name(
    rooms: FakeRooms, provider: FakeProvider, staff: StaffBrowser
) -> None:
    page = await staff.get("/approvals?show=decided")
    assert unquote(page.path) == "/login?next=/approvals?show=decided"
    assert "Demo" not in page.text
    link = next(part for part in page.text.split('"') if part.startswith("/login/start"))
    seen = await staff.get(link)
    assert (seen.status, seen.path) == (200, "/approvals?show=decided")
    assert "Ben Osei" in seen.text
    _, by, _ = rooms.calls[-1]
    assert (by["sub"], by["roles"]) == ("ben", ["agent", "approver"])
    assert staff.cookie("desk_login") == "", "what a login needs is gone after it"
    asked = provider.asks[-1].told
    verifier_and_more = (asked["state"], asked["nonce"], asked["code_challenge"])
    assert len(set(verifier_and_more)) == 3
    assert all(len(each) == 43 for each in verifier_and_more)


async def test_no_two_logins_share_anything(provider: FakeProvider, staff: StaffBrowser) -> None:
    await sign_in(staff)
    await sign_in(staff)
    first, second = (each.told for each in provider.asks[-2:])
    assert all(first[name] != second[name] for name in ("state", "nonce", "code_challenge"))


async def test_each_login_has_a_session_of_its_own_and_ends_the_one_before(
    console: Service, provider: FakeProvider, staff: StaffBrowser
) -> None:
    staff.http.cookie_jar.update_cookies({"desk": "planted-by-somebody"}, URL(console.address))
    await sign_in(staff)
    first = staff.cookie()
    assert "planted" not in first
    await sign_in(staff)
    second = staff.cookie()
    assert await opens(console, second)
    assert not await opens(console, first)
    assert (await staff.send("/logout", "/approvals")).status == 200
    assert not await opens(console, second)


async def opens(console: Service, cookie: str) -> bool:
    async with StaffBrowser(console.address) as thief:
        seen = await thief.get("/approvals", headers={"Cookie": f"desk={cookie}"})
    return seen.path == "/approvals"


async def test_a_session_of_the_demo_or_of_another_provider_opens_nothing(console: Service) -> None:
    now = int(time.time())
    claims = {"sub": "ben", "shown": "Ben", "roles": ["admin"], "sid": "x", "began": now, "until": now + 100}
    for audience in ("switchboard-console", f"switchboard-console {CLIENT_ID} https://id.example.com"):
        told = claims | {"aud": audience, "iat": now, "exp": now + 100}
        assert not await opens(console, jwt.encode(told, SECRET, "HS256")), audience


async def test_nobody_chooses_who_they_are(staff: StaffBrowser) -> None:
    page = await staff.get("/login")
    assert "Anna" not in page.text
    assert (await staff.post("/login", name="carla")).status == 405
    assert not await is_in(staff)


async def test_signing_out_goes_on_to_the_provider(
    provider: FakeProvider, console: Service, staff: StaffBrowser
) -> None:
    await sign_in(staff)
    seen = await staff.send("/logout", "/queue")
    where = urlsplit(seen.headers["Refresh"].removeprefix("0; url="))
    assert f"{where.scheme}://{where.netloc}{where.path}" == f"{provider.url}/end"
    assert parse_qs(where.query) == {
        "client_id": [CLIENT_ID],
        "post_logout_redirect_uri": [f"{console.address}/login"],
    }
    assert not await is_in(staff)


async def test_nobody_is_sent_to_another_site(staff: StaffBrowser, provider: FakeProvider) -> None:
    for told in ("https://evil.example", "//evil.example", "/%5Cevil.example", "/login", "/logout", "javascript:x"):
        assert (await sign_in(staff, told)).path == "/queue", told


@dataclass
class Bad:
    """One login that must let nobody in: what the provider does wrong, or what comes back; `reason` is in the log."""

    reason: str
    prepare: Callable[[FakeProvider], None] = lambda provider: None
    change: Callable[[str], str] = lambda address: address
    status: int = 403
    keep_cookie: bool = True
    more: dict[str, str] = field(default_factory=dict[str, str])


def bent(**changed: Any) -> Callable[[FakeProvider], None]:
    def prepare(provider: FakeProvider) -> None:
        provider.sign = provider.forged(**changed)

    return prepare


def set_on(name: str, value: Any) -> Callable[[FakeProvider], None]:
    return lambda provider: setattr(provider, name, value)


def person(**changed: Any) -> Callable[[FakeProvider], None]:
    def prepare(provider: FakeProvider) -> None:
        told = provider.person | changed
        provider.person = {name: value for name, value in told.items() if value is not None}

    return prepare


def answers(**changed: Any) -> Callable[[FakeProvider], None]:
    def answer(told: dict[str, str]) -> dict[str, str]:
        return {name: value for name, value in (told | changed).items() if value is not None}

    return set_on("answer", answer)


def tokens(**changed: Any) -> Callable[[FakeProvider], None]:
    return set_on("tokens", lambda told: {n: v for n, v in (told | changed).items() if v is not None})


def unsigned(claims: dict[str, Any], provider: FakeProvider) -> str:
    return jwt.encode(provider.claims(**claims), "", "none")


def by_public_key(claims: dict[str, Any], provider: FakeProvider) -> str:
    numbers = RSA.public_key().public_numbers()
    told = provider.claims(**claims)
    return jwt.encode(told, numbers.n.to_bytes(256, "big"), "HS256", headers={"kid": "rsa"})


def signs(sign: Callable[[dict[str, Any], FakeProvider], str]) -> Callable[[FakeProvider], None]:
    def prepare(provider: FakeProvider) -> None:
        provider.sign = lambda claims: sign(claims, provider)

    return prepare


NOW = int(time.time())
BAD: dict[str, Bad] = {
    "no state": Bad("state", answers(state=None)),
    "another state": Bad("state", answers(state="x" * 43)),
    "a state with what is no ASCII": Bad("state", answers(state="é" * 43)),
    "state of another login": Bad("state", answers(state="A" * 43)),
    "an answer in another browser": Bad("state", keep_cookie=False),
    "an answer that says something twice": Bad("answer_twice", change=lambda told: f"{told}&code=other"),
    "no nonce": Bad("id_token_", bent(nonce=None)),
    "another nonce": Bad("id_token_", bent(nonce="x" * 43)),
    "a nonce that is no text": Bad("id_token_", bent(nonce=5)),
    "another audience": Bad("id_token_InvalidAudienceError", bent(aud="switchboard-web")),
    "no audience": Bad("id_token_", bent(aud=None)),
    "two audiences and no party": Bad("id_token_", bent(aud=[CLIENT_ID, "another"])),
    "another party": Bad("id_token_", bent(aud=[CLIENT_ID, "another"], azp="another")),
    "another issuer": Bad("id_token_InvalidIssuerError", bent(iss="https://evil.example")),
    "no issuer": Bad("id_token_", bent(iss=None)),
    "an answer of another issuer": Bad("answer_of_another_issuer", answers(iss="https://evil.example")),
    "an answer that does not say whose it is": Bad("answer_without_issuer", answers(iss=None)),
    "alg none": Bad("id_token_algorithm", signs(unsigned)),
    "alg HS256 by the public key": Bad("id_token_algorithm", signs(by_public_key)),
    "alg HS256 by the client's secret": Bad(
        "id_token_algorithm",
        signs(lambda claims, provider: jwt.encode(provider.claims(**claims), CLIENT_SECRET * 2, "HS256")),
    ),
    "another's key": Bad("id_token_InvalidSignatureError", bent(key=OTHER_RSA)),
    "another's key under its own name": Bad("id_token_key", bent(key=OTHER_RSA, headers={"kid": "other"})),
    "a weak key": Bad("id_token_", bent(key=WEAK_RSA)),
    "what must be understood": Bad("id_token_", bent(headers={"kid": "rsa", "crit": ["x"], "x": 1})),
    "expired": Bad("id_token_ExpiredSignatureError", bent(exp=NOW - 100, iat=NOW - 200)),
    "no end": Bad("id_token_", bent(exp=None)),
    "of another time": Bad("id_token_old", bent(iat=NOW - 2000, exp=NOW + 9000)),
    "not yet": Bad("id_token_ImmatureSignatureError", bent(iat=NOW + 900, exp=NOW + 1200)),
    "nobody": Bad("id_token_", bent(sub=None)),
    "of another access token": Bad("id_token_", tokens(access_token="another")),
    "no ID token": Bad("no_id_token", tokens(id_token=None)),
    "an ID token that is none": Bad("id_token_unreadable", tokens(id_token="a.b.c")),
    "an ID token that is no text": Bad("no_id_token", tokens(id_token=["x"])),
    "a code that nobody gave": Bad("token_invalid_grant", answers(code="made-up")),
    "no code": Bad("no_code", answers(code=None)),
    "the provider's no": Bad("provider_access_denied", answers(code=None, error="access_denied")),
    "a no in other words": Bad("provider_error", answers(code=None, error="<script>alert(1)</script>")),
    "another secret of the client": Bad("token_invalid_client", set_on("secret", "another")),
    "no role": Bad("no_role", person(roles=[])),
    "no claim of roles": Bad("no_role", person(roles=None)),
    "a role of somebody else's": Bad("no_role", person(roles=["king", "Admin", "admin "])),
    "roles that are none": Bad("no_role", person(roles={"admin": True})),
    "a role in a role": Bad("no_role", person(roles=[["admin"]])),
    "a name that no token may have": Bad("name_unusable", person(sub="ben\nadmin")),
    "the name of an API key": Bad("name_of_a_key", person(sub="key.reports")),
    "a name that is too long": Bad("name_unusable", person(sub="b" * 65)),
    "a provider that is away": Bad("its token endpoint answers 500", set_on("token_status", 500), status=503),
    "a token endpoint that sends elsewhere": Bad("token_status_302", set_on("token_status", 302)),
}


def test_they_are_at_least_thirty() -> None:
    assert len(BAD) >= 30


@pytest.mark.parametrize("bad", BAD.values(), ids=BAD.keys())
async def test_no_bad_login_lets_anybody_in(
    rooms: FakeRooms, provider: FakeProvider, console: Service, staff: StaffBrowser, bad: Bad
) -> None:
    provider.secret, before = CLIENT_SECRET, len(rooms.calls)
    bad.prepare(provider)
    address = bad.change(await came_back(staff, console))
    if not bad.keep_cookie:
        staff.http.cookie_jar.clear()
    seen = await staff.get(address)
    provider.secret = CLIENT_SECRET
    assert seen.status == bad.status
    assert staff.cookie() == ""
    assert not await is_in(staff)
    assert len(rooms.calls) == before
    assert f'"reason": "{bad.reason}' in console.tail(10)
    assert "<script>alert" not in seen.text
    provider.be_good()
    assert (await sign_in(staff)).path == "/queue", "and the next login is as good as any"


async def test_an_answer_is_taken_once(provider: FakeProvider, console: Service, staff: StaffBrowser) -> None:
    address, before = await came_back(staff, console), len(provider.refused)
    kept = staff.cookie("desk_login")
    assert (await staff.get(address)).path == "/queue"
    async with StaffBrowser(console.address) as thief:
        seen = await thief.get(address, headers={"Cookie": f"desk_login={kept}"})
        assert (seen.status, thief.cookie()) == (403, "")
    assert len(provider.refused) == before, "the provider was not even asked"


async def test_a_code_is_taken_once_even_where_the_answer_is_new_to_this_process(
    service: Launch, rooms: FakeRooms, provider: FakeProvider, console: Service, staff: StaffBrowser
) -> None:
    address = await came_back(staff, console)
    kept = staff.cookie("desk_login")
    assert (await staff.get(address)).path == "/queue"
    other = await desk(service, rooms, provider)
    async with StaffBrowser(other.address) as thief:
        seen = await thief.get(
            address.replace(console.address, other.address), headers={"Cookie": f"desk_login={kept}"}
        )
        assert (seen.status, thief.cookie()) == (403, "")
    assert provider.refused[-1] == "invalid_grant"
    await other.kill()


async def test_the_code_of_one_browser_signs_nobody_in_at_another(
    provider: FakeProvider, console: Service, staff: StaffBrowser
) -> None:
    """Neither as it is, nor with the other browser's own state: the verifier is another."""
    theirs = await came_back(staff, console)
    async with StaffBrowser(console.address) as victim:
        mine = await came_back(victim, console)
        assert (await victim.get(theirs)).status == 403
        mine = await came_back(victim, console)
        state = parse_qs(urlsplit(mine).query)["state"][0]
        code = parse_qs(urlsplit(theirs).query)["code"][0]
        seen = await victim.get(f"/login/callback?code={code}&state={state}&iss={provider.url}")
        assert (seen.status, victim.cookie()) == (403, "")
    assert provider.refused[-1] == "invalid_grant"


FORGED_COOKIES: dict[str, dict[str, Any]] = {
    "expired": {"exp": NOW - 1},
    "without an end": {"exp": None},
    "of a session": {"aud": "switchboard-console"},
    "without an id": {"jti": None},
    "with an id that is none": {"jti": 5},
}


@pytest.mark.parametrize("changed", FORGED_COOKIES.values(), ids=FORGED_COOKIES.keys())
async def test_no_forged_login_is_taken(
    provider: FakeProvider, console: Service, staff: StaffBrowser, changed: dict[str, Any]
) -> None:
    address = await came_back(staff, console)
    good = jwt.decode(staff.cookie("desk_login"), SECRET, ["HS256"], audience="switchboard-console-login")
    told = {name: value for name, value in (good | changed).items() if value is not None}
    async with StaffBrowser(console.address) as other:
        for cookie in (jwt.encode(told, SECRET, "HS256"), jwt.encode(good, "x" * 32, "HS256")):
            seen = await other.get(address, headers={"Cookie": f"desk_login={cookie}"})
            assert (seen.status, other.cookie()) == (403, "")
        seen = await other.get(address, headers={"Cookie": f"desk={staff.cookie('desk_login')}"})
        assert (seen.status, other.cookie()) == (403, "")
    login = staff.cookie("desk_login")
    assert not await opens(console, login), "a login is no session"


ACCEPTED: dict[str, tuple[dict[str, Any], dict[str, Any], dict[str, str], tuple[str, str, list[str]]]] = {
    "roles by values": (
        {"groups": ["support", "ops", "else"], "roles": ["approver"]},
        {},
        {"OIDC_ROLES_CLAIM": "groups", "OIDC_ROLES": json.dumps(ROLES)},
        ("ben", "Ben Osei", ["agent", "admin"]),
    ),
    "a path": (
        {"realm_access": {"roles": ["approvers"]}},
        {},
        {"OIDC_ROLES_CLAIM": "realm_access.roles", "OIDC_ROLES": json.dumps(ROLES)},
        ("ben", "Ben Osei", ["approver"]),
    ),
    "a claim with a point in its name": (
        {"https://example.com/roles": "agent approver"},
        {},
        {"OIDC_ROLES_CLAIM": "https://example.com/roles"},
        ("ben", "Ben Osei", ["agent", "approver"]),
    ),
    "told beside the ID token": (
        {"roles": None},
        {"roles": ["agent"], "name": "Somebody else"},
        {},
        ("ben", "Ben Osei", ["agent"]),
    ),
    "by an address": (
        {"email": "ben@example.com", "email_verified": True, "name": None},
        {},
        {"OIDC_NAME_CLAIM": "email"},
        ("ben@example.com", "ben@example.com", ["agent", "approver"]),
    ),
}


@pytest.mark.parametrize(("told", "info", "settings", "becomes"), ACCEPTED.values(), ids=ACCEPTED.keys())
async def test_claims_are_those_of_the_settings(
    service: Launch,
    rooms: FakeRooms,
    provider: FakeProvider,
    told: dict[str, Any],
    info: dict[str, Any],
    settings: dict[str, str],
    becomes: tuple[str, str, list[str]],
) -> None:
    person(**told)(provider)
    provider.info = info
    console = await desk(service, rooms, provider, **settings)
    async with StaffBrowser(console.address) as staff:
        seen = await sign_in(staff)
        _, by, _ = rooms.calls[-1]
        assert (by["sub"], by["roles"]) == (becomes[0], becomes[2])
        assert becomes[1] in seen.text
    await console.kill()


async def test_what_is_told_beside_the_token_is_of_the_same_person_and_an_address_is_verified(
    service: Launch, rooms: FakeRooms, provider: FakeProvider
) -> None:
    console = await desk(service, rooms, provider, OIDC_NAME_CLAIM="email")
    wrongs: list[tuple[dict[str, Any], dict[str, Any], str]] = [
        ({"roles": None}, {"sub": "carla", "roles": ["admin"], "email": "c@d.e"}, "userinfo_of_another"),
        ({"email": "ben@example.com"}, {}, "email_not_verified"),
        ({"email": "ben@example.com", "email_verified": False}, {}, "email_not_verified"),
        ({"email": "ben@example.com", "email_verified": "true"}, {}, "email_not_verified"),
    ]
    for told, info, reason in wrongs:
        provider.be_good()
        person(**told)(provider)
        provider.info = info
        async with StaffBrowser(console.address) as staff:
            assert (await sign_in(staff)).status == 403
            assert staff.cookie() == ""
        assert reason in console.tail(3)
    await console.kill()


async def test_a_desk_without_a_secret_shows_its_verifier_alone(
    service: Launch, rooms: FakeRooms, provider: FakeProvider
) -> None:
    console = await desk(service, rooms, provider, OIDC_CLIENT_SECRET="")
    provider.secret = ""
    async with StaffBrowser(console.address) as staff:
        assert (await sign_in(staff)).path == "/queue"
    provider.secret = CLIENT_SECRET
    await console.kill()


async def test_a_provider_that_takes_the_secret_in_the_body_alone_gets_it_there(
    service: Launch, rooms: FakeRooms, provider: FakeProvider
) -> None:
    provider.discovered = {"token_endpoint_auth_methods_supported": ["client_secret_post"]}
    console = await desk(service, rooms, provider)
    async with StaffBrowser(console.address) as staff:
        assert (await sign_in(staff)).path == "/queue"
    await console.kill()


AWAY: dict[str, tuple[dict[str, Any], str]] = {
    "another issuer": ({"issuer": "https://evil.example"}, "the discovered issuer is another one"),
    "keys in the open": ({"jwks_uri": "ftp://127.0.0.1/keys"}, "the discovered jwks_uri is not as safe"),
    "no place to sign in": ({"authorization_endpoint": None}, "the discovered authorization_endpoint is not as safe"),
}


@pytest.mark.parametrize(("discovered", "told"), AWAY.values(), ids=AWAY.keys())
async def test_what_is_wrong_with_a_provider_is_said_in_one_line(
    service: Launch, rooms: FakeRooms, provider: FakeProvider, discovered: dict[str, Any], told: str
) -> None:
    provider.discovered = discovered
    console = await desk(service, rooms, provider)
    async with StaffBrowser(console.address) as staff:
        seen = await sign_in(staff)
        assert (seen.status, told in seen.text) == (503, True)
        assert (await staff.get("/readyz")).status == 200, "whoever is signed in goes on working"
    assert told in console.tail(5)
    await console.kill()


async def test_a_login_is_out_of_reach_for_scripts_and_other_sites(staff: StaffBrowser) -> None:
    page = await staff.get("/login/start", allow_redirects=False)
    told = page.headers["Set-Cookie"].lower()
    assert told.startswith("desk_login=")
    assert "httponly" in told
    assert "samesite=lax" in told
    seen = parse_qs(urlsplit(page.headers["Location"]).query)
    cookie = jwt.decode(staff.cookie("desk_login"), options={"verify_signature": False})
    assert not {seen["state"][0], seen["nonce"][0]} & set(map(str, cookie.values()))


WHO: dict[str, list[str]] = {
    "agent": ["agent"],
    "approver": ["approver"],
    "admin": ["admin"],
    "nobody": ["else"],
}
READS = {"agent", "approver", "admin"}
ACTS: dict[str, tuple[set[str], dict[str, str]]] = {
    "take": ({"agent", "admin"}, {"act": "take"}),
    "reply": ({"agent", "admin"}, {"act": "note", "text": "A note."}),
    "approve": ({"approver"}, {"choice": "approve"}),
}


@pytest.mark.parametrize("who", WHO)
async def test_each_role_reads_and_does_what_it_may_and_nothing_else(
    rooms: FakeRooms, provider: FakeProvider, staff: StaffBrowser, who: str
) -> None:
    provider.person |= {"roles": WHO[who]}
    await sign_in(staff)
    key, ticket, approval = rooms.talk(), rooms.ticket(), rooms.asked()
    pages = {"take": f"/conversations/{key}", "reply": f"/tickets/{ticket.ticket_id}"}
    pages |= {"approve": f"/approvals/{approval.approval_id}"}
    for path in ("/queue", "/tickets", "/approvals", *pages.values()):
        seen = await staff.get(path)
        assert seen.path.startswith("/login") == (who not in READS), path
    before = len(rooms.calls)
    for act, (may, fields) in ACTS.items():
        seen = await staff.send(pages[act], **fields)
        assert (seen.status == 200) == (who in may), act
    assert (rooms.holder(key) == "ben") == (who in ACTS["take"][0])
    assert bool(rooms.tickets[ticket.ticket_id].messages) == (who in ACTS["reply"][0])
    assert (rooms.approvals[approval.approval_id].status == "approved") == (who in ACTS["approve"][0])
    assert who in READS or len(rooms.calls) == before
