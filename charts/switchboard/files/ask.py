"""What `helm test` runs: one question from end to end, asked twice: by itself, and in a conversation that is watched.

Fails unless a tool was routed and did its work.
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


def main() -> None:
    asking = caller()
    answer = json.loads(post("ToolRouter/route", {"message": os.environ["QUESTION"], **asking}, str(uuid.uuid4())))
    for call in answer["calls"]:
        show(f"  tool {call['tool']}: {call['status']}")
    show(answer["text"])
    if answer["outcome"] != "answered" or "ok" not in [call["status"] for call in answer["calls"]]:
        leave(f"FAILED: outcome {answer['outcome']}, and no tool was routed that did its work")
    converse(asking)
    show("PASSED: a tool was routed, the question is answered, and so is one in a conversation, which was watched")


def caller() -> dict[str, str]:
    user_id = os.environ["USER_ID"]
    if os.environ["TRUST_USER_ID"] == "true":
        return {"user_id": user_id}
    if token := os.environ.get("CALLER_TOKEN"):
        return {"caller_token": token}
    claims = {
        "sub": user_id,
        "aud": os.environ["CALLER_AUDIENCE"],
        "iat": int(time.time()),
        "exp": int(time.time()) + 300,
    }
    if issuer := os.environ.get("CALLER_ISSUER"):
        claims["iss"] = issuer
    return {"caller_token": jwt.encode(claims, os.environ["CALLER_KEYS"].split(",")[0], algorithm="HS256")}


def converse(asking: dict[str, str]) -> None:
    """Ask in a conversation, and read there what a watcher is told until its run has ended."""
    conversation, watched = f"conv_{uuid.uuid4().hex}", os.environ["WATCH_URL"]
    said = {"text": os.environ["QUESTION"], "input_id": "1", **asking}
    post(f"Conversation/{conversation}/input", said, str(uuid.uuid4()))
    show(f"  {conversation}:")
    told = watch(f"{watched}/conversations/{conversation}/events", asking)
    show("  " + ", ".join(told))
    if not {"tool_finished", "answer"} <= set(told):
        leave("FAILED: its watcher was told of no tool, or of no answer")


def post(path: str, body: dict[str, str], key: str) -> bytes:
    """The same key for every try, so that the question is answered once however often it is sent."""
    headers = {"Content-Type": "application/json", "Idempotency-Key": key}
    ingress = os.environ["INGRESS_URL"]
    request = urllib.request.Request(f"{ingress}/restate/call/{path}", json.dumps(body).encode(), headers)
    deadline = time.monotonic() + PATIENCE_SECONDS
    while True:
        try:
            with urllib.request.urlopen(request, timeout=PATIENCE_SECONDS) as reply:
                return reply.read()
        except urllib.error.HTTPError as error:
            leave(f"FAILED: refused with status {error.code}: {error.read().decode()[:500]}")
        except OSError as error:
            if time.monotonic() > deadline:
                leave(f"FAILED: Restate's ingress cannot be reached at {ingress}: {error}")
            time.sleep(1)


def watch(url: str, asking: dict[str, str]) -> list[str]:
    """What a watcher is told, by name, from the beginning to the end of the run; text in pieces counts for nothing."""
    told = asking.get("caller_token")
    headers = {"Authorization": f"Bearer {told}"} if told else {"X-User-Id": asking["user_id"]}
    kinds: list[str] = []
    deadline = time.monotonic() + PATIENCE_SECONDS
    try:
        with urllib.request.urlopen(urllib.request.Request(url, headers=headers), timeout=PATIENCE_SECONDS) as reply:
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
