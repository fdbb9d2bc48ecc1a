"""`whodid quarantine`: what could not be taken, why, and back into the spool with it."""

from __future__ import annotations

import datetime
from pathlib import Path
from typing import TYPE_CHECKING

import click

if TYPE_CHECKING:
    from collections.abc import Iterator

    from whodid.processor.quarantine import Entry

MAX_LISTED = 200
MAX_SPANS_SHOWN = 50
MAX_SHOWN_BYTES = 64 * 1024 * 1024
_MAX_REASON = 300

_data_dir = click.option(
    "--data-dir", type=click.Path(path_type=Path), help="The service's data folder. [default: as `whodid up`]"
)


@click.group(name="quarantine", short_help="See what could not be taken, and give it another try.")
def command() -> None:
    """What could not be taken: refused requests, acknowledged segments that the store or the endpoint of
    forwarding refused for good, and corrupt records. docs/durability.md says what each is.
    """


@command.command(name="list")
@_data_dir
@click.option("--limit", type=click.IntRange(1, 100_000), default=MAX_LISTED, show_default=True)
def list_(data_dir: Path | None, limit: int) -> None:
    """List what is in quarantine: kind, time, size, name and reason, a line each, tabs between."""
    found = _entries(data_dir)
    for entry in found[:limit]:
        when = datetime.datetime.fromtimestamp(entry.kept_at_s, datetime.UTC).strftime("%Y-%m-%dT%H:%M:%SZ")
        click.echo("\t".join((entry.kind, when, str(entry.size_bytes), entry.name, _reason(entry))))
    more = f" (the first {limit} are shown; see --limit)" if len(found) > limit else ""
    total = sum(entry.size_bytes for entry in found)
    click.echo(f"{len(found)} in quarantine, {total} bytes{more}", err=True)


@command.command(name="show")
@click.argument("name")
@_data_dir
def show(name: str, data_dir: Path | None) -> None:
    """Show why NAME is in quarantine, and what spans it holds where they can be read.

    NAME: as `whodid quarantine list` has it, or its beginning. Attributes are not shown; what looks like a
    secret in a name is left out.
    """
    from whodid.processor import requeue

    entry = requeue.named(_entries(data_dir), name)
    click.echo(f"{entry.kind}\t{entry.path}\t{entry.size_bytes} bytes")
    click.echo(_reason(entry, limit=4000))
    lines = list(_spans(requeue.content(entry, MAX_SHOWN_BYTES)))
    for line in lines[:MAX_SPANS_SHOWN]:
        click.echo(line)
    if len(lines) > MAX_SPANS_SHOWN:
        click.echo(f"… and {len(lines) - MAX_SPANS_SHOWN} more spans", err=True)
    if entry.size_bytes > MAX_SHOWN_BYTES:
        click.echo(f"it is longer than {MAX_SHOWN_BYTES} bytes: its spans are not looked at", err=True)


@command.command(name="retry")
@click.argument("name", required=False)
@click.option("--all", "every", is_flag=True, help="Every acknowledged segment.")
@_data_dir
def retry(name: str | None, every: bool, data_dir: Path | None) -> None:
    """Move NAME, or with --all every acknowledged segment, back into the spool.

    A running service takes it in within a second, otherwise the next start does. Mend first what the reason
    says: a segment that is refused again is back in quarantine.
    """
    from whodid.processor import announcement, requeue, settings
    from whodid.processor.errors import WhodidError
    from whodid.processor.quarantine import Kept

    if every == (name is not None):
        raise click.UsageError("give either a NAME or --all")
    found = _entries(data_dir)
    if name is None:
        chosen = [entry for entry in found if entry.kind in (Kept.SEGMENT, Kept.FORWARD)]
    else:
        chosen = [requeue.named(found, name)]
    failures: list[WhodidError] = []
    for entry in chosen:
        try:
            requeue.requeue(entry)
        except WhodidError as error:
            failures.append(error)
    click.echo(f"{len(chosen) - len(failures)} of {len(chosen)} on their way back", err=True)
    if failures:
        raise failures[0]
    folder = settings.load({"data_dir": data_dir} if data_dir else {}).data_dir
    if chosen and announcement.read(folder) is None:
        click.echo(f"no service runs on {folder}: the next `whodid up` takes them in", err=True)


def _entries(data_dir: Path | None) -> list[Entry]:
    from whodid.processor import quarantine, settings
    from whodid.processor.errors import WhodidError

    folder = settings.load({"data_dir": data_dir} if data_dir else {}).data_dir
    if not folder.is_dir():
        raise WhodidError(
            f"there is no data folder {folder}", "name the service's with --data-dir or WHODID_DATA_DIR"
        )
    try:
        return list(quarantine.entries(folder / quarantine.FOLDER))
    except OSError as error:
        raise WhodidError(
            f"the quarantine of {folder} cannot be read: {error.strerror}", "run it as the service's user"
        ) from None


def _reason(entry: Entry, limit: int = _MAX_REASON) -> str:
    from whodid.cli.show import plain
    from whodid.processor.stages.redact import without_secrets

    return plain(without_secrets(entry.reason[:limit])) or "(no reason is kept)"


def _spans(bodies: list[bytes]) -> Iterator[str]:
    """A line a span: trace, span and name. What cannot be decoded is said to be that."""
    from google.protobuf.message import DecodeError
    from opentelemetry.proto.collector.trace.v1.trace_service_pb2 import ExportTraceServiceRequest

    from whodid.cli.show import plain
    from whodid.processor.stages.redact import without_secrets

    for body in bodies:
        try:
            request = ExportTraceServiceRequest.FromString(body)
        except DecodeError:
            yield f"{len(body)} bytes that are no OTLP request"
            continue
        for resource_spans in request.resource_spans:
            for scope_spans in resource_spans.scope_spans:
                for span in scope_spans.spans:
                    ids = f"{span.trace_id.hex()}\t{span.span_id.hex()}"
                    yield f"{ids}\t{plain(without_secrets(span.name[:_MAX_REASON]))}"
