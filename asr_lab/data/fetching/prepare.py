"""A corpus from its publisher to ASRLAB_DATA: fetched, checked, unpacked, each part whole or not at all."""

from __future__ import annotations

import contextlib
import fcntl
import hashlib
import json
import shutil
import warnings
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Literal, Protocol
from urllib.parse import urlsplit

import attrs

from asr_lab.data.catalog import Download, PublishedCorpus
from asr_lab.data.fetching.download import Patience, download, read_list
from asr_lab.data.fetching.unpack import Bounds, merge, unpack
from asr_lab.errors import DataError

FOLDER = ".downloads"
"""Under ASRLAB_DATA: what is on its way."""
HASH_BYTES = 1 << 22


class Watcher(Protocol):
    """Who shows how far it is."""

    def stage(self, name: str, total: int | None) -> None:
        """Something begins, so many bytes of it where that is known."""

    def at(self, done: int, total: int | None) -> None:
        """So many bytes are done."""


class Silent:
    """Shows nothing."""

    def stage(self, name: str, total: int | None) -> None:
        """Nothing."""

    def at(self, done: int, total: int | None) -> None:
        """Nothing."""


@attrs.frozen
class PreparedPart:
    """What became of one download."""

    part: str
    url: str
    path: str
    """What is there now."""
    state: Literal["there", "fetched"]
    checked: str
    """Which checksum it was held against: sha256, md5, or "" where none is published."""


def prepare(
    downloads: Sequence[Download],
    corpus: PublishedCorpus,
    root: Path,
    *,
    mirror: str = "",
    keep: bool = False,
    patience: Patience = Patience(),  # noqa: B008 - frozen
    bounds: Bounds = Bounds(),  # noqa: B008 - frozen
    watcher: Watcher | None = None,
) -> Iterator[PreparedPart]:
    """Fetch parts of a corpus, one after the other; what is there is not fetched again.

    An archive is unpacked beside its place and moved there when it is whole. `mirror` stands for the scheme and host of
    all addresses; `keep` leaves archives where they were fetched to. DataError, saying what to do.
    """
    shown = watcher or Silent()
    _check_room(downloads, root)
    lists: dict[str, str] = {}
    for one in downloads:
        made = root / one.makes
        if made.exists():
            yield PreparedPart(one.part, one.url, str(made), "there", "")
            continue
        folder = root / FOLDER / corpus.name
        folder.mkdir(parents=True, exist_ok=True)
        name = one.makes.replace("/", "+") if not one.unpack else one.file
        with _alone(folder / f"{name}.lock"):
            checked = _fetch(one, folder / name, mirror, patience, shown, lists)
            _install(one, corpus, folder / name, root, keep, bounds, shown)
        yield PreparedPart(one.part, one.url, str(made), "fetched", checked)
    with contextlib.suppress(OSError):  # others' files are in it
        (root / FOLDER / corpus.name).rmdir()
        (root / FOLDER).rmdir()


def _check_room(downloads: Sequence[Download], root: Path) -> None:
    """DataError, before anything is fetched, where the disk cannot hold it all."""
    root.mkdir(parents=True, exist_ok=True)
    needed = sum(one.size for one in downloads if not (root / one.makes).exists())
    free = shutil.disk_usage(root).free
    if needed > free:
        raise DataError(
            f"{needed / 1e9:.0f} GB are to be fetched, and {root.resolve()} has {free / 1e9:.0f} GB free; take fewer "
            "parts, --only PART,PART, or set ASRLAB_DATA to a larger disk"
        )


def mirrored(url: str, mirror: str) -> str:
    """An address on a mirror that has the same paths."""
    if not mirror:
        return url
    parts = urlsplit(url)
    return mirror.rstrip("/") + parts.path + (f"?{parts.query}" if parts.query else "")


def _fetch(one: Download, target: Path, mirror: str, patience: Patience, shown: Watcher, lists: dict[str, str]) -> str:
    """Have an archive whole and checked; which checksum was asked."""
    kind, wanted = _checksum(one, mirror, patience, lists)
    url = mirrored(one.url, mirror)
    for last in (False, True):
        if not target.is_file():
            shown.stage(f"fetching {one.file}", one.num_bytes)
            download(url, target, num_bytes=one.num_bytes, is_checked=bool(kind), patience=patience, progress=shown.at)
        if not kind:
            return ""
        shown.stage(f"checking {one.file}", target.stat().st_size)
        found = _hashed(target, kind, shown)
        if found == wanted:
            return kind
        target.unlink()
        if last:
            raise DataError(
                f"{url}: its {kind} is {found}, published is {wanted}; it was fetched twice. Try a mirror: --mirror URL"
            )
    raise AssertionError


def _install(
    one: Download, corpus: PublishedCorpus, archive: Path, root: Path, keep: bool, bounds: Bounds, shown: Watcher
) -> None:
    """Put a whole archive, or what is in it, in its place."""
    made = root / one.makes
    if not one.unpack:
        made.parent.mkdir(parents=True, exist_ok=True)
        archive.replace(made)
        return
    aside = archive.with_name(f"{archive.name}.unpacking")
    shutil.rmtree(aside, ignore_errors=True)
    shown.stage(f"unpacking {one.file}", None)
    try:
        unpack(archive, aside, bounds=bounds, progress=lambda done: shown.at(done, None))
        if corpus.nested:
            for inner in sorted(aside.glob(corpus.nested)):
                unpack(inner, inner.parent, bounds=bounds)
                inner.unlink()
        if not (aside / Path(one.makes).relative_to(one.into)).exists():
            raise DataError(f"{archive} holds no {one.makes}; it is another archive than the one that is published")
        merge(aside, root / one.into)
    finally:
        shutil.rmtree(aside, ignore_errors=True)
    if not keep:
        archive.unlink()


def _checksum(one: Download, mirror: str, patience: Patience, lists: dict[str, str]) -> tuple[str, str]:
    """Which checksum is published of a file, and what it is; two empty texts where none is."""
    if one.sha256 or one.md5:
        return ("sha256", one.sha256) if one.sha256 else ("md5", one.md5)
    if not one.checksums:
        return "", ""
    if one.checksums not in lists:
        try:
            lists[one.checksums] = read_list(mirrored(one.checksums, mirror), patience)
        except DataError as error:
            warnings.warn(f"{error}; {one.file} is fetched without a checksum", stacklevel=2)
            lists[one.checksums] = ""
    read = _md5_of if one.checksum_form == "md5sum" else _hub_sha256_of
    return read(lists[one.checksums], one)


def _md5_of(text: str, one: Download) -> tuple[str, str]:
    for line in text.splitlines():
        digest, _, name = line.strip().partition(" ")
        if name.strip(" *").rpartition("/")[2] == one.file and len(digest) == 32:
            return "md5", digest.lower()
    return "", ""


def _hub_sha256_of(text: str, one: Download) -> tuple[str, str]:
    """Of the Hub's list of a folder: a large file's object id is its SHA-256."""
    try:
        rows = json.loads(text) if text else []
        for row in rows if isinstance(rows, list) else []:
            if one.makes.endswith(row["path"]) and len(row["lfs"]["oid"]) == 64:
                return "sha256", str(row["lfs"]["oid"])
    except (ValueError, RecursionError, TypeError, KeyError):
        warnings.warn(f"{one.checksums} is no list of files; {one.file} is fetched without a checksum", stacklevel=2)
    return "", ""


def _hashed(path: Path, kind: str, shown: Watcher) -> str:
    found, size = hashlib.new(kind, usedforsecurity=False), path.stat().st_size
    with path.open("rb") as file:
        while piece := file.read(HASH_BYTES):
            found.update(piece)
            shown.at(file.tell(), size)
    return found.hexdigest()


@contextlib.contextmanager
def _alone(path: Path) -> Iterator[None]:
    """For one process of this machine at a time; DataError where another one is at it."""
    with path.open("a") as file:
        try:
            fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            raise DataError(f"another process fetches {path.name.removesuffix('.lock')}; wait for it") from None
        except OSError:  # a network disk without locks
            pass
        yield
        path.unlink(missing_ok=True)
