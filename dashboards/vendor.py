"""Fetches the browser's libraries from npm as `manifest.json` names them, and writes down what came.

    python dashboards/vendor.py

Needs npm. What is fetched is committed, so nobody needs this to install or to run whodid.
"""

from __future__ import annotations

import base64
import hashlib
import json
import subprocess
import tarfile
import tempfile
from pathlib import Path

VENDOR = Path(__file__).parent / "src/whodid/dashboards/pages/static/vendor"
MANIFEST = VENDOR / "manifest.json"


def main() -> None:
    manifest = json.loads(MANIFEST.read_text())
    licences: list[str] = []
    for package in manifest["packages"]:
        name, version = package["name"], package["version"]
        with tempfile.TemporaryDirectory() as folder:
            command = ["npm", "pack", "--silent", f"{name}@{version}"]
            subprocess.run(command, cwd=folder, check=True, capture_output=True)  # noqa: S603
            packed = next(Path(folder).glob("*.tgz"))
            digest = hashlib.sha512(packed.read_bytes()).digest()
            # As npm's registry and lock files have it (Subresource Integrity).
            package["integrity"] = f"sha512-{base64.b64encode(digest).decode()}"
            with tarfile.open(packed) as tar:
                for file in package["files"]:
                    content = _read(tar, file["from"])
                    (VENDOR / file["name"]).write_bytes(content)
                    file["sha256"] = hashlib.sha256(content).hexdigest()
                licences.append(f"{name} {version}\n\n{_read(tar, 'package/LICENSE').decode().strip()}\n")
    MANIFEST.write_text(json.dumps(manifest, indent=2) + "\n")
    (VENDOR / "LICENSES.txt").write_text(f"\n{'-' * 78}\n".join(licences))


def _read(tar: tarfile.TarFile, name: str) -> bytes:
    found = tar.extractfile(name)
    if found is None:
        raise SystemExit(f"{name} is no file of the package")
    return found.read()


if __name__ == "__main__":
    main()
