"""`whodid doctor`: sends a test span and follows it to the store; says what stands in its way."""

from __future__ import annotations

import dataclasses
import email.utils
import json
import logging
import os
import sys
import time
import urllib.error
import urllib.request
from dataclasses import dataclass
from typing import Any, Final

import click
from opentelemetry.sdk.trace import ReadableSpan, TracerProvider
from opentelemetry.sdk.trace.export import SpanExportResult
from opentelemetry.sdk.trace.sampling import ALWAYS_ON

from whodid.instrumentation import attribution, export, selfcheck, stamping
from whodid.instrumentation.scopes import error_type
from whodid.instrumentation.selfcheck import Finding, Level

DEFAULT_API: Final = "http://127.0.0.1:8600"
CREDENTIAL_VARIABLE: Final = "WHODID_ACCESS__TOKEN"
PRINCIPAL: Final = "whodid-doctor"
SPAN: Final = "whodid doctor"
ASK_TIMEOUT_S: Final = 10
POLL_S: Final = 0.2
EXPORT_TIMEOUT_S: Final = 5
SKEW_S: Final = 2.0
"""HTTP's Date has whole seconds, so less than this is no skew that can be told."""
_MARKS: Final = {Level.OK: "ok     ", Level.WARNING: "warning", Level.FAILED: "FAILED "}


@click.command("doctor", short_help="Send a test span, follow it to the store, say what is wrong.")
@click.option(
    "--api", default=DEFAULT_API, show_default=True, help="The service's API, which is asked for the span."
)
@click.option("--wait-s", default=15.0, show_default=True, help="How long the span may take to the store.")
@click.option("--json", "as_json", is_flag=True, help="Print the findings as JSON.")
def command(api: str, wait_s: float, as_json: bool) -> None:
    """Look over this environment, send a test span, and follow it through each hop to the store.

    Run it where the agent runs, with the agent's variables: it reads the same OTEL_* and WHODID_* variables,
    and imports the frameworks that are installed. It checks versions, settings, the SDK's limits, the
    sampler, the endpoint and its headers, every framework's hooks, other instrumentations of the same
    frameworks, the clocks, and that a span arrives as it was sent.

    Exit codes: 0 nothing failed (there may be warnings), 1 something did.
    """
    logging.disable(logging.CRITICAL)  # what goes wrong is a finding, and not a log
    found = [*selfcheck.environment(), *follow(api.rstrip("/"), wait_s)]
    logging.disable(logging.NOTSET)
    if as_json:
        click.echo(json.dumps([dataclasses.asdict(each) for each in found], indent=2))
    else:
        for each in found:
            click.echo(f"{_MARKS[each.level]} {each.check:<11} {each.detail}")
            if each.hint and each.level is not Level.OK:
                click.echo(f"{'':19} hint: {each.hint}")
    failed = sum(each.level is Level.FAILED for each in found)
    if not as_json:
        click.echo(f"\n{failed} failed" if failed else "\neverything works")
    sys.exit(1 if failed else 0)


def follow(api: str, wait_s: float) -> list[Finding]:
    """Send a span and look for it at each hop: receiver, spool, store."""
    sent = _send()
    found = [sent.finding]
    health, clock = _health(api)
    found += [each for each in (health, clock) if each is not None]
    if sent.trace_id is None or health.level is Level.FAILED:
        return found
    return [*found, _stored(api, sent.trace_id, wait_s)]


@dataclass(frozen=True, slots=True)
class _Sent:
    finding: Finding
    trace_id: str | None = None


def _send() -> _Sent:
    """The receiver's hop: by the exporter that agents use, and stamped as theirs are."""
    try:
        exporter = export.exporter(export.target(), EXPORT_TIMEOUT_S)
        span = _span()
        log = selfcheck.ExportLog()
        loggers = [logging.getLogger(name) for name in export.EXPORTER_LOGGERS]
        logging.disable(logging.NOTSET)
        for logger in loggers:
            logger.addHandler(log)
            logger.propagate = False
        started_s = time.monotonic()
        try:
            result = exporter.export([span])
        finally:
            for logger in loggers:
                logger.removeHandler(log)
                logger.propagate = True
            logging.disable(logging.CRITICAL)
            exporter.shutdown()
    except Exception as error:  # noqa: BLE001 a wrong certificate or protocol: that is the finding
        detail = f"the exporter cannot be used ({error_type(error)})"
        return _Sent(Finding("receiver", Level.FAILED, detail, "check the OTEL_EXPORTER_OTLP_* variables"))
    took_ms = (time.monotonic() - started_s) * 1000
    if result is not SpanExportResult.SUCCESS:
        why = f": {log.said[-1]}" if log.said else ""
        hint = "is the receiver up, and does it take these headers? `whodid up` starts one"
        return _Sent(Finding("receiver", Level.FAILED, f"the test span was not taken{why}", hint))
    context = span.get_span_context()
    trace_id = None if context is None else f"{context.trace_id:032x}"
    return _Sent(
        Finding("receiver", Level.OK, f"took the test span in {took_ms:.0f} ms (trace {trace_id})"), trace_id
    )


def _span() -> ReadableSpan:
    """A span that is no action: it has no operation, so no question counts it."""
    provider = TracerProvider(sampler=ALWAYS_ON)
    stamping.install(provider)
    with attribution(
        principal=PRINCIPAL, principal_type="service", initiator=PRINCIPAL, initiator_type="service"
    ):
        span = provider.get_tracer("whodid.doctor").start_span(SPAN)
        span.end()
    assert isinstance(span, ReadableSpan)  # noqa: S101 the SDK's spans are
    return span


def _health(api: str) -> tuple[Finding, Finding | None]:
    """The service's own word on its spool and its store, and its clock."""
    before_s = time.time()
    try:
        with urllib.request.urlopen(f"{api}/healthz", timeout=ASK_TIMEOUT_S) as answer:  # noqa: S310 the user's address
            said: dict[str, Any] = json.load(answer)
            date = answer.headers.get("date")
        store = said["store"]
    except (OSError, ValueError, KeyError, TypeError) as error:
        reason = getattr(error, "reason", None) or type(error).__name__
        hint = "give the service's API: --api http://HOST:8600; without it nobody can look into the store"
        return Finding(
            "service", Level.FAILED, f"{api} is not whodid's API, or is away ({reason})", hint
        ), None
    waiting = f"{said.get('spool_bytes', 0)} bytes in the spool"
    if store != "ok":
        hint = "what is in the spool is kept, and stored when the store is back: see the service's log"
        return Finding("service", Level.FAILED, f"answers, but its store is away; {waiting}", hint), None
    return Finding("service", Level.OK, f"{api} answers; {waiting}"), _clock(before_s, date)


def _clock(before_s: float, date: str | None) -> Finding | None:
    try:
        theirs_s = email.utils.parsedate_to_datetime(date or "").timestamp() + 0.5
    except (ValueError, TypeError):
        return None
    middle_s = (before_s + time.time()) / 2
    skew_s = theirs_s - middle_s
    if abs(skew_s) <= SKEW_S:
        return Finding("clock", Level.OK, "agrees with the service's to the second")
    side = "behind" if skew_s > 0 else "ahead of"
    detail = f"this machine's clock is {abs(skew_s):.0f} s {side} the service's"
    hint = "synchronise both (NTP): decisions would seem to come after what they allowed"
    return Finding("clock", Level.FAILED, detail, hint)


def _stored(api: str, trace_id: str, wait_s: float) -> Finding:
    """The last hop: the store has the span, with what it was stamped with."""
    started_s = time.monotonic()
    while True:
        answer = _ask(f"{api}/api/v1/trace?trace_id={trace_id}")
        if isinstance(answer, Finding):
            return answer
        if answer is not None:
            break
        if time.monotonic() - started_s > wait_s:
            detail = f"the receiver took the span, and after {wait_s:g} s it is not in the store"
            hint = "is there a collector between that drops or samples? does the endpoint belong to this API?"
            return Finding("store", Level.FAILED, detail, hint)
        time.sleep(POLL_S)
    took_s = time.monotonic() - started_s
    principal = next((line.get("principal") for line in answer["lines"] if line.get("name") == SPAN), None)
    if principal != PRINCIPAL:
        detail = f"the span arrived, but its principal is {principal!r} and not {PRINCIPAL!r}"
        return Finding("store", Level.FAILED, detail, "something between drops or rewrites attributes")
    return Finding("store", Level.OK, f"has the test span whole, after {took_s:.1f} s")


def _ask(url: str) -> dict[str, Any] | Finding | None:
    """The API's answer; None where it does not know the trace yet."""
    try:
        request = urllib.request.Request(url)  # noqa: S310 the user's address
        if token := os.environ.get(CREDENTIAL_VARIABLE):
            request.add_unredirected_header("authorization", f"Bearer {token}")
        with urllib.request.urlopen(request, timeout=ASK_TIMEOUT_S) as answer:  # noqa: S310
            return json.load(answer)
    except urllib.error.HTTPError as error:
        if error.code == 404:
            return None
        hint = "see the service's log"
        if error.code in (401, 403):
            hint = f"{CREDENTIAL_VARIABLE} has to be a token of this service (whodid tokens create)"
        return Finding("store", Level.FAILED, f"the API answered {error.code}", hint)
    except (OSError, ValueError) as error:
        return Finding("store", Level.FAILED, f"the API did not answer ({type(error).__name__})", "try again")
