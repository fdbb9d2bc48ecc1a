"""A dashboard in the making: panels in rows of 24, each with the query of its own name."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Self

from grafana_foundation_sdk.builders.common import (
    ReduceDataOptions,
    StackingConfig,
    VizLegendOptions,
    VizTooltipOptions,
)
from grafana_foundation_sdk.builders.dashboard import Dashboard, ThresholdsConfig
from grafana_foundation_sdk.builders.stat import Panel as Stat
from grafana_foundation_sdk.builders.table import Panel as Table
from grafana_foundation_sdk.builders.timeseries import Panel as Timeline
from grafana_foundation_sdk.cog.builder import Builder
from grafana_foundation_sdk.models import common, dashboard

from whodid.dashboards.grafana import links, queries, variables
from whodid.dashboards.grafana.clickhouse import ClickHouseQuery, Format
from whodid.dashboards.grafana.queries import Databases, Query

WIDTH = 24
STAT_HEIGHT = 4
HEIGHT = 9
HOUR = "1h"
_RED_ABOVE_ZERO = ThresholdsConfig().steps(
    [dashboard.Threshold(None, "green"), dashboard.Threshold(1, "red")]
)


class Board:
    """A dashboard named `name`, whose panels' queries are in `sql/<name>/`."""

    def __init__(self, name: str, title: str, about: str, databases: Databases, *, since: str) -> None:
        self.name = name
        self.panels: dict[str, int] = {}
        """Each panel's number by its query: a link to a panel holds as long as nothing is put before it."""
        self._databases = databases
        self._built = (
            Dashboard(title)
            .uid(links.UIDS[name])
            .description(about)
            .tags([links.TAG])
            .timezone("browser")
            .time(f"now-{since}", "now")
            .refresh("5m")
            .tooltip(dashboard.DashboardCursorSync.CROSSHAIR)
            .link(links.to_pages())
            .link(links.to_dashboards())
        )
        for each in variables.of_every_dashboard(databases):
            self._built.with_variable(each)

    def about(self, *names: str) -> Self:
        """Lets the viewer choose what the dashboard is about, an agent, say."""
        for name in names:
            self._built.with_variable(variables.of_names(name, self._databases))
        return self

    def stat(
        self,
        name: str,
        title: str,
        *,
        width: int = WIDTH,
        units: dict[str, str] | None = None,
        none_is_good: bool = False,
    ) -> Self:
        """The columns of a query's one row, as large numbers; `none_is_good`: they are red above zero."""
        query = self._query(name)
        panel = (
            Stat()
            .title(title)
            .description(query.about)
            .datasource(variables.DATASOURCE)
            .span(width)
            .height(STAT_HEIGHT)
            .reduce_options(ReduceDataOptions().calcs(["lastNotNull"]).values(False).fields(""))
            .graph_mode(common.BigValueGraphMode.NONE)
            .color_mode(common.BigValueColorMode.VALUE if none_is_good else common.BigValueColorMode.NONE)
            .thresholds(_RED_ABOVE_ZERO)
            .with_target(ClickHouseQuery(query.sql, Format.TABLE, variables.DATASOURCE))
        )
        for column in query.columns:
            unit = (units or {}).get(column, "short")
            panel.override_by_name(column, [*_named(column), _property("unit", unit)])
        return self._with(panel.id(self._number(name)))

    def timeline(
        self, name: str, title: str, *, width: int = WIDTH // 2, unit: str = "short", bars: str | None = None
    ) -> Self:
        """A query's number over time, a colour for each text; `bars`, stacked, of at least this length."""
        query = self._query(name)
        panel = (
            Timeline()
            .title(title)
            .description(query.about)
            .datasource(variables.DATASOURCE)
            .span(width)
            .height(HEIGHT)
            .unit(unit)
            .min(0)
            .legend(
                VizLegendOptions()
                .display_mode(common.LegendDisplayMode.LIST)
                .placement(common.LegendPlacement.BOTTOM)
                .show_legend(True)
            )
            .tooltip(
                VizTooltipOptions().mode(common.TooltipDisplayMode.MULTI).sort(common.SortOrder.DESCENDING)
            )
            .with_target(ClickHouseQuery(query.sql, Format.TIME_SERIES, variables.DATASOURCE))
        )
        if bars is not None:
            panel.interval(bars).draw_style(common.GraphDrawStyle.BARS).fill_opacity(80).line_width(0)
            panel.stacking(StackingConfig().mode(common.StackingMode.NORMAL))
        return self._with(panel.id(self._number(name)))

    def table(self, name: str, title: str, *, width: int = WIDTH, question: str = "") -> Self:
        """A query's rows; what a column names is a link. `question`: the one that asks the same."""
        query = self._query(name)
        panel = (
            Table()
            .title(title)
            .description(query.about)
            .datasource(variables.DATASOURCE)
            .span(width)
            .height(HEIGHT)
            .filterable(True)
            .with_target(ClickHouseQuery(query.sql, Format.TABLE, variables.DATASOURCE))
        )
        if question:
            panel.links([links.to_question(question)])
        for column in query.columns:
            cells = links.of_column(column)
            properties = [*_named(column), *([_property("links", cells)] if cells else [])]
            if properties:
                panel.override_by_name(column, properties)
        return self._with(panel.id(self._number(name)))

    def build(self) -> dashboard.Dashboard:
        return self._built.build()

    def _query(self, name: str) -> Query:
        return queries.read(f"{self.name}/{name}", self._databases)

    def _number(self, name: str) -> int:
        self.panels[name] = len(self.panels) + 1
        return self.panels[name]

    def _with(self, panel: Builder[dashboard.Panel]) -> Self:
        self._built.with_panel(panel)
        return self


def _named(column: str) -> Sequence[dashboard.DynamicConfigValue]:
    """How a column is called where a person reads it."""
    return [_property("displayName", column.replace("_", " "))] if "_" in column else []


def _property(name: str, value: object) -> dashboard.DynamicConfigValue:
    return dashboard.DynamicConfigValue(id_val=name, value=value)
