"""Stops a build of the package that would lack its JavaScript."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from hatchling.builders.hooks.plugin.interface import BuildHookInterface

BUNDLE = Path("src/polylaplace/_node")


class CustomBuildHook(BuildHookInterface):  # type: ignore[type-arg]
    """Checks that the bundled server is there."""

    def initialize(self, version: str, build_data: dict[str, Any]) -> None:
        """Runs before the files are collected; an editable install is a build too."""
        missing = [
            name
            for name in ("polylaplace.mjs", "worker.mjs", "worker-thread.mjs", "cli.mjs")
            if not (Path(self.root) / BUNDLE / name).is_file()
        ]
        if missing:
            raise SystemExit(
                f"polylaplace cannot be built: {BUNDLE / missing[0]} is missing. "
                "Run `npm ci && npm run build` in the repository's root first; it writes the JavaScript into the "
                "package."
            )
