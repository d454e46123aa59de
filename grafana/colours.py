"""Colours of processes: the same in the report's charts, in panels and in Grafana."""

INK = "#374151"  # a line beside those of strategies, and of none of them
# Of arms that are not told apart by their strategies: none of these is a strategy's colour.
ARM_COLOURS = ("#7c3aed", "#4d7c0f", "#be185d", "#0284c7", "#475569")
# The hues differ in lightness too (Okabe and Ito's set).
PROCESS_COLOURS = {
    "gateway": "#0072b2",
    "upload": "#56b4e9",
    "files": "#b4dcf5",
    "pg-upload": "#009e73",
    "pg-files": "#8fd3bd",
    "minio": "#e69f00",
    "nginx": "#d55e00",
    "pgbouncer": "#f0e442",
    "redis": "#999933",
    "auth": "#cc79a7",
    "pg-auth": "#e8c3d7",
    "k6": "#7a8691",
    "harness": "#a9b3bc",
    "prometheus": "#c3cad1",
    "rest": "#dde2e7",
}
