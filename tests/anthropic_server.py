"""A server of Anthropic's messages API on loopback, which says what a test wrote down, as a stream.

A script is found by its name in the conversation's first user message, `script:NAME`. Its steps are the
replies in their order: a text, or tool calls as `(name, call id, input)`. All else gets a short text.
"""

from __future__ import annotations

import json
import re
import threading
import uuid
from collections.abc import Generator, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any

Call = tuple[str, str, Mapping[str, Any]]
Step = str | Sequence[Call]
_NAME = re.compile(r"script:([\w-]+)")


@dataclass
class Anthropic:
    """The running server."""

    url: str
    scripts: dict[str, Sequence[Step]] = field(default_factory=dict[str, Sequence[Step]])
    told: list[Any] = field(default_factory=list[Any])
    """The tool results that came back, as the model sees them."""
    seen: list[str] = field(default_factory=list[str])
    """The requests' paths."""

    def reply(self, request: Mapping[str, Any]) -> list[dict[str, Any]]:
        """The content blocks of the next reply."""
        messages: list[Any] = list(request.get("messages") or ())
        said = sum(message["role"] == "assistant" for message in messages)
        name = _NAME.search(json.dumps([message for message in messages if message["role"] == "user"][:1]))
        steps = self.scripts.get(name.group(1), ()) if name and request.get("tools") else ()
        if messages and isinstance(messages[-1]["content"], list):
            self.told += [block for block in messages[-1]["content"] if block["type"] == "tool_result"]
        step = steps[said] if said < len(steps) else "done"
        if isinstance(step, str):
            return [{"type": "text", "text": step}]
        return [
            {"type": "tool_use", "id": call_id, "name": tool, "input": dict(given)}
            for tool, call_id, given in step
        ]


def events(blocks: list[dict[str, Any]], model: str) -> Iterator[dict[str, Any]]:
    """The reply as the API's events."""
    usage = {"input_tokens": 1, "output_tokens": 1}
    message: dict[str, Any] = {
        "id": f"msg_{uuid.uuid4().hex}",
        "type": "message",
        "role": "assistant",
        "model": model,
    }
    message |= {"content": [], "stop_reason": None, "stop_sequence": None, "usage": usage}
    yield {"type": "message_start", "message": message}
    empty: dict[str, Any]
    for index, block in enumerate(blocks):
        if block["type"] == "text":
            empty, delta = {**block, "text": ""}, {"type": "text_delta", "text": block["text"]}
        else:
            empty = {**block, "input": {}}
            delta = {"type": "input_json_delta", "partial_json": json.dumps(block["input"])}
        yield {"type": "content_block_start", "index": index, "content_block": empty}
        yield {"type": "content_block_delta", "index": index, "delta": delta}
        yield {"type": "content_block_stop", "index": index}
    reason = "tool_use" if blocks[-1]["type"] == "tool_use" else "end_turn"
    yield {"type": "message_delta", "delta": {"stop_reason": reason, "stop_sequence": None}, "usage": usage}
    yield {"type": "message_stop"}


def _handler(server: Anthropic) -> type[BaseHTTPRequestHandler]:
    class Handler(BaseHTTPRequestHandler):
        protocol_version = "HTTP/1.1"

        def do_POST(self) -> None:
            request = json.loads(self.rfile.read(int(self.headers.get("content-length", 0))) or b"{}")
            server.seen.append(self.path)
            if not self.path.startswith("/v1/messages"):
                self._answer(404, "application/json", b"{}")
            elif "count_tokens" in self.path:
                self._answer(200, "application/json", b'{"input_tokens": 1}')
            else:
                lines = [
                    f"event: {event['type']}\ndata: {json.dumps(event)}\n\n"
                    for event in events(server.reply(request), request["model"])
                ]
                self._answer(200, "text/event-stream", "".join(lines).encode())

        def do_GET(self) -> None:
            server.seen.append(self.path)
            self._answer(404, "application/json", b"{}")

        do_HEAD = do_GET  # noqa: N815 the base class's

        def _answer(self, status: int, kind: str, body: bytes) -> None:
            self.send_response(status)
            self.send_header("content-type", kind)
            self.send_header("content-length", str(len(body)))
            self.end_headers()
            self.wfile.write(body)

        def log_message(self, format: str, *args: Any) -> None:  # noqa: A002 the base class's
            """Nothing on the test's stderr."""

    return Handler


@contextmanager
def anthropic() -> Generator[Anthropic]:
    """Serve for as long as the block lasts."""
    known = Anthropic("")
    with ThreadingHTTPServer(("127.0.0.1", 0), _handler(known)) as httpd:
        known.url = f"http://127.0.0.1:{httpd.server_port}"
        thread = threading.Thread(target=httpd.serve_forever, daemon=True)
        thread.start()
        try:
            yield known
        finally:
            httpd.shutdown()
            thread.join()
