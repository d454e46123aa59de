"""What the commands of docs/ have in common: help, and one sentence for what a person can mend."""

from __future__ import annotations

import os
from pathlib import Path
from typing import Any

import click

from loadtests.cli_errors import EXPECTED
from loadtests.harness.records.bundle import BundleError
from loadtests.harness.running.session import find_bundle


class Command(click.Command):
    """Ends with 2 and one sentence on standard error where an argument is wrong or a run cannot be used."""

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        super().__init__(*args, **{"context_settings": {"help_option_names": ["-h", "--help"]}, **kwargs})

    def invoke(self, ctx: click.Context) -> Any:
        try:
            return super().invoke(ctx)
        except EXPECTED as error:
            raise click.UsageError(str(error)) from error


class Run(click.ParamType[Path]):
    """A run by its id or its folder."""

    name = "run"

    def convert(self, value: Any, param: click.Parameter | None, ctx: click.Context | None) -> Path:
        try:
            return find_bundle(str(value), os.environ)
        except BundleError as error:
            self.fail(str(error), param, ctx)
