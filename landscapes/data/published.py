"""What publishers say of their files, by which a wrong or truncated one is known."""

from __future__ import annotations

import hashlib
from dataclasses import dataclass
from pathlib import Path


@dataclass(frozen=True)
class Published:
    """A file as it was published.

    name    of the file
    size    in bytes
    digest  md5 (32 hexadecimal digits) or sha256 (64)
    url     where it is to be had; "": nowhere by itself
    """

    name: str
    size: int
    digest: str
    url: str = ""

    @property
    def algorithm(self) -> str:
        return {32: "md5", 64: "sha256"}[len(self.digest)]

    def check(self, content: bytes, path: Path) -> bytes:
        """The content; ValueError, naming `path` where it was found, if it is another."""
        self.check_sum(len(content), hashlib.new(self.algorithm, content).hexdigest(), path)
        return content

    def check_file(self, path: Path) -> None:
        """ValueError if the file is another."""
        with open(path, "rb") as handle:
            digest = hashlib.file_digest(handle, self.algorithm).hexdigest()
        self.check_sum(path.stat().st_size, digest, path)

    def check_sum(self, size: int, digest: str, path: Path) -> None:
        """ValueError if size or digest are not the published ones."""
        if size != self.size:
            kind = "truncated" if size < self.size else "another file"
            raise ValueError(
                f"{path} is not {self.name} as published: {self.size} bytes expected, "
                f"{size} found ({kind})"
            )
        if digest != self.digest:
            raise ValueError(
                f"{path} is not {self.name} as published: {self.algorithm} {self.digest} "
                f"expected, {digest} found"
            )
