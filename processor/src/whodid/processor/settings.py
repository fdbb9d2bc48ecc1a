"""The service's settings: one declarative table, read from flags, environment, whodid.toml and defaults."""

from __future__ import annotations

import difflib
import os
import tomllib
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any, cast
from urllib.parse import quote

from pydantic import (
    BaseModel,
    Field,
    SecretStr,
    ValidationError,
    model_validator,
)
from pydantic_settings import (
    BaseSettings,
    InitSettingsSource,
    PydanticBaseSettingsSource,
    SettingsConfigDict,
    SettingsError,
)

from whodid.processor.access.settings import AccessSettings
from whodid.processor.errors import WhodidError
from whodid.processor.section import Section, Tenant

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping

ENV_PREFIX = "WHODID_"
ENV_NESTED = "__"
CONFIG_FILE = "whodid.toml"
NO_STORE = "none"
"""The `store.url` of a service that only forwards."""

_MIB = 1024 * 1024

Days = Annotated[int, Field(ge=1, le=36_500)]

_DOCS_HINT = "docs/configuration.md lists every setting"


class StoreSettings(Section):
    """Where spans are kept, and for how long."""

    url: SecretStr = Field(
        SecretStr(""),
        description="`clickhouse://user:password@host:port/database`, or `clickhouses://` for TLS. "
        "Empty: the embedded store in `<data_dir>/store`. `none`: no store, spans are only forwarded.",
    )
    database: str = Field(
        "whodid",
        pattern=r"^[A-Za-z_][A-Za-z0-9_]{0,63}$",
        description="The database, where the URL does not name one.",
    )
    retention_days: int = Field(
        30, ge=1, le=36_500, description="A span is deleted this many days after its day."
    )
    retention_days_by_tenant: dict[Tenant, Days] = Field(
        {},
        max_length=1_000,
        description="The same for single tenants: a table in whodid.toml, JSON in the variable. The same for "
        "all services on one store.",
    )
    cluster: str = Field(
        "",
        pattern=r"^[A-Za-z0-9_.-]{0,64}$",
        description="The cluster's name in the servers' `remote_servers`: tables are replicated, and sharded "
        "by trace. Empty: one server.",
    )
    replicated: bool = Field(
        True,
        description="False for a cluster without ClickHouse Keeper: there are no replicas, and each server's "
        "tables are brought up to date by `whodid schema apply` with its URL.",
    )
    listen: str = Field(
        "",
        max_length=100,
        description="For development: an address of loopback, such as `127.0.0.1:8123`, where ClickHouse's "
        "other clients may read the embedded store. Empty: nowhere.",
    )
    listen_password: SecretStr = Field(
        SecretStr(""),
        description="The password of the user `reader`, as whom they do so; at least 8 characters.",
    )


class ReceiverSettings(Section):
    """Where OTLP arrives, and how much of it at once."""

    host: str = Field(
        "127.0.0.1",
        min_length=1,
        description="The address that both receivers bind. No authentication yet: keep it on loopback.",
    )
    grpc_port: int = Field(4317, ge=0, le=65535, description="OTLP/gRPC. 0 takes a free port.")
    http_port: int = Field(4318, ge=0, le=65535, description="OTLP/HTTP. 0 takes a free port.")
    max_request_bytes: int = Field(
        16 * _MIB,
        ge=1024,
        le=256 * _MIB,
        description="The longest request, on the wire and again after decompression.",
    )
    max_concurrent_requests: int = Field(
        64,
        ge=1,
        le=10_000,
        description="Requests in hand at once, both receivers together; one more must retry.",
    )
    max_in_flight_bytes: int = Field(
        128 * _MIB,
        ge=1024,
        description="Bodies in memory at once, both receivers together; beyond it senders must retry.",
    )
    max_connections: int = Field(
        1000,
        ge=1,
        le=100_000,
        description="OTLP/HTTP connections at once (gRPC offers no such limit; its calls are bounded).",
    )
    body_timeout_s: float = Field(
        30.0, gt=0, le=3600, description="How long the body of one request may take to arrive."
    )
    resend_window_s: float = Field(
        300.0,
        ge=0,
        le=86_400,
        description="A request that comes again within this time, byte by byte the same, is acknowledged and "
        "not stored again. 0: all are stored.",
    )
    resend_window_requests: int = Field(
        50_000,
        ge=0,
        le=10_000_000,
        description="How many requests are remembered for that, at about 300 bytes each.",
    )
    max_connection_age_s: float = Field(
        0.0,
        ge=0,
        le=86_400,
        description="gRPC connections are asked to reconnect after this time, which spreads them anew over "
        "workers and replicas. 0: never.",
    )


class LimitSettings(Section):
    """How much of what is in a request is taken. What attributes an action is never cut."""

    max_spans: int = Field(
        100_000,
        ge=1,
        le=10_000_000,
        description="Spans in one request, and as many events, links, scopes and resources each. A request "
        "with more is refused whole, not acknowledged; its bytes are in quarantine.",
    )
    max_copied_bytes: int = Field(
        64 * _MIB,
        ge=1 * _MIB,
        le=1024 * _MIB,
        description="A resource is stored with each of its spans, and so is a scope. A request for which "
        "that takes more is refused whole, not acknowledged; its bytes are in quarantine.",
    )
    max_attributes: int = Field(
        1_000,
        ge=1,
        le=100_000,
        description="Attributes of one span. Beyond it those that the conventions do not know are cut, the "
        "last ones by name, with a finding.",
    )
    max_value_bytes: int = Field(
        1 * _MIB,
        ge=256,
        le=256 * _MIB,
        description="One text or attribute value. How a longer one begins is kept, with a finding; "
        "`attribution.*` and what has a column are kept whole.",
    )
    days_back: int = Field(
        7,
        ge=0,
        le=80,
        description="A span that began more than this many days before its arrival is stored under the day "
        "of its arrival, with a finding: one request cannot make thousands of partitions.",
    )
    days_ahead: int = Field(
        1, ge=0, le=10, description="The same for one that begins later than its arrival."
    )


DEFAULT_LIMITS = LimitSettings()  # pyright: ignore[reportCallIssue]


class ApiSettings(Section):
    """Where questions are answered over HTTP."""

    host: str = Field("127.0.0.1", min_length=1, description="The address that the API binds.")
    port: int = Field(8600, ge=0, le=65535, description="The API. 0 takes a free port.")
    ready_spool_age_s: float = Field(
        60.0,
        gt=0,
        le=86_400,
        description="`/readyz` answers 503 when a request waits for the store for longer than this.",
    )
    max_connections: int = Field(
        1000, ge=1, le=100_000, description="Connections at once; one more is told to come again."
    )
    max_concurrent_questions: int = Field(
        8, ge=1, le=1_000, description="Questions that the store works on at once; more wait for their turn."
    )
    max_query_s: float = Field(
        30.0,
        gt=0,
        le=50,  # a server's client gives up at 60
        description="How long one query of a question may take. Beyond this and the next three the question "
        "is refused with what to narrow.",
    )
    max_rows_read: int = Field(
        2_000_000_000, ge=1, le=10**15, description="How many rows one query of a question may read."
    )
    max_bytes_read: int = Field(
        256 * 1024 * _MIB,
        ge=1,
        le=10**18,
        description="How many bytes, after decompression, one query of a question may read.",
    )
    max_memory_bytes: int = Field(
        2048 * _MIB, ge=_MIB, le=10**15, description="How much memory one query of a question may take."
    )
    max_items: int = Field(
        10_000,
        ge=1,
        le=10_000,
        description="Items on a page, or rows of a SELECT, at the most; questions have bounds of their own "
        "beside it, 1,000 items and 10,000 rows.",
    )
    max_body_bytes: int = Field(2 * _MIB, ge=1024, le=64 * _MIB, description="The longest body of a POST.")
    body_timeout_s: float = Field(
        30.0, gt=0, le=3600, description="How long the body of a POST may take to arrive."
    )


class TelemetrySettings(Section):
    """Where the service's own metrics and spans go."""

    endpoint: str = Field(
        "",
        description="An OTLP collector, for example `http://collector.internal:4317`; never this service "
        "itself. Empty: nothing is sent. Headers and certificates: the `OTEL_EXPORTER_OTLP_*` variables.",
    )
    protocol: str = Field("grpc", pattern=r"^(grpc|http/protobuf)$", description="`grpc` or `http/protobuf`.")
    interval_s: float = Field(15.0, ge=1, le=3600, description="How often metrics are sent.")


class SpoolSettings(Section):
    """What is on disk between the acknowledgement and the store."""

    max_bytes: int = Field(
        1024 * _MIB,
        ge=64 * 1024,
        description="When this much waits for the store, senders are told to retry later.",
    )
    flush_after_s: float = Field(
        1.0, gt=0, le=3600, description="A segment goes to the store at this age, however small it is."
    )
    flush_after_bytes: int = Field(
        32 * _MIB,
        ge=1024,
        le=512 * _MIB,
        description="A segment goes to the store at this size, however young it is; and when resources and "
        "scopes, which are stored with each of their spans, take as much.",
    )
    drain_timeout_s: float = Field(
        20.0,
        ge=0,
        le=3600,
        description="How long a stopping service empties the spool; the rest is stored at the next start.",
    )


class ForwardSettings(Section):
    """Another OTLP endpoint that gets the spans too, as the pipeline leaves them."""

    url: str = Field(
        "",
        description="For example `http://collector.internal:4317`; `https://` for TLS. Empty: nothing is "
        'forwarded. Beside the store, or instead of it with `store.url = "none"`.',
    )
    protocol: str = Field("grpc", pattern=r"^(grpc|http/protobuf)$", description="`grpc` or `http/protobuf`.")
    headers: SecretStr = Field(
        SecretStr(""),
        description="`key=value,key2=value2`, values percent-encoded, sent with each request: a token, say.",
    )
    timeout_s: float = Field(10.0, gt=0, le=600, description="How long one request may take.")
    compression: str = Field("gzip", pattern=r"^(gzip|none)$", description="`gzip` or `none`.")


class QuarantineSettings(Section):
    """What is kept of requests that were refused, for someone to look at. The oldest goes first."""

    max_files: int = Field(100, ge=0, le=100_000, description="Refused requests that are kept.")
    max_bytes: int = Field(64 * _MIB, ge=0, description="Their size in all.")


class Settings(BaseSettings):
    """Every setting of `whodid up`. Immutable; an unknown key is an error. Build it with `load`."""

    model_config = SettingsConfigDict(
        frozen=True,
        extra="forbid",
        env_prefix=ENV_PREFIX,
        env_nested_delimiter=ENV_NESTED,
        hide_input_in_errors=True,
    )

    data_dir: Path = Field(
        Path(".whodid"), description="Everything that the service writes: spool, embedded store, quarantine."
    )
    tenant: Tenant = Field(
        "",
        description="Whose all the spans are that this service receives, and about whose spans it is asked. "
        "Letters, digits and `._:@/-`.",
    )
    workers: int = Field(
        1,
        ge=1,
        le=64,
        description="Processes that receive, for a server store; `spool.max_bytes` is shared out among them, "
        "the receiver's limits are each one's own.",
    )
    store: StoreSettings = StoreSettings()  # pyright: ignore[reportCallIssue]
    receiver: ReceiverSettings = ReceiverSettings()  # pyright: ignore[reportCallIssue]
    limits: LimitSettings = DEFAULT_LIMITS
    api: ApiSettings = ApiSettings()  # pyright: ignore[reportCallIssue]
    access: AccessSettings = AccessSettings()  # pyright: ignore[reportCallIssue]
    spool: SpoolSettings = SpoolSettings()  # pyright: ignore[reportCallIssue]
    forward: ForwardSettings = ForwardSettings()  # pyright: ignore[reportCallIssue]
    quarantine: QuarantineSettings = QuarantineSettings()  # pyright: ignore[reportCallIssue]
    telemetry: TelemetrySettings = TelemetrySettings()  # pyright: ignore[reportCallIssue]

    @model_validator(mode="after")
    def _fits(self) -> Settings:
        if self.receiver.max_request_bytes > self.spool.max_bytes // self.workers:
            each = "" if self.workers == 1 else " divided by workers"
            raise ValueError(f"receiver.max_request_bytes must not exceed spool.max_bytes{each}")
        if self.receiver.max_request_bytes > self.receiver.max_in_flight_bytes:
            raise ValueError("receiver.max_request_bytes must not exceed receiver.max_in_flight_bytes")
        if self.store_url == NO_STORE and not self.forward.url:
            raise ValueError("store.url is none and forward.url is empty: spans would go nowhere")
        return self

    @property
    def store_url(self) -> str:
        """The URL for `Store.open`, password included: never print it."""
        url = self.store.url.get_secret_value()
        if not url:
            return "chdb://" + quote(str((self.data_dir / "store").resolve()))
        return url


@dataclass(frozen=True, slots=True)
class Setting:
    """One row of the table: for the documentation and for "did you mean"."""

    name: str
    env: str
    default: str
    type: str
    doc: str


def table() -> list[Setting]:
    """Every setting, in the order of the classes above. `name` is dotted: `spool.max_bytes`."""
    return list(_rows(Settings, ""))


def _rows(model: type[BaseModel], prefix: str) -> Iterator[Setting]:
    for key, field in model.model_fields.items():
        kind: Any = field.annotation
        if isinstance(kind, type) and issubclass(kind, Section):
            yield from _rows(kind, f"{prefix}{key}.")
            continue
        name = prefix + key
        default: Any = field.default
        shown = default.get_secret_value() if isinstance(default, SecretStr) else str(default)
        type_name = "str" if kind is SecretStr else cast("type[Any]", kind).__name__.lower()
        yield Setting(name, env_name(name), shown, type_name, field.description or "")


def env_name(name: str) -> str:
    """`spool.max_bytes` → `WHODID_SPOOL__MAX_BYTES`."""
    return ENV_PREFIX + name.replace(".", ENV_NESTED).upper()


def load(flags: Mapping[str, Any] | None = None, config: Path | None = None) -> Settings:
    """Settings by precedence: `flags` (nested, as given on the command line), `WHODID_*`, the file, defaults.

    `config` must exist when it is given; otherwise whodid.toml is read from the working directory if there.
    Raises WhodidError that names the key and the condition, never the value: it may hold a password.
    """
    from_file = _read(config)

    class Loaded(Settings):
        @classmethod
        def settings_customise_sources(
            cls,
            settings_cls: type[BaseSettings],
            init_settings: PydanticBaseSettingsSource,
            env_settings: PydanticBaseSettingsSource,
            dotenv_settings: PydanticBaseSettingsSource,  # noqa: ARG003 - the library's signature
            file_secret_settings: PydanticBaseSettingsSource,  # noqa: ARG003
        ) -> tuple[PydanticBaseSettingsSource, ...]:
            return init_settings, env_settings, InitSettingsSource(settings_cls, init_kwargs=from_file)

    try:
        return Loaded(**dict(flags or {}))
    except ValidationError as error:
        raise _refusal(error) from None
    except SettingsError as error:
        raise WhodidError(str(error), _DOCS_HINT) from None


def _read(config: Path | None) -> dict[str, Any]:
    path = config or Path(CONFIG_FILE)
    try:
        return tomllib.loads(path.read_text(encoding="utf-8"))
    except FileNotFoundError:
        if config is None:
            return {}
        raise WhodidError(
            f"there is no configuration file {path}", "check the path given to --config"
        ) from None
    except (OSError, UnicodeDecodeError, tomllib.TOMLDecodeError) as error:
        raise WhodidError(f"cannot read the configuration file {path}: {error}", "it must be TOML") from None


def _refusal(error: ValidationError) -> WhodidError:
    """The first problem, as one line. One at a time is enough: the next start names the next."""
    first = error.errors(include_url=False, include_input=False)[0]
    name = ".".join(str(part) for part in first["loc"])
    if first["type"] == "extra_forbidden":
        return WhodidError(
            f"unknown setting {name}", _nearest(name, [row.name for row in table()]) or _DOCS_HINT
        )
    message = first["msg"].removeprefix("Value error, ")
    return WhodidError(f"setting {name}: {message}" if name else message, _DOCS_HINT)


def _nearest(word: str, known: list[str]) -> str:
    near = difflib.get_close_matches(word, known, n=1, cutoff=0.6)
    return f"did you mean {near[0]}?" if near else ""


def unknown_variables(
    agent_side: set[str], environ: Mapping[str, str] | None = None
) -> Iterator[tuple[str, str]]:
    """Each `WHODID_*` variable that nobody reads, with a hint: the settings library ignores them in silence.

    `agent_side` names the variables that only an agent's process reads.
    """
    known = {row.env for row in table()} | agent_side
    sections = {ENV_PREFIX + key.upper() for key in Settings.model_fields}
    for variable in sorted(os.environ if environ is None else environ):
        name = variable.upper()
        if name.startswith(ENV_PREFIX) and name not in known and name not in sections:
            # Without the prefix, which would make any two of them alike.
            near = _nearest(name.removeprefix(ENV_PREFIX), sorted(each[len(ENV_PREFIX) :] for each in known))
            yield variable, near.replace("mean ", f"mean {ENV_PREFIX}") or _DOCS_HINT
