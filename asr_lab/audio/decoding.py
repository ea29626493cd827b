"""The one decoder of recordings: blocks of samples in order, whoever asks for them."""

from __future__ import annotations

import contextlib
import os
import warnings
from collections.abc import Generator, Iterator
from typing import TYPE_CHECKING, Any, NamedTuple, Self

import numpy as np
from numpy.typing import NDArray

from asr_lab.audio.containers.layout import AudioStream, Layout, LayoutError, Piece
from asr_lab.audio.containers.recognise import layout_of
from asr_lab.audio.file_view import FileView, OpenFile
from asr_lab.audio.resampling import MAX_HZ, absurd_rate
from asr_lab.audio.silence import C_STDERR
from asr_lab.errors import DataError

if TYPE_CHECKING:
    from asr_lab.audio.sequential_file import SequentialFile

Block = NDArray[np.float32]
"""Samples (S, channels), full scale 1."""

BLOCK_VALUES = 1 << 18
"""Samples of all channels that are decoded at once."""
MAX_CHANNELS = 256
MAX_LOST_S = 0.05
"""A file whose end lacks no more than this is read, with a note."""
SEEK_MARGIN_S = 1.0
"""An Ogg stream is decoded from this far before a wanted start, as its decoder needs a while to warm up."""
NO_COUNT = 1 << 60
"""libsndfile counts more samples than this where it does not know how many there are."""
PLAIN = ("PCM_", "FLOAT", "DOUBLE", "ULAW", "ALAW")
"""How the names of encodings begin in which each sample stands for itself, FLAC's too."""
INTEGERS = ("PCM_", "ULAW", "ALAW")
"""Those whose samples are finite whatever their bytes are."""


class AudioError(DataError):
    """A recording that cannot be used; `reason` says why without the path."""

    def __init__(self, path: str | os.PathLike[str], reason: str) -> None:
        self.reason = reason
        super().__init__(f"{os.fspath(path)}: {reason}")


class _Kept(NamedTuple):
    """A decoder that has read a header and no sample yet."""

    decoder: SequentialFile
    stack: contextlib.ExitStack
    """Closes it."""


class Recording:
    """An open recording; to be used in a `with`.

    AudioError where it cannot be opened, is no audio, or lacks more than `MAX_LOST_S` of what its headers promise, as
    far as that shows without decoding it; the rest shows in `blocks`.
    """

    def __init__(self, path: str | os.PathLike[str]) -> None:
        self.path = path
        self.file = _opened(path)
        self.notes: list[str] = []
        """What is odd about it, and was read all the same."""
        self._kept: _Kept | None = None
        try:
            self.layout = self._layout()
            self._declared = [self._read_header(part, number) for number, part in enumerate(self.layout.parts)]
        except BaseException:
            self.file.close()
            raise

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        if self._kept is not None:
            self._kept.stack.close()
        self.file.close()

    sample_rate: int
    """Hertz."""
    num_channels: int
    """The fewest that any of its streams has."""

    @property
    def num_samples(self) -> int | None:
        """Samples of each channel as its headers say; None where only decoding tells."""
        if len(self._declared) == 1 and (count := self._declared[0]) is not None:
            with self._first_decoder(self.layout.parts[0]) as decoder:
                self._declared[0] = self._confirmed(decoder, count)
        counts = [count for count in self._declared if count is not None]
        return sum(counts) if len(counts) == len(self._declared) else None

    def blocks(self, start: int = 0) -> Iterator[Block]:
        """The samples from `start` on, to the end.

        AudioError for what is truncated or damaged, and for samples that are not numbers.
        """
        decoded = 0
        for part, declared in zip(self.layout.parts, self._declared, strict=True):
            if declared is not None and decoded + declared <= start:
                decoded += declared
            else:
                decoded += yield from self._part_blocks(part, max(0, start - decoded))
        if not decoded:
            raise AudioError(self.path, "holds no samples")

    def warn(self) -> None:
        """Say what is odd about it."""
        for note in self.notes:
            warnings.warn(f"{os.fspath(self.path)}: {note}", stacklevel=2)

    def _part_blocks(self, part: AudioStream, start: int) -> Generator[Block, None, int]:
        """Blocks of one stream from its sample `start` on; the place of its end is returned."""
        with contextlib.ExitStack() as stack:
            decoder = stack.enter_context(self._first_decoder(part))
            promised, position = min(int(decoder.frames), part.most_samples), 0
            if start < promised < NO_COUNT:
                if part.entries is None:
                    position = self._sought(decoder, start)
                elif entry := part.entries.before(start, promised):
                    decoder, position = stack.enter_context(self._decoder(entry[0])), entry[1]
            size = max(1, BLOCK_VALUES // int(decoder.channels))
            any_value = not str(decoder.subtype).startswith(INTEGERS)
            # No more is asked for than is promised: what follows may be no audio.
            while position < promised and len(block := self._read(decoder, min(size, promised - position))):
                if any_value and not np.isfinite(block).all():
                    raise AudioError(self.path, "holds samples that are not finite numbers")
                skipped = max(0, start - position)
                position += len(block)
                if skipped < len(block):
                    yield block[skipped:]
            if promised < NO_COUNT and promised - position > MAX_LOST_S * self.sample_rate:
                ends = f"it ends at {position / self.sample_rate:.2f} of {promised / self.sample_rate:.2f} s"
                raise AudioError(self.path, f"is truncated or damaged: {ends}")
        return position

    def _sought(self, decoder: SequentialFile, start: int) -> int:
        """Go to where decoding has to begin for the samples from `start` on to be those of a decode of the whole."""
        margin = round(SEEK_MARGIN_S * self.sample_rate) if decoder.format == "OGG" else 0
        if start <= margin or not (margin or _is_plain(decoder)):
            return 0
        with self._named():
            return int(decoder.seek(start - margin))

    def _read(self, decoder: SequentialFile, count: int) -> Block:
        with self._named(), self._quiet():
            block: Block = decoder.read(count, dtype="float32", always_2d=True)
        return block

    @contextlib.contextmanager
    def _named(self) -> Iterator[None]:
        """Errors of libsndfile as those of this file."""
        import soundfile

        try:
            yield
        except soundfile.LibsndfileError as error:
            raise AudioError(self.path, _why(error)) from error

    def _quiet(self) -> contextlib.AbstractContextManager[None]:
        """What a decoder writes to C's stderr is not shown: whether a file is whole is told by its samples."""
        return C_STDERR.closed() if self.layout.name == "MP3" else contextlib.nullcontext()

    @contextlib.contextmanager
    def _first_decoder(self, part: AudioStream) -> Iterator[SequentialFile]:
        """The decoder that read the header, where no one has used it since; else a new one."""
        kept, self._kept = self._kept, None
        if kept is None:
            with self._decoder(part.pieces) as decoder:
                yield decoder
        else:
            with kept.stack:
                yield kept.decoder

    @contextlib.contextmanager
    def _decoder(self, pieces: tuple[Piece, ...]) -> Iterator[SequentialFile]:
        from asr_lab.audio.sequential_file import SequentialFile

        if pieces == ((0, self.file.size),) and not self.file.is_slice:
            os.lseek(self.file.descriptor, 0, os.SEEK_SET)
            shown: Any = self.file.descriptor
        else:
            shown = FileView(self.file, pieces)
        with self._named(), self._quiet():
            decoder = SequentialFile(shown, closefd=False)
        with decoder:
            yield decoder
        if isinstance(shown, FileView) and shown.error is not None:
            raise AudioError(self.path, f"cannot be read: {shown.error.strerror}")

    def _layout(self) -> Layout:
        if not self.file.is_regular:
            raise AudioError(self.path, "is not a regular file")
        if not self.file.size:
            raise AudioError(self.path, "is empty (0 bytes)")
        try:
            layout = layout_of(self.file)
        except LayoutError as error:
            raise AudioError(self.path, str(error)) from error
        except OSError as error:
            raise AudioError(self.path, f"cannot be read: {error.strerror}") from error
        self.notes += layout.notes
        if layout.truncated:
            raise AudioError(self.path, f"is truncated: {layout.truncated}")
        return layout

    def _read_header(self, part: AudioStream, number: int) -> int | None:
        """Check a stream's header; the samples that it declares, None where only decoding tells."""
        with contextlib.ExitStack() as stack:
            decoder = stack.enter_context(self._decoder(part.pieces))
            count = self._checked_count(decoder, part, number)
            if len(self.layout.parts) == 1:
                self._kept = _Kept(decoder, stack.pop_all())
                return count
            return None if count is None else self._confirmed(decoder, count)

    def _checked_count(self, decoder: SequentialFile, part: AudioStream, number: int) -> int | None:
        rate, channels, count = int(decoder.samplerate), int(decoder.channels), int(decoder.frames)
        if not 0 < rate <= MAX_HZ:
            raise AudioError(self.path, absurd_rate(rate))
        if not 0 < channels <= MAX_CHANNELS:
            raise AudioError(self.path, f"has {channels:,} channels; up to {MAX_CHANNELS} can be read")
        if number and rate != self.sample_rate:
            rates = f"{self.sample_rate:,} and {rate:,} Hz"
            raise AudioError(self.path, f"holds streams of {rates}; split it, or convert it to one rate")
        self.sample_rate = rate
        self.num_channels = min(channels, self.num_channels) if number else channels
        self._check_lost(part, count)
        if part.decode or not _is_plain(decoder) or count >= NO_COUNT:
            return None
        if len(self.layout.parts) == 1 and not count:
            raise AudioError(self.path, "holds no samples")
        return count

    def _check_lost(self, part: AudioStream, count: int) -> None:
        if not part.lost_share or count >= NO_COUNT:
            return
        there_s = count / self.sample_rate
        promised_s = there_s * (1 + part.lost_share)
        if promised_s - there_s > MAX_LOST_S or not count:
            reason = f"is truncated: {there_s:.2f} of the {promised_s:.2f} s that its header says are there"
            raise AudioError(self.path, reason)
        self.notes.append(f"its last {1000 * (promised_s - there_s):.1f} ms are not there")

    def _confirmed(self, decoder: SequentialFile, count: int) -> int | None:
        """The samples that a header declares, where the last of them is there; None where decoding has to tell."""
        return count if decoder.format != "FLAC" or self._has_last(decoder, count) else None

    def _has_last(self, decoder: SequentialFile, count: int) -> bool:
        """Whether the last sample can be decoded: libsndfile believes a FLAC header."""
        try:
            with self._named():
                decoder.seek(max(0, count - 1))
                return len(decoder.read(1, dtype="float32")) == 1
        except AudioError:
            return False


def _opened(path: str | os.PathLike[str]) -> OpenFile:
    try:
        return OpenFile(path)
    except ValueError as error:  # a zero byte, half of a surrogate pair
        raise AudioError(path, "no file can be called so") from error
    except OSError as error:
        absent = isinstance(error, FileNotFoundError | NotADirectoryError)
        reason = "no such file" if absent else str(error.strerror).lower()
        raise AudioError(path, reason) from error


def _is_plain(decoder: SequentialFile) -> bool:
    return str(decoder.subtype).startswith(PLAIN)


def _why(error: Any) -> str:
    text = str(error.error_string).rstrip(".")
    if "not recognised" in text or "unknown format" in text.lower():
        return "is not audio that libsndfile can read"
    if "malformed" in text:
        return "is truncated or malformed"
    if "SF_INFO" in text:
        return "is malformed: its header names no sample rate or no channels"
    if "flac decoder" in text or not text:
        return "is truncated or damaged: its decoder lost sync"
    return text[:1].lower() + text[1:]
