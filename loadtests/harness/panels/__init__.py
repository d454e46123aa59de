"""The dashboards' panels without Grafana: recorded at the end of a run, drawn from the bundle any time."""
