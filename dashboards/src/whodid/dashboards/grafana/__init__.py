"""Dashboards and alert rules for Grafana, generated: each panel is a few lines here and a query in `sql/`."""
