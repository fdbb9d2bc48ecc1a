"""Dashboards and alert rules for Grafana, generated: each panel is a few lines here and a query in `sql/`."""

import importlib
import warnings

with warnings.catch_warnings():
    # The SDK says at import that Grafana has a newer kind of dashboard; every Grafana since 11 reads this.
    warnings.filterwarnings("ignore", "Prefer using dashboardv2", DeprecationWarning)
    for name in ("builders.dashboard", "builders.stat"):
        importlib.import_module(f"grafana_foundation_sdk.{name}")
