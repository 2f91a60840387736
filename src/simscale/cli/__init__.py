"""The command line."""

from simscale.cli.main import main

__all__ = ["main"]
