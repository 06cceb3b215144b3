"""Build hook: the annotation page goes into wheels and source distributions.

Where it cannot be built (no Node for this machine, no network), the package is built without it, and says so; `voxseed
annotate` then says what to do. Editable installations are left alone: a clone builds the page with `make web`.
"""

import importlib.util
import sys
from pathlib import Path
from typing import Any

from hatchling.builders.hooks.plugin.interface import BuildHookInterface


class PageHook(BuildHookInterface):
    """Builds web/ before the files are gathered."""

    def initialize(self, version: str, build_data: dict[str, Any]) -> None:
        """Build the page if it is not there; hatchling takes it along as an artifact."""
        if version == "editable":
            return
        script = Path(self.root, "scripts", "build_page.py")
        specification = importlib.util.spec_from_file_location("build_page", script)
        if specification is None or specification.loader is None:
            raise ImportError(script)
        builder = importlib.util.module_from_spec(specification)
        specification.loader.exec_module(builder)
        try:
            builder.build(Path(self.root))
        except builder.PageError as error:
            print(f"Without the annotation page: {error}", file=sys.stderr)
