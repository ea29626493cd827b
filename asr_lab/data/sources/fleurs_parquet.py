"""FLEURS' parquet files, written once as a plain tar archive and a table like the published ones."""

from __future__ import annotations

import hashlib
import io
import secrets
import shutil
import tarfile
import warnings
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

from asr_lab.data.cache import cache_root
from asr_lab.data.sources.archives import Archive
from asr_lab.errors import DataError, MissingPackageError
from asr_lab.files import real_path

COLUMNS = ("id", "num_samples", "path", "audio", "transcription", "raw_transcription", "gender")
GENDERS = ("MALE", "FEMALE", "OTHER")
BATCH_ROWS = 64


def as_archive(files: Sequence[Path]) -> tuple[Path, Archive]:
    """The table and the recordings of a split that some parquet files hold, kept in the cache.

    A column is compressed as one, so that a recording cannot be read in its place. MissingPackageError without
    pyarrow; DataError for files that are not FLEURS'.
    """
    about = "\0".join(f"{real_path(p)}\0{p.stat().st_size}\0{p.stat().st_mtime_ns}" for p in files)
    key = hashlib.sha256(about.encode("utf-8", "surrogateescape")).hexdigest()[:16]
    folder = cache_root() / "archives" / f"{files[0].parent.name}-{key}"
    if not folder.is_dir():
        warnings.warn(f"{files[0].parent}: its parquet files are unpacked once, into {folder}", stacklevel=2)
        aside = folder.with_name(f".{folder.name}.{secrets.token_hex(8)}.tmp")
        aside.mkdir(parents=True)
        try:
            _write(files, aside)
            aside.rename(folder)
        except OSError:
            if not folder.is_dir():  # another process was no faster
                raise
        finally:
            shutil.rmtree(aside, ignore_errors=True)
    return folder / "rows.tsv", Archive(folder / "audio.tar")


def _write(files: Sequence[Path], folder: Path) -> None:
    with (folder / "rows.tsv").open("w", encoding="utf-8") as table, tarfile.open(folder / "audio.tar", "w:") as tar:
        for row in _rows(files):
            audio = row["audio"] or {}
            name = str(audio.get("path") or row["path"] or "").rpartition("/")[2]
            content = audio.get("bytes")
            if content is not None and name:
                member = tarfile.TarInfo(name)
                member.size = len(content)
                tar.addfile(member, io.BytesIO(content))
            gender = row["gender"]
            named = GENDERS[gender] if isinstance(gender, int) and 0 <= gender < len(GENDERS) else ""
            texts = [_cell(row[column]) for column in ("raw_transcription", "transcription")]
            table.write("\t".join([_cell(row["id"]), name, *texts, "", _cell(row["num_samples"]), named]) + "\n")


def _rows(files: Sequence[Path]) -> Iterator[dict[str, Any]]:
    try:
        import pyarrow
        from pyarrow import parquet
    except ImportError as error:
        raise MissingPackageError(
            f"parquet files are read by pyarrow ({error}): pip install 'asr-lab[training]'"
        ) from error
    for path in files:
        try:
            with parquet.ParquetFile(path) as file:
                if lacking := [c for c in COLUMNS if c not in file.schema_arrow.names]:
                    raise DataError(f"{path} is none of FLEURS' parquet files: it has no column {lacking[0]!r}")
                for batch in file.iter_batches(BATCH_ROWS, columns=list(COLUMNS)):
                    yield from batch.to_pylist()
        except (pyarrow.ArrowException, OSError, ValueError) as error:
            raise DataError(f"{path} cannot be read: {str(error)[:200]}; fetch it again") from error


def _cell(value: object) -> str:
    """A value as a field of a table: no tab, no line end."""
    return "" if value is None else str(value).replace("\t", " ").replace("\n", " ").replace("\r", " ")
