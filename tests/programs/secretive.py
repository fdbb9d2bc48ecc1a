"""An agent whose arguments, results, errors, objective and headers hold secrets; all of it is made up."""

from __future__ import annotations

import contextlib
import json
import sys

import httpx

from whodid.instrumentation import Credential, attribution, core, init


def main(url: str) -> None:
    """Everything that could be captured holds all that is read from stdin."""
    forms, password, kept = json.load(sys.stdin)
    text = " and ".join([*forms.values(), kept])
    init(report=False)
    token = forms["token"]
    with (
        attribution(
            principal="alice",
            principal_type="human",
            objective=f"look up {text}",
            credential=Credential.from_secret(token, type="bearer"),
        ),
        core.agent_span("support", adapter="test"),
    ):
        call = core.ToolCall(
            "charge",
            "c1",
            {"note": text, "password": password, "nested": [{"api_key": password}]},
            description=f"knows {text}",
            definition={"name": "charge", "description": text},
        )
        action = core.tool_call(call, adapter="test")
        with contextlib.suppress(RuntimeError), action.executing():
            with contextlib.suppress(httpx.ConnectError):  # nobody listens there
                httpx.get(url, headers={"authorization": f"Bearer {token}"})
            action.result({"result": text, "client_secret": password})
            raise RuntimeError(f"{text}; password={password!r}")


if __name__ == "__main__":
    main(sys.argv[1])
