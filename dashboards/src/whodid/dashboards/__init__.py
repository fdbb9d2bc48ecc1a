"""What people look at: the pages, and the dashboards for Grafana."""
