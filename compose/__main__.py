"""`python -m compose COMMAND`."""

from compose.cli import main

main(prog_name="python -m compose")
