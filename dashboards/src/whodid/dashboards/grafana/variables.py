"""What a dashboard asks its viewer: data source, tenant, where whodid's pages are, what it is about."""

from __future__ import annotations

from grafana_foundation_sdk.builders.dashboard import DatasourceVariable, QueryVariable, TextBoxVariable
from grafana_foundation_sdk.cog.builder import Builder
from grafana_foundation_sdk.models.common import DataSourceRef
from grafana_foundation_sdk.models.dashboard import (
    VariableModel,
    VariableOption,
    VariableRefresh,
    VariableSort,
)

from whodid.dashboards.grafana import queries
from whodid.dashboards.grafana.clickhouse import PLUGIN
from whodid.dashboards.grafana.queries import Databases

DATASOURCE = DataSourceRef(type_val=PLUGIN, uid="${datasource}")
"""The data source that the viewer chose; none is named anywhere else in a dashboard."""
SITE = "http://127.0.0.1:8600"
"""Where `whodid up` has its pages, unless it is told otherwise."""
ALL = "$__all"


def of_every_dashboard(databases: Databases) -> list[Builder[VariableModel]]:
    """The data source, the tenant, and the address of whodid's pages."""
    return [
        DatasourceVariable("datasource").label("ClickHouse").type(PLUGIN),
        _query("tenant", databases)
        .description("Whose spans. The empty name is that of a service without a tenant.")
        .refresh(VariableRefresh.ON_DASHBOARD_LOAD)
        .current(VariableOption(text="(none)", value="")),
        TextBoxVariable("whodid_url")
        .label("whodid")
        .description("Where whodid's pages are: the links in tables lead there.")
        .default_value(SITE)
        .current(VariableOption(text=SITE, value=SITE)),
    ]


def of_names(name: str, databases: Databases) -> QueryVariable:
    """Some of the names that `sql/variables/<name>.sql` lists, or all, which the dashboard begins with."""
    return (
        _query(name, databases)
        .refresh(VariableRefresh.ON_TIME_RANGE_CHANGED)
        .multi(True)
        .include_all(True)
        .current(VariableOption(text="All", value=ALL))
    )


def _query(name: str, databases: Databases) -> QueryVariable:
    query = queries.read(f"variables/{name}", databases)
    return (
        QueryVariable(name)
        .label(name)
        .description(query.about)
        .datasource(DATASOURCE)
        .query({"refId": name, "queryType": "sql", "editorType": "sql", "rawSql": query.sql})
        .definition(query.sql)
        .sort(VariableSort.DISABLED)
    )
