"""A query of Grafana's ClickHouse plugin: the SDK knows no such data source, so this is its query's shape."""

from __future__ import annotations

from dataclasses import dataclass
from enum import IntEnum
from typing import Any, Self

from grafana_foundation_sdk.cog import runtime, variants
from grafana_foundation_sdk.cog.builder import Builder
from grafana_foundation_sdk.models.common import DataSourceRef

PLUGIN = "grafana-clickhouse-datasource"
PLUGIN_VERSION = "4.20.0"
"""The version whose queries these are; it wants Grafana 11.6 or later."""


class Format(IntEnum):
    """What the plugin makes of the rows."""

    TIME_SERIES = 0
    """A line for each combination of the text columns; the rows have to come in the order of time."""
    TABLE = 1


@dataclass(slots=True)
class ClickHouseQuery(variants.Dataquery, Builder[variants.Dataquery]):
    """The plugin's query as it is in a dashboard or an alert rule."""

    sql: str
    format: Format
    datasource: DataSourceRef
    ref_id: str = "A"

    def build(self) -> variants.Dataquery:
        """The SDK's panels take builders."""
        return self

    def to_json(self) -> dict[str, object]:
        return {
            "datasource": self.datasource,
            "editorType": "sql",
            "format": int(self.format),
            "pluginVersion": PLUGIN_VERSION,
            "queryType": "timeseries" if self.format is Format.TIME_SERIES else "table",
            "rawSql": self.sql,
            "refId": self.ref_id,
        }

    @classmethod
    def from_json(cls, data: dict[str, Any]) -> Self:
        """What is read back; what it does not know is lost, so that a wrong key shows in a comparison."""
        return cls(
            data["rawSql"], Format(data["format"]), DataSourceRef.from_json(data["datasource"]), data["refId"]
        )


def register() -> None:
    """Lets the SDK read dashboards with such queries."""
    runtime.register_dataquery_variant(runtime.DataqueryConfig(PLUGIN, ClickHouseQuery.from_json))
