"""The corpora that `asrlab data` knows: what they are, where they are published, and how their archives are checked."""

from __future__ import annotations

from collections.abc import Sequence
from fnmatch import fnmatchcase
from typing import Literal

import attrs

from asr_lab.data.fleurs_languages import LANGUAGES
from asr_lab.data.sources.mls import LANGUAGES as MLS_LANGUAGES

GB = 10**9
OPENSLR = "https://www.openslr.org/resources"
MLS = "https://dl.fbaipublicfiles.com/mls"
HUB = "https://huggingface.co"
FLEURS_REVISION = "4683b04af03d2d9549064c7d72060a9a94bb6046"
"""Of the repository google/fleurs: tables and archives as of August 2026."""


@attrs.frozen
class Download:
    """One published file, and what becomes of it under ASRLAB_DATA."""

    part: str
    """What `--only` calls it."""
    url: str
    makes: str
    """The file or folder that is there once it is done."""
    into: str = ""
    """The folder that its content goes into."""
    unpack: bool = True
    num_bytes: int | None = None
    sha256: str = ""
    md5: str = ""
    checksums: str = ""
    """Address of the publisher's list of checksums, where none is known here."""
    checksum_form: Literal["md5sum", "hub_tree"] = "md5sum"
    approximate_bytes: int = 0
    """For people, where the exact number is not known."""

    @property
    def size(self) -> int:
        """Bytes, approximate where the exact number is not known; 0 for small ones."""
        return self.num_bytes or self.approximate_bytes

    @property
    def file(self) -> str:
        """Its name as published."""
        return self.url.rpartition("/")[2]


@attrs.frozen
class PublishedCorpus:
    """A corpus, and how it is got."""

    name: str
    """The dataset's type in a recipe, where it has one."""
    title: str
    languages: str
    hours: str
    licence: str
    home: str
    downloads: tuple[Download, ...] = ()
    """None where it is not fetched here."""
    how: str = ""
    """What to do for one that is not fetched here."""
    columns: str = ""
    nested: str = ""
    """Archives within what was unpacked that are unpacked in their place: a pattern under ASRLAB_DATA."""


def _librispeech() -> tuple[Download, ...]:
    sums = {
        "dev-clean": (337926286, "76f87d090650617fca0cac8f88b9416e0ebf80350acb97b343a85fa903728ab3"),
        "dev-other": (314305928, "12661c48e8c3fe1de2c1caa4c3e135193bfb1811584f11f569dd12645aa84365"),
        "test-clean": (346663984, "39fde525e59672dc6d1551919b1478f724438a95aa55f874b576be21967e6c23"),
        "test-other": (328757843, "d09c181bba5cf717b3dee7d4d592af11a3ee3a09e08ae025c5506f6ebe961c29"),
        "train-clean-100": (6387309499, "d4ddd1d5a6ab303066f14971d768ee43278a5f2a0aa43dc716b0e64ecbbbf6e2"),
        "train-clean-360": (23049477885, "146a56496217e96c14334a160df97fffedd6e0a04e66b9c5af0d40be3c792ecf"),
        "train-other-500": (30593501606, "ddb22f27f96ec163645d53215559df6aa36515f26e01dd70798188350adcb6d2"),
    }
    return tuple(
        Download(p, f"{OPENSLR}/12/{p}.tar.gz", f"LibriSpeech/{p}", num_bytes=size, sha256=sha)
        for p, (size, sha) in sums.items()
    )


def _mini() -> tuple[Download, ...]:
    parts = (
        ("train-clean-5", "5df7d4e78065366204ca6845bb08f490", 332 * 10**6),
        ("dev-clean-2", "6d7ab67ac6a1d2c993d050e16d61080d", 126 * 10**6),
    )
    return tuple(
        Download(p, f"{OPENSLR}/31/{p}.tar.gz", f"LibriSpeech/{p}", md5=md5, approximate_bytes=size)
        for p, md5, size in parts
    )


def _mls() -> tuple[Download, ...]:
    flac_gb = (86, 2400, 61, 115, 15, 6.2, 9.3, 50)
    opus_gb = (23, 651, 16, 29, 3.8, 1.6, 2.5, 14)
    found = []
    for ending, sizes in (("", flac_gb), ("_opus", opus_gb)):
        for language, size_gb in zip(MLS_LANGUAGES, sizes, strict=True):
            folder = f"mls_{language}{ending}"
            size = int(size_gb * GB)
            url, sums = f"{MLS}/{folder}.tar.gz", f"{MLS}/md5sum.txt"
            found.append(Download(f"{language}{ending}", url, folder, checksums=sums, approximate_bytes=size))
    return tuple(found)


def _fleurs() -> tuple[Download, ...]:
    found = []
    for language in LANGUAGES:
        base = f"fleurs/data/{language.code}"
        at = f"{HUB}/datasets/google/fleurs/resolve/{FLEURS_REVISION}/data/{language.code}"
        tree = f"{HUB}/api/datasets/google/fleurs/tree/{FLEURS_REVISION}/data/{language.code}/audio?expand=true"
        hours = {"train": language.test_h * language.num_train / language.num_test, "test": language.test_h}
        hours["dev"] = language.test_h * language.num_dev / language.num_test
        for split in ("train", "dev", "test"):
            part = f"{language.code}/{split}"
            found.append(Download(part, f"{at}/{split}.tsv", f"{base}/{split}.tsv", base, unpack=False))
            archive = f"{base}/audio/{split}.tar.gz"
            found.append(
                Download(
                    part,
                    f"{at}/audio/{split}.tar.gz",
                    archive,
                    f"{base}/audio",
                    unpack=False,  # read where it is, and unpacked in the cache by the first who does
                    checksums=tree,
                    checksum_form="hub_tree",
                    approximate_bytes=int(hours[split] * 0.17 * GB),
                )
            )
    return tuple(found)


_AISHELL = (
    Download(
        "data",
        f"{OPENSLR}/33/data_aishell.tgz",
        "data_aishell",
        md5="2f494334227864a8a8fec932999db9d8",
        approximate_bytes=15 * GB,
    ),
    Download(
        "resource",
        f"{OPENSLR}/33/resource_aishell.tgz",
        "resource_aishell",
        md5="957d480a0fcac85fc18e550756f624e5",
        approximate_bytes=10**6,
    ),
)
_COMMANDS = "http://download.tensorflow.org/data"

CORPORA: tuple[PublishedCorpus, ...] = (
    PublishedCorpus(
        "librispeech", "LibriSpeech", "English", "961", "CC BY 4.0", "https://www.openslr.org/12", _librispeech(),
        columns="speaker, chapter, split, language",
    ),
    PublishedCorpus(
        "mini_librispeech", "Mini LibriSpeech", "English", "7", "CC BY 4.0", "https://www.openslr.org/31", _mini(),
        columns="speaker, chapter, split, language",
    ),
    PublishedCorpus(
        "mls", "Multilingual LibriSpeech", "8", "50,600", "CC BY 4.0", "https://www.openslr.org/94", _mls(),
        columns="speaker, book, language, locale, split, gender",
    ),
    PublishedCorpus(
        "fleurs", "FLEURS", "102", "1,400", "CC BY 4.0", f"{HUB}/datasets/google/fleurs", _fleurs(),
        columns="locale, language, script, family, split, sentence, gender",
    ),
    PublishedCorpus(
        "aishell", "AISHELL-1", "Mandarin", "180", "Apache-2.0", "https://www.openslr.org/33", _AISHELL,
        columns="speaker, language, split, gender", nested="data_aishell/wav/*.tar.gz",
    ),
    PublishedCorpus(
        "an4", "AN4", "English", "1", "free", "http://www.speech.cs.cmu.edu/databases/an4",
        (Download("sphere", "http://www.speech.cs.cmu.edu/databases/an4/an4_sphere.tar.gz", "an4",
                  approximate_bytes=64 * 10**6),),
        columns="speaker, language, split",
    ),
    PublishedCorpus(
        "ljspeech", "LJSpeech", "English", "24", "public domain", "https://keithito.com/LJ-Speech-Dataset",
        (Download("all", "https://data.keithito.com/data/speech/LJSpeech-1.1.tar.bz2", "LJSpeech-1.1",
                  num_bytes=2748572632,
                  sha256="be1a30453f28eb8dd26af4101ae40cbf2c50413b1bb21936cbcdc6fae3de8aa5"),),
        columns="speaker, book, language, split",
    ),
    PublishedCorpus(
        "speech_commands", "Speech Commands v0.02", "English", "29", "CC BY 4.0", "https://arxiv.org/abs/1804.03209",
        (Download("all", f"{_COMMANDS}/speech_commands_v0.02.tar.gz", "speech_commands_v0.02",
                  "speech_commands_v0.02", num_bytes=2428923189,
                  sha256="af14739ee7dc311471de98f5f9d2c9191b18aedfe957f4a6ff791c709868ff58"),),
        columns="speaker, language, split",
    ),
    PublishedCorpus(
        "musan", "MUSAN (noise, music, speech)", "-", "109", "CC BY 4.0, public domain", "https://www.openslr.org/17",
        (Download("all", f"{OPENSLR}/17/musan.tar.gz", "musan", num_bytes=11086114085,
                  md5="0c472d4fc0c5141eca47ad1ffeb2a7df"),),
    ),
    PublishedCorpus(
        "rirs_noises", "RIRS_NOISES (room responses)", "-", "-", "Apache-2.0", "https://www.openslr.org/28",
        (Download("all", f"{OPENSLR}/28/rirs_noises.zip", "RIRS_NOISES", num_bytes=1311166223,
                  sha256="3b50cfde915b3984738169b4beb341e9f6b8062ae4c2076146c5db71c2c05dc7"),),
    ),
    PublishedCorpus(
        "common_voice", "Common Voice", "290", "28,400 validated", "CC0, terms of use",
        "https://mozilladatacollective.com",
        how="It needs an account: sign in at https://mozilladatacollective.com, agree to the terms of the language's\n"
        "data set, download cv-corpus-VERSION-DATE-LOCALE.tar.gz and unpack it under ASRLAB_DATA, so that\n"
        "cv-corpus-VERSION-DATE/LOCALE/{clips/, train.tsv, dev.tsv, test.tsv} is there.",
        columns="speaker, language, locale, split, gender, age, accents, …",
    ),
    PublishedCorpus(
        "voxpopuli", "VoxPopuli", "16", "1,800", "CC0, legal notice of the European Parliament",
        "https://github.com/facebookresearch/voxpopuli",
        how="Nothing has to be agreed to. Download https://dl.fbaipublicfiles.com/voxpopuli/annotations/asr/\n"
        "asr_LANGUAGE.tsv.gz into ASRLAB_DATA/voxpopuli/annotations/asr/, and unpack\n"
        "https://dl.fbaipublicfiles.com/voxpopuli/audios/original_YEAR.tar (2009 to 2020) so that\n"
        "ASRLAB_DATA/voxpopuli/raw_audios/original/YEAR/SESSION_original.ogg is there. To have utterances as the\n"
        "publisher cuts them, run its script: ASRLAB_DATA/voxpopuli/transcribed_data/LANGUAGE/asr_test.tsv.",
        columns="speaker, language, locale, split, gender, accent, is_gold_transcript",
    ),
    PublishedCorpus(
        "tedlium", "TED-LIUM 3", "English", "452", "CC BY-NC-ND 3.0", "https://www.openslr.org/51",
        how=f"Nothing has to be agreed to; its use is non-commercial. Download\n{OPENSLR}/51/TEDLIUM_release-3.tgz\n"
        "(SHA-256 ad1e454d14d1ad550bc2564c462d87c7a7ec83d4dc2b9210f22ab4973b9eccdb) and unpack it under ASRLAB_DATA,\n"
        "so that TEDLIUM_release-3/{data, legacy}/ is there.",
        columns="speaker, talk, language, split, gender",
    ),
    PublishedCorpus(
        "gigaspeech", "GigaSpeech", "English", "10,000", "terms of access", "https://github.com/SpeechColab/GigaSpeech",
        how="Its terms have to be agreed to, in the form that https://github.com/SpeechColab/GigaSpeech links; its\n"
        "script then fetches and decrypts it. Put GigaSpeech.json and audio/ in ASRLAB_DATA/GigaSpeech.",
        columns="speaker, source, title, language, split",
    ),
)  # fmt: skip

BY_NAME = {corpus.name: corpus for corpus in CORPORA}


def chosen(corpus: PublishedCorpus, only: Sequence[str]) -> list[Download]:
    """The downloads that patterns with `*` name, all of them where there are none.

    A pattern names a part, `en_us/test`, or all that begins with it, `en_us`.
    """
    if not only:
        return list(corpus.downloads)
    return [
        one
        for one in corpus.downloads
        if any(fnmatchcase(one.part, pattern) or one.part.startswith(f"{pattern}/") for pattern in only)
    ]


def unknown_parts(corpus: PublishedCorpus, only: Sequence[str]) -> list[str]:
    """The patterns that name no part."""
    return [pattern for pattern in only if not chosen(corpus, [pattern])]
