"""FLEURS' test sets as they are published, with a few seconds of synthetic speech a language: the way, not error rates.

Texts are common words in each language's script; the voice is the language's own where eSpeak NG has one, else the
nearest by script, reading words in its own letters.
"""

from __future__ import annotations

import io
import random
import tarfile
from collections.abc import Iterable
from pathlib import Path

import numpy as np
import soundfile

from asr_lab.audio.espeak import SpeechRequest, languages, synthesize
from asr_lab.data.fleurs_languages import BY_CODE, FleursLanguage

RATE = 16000
WORDS = {
    "Latn": "one two mama radio salam tere água über čaj łan ọmọ ŋo l'eau",
    "Cyrl": "мама вода дом книга река сын",
    "Arab": "كتاب سلام خانه آب نان دل",
    "Grek": "νερό σπίτι θάλασσα ήλιος γη",
    "Armn": "տուն ջուր հաց գիրք",
    "Geor": "წყალი სახლი პური დედა",
    "Hebr": "מים בית לחם שלום",
    "Ethi": "ውሃ ቤት ሰላም እናት",
    "Beng": "জল ঘর মা বই",
    "Deva": "पानी घर माँ किताब",
    "Gujr": "પાણી ઘર મા",
    "Guru": "ਪਾਣੀ ਘਰ ਮਾਂ",
    "Knda": "ನೀರು ಮನೆ ಅಮ್ಮ",
    "Mlym": "വെള്ളം വീട് അമ്മ",
    "Orya": "ପାଣି ଘର ମା",
    "Taml": "நீர் வீடு அம்மா",
    "Telu": "నీరు ఇల్లు అమ్మ",
    "Hans": "水 家 妈 妈 书",
    "Hant": "水 家 媽 媽 書",
    "Jpan": "みず いえ 東京 ラジオ",
    "Hang": "물 집 엄마 책",
    "Khmr": "ទឹក ផ្ទះ ម៉ាក់",
    "Laoo": "ນ້ຳ ເຮືອນ ແມ່",
    "Mymr": "ရေ အိမ် အမေ",
    "Thai": "น้ำ บ้าน แม่",
}
"""Words, or characters, by script; FLEURS writes Chinese with a blank between characters."""
NEAREST = {"Cyrl": "ru", "Arab": "ar", "Hans": "cmn", "Hant": "cmn", "Deva": "hi", "Beng": "bn", "Latn": "es"}
OF_LANGUAGE = {"fil": "id", "yue": "cmn", "cmn": "cmn", "jv": "id", "ceb": "id", "ast": "es", "gl": "pt"}
SPOKEN = "mama radio banana telefon kino"


def write_fleurs(base: Path, codes: Iterable[str], utterances: int = 3) -> None:
    """`data/CODE/test.tsv` and `data/CODE/audio/test.tar.gz` with 32-bit float WAV, below `base`."""
    voices = set(languages())
    for code in codes:
        one = BY_CODE[code]
        rows, waves = [], {}
        for number in range(utterances):
            draw = random.Random(f"{code} {number}")
            words = draw.choices(WORDS[one.script].split(), k=draw.randint(1, 3))
            wave = _spoken(one, words, voices, draw)
            name = f"{int.from_bytes(code.encode()) % 10**9}{number}.wav"
            waves[name] = _as_wav(wave)
            text = " ".join(words)
            chars = "".join(f"{' '.join(word)} | " for word in words).strip()
            raw = f'"{text.capitalize()}",'  # never parsed as a quoted field
            gender = ("MALE", "FEMALE", "OTHER")[number % 3]
            rows.append("\t".join([str(100 + number // 2), name, raw, text, chars, str(len(wave)), gender]))
        folder = base / "data" / code
        (folder / "audio").mkdir(parents=True)
        (folder / "test.tsv").write_text("\n".join(rows) + "\n", encoding="utf-8")
        with tarfile.open(folder / "audio" / "test.tar.gz", "w:gz", compresslevel=1) as archive:
            for name, content in waves.items():
                member = tarfile.TarInfo(f"test/{name}")
                member.size = len(content)
                archive.addfile(member, io.BytesIO(content))


def _spoken(one: FleursLanguage, words: list[str], voices: set[str], draw: random.Random) -> np.ndarray:
    """A float waveform (S,) at 16 kHz."""
    own = next((name for name in (one.iso639, OF_LANGUAGE.get(one.iso639), one.iso639_3) if name in voices), None)
    voice = own or NEAREST.get(one.script, "en-us")
    text = (
        " ".join(words) if own in (one.iso639, one.iso639_3) else " ".join(draw.choices(SPOKEN.split(), k=len(words)))
    )
    made = synthesize(SpeechRequest(text, f"{voice}+{draw.choice(('m1', 'f2', 'm3'))}", 160, 50), RATE)
    if len(made) < RATE // 4:  # a voice that cannot read these letters
        made = synthesize(SpeechRequest(" ".join(draw.choices(SPOKEN.split(), k=len(words))), voice, 160, 50), RATE)
    return made.astype(np.float32) / 32768


def _as_wav(wave: np.ndarray) -> bytes:
    file = io.BytesIO()
    soundfile.write(file, wave, RATE, format="WAV", subtype="FLOAT")
    return file.getvalue()
