"""Serving HTTP with aiohttp: what every process of ours does the same way around its handlers."""
