"""What `helm test` runs: one question from end to end. Fails unless a tool was routed and did its work."""

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
    question = {"message": os.environ["QUESTION"], **caller()}
    answer = ask(
        json.dumps(question).encode(), {"Content-Type": "application/json", "Idempotency-Key": str(uuid.uuid4())}
    )
    for call in answer["calls"]:
        show(f"  tool {call['tool']}: {call['status']}")
    show(answer["text"])
    if answer["outcome"] != "answered" or "ok" not in [call["status"] for call in answer["calls"]]:
        leave(f"FAILED: outcome {answer['outcome']}, and no tool was routed that did its work")
    show("PASSED: a tool was routed, and the question is answered")


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


def ask(body: bytes, headers: dict[str, str]) -> dict:
    """The same key for every try, so that the question is answered once however often it is sent."""
    request = urllib.request.Request(os.environ["INGRESS_URL"] + "/restate/call/ToolRouter/route", body, headers)
    deadline = time.monotonic() + PATIENCE_SECONDS
    while True:
        try:
            with urllib.request.urlopen(request, timeout=PATIENCE_SECONDS) as reply:
                return json.load(reply)
        except urllib.error.HTTPError as error:
            leave(f"FAILED: refused with status {error.code}: {error.read().decode()[:500]}")
        except OSError as error:
            if time.monotonic() > deadline:
                leave(f"FAILED: Restate's ingress cannot be reached at {os.environ['INGRESS_URL']}: {error}")
            time.sleep(1)


main()
