"""The record of each view of content: a span of our own, durable before anything is shown."""

from __future__ import annotations

import asyncio
import hashlib
import json
import secrets
import time
from collections.abc import Awaitable, Callable
from importlib import metadata
from typing import TYPE_CHECKING, Any

from opentelemetry.proto.collector.trace.v1.trace_service_pb2 import ExportTraceServiceRequest
from opentelemetry.proto.trace.v1 import trace_pb2

from whodid.processor.access.viewer import Authentication, Kind, Viewer
from whodid.processor.errors import WhodidError
from whodid.semconv import attributes as attr
from whodid.semconv.values import ActionEffect, ActionMode

if TYPE_CHECKING:
    from whodid.store.questions import AnyQuestion
    from whodid.store.questions.question import Parameters

OPERATION = "view_content"
SERVICE = "whodid"
SCOPE = "whodid.processor.access"
TIMEOUT_S = 10.0

Accept = Callable[[bytes], Awaitable[None]]
"""Takes an OTLP request, and returns when it is durable. Raises WhodidError or OSError when it is not."""


class AuditError(WhodidError):
    """The view could not be recorded, so nothing is shown (503)."""


class Audit:
    """Records views by what the service itself receives spans with."""

    def __init__(self, accept: Accept | None) -> None:
        """`accept`: None where there is nothing that could take the record, and then no content is shown."""
        self._accept = accept

    async def record(
        self, viewer: Viewer, question: AnyQuestion, parameters: Parameters, tenant: str
    ) -> None:
        """Returns when the record of the view is on disk. Raises AuditError."""
        if self._accept is None:
            raise AuditError(
                "content is not shown: there is nothing here that would record who saw it",
                "ask the service that `whodid up` runs",
            )
        try:
            async with asyncio.timeout(TIMEOUT_S):
                await self._accept(_request(viewer, question, parameters, tenant))
        except TimeoutError:
            cause = f"that took longer than {TIMEOUT_S:g} s"
        except WhodidError as error:
            cause = error.cause
        except OSError as error:
            cause = type(error).__name__
        else:
            return
        raise AuditError(
            f"content is not shown, for the view of it could not be recorded: {cause}",
            "ask again; /readyz says what is wrong",
        )


def _request(viewer: Viewer, question: AnyQuestion, parameters: Parameters, tenant: str) -> bytes:
    message = ExportTraceServiceRequest()
    group = message.resource_spans.add()
    for name, text in (("service.name", SERVICE), ("service.version", metadata.version("whodid"))):
        group.resource.attributes.add(key=name).value.string_value = text
    scope = group.scope_spans.add()
    scope.scope.name = SCOPE
    now_ns = time.time_ns()
    span = scope.spans.add(
        name=f"{OPERATION} {question.name}",
        trace_id=secrets.token_bytes(16),
        span_id=secrets.token_bytes(8),
        kind=trace_pb2.Span.SPAN_KIND_INTERNAL,
        start_time_unix_nano=now_ns,
        end_time_unix_nano=now_ns,
    )
    for name, text in _said(viewer, question, parameters, tenant).items():
        span.attributes.add(key=name).value.string_value = text
    return message.SerializeToString()


def _said(viewer: Viewer, question: AnyQuestion, parameters: Parameters, tenant: str) -> dict[str, str]:
    asked: dict[str, Any] = parameters.model_dump(mode="json", exclude_none=True)
    # As the convention has an action's arguments: sorted keys, no white space.
    arguments = json.dumps(asked, sort_keys=True, separators=(",", ":"), ensure_ascii=False)
    said = {
        attr.GEN_AI_OPERATION_NAME: OPERATION,
        attr.ATTRIBUTION_ACTION_ID: secrets.token_hex(16),
        attr.ATTRIBUTION_ACTION_EFFECT: ActionEffect.READ.value,
        attr.ATTRIBUTION_ACTION_ARGUMENTS_HASH: f"sha256:{hashlib.sha256(arguments.encode()).hexdigest()}",
        attr.GEN_AI_TOOL_CALL_ARGUMENTS: arguments,
        attr.ATTRIBUTION_VIEW_QUESTION: question.name,
        attr.ATTRIBUTION_VIEW_TENANT_ID: tenant,
        attr.ATTRIBUTION_VIEW_ROLE: viewer.role.value,
        attr.ATTRIBUTION_VIEW_AUTHENTICATION: viewer.authentication.value,
        **_viewed(asked),
    }
    if viewer.authentication is Authentication.NONE:
        return said  # nobody was asked: a name would be a guess
    said |= {
        attr.ATTRIBUTION_INITIATOR_ID: viewer.name,
        attr.ATTRIBUTION_INITIATOR_TYPE: viewer.kind.value,
        attr.ATTRIBUTION_PRINCIPAL_ID: viewer.name,
        attr.ATTRIBUTION_PRINCIPAL_TYPE: viewer.kind.value,
    }
    if viewer.credential_id:
        said[attr.ATTRIBUTION_CREDENTIAL_ID] = viewer.credential_id
        said[attr.ATTRIBUTION_CREDENTIAL_TYPE] = (
            "jwt" if viewer.authentication is Authentication.PROXY else "bearer"
        )
    if viewer.kind is Kind.HUMAN:
        said[attr.ATTRIBUTION_ACTION_MODE] = ActionMode.HUMAN_INITIATED.value
    return said


def _viewed(asked: dict[str, Any]) -> dict[str, str]:
    """Which span, where the question is about one."""
    ids = [str(asked[name]) for name in ("trace_id", "trace", "span_id", "span", "id") if asked.get(name)]
    if not ids:
        return {}
    return {attr.ATTRIBUTION_RESOURCE_TYPE: "span", attr.ATTRIBUTION_RESOURCE_ID: "/".join(ids)}
