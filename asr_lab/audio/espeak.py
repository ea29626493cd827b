"""Speech from eSpeak NG 1.52 through ctypes; `python -m asr_lab.audio.espeak` is the process that it lives in.

The library is GPL, hence an extra, and never loaded into the process that trains. It keeps state from one utterance to
the next (oscillator phases, noise), so it is loaded afresh for each: the same request gives the same bits in any order.
"""

from __future__ import annotations

import ctypes
import json
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from asr_lab.audio.resampling import Audio, resample
from asr_lab.errors import MissingPackageError

INSTALL = "synthetic speech is made by eSpeak NG, which is not installed: pip install 'asr-lab[demo]'"
VARIANTS = (
    *("m1", "m2", "m3", "m4", "m5", "m6", "m7", "m8", "f1", "f2", "f3", "f4", "f5"),
    *("Alex", "Alicia", "Andrea", "Andy", "Annie", "Denis", "Diogo", "Gene", "Henrique", "Hugo", "Jacky", "Lee"),
    *("Marco", "Mario", "Michael", "Mike", "Nguyen", "Reed", "adam", "anika", "antonio", "belinda", "benjamin"),
    *("boris", "caleb", "david", "ed", "edward", "grandma", "grandpa", "gustave", "ian", "iven", "john", "linda"),
    *("marcelo", "max", "michel", "miguel", "norbert", "pablo", "paul", "pedro", "quincy", "rob", "robert", "sandro"),
    *("shelby", "steph", "travis", "victor", "zac"),
)
"""Voice variants that sound like different people; robots, whispers and second takes of a voice are left out."""

_SYNCHRONOUS = 2
_DONT_EXIT = 0x8000
_UTF8 = 1
_POSITION_CHARACTER = 1
_RATE, _PITCH = 1, 3
_CALLBACK = ctypes.CFUNCTYPE(ctypes.c_int, ctypes.POINTER(ctypes.c_short), ctypes.c_int, ctypes.c_void_p)


class SpeechRequest(NamedTuple):
    """What to say and how."""

    text: str
    voice: str
    """A language and a variant: `en-us+m3`."""
    rate_wpm: int
    """Words a minute, 80 to 450."""
    pitch: int
    """0 to 99; 50 is the voice's own."""


def version() -> str:
    """Version of the package that brings eSpeak NG; MissingPackageError when it is not installed."""
    from importlib.metadata import PackageNotFoundError
    from importlib.metadata import version as version_of

    try:
        return version_of("espeakng-loader")
    except PackageNotFoundError:
        raise MissingPackageError(INSTALL) from None


def languages() -> tuple[str, ...]:
    """The languages of eSpeak NG, as its voices are called."""
    try:
        import espeakng_loader
    except ImportError:
        raise MissingPackageError(INSTALL) from None
    folder = Path(espeakng_loader.get_data_path()) / "lang"
    return tuple(sorted(p.name.lower() for p in folder.rglob("*") if p.is_file()))


def synthesize(request: SpeechRequest, sample_rate: int) -> NDArray[np.int16]:
    """The spoken request, (S,) int16 at `sample_rate` Hz; ValueError for a voice that there is not."""
    import espeakng_loader

    libc = ctypes.CDLL(None)
    library = ctypes.CDLL(espeakng_loader.get_library_path())
    pieces: list[bytes] = []

    def keep(samples: Any, count: int, events: Any) -> int:
        if samples and count > 0:
            pieces.append(ctypes.string_at(samples, 2 * count))
        return 0

    callback = _CALLBACK(keep)
    try:
        data = espeakng_loader.get_data_path().encode()
        rate = library.espeak_Initialize(_SYNCHRONOUS, 0, data, _DONT_EXIT)
        if rate <= 0:
            raise RuntimeError(f"eSpeak NG cannot start with the data at {data!r}")
        # Breath, whisper and some voices' tremor are drawn; starting seeds that with the time.
        library.espeak_ng_SetRandSeed(ctypes.c_long(1))
        libc.srand(1)
        library.espeak_SetSynthCallback(callback)
        if library.espeak_SetVoiceByName(request.voice.encode()):
            raise ValueError(f"eSpeak NG has no voice {request.voice!r}")
        library.espeak_SetParameter(_RATE, request.rate_wpm, 0)
        library.espeak_SetParameter(_PITCH, request.pitch, 0)
        text = request.text.encode() + b"\0"
        if library.espeak_Synth(text, len(text), 0, _POSITION_CHARACTER, 0, _UTF8, None, None):
            raise RuntimeError(f"eSpeak NG cannot say {request.text!r}")
        library.espeak_Synchronize()
    finally:
        library.espeak_Terminate()
        libc.dlclose(ctypes.c_void_p(library._handle))
    wave: Audio = np.frombuffer(b"".join(pieces), dtype=np.int16).astype(np.float32)
    return np.clip(np.rint(resample(wave, rate, sample_rate)), -32768, 32767).astype(np.int16)


def write_shard(path: Path, requests: Sequence[SpeechRequest], sample_rate: int) -> list[int]:
    """Say the requests into one FLAC file, one after the other; the length of each in samples."""
    import soundfile

    waves = [synthesize(r, sample_rate) for r in requests]
    soundfile.write(str(path), np.concatenate(waves), sample_rate, subtype="PCM_16", format="FLAC")
    return [len(w) for w in waves]


def main() -> None:
    """Shards to write come as lines of JSON on stdin; their lengths go to stdout, a line each."""
    for line in sys.stdin:
        task = json.loads(line)
        requests = [SpeechRequest(*r) for r in task["requests"]]
        try:
            answer: dict[str, Any] = {"lengths": write_shard(Path(task["path"]), requests, task["sample_rate"])}
        except ValueError as error:
            answer = {"error": str(error)}
        print(json.dumps(answer), flush=True)


if __name__ == "__main__":
    main()
