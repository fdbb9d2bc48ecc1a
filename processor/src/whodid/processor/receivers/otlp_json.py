"""OTLP/JSON to OTLP/protobuf. OTLP 1.10, "JSON Protobuf Encoding": ids are hex, enums are integers."""

from __future__ import annotations

import base64
import binascii
import json
import re
from typing import Any, cast

from google.protobuf import json_format
from opentelemetry.proto.collector.trace.v1.trace_service_pb2 import ExportTraceServiceRequest

from whodid.processor.stages.decode import MalformedRequestError

_IDS = frozenset(("traceId", "spanId", "parentSpanId"))
_ENUMS = frozenset(("kind", "code"))
# The library drops what is no base64, and would store other bytes than were sent.
_BASE64 = re.compile(r"[A-Za-z0-9+/_-]*={0,2}")
_HINT = "see the OTLP specification, JSON Protobuf Encoding"


def to_protobuf(body: bytes) -> bytes:
    """The same request as protobuf. Unknown fields are ignored, as OTLP asks.

    Raises MalformedRequestError that names the field.
    """
    try:
        parsed: Any = json.loads(body)
        if not isinstance(parsed, dict):
            raise MalformedRequestError("the JSON is no object", _HINT)
        document = cast("dict[str, Any]", parsed)
        _rewrite(document)
        request = json_format.ParseDict(document, ExportTraceServiceRequest(), ignore_unknown_fields=True)
        return request.SerializeToString()
    except MalformedRequestError:
        raise
    except RecursionError:
        raise MalformedRequestError("the JSON is nested too deeply", _HINT) from None
    # ParseDict promises ParseError only; on hostile input the others come out of it as well.
    except (json_format.ParseError, ValueError, TypeError, AttributeError, KeyError) as error:
        reason = str(error).splitlines()[0][:300] if str(error) else type(error).__name__
        raise MalformedRequestError(f"the JSON is no OTLP request: {reason}", _HINT) from None


def _rewrite(document: dict[str, Any]) -> None:
    """Turns hex ids into the base64 that the protobuf library reads; refuses what it would misread.

    Safe to do everywhere: OTLP has no object whose keys the user chooses. Without recursion, for the depth is
    the sender's choice.
    """
    waiting: list[Any] = [document]
    while waiting:
        node = waiting.pop()
        if isinstance(node, list):
            waiting.extend(cast("list[Any]", node))
        elif isinstance(node, dict):
            fields = cast("dict[str, Any]", node)
            for name, value in fields.items():
                if name in _IDS and value is not None:
                    fields[name] = _base64(name, value)
                elif name in _ENUMS and isinstance(value, str):
                    raise MalformedRequestError(f"{name} is {value[:50]!r}, and has to be an integer", _HINT)
                elif name == "bytesValue" and isinstance(value, str) and not _BASE64.fullmatch(value):
                    raise MalformedRequestError(f"{name} is no base64: {value[:50]!r}", _HINT)
                else:
                    waiting.append(value)


def _base64(name: str, value: Any) -> str:
    if not isinstance(value, str):
        raise MalformedRequestError(f"{name} is no string", _HINT)
    try:
        return base64.b64encode(binascii.unhexlify(value)).decode("ascii")
    except ValueError:
        raise MalformedRequestError(f"{name} is no hex: {value[:50]!r}", _HINT) from None
