"""What `helm test` runs: one question from end to end, asked twice: by itself, and in a conversation that is watched.

It asks at the gateway as a customer, or behind it where nobody is one. Fails unless a tool was routed and did its work.
"""

import json
import os
import time
import urllib.error
import urllib.request
import uuid

import jwt

from runtime.terminal import leave, show

PATIENCE_SECONDS = 120
COME_AGAIN = (202, 409, 429, 503)
"""What the gateway answers while there is no answer yet."""


def main() -> None:
    gateway, token = os.environ.get("GATEWAY_URL"), os.environ.get("CUSTOMER_TOKEN")
    if demo := os.environ.get("DEMO_CUSTOMER"):
        token = f"demo-{demo}"
    if gateway:
        request("GET", f"{gateway}/readyz", again=COME_AGAIN)
        show(f"  {gateway} is ready")
    door = Gateway(gateway, token) if gateway and token else Behind(os.environ["INGRESS_URL"], os.environ["WATCH_URL"])
    question = os.environ["QUESTION"]
    answer = door.ask(question)
    for call in answer["calls"]:
        show(f"  tool {call['tool']}: {call['status']}")
    show(answer["text"])
    if answer["outcome"] != "answered" or "ok" not in [call["status"] for call in answer["calls"]]:
        leave(f"FAILED: outcome {answer['outcome']}, and no tool was routed that did its work")
    told = watch(*door.say(question))
    show("  " + ", ".join(told))
    if not {"tool_finished", "answer"} <= set(told):
        leave("FAILED: its watcher was told of no tool, or of no answer")
    show("PASSED: a tool was routed, the question is answered, and so is one in a conversation, which was watched")


class Gateway:
    """The door of the customers."""

    def __init__(self, url: str, token: str) -> None:
        self._api, self._who = f"{url}/api/v1", {"Authorization": f"Bearer {token}"}

    def ask(self, question: str) -> dict:
        return self._post("questions", {"message": question, "wait": 30}, COME_AGAIN)

    def say(self, question: str) -> tuple[str, dict[str, str]]:
        """Say it in a new conversation: where that is watched, and how."""
        conversation = self._post("conversations", {})["id"]
        self._post(f"conversations/{conversation}/inputs", {"text": question})
        show(f"  {conversation}:")
        return f"{self._api}/conversations/{conversation}/events", self._who

    def _post(self, path: str, body: dict, again: tuple[int, ...] = COME_AGAIN[1:]) -> dict:
        headers = self._who | {"Idempotency-Key": str(uuid.uuid4())}
        return json.loads(request("POST", f"{self._api}/{path}", body, headers, again))


class Behind:
    """Restate's ingress and the conversations' port, as the gateway meets them."""

    def __init__(self, ingress: str, watched: str) -> None:
        self._ingress, self._watched, self._caller = ingress, watched, caller()

    def ask(self, question: str) -> dict:
        return self._post("ToolRouter/route", {"message": question})

    def say(self, question: str) -> tuple[str, dict[str, str]]:
        conversation = f"conv_{uuid.uuid4().hex}"
        self._post(f"Conversation/{conversation}/input", {"text": question, "input_id": "1"})
        show(f"  {conversation}:")
        token = self._caller.get("caller_token")
        who = {"Authorization": f"Bearer {token}"} if token else {"X-User-Id": self._caller["user_id"]}
        return f"{self._watched}/conversations/{conversation}/events", who

    def _post(self, path: str, body: dict) -> dict:
        headers = {"Idempotency-Key": str(uuid.uuid4())}
        if token := os.environ.get("INGRESS_TOKEN"):
            headers["Authorization"] = f"Bearer {token}"
        return json.loads(request("POST", f"{self._ingress}/restate/call/{path}", body | self._caller, headers))


def caller() -> dict[str, str]:
    user_id = os.environ["USER_ID"]
    if os.environ["TRUST_USER_ID"] == "true":
        return {"user_id": user_id}
    if token := os.environ.get("CALLER_TOKEN"):
        return {"caller_token": token}
    now = int(time.time())
    claims = {"sub": user_id, "aud": os.environ["CALLER_AUDIENCE"], "iat": now, "exp": now + 300}
    if issuer := os.environ.get("CALLER_ISSUER"):
        claims["iss"] = issuer
    return {"caller_token": jwt.encode(claims, os.environ["SIGNING_KEY"], algorithm="EdDSA")}


def request(
    method: str, url: str, body: dict | None = None, headers: dict[str, str] | None = None, again: tuple[int, ...] = ()
) -> bytes:
    """The same for every try, its key too, so that a question is answered once however often it is sent."""
    told = None if body is None else json.dumps(body).encode()
    sent = urllib.request.Request(url, told, {"Content-Type": "application/json"} | (headers or {}), method=method)
    deadline = time.monotonic() + PATIENCE_SECONDS
    while True:
        try:
            with urllib.request.urlopen(sent, timeout=PATIENCE_SECONDS) as reply:
                if reply.status not in again:
                    return reply.read()
                why = f"{url} answers with status {reply.status}"
        except urllib.error.HTTPError as error:
            why = f"{url} refuses with status {error.code}: {error.read().decode()[:500]}"
            if error.code not in again:
                leave(f"FAILED: {why}")
        except OSError as error:
            why = f"{url} cannot be reached: {error}"
        if time.monotonic() > deadline:
            leave(f"FAILED: {why}")
        time.sleep(1)


def watch(url: str, who: dict[str, str]) -> list[str]:
    """What a watcher is told, by name, from the beginning to the end of the run; text in pieces counts for nothing."""
    kinds: list[str] = []
    deadline = time.monotonic() + PATIENCE_SECONDS
    try:
        with urllib.request.urlopen(urllib.request.Request(url, headers=who), timeout=PATIENCE_SECONDS) as reply:
            for line in reply:
                name, _, value = line.decode().strip().partition(": ")
                if name == "event" and value != "text":
                    kinds.append(value)
                if "run_ended" in kinds or time.monotonic() > deadline:
                    return kinds
    except urllib.error.HTTPError as error:
        leave(f"FAILED: a watcher is refused with status {error.code}: {error.read().decode()[:500]}")
    except OSError as error:
        leave(f"FAILED: the conversation cannot be watched at {url}: {error}")
    return kinds


main()
