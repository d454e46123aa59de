"""Dashboards as one list of panels with two renderers: Grafana's JSON here, a static page in the harness."""
