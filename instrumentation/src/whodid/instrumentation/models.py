"""Calls of models, where nobody else makes a span of them: provider, model, usage, and which key was used.

Prompts and answers are not looked at. A key is known by its fingerprint, so a stolen one's uses can be told.
"""

from __future__ import annotations

from collections.abc import AsyncIterator, Iterator
from typing import Any, Final

from opentelemetry.trace import SpanKind, get_current_span

from whodid.instrumentation.context import Credential, current
from whodid.instrumentation.scopes import Scope, start_span
from whodid.semconv import attributes as names

CHAT: Final = "chat"
API_KEY: Final = "api_key"
_USAGE: Final = {
    names.GEN_AI_USAGE_INPUT_TOKENS: ("input_tokens", "prompt_tokens"),
    names.GEN_AI_USAGE_OUTPUT_TOKENS: ("output_tokens", "completion_tokens"),
}


def fingerprint(secret: Any) -> Credential | None:
    """The key as a credential; None for what is no text."""
    return Credential.from_secret(secret, type=API_KEY) if isinstance(secret, str) and secret else None


def start(adapter: str, provider: str, model: Any, credential: Credential | None) -> Scope | None:
    """Start a call's span. None where there is one already, which is then told the key only."""
    around: Any = get_current_span()
    said: Any = getattr(around, "attributes", None) or {}
    if _is_model_call(said):
        if credential is not None and names.ATTRIBUTION_CREDENTIAL_ID not in said:
            around.set_attribute(names.ATTRIBUTION_CREDENTIAL_ID, credential.id)
            around.set_attribute(names.ATTRIBUTION_CREDENTIAL_TYPE, API_KEY)
        return None
    known = current()
    used = known if credential is None else known.changed(credential=credential)
    name = str(model) if model else "unknown"
    attributes: dict[str, Any] = {
        names.GEN_AI_OPERATION_NAME: CHAT,
        names.GEN_AI_PROVIDER_NAME: provider,
        names.GEN_AI_REQUEST_MODEL: name,
    }
    return Scope(*start_span(adapter, f"{CHAT} {name}", used, attributes, None, kind=SpanKind.CLIENT))


def note(scope: Scope, answer: Any) -> None:
    """What an answer, or a part of a streamed one, says of its model and of what it cost."""
    inner = getattr(answer, "message", None) or getattr(answer, "response", None)
    for part in (answer, inner):
        model = getattr(part, "model", None)
        if isinstance(model, str):
            scope.span.set_attribute(names.GEN_AI_RESPONSE_MODEL, model)
        usage = getattr(part, "usage", None)
        for name, fields in _USAGE.items():
            counts = [getattr(usage, field, None) for field in fields]
            if (count := next((each for each in counts if isinstance(each, int)), None)) is not None:
                scope.span.set_attribute(name, count)


def noted(scope: Scope, parts: Iterator[Any]) -> Iterator[Any]:
    """A stream whose span ends with it, or when it is dropped."""

    def steps() -> Iterator[Any]:
        for part in parts:
            note(scope, part)
            yield part

    return scope.iterate(steps)


def anoted(scope: Scope, parts: AsyncIterator[Any]) -> AsyncIterator[Any]:
    """The same for an async one."""

    async def steps() -> AsyncIterator[Any]:
        async for part in parts:
            note(scope, part)
            yield part

    return scope.aiterate(steps)


def _is_model_call(said: Any) -> bool:
    operation = said.get(names.GEN_AI_OPERATION_NAME)
    others = (said.get("openinference.span.kind"), said.get("llm.request.type"))
    return operation in ("chat", "generate_content", "text_completion") or "LLM" in others or "chat" in others
