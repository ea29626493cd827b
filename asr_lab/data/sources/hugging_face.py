"""Hugging Face's datasets as parquet files, or as arrow files that `save_to_disk` wrote, read by pyarrow alone."""

from __future__ import annotations

import json
import os
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np

from asr_lab.audio.file_slice import row_path, slice_path
from asr_lab.audio.parquet_rows import MAX_GROUP_BYTES, parquet_module
from asr_lab.data.sources.rows import Found, tried
from asr_lab.data.sources.text_lines import is_text
from asr_lab.data.utterance import Utterance, brief
from asr_lab.errors import DataError

TEXTS = ("transcription", "raw_transcription", "sentence", "normalized_text", "raw_text", "text", "transcript")
"""Columns that published sets call their transcripts."""
IDS = ("id", "audio_id", "segment_id", "utterance_id")
MAX_JSON_BYTES = 1 << 24


class HubColumns(NamedTuple):
    """What the recipe calls the columns; "" = found by their types and usual names."""

    audio: str = ""
    text: str = ""
    id: str = ""


def split_files(folder: Path, split: str) -> list[Path]:
    """The files of a split in their order, arrow files before parquet; DataError where there are none.

    A folder of `save_to_disk` may hold several splits, each in its folder.
    """
    if folder.is_file():
        return [folder]
    arrow = folder / split if (folder / "dataset_dict.json").is_file() or not _has_arrow(folder) else folder
    if _has_arrow(arrow) and (split or arrow == folder):
        return _saved(arrow)
    if (folder / "dataset_dict.json").is_file():
        raise DataError(f"{folder} holds {_names(folder)}: name one as `split`" + (f", not {split!r}" if split else ""))
    places = [(folder / split, "*.parquet")] if split else [(folder, "*.parquet"), (folder / "data", "*.parquet")]
    if split:
        named = (f"{split}-*.parquet", f"{split}.parquet")
        places += [(base, pattern) for base in (folder, folder / "data") for pattern in named]
    for base, pattern in places:
        if found := sorted(path for path in base.glob(pattern) if path.is_file()):
            return found
    wanted = f"of the split {split!r} " if split else ""
    raise DataError(f"{folder} holds no parquet or arrow files {wanted}; it has {_names(folder)}")


def hugging_face_rows(files: Sequence[Path], columns: HubColumns) -> Iterator[Found]:
    """The rows of some files; columns: what else is a text or a number. A row is called by its `id`, or its place.

    DataError for files that cannot be read, without a column of audio, or with several columns that may be the text.
    MissingPackageError without pyarrow.
    """
    parquet_module()
    import pyarrow

    for path in files:
        read = _parquet_batches if path.suffix == ".parquet" else _arrow_batches
        count = 0
        try:
            for batch, audio, chosen in read(path, columns):
                yield from _batch_rows(path, count, batch, audio, chosen)
                count += batch.num_rows
        except (pyarrow.ArrowException, OSError, ValueError, OverflowError, KeyError) as error:
            raise DataError(f"{path} cannot be read: {str(error)[:200]}; fetch it again") from error


class _Audio(NamedTuple):
    """The recordings of some rows; "" where a row has none."""

    paths: list[str]
    names: list[str]
    """What their files were called."""


Batches = Iterator[tuple[Any, _Audio, HubColumns]]


def _parquet_batches(path: Path, columns: HubColumns) -> Batches:
    with parquet_module().ParquetFile(path) as file:
        chosen = _chosen(path, file.schema_arrow, columns)
        others = [name for name in file.schema_arrow.names if name != chosen.audio]
        for group in range(file.num_row_groups):
            if file.metadata.row_group(group).total_byte_size > MAX_GROUP_BYTES:
                raise DataError(f"{path}: its row groups are larger than 2 GiB; write smaller ones")
            table = file.read_row_group(group, columns=[*others, chosen.audio], use_threads=False).combine_chunks()
            for batch in table.to_batches()[:1]:
                content, names = _fields(batch.column(chosen.audio))
                column = f"{chosen.audio}.bytes" if content is not None and names is not None else chosen.audio
                sizes = _sizes(content)
                paths = [
                    row_path(path, group, row, size, column, name) if size is not None else ""
                    for row, (size, name) in enumerate(zip(sizes, _texts(names, len(sizes)), strict=True))
                ]
                yield batch, _Audio(paths, _texts(names, len(sizes))), chosen


def _arrow_batches(path: Path, columns: HubColumns) -> Batches:
    import pyarrow

    with pyarrow.memory_map(os.fspath(path)) as file:
        first = file.read_buffer(1).address
        size = file.size()
        file.seek(0)
        with pyarrow.ipc.open_stream(file) as stream:
            chosen = _chosen(path, stream.schema, columns)
            for batch in stream:
                batch.validate(full=True)
                content, names = _fields(batch.column(chosen.audio))
                paths = _in_place(path, content, _texts(names, batch.num_rows), first, size)
                yield batch, _Audio(paths, _texts(names, batch.num_rows)), chosen


def _in_place(path: Path, content: Any, names: list[str], first: int, size: int) -> list[str]:
    """Where in the file each value's bytes are; "" for one that is null."""
    import pyarrow

    if content is None:
        return [""] * len(names)
    wide = np.int64 if pyarrow.types.is_large_binary(content.type) else np.int32
    _, offsets, values = content.buffers()
    ends = np.frombuffer(offsets, dtype=wide)[content.offset : content.offset + len(content) + 1].astype(np.int64)
    begin = values.address - first if values is not None else 0
    if begin < 0 or begin + int(ends[-1]) > size:
        raise DataError(f"{path} is compressed, so that nothing can be read in its place; save it without compression")
    valid = content.is_valid().to_pylist()
    return [
        slice_path(path, begin + int(ends[row]), int(ends[row + 1] - ends[row]), names[row]) if valid[row] else ""
        for row in range(len(content))
    ]


def _batch_rows(path: Path, before: int, batch: Any, audio: _Audio, chosen: HubColumns) -> Iterator[Found]:
    plain = {name: batch.column(name).to_pylist() for name in _plain(batch.schema, chosen)}
    for row in range(batch.num_rows):
        own = {name: values[row] for name, values in plain.items() if values[row] is not None}
        named = str(own.pop(chosen.id, "")) if chosen.id else ""
        name = named or f"{path.name.partition('.')[0]}/{before + row}"
        text = own.pop(chosen.text, None)

        def make(row: int = row, name: str = name, text: Any = text, own: Any = own) -> Utterance:
            if not audio.paths[row]:
                raise ValueError(f"holds no audio, only the path {brief(audio.names[row])}")
            if text is None:
                raise ValueError(f"has no {chosen.text}")
            if wrong := [key for key, value in own.items() if isinstance(value, str) and not is_text(value)]:
                raise ValueError(f"{wrong[0]} is not UTF-8")
            return Utterance(name, audio.paths[row], None, text, columns=own)

        yield tried(name, path, "", make, text)


def _chosen(path: Path, schema: Any, columns: HubColumns) -> HubColumns:
    """The columns of a file; DataError where one is absent or several may be meant."""
    import pyarrow.types as kinds

    names = list(schema.names)
    for wanted in columns:
        if wanted and wanted not in names:
            raise DataError(f"{path} has no column {wanted!r} (have: {', '.join(map(str, names[:30]))})")
    recordings = [field.name for field in schema if _is_audio(field.type)]
    texts = [name for name in TEXTS if name in names and _is_string(schema.field(name).type, kinds)]
    audio = columns.audio or _only(path, recordings, "audio_column", "of audio")
    text = columns.text or _only(path, texts, "text_column", "of transcripts")
    id = columns.id or next((name for name in IDS if name in names), "")
    if not _is_audio(schema.field(audio).type):
        raise DataError(f"{path}: the column {audio!r} holds no audio but {schema.field(audio).type}")
    if not _is_string(schema.field(text).type, kinds):
        raise DataError(f"{path}: the column {text!r} holds no text but {schema.field(text).type}")
    return HubColumns(audio, text, id)


def _only(path: Path, found: Sequence[str], key: str, what: str) -> str:
    if len(found) != 1:
        have = (
            f"has {len(found)} columns {what}: {', '.join(found)}" if found else f"has no column {what} that is known"
        )
        raise DataError(f"{path} {have}; name one as `{key}`")
    return found[0]


def _is_audio(kind: Any) -> bool:
    """Whether a column is of `datasets`' Audio, or of encoded files as they are."""
    import pyarrow.types as kinds

    if kinds.is_struct(kind):
        names = [kind.field(number).name for number in range(kind.num_fields)]
        return "bytes" in names and _is_audio(kind.field(names.index("bytes")).type)
    return bool(kinds.is_binary(kind) or kinds.is_large_binary(kind))


def _is_string(kind: Any, kinds: Any) -> bool:
    return bool(kinds.is_string(kind) or kinds.is_large_string(kind))


def _plain(schema: Any, chosen: HubColumns) -> list[str]:
    """Columns of texts and numbers."""
    import pyarrow.types as kinds

    tests = (kinds.is_string, kinds.is_large_string, kinds.is_integer, kinds.is_floating, kinds.is_boolean)
    return [field.name for field in schema if field.name != chosen.audio and any(test(field.type) for test in tests)]


def _fields(column: Any) -> tuple[Any, Any]:
    """Contents and paths of a column of audio; None for what it lacks."""
    import pyarrow.types as kinds

    if not kinds.is_struct(column.type):
        return column, None
    names = [column.type.field(number).name for number in range(column.type.num_fields)]
    found = dict(zip(names, column.flatten(), strict=True))
    path = found.get("path")
    return found["bytes"], path if path is not None and _is_string(path.type, kinds) else None


def _sizes(content: Any) -> list[int | None]:
    from pyarrow import compute

    return compute.binary_length(content).to_pylist()  # type: ignore[no-any-return]


def _texts(names: Any, count: int) -> list[str]:
    return [""] * count if names is None else [name or "" for name in names.to_pylist()]


def _has_arrow(folder: Path) -> bool:
    return (folder / "state.json").is_file() or any(folder.glob("data-*.arrow"))


def _saved(folder: Path) -> list[Path]:
    """The files of one saved dataset in their order."""
    state = folder / "state.json"
    if not state.is_file():
        return sorted(folder.glob("data-*.arrow"))
    try:
        if state.stat().st_size > MAX_JSON_BYTES:
            raise ValueError("it is too large")
        told: Any = json.loads(state.read_text(encoding="utf-8"))
        names = [str(one["filename"]) for one in told["_data_files"]]
        ordered = told.get("_indices_data_files")
    except (OSError, ValueError, RecursionError, TypeError, KeyError, AttributeError) as error:
        raise DataError(f"{state} cannot be read: {str(error)[:200]}; save the dataset again") from error
    if ordered:
        raise DataError(f"{folder} was saved in another order than its rows have; flatten_indices() and save it again")
    if wrong := [name for name in names if Path(name).name != name or "\0" in name]:
        raise DataError(f"{state} names a file outside its folder: {brief(wrong[0])}")
    if lacking := [name for name in names if not (folder / name).is_file()]:
        raise DataError(f"no such file: {folder / lacking[0]}")
    return [folder / name for name in names]


def _names(folder: Path) -> str:
    """What a folder holds, some of it where that is much."""
    names = sorted(path.name for path in folder.iterdir())
    return ", ".join([*names[:8], *(["…"] if len(names) > 8 else [])]) or "nothing"
