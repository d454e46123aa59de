"""Alerts, provoked one after the other under the eyes of a Prometheus of our own."""
