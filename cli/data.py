"""`asrlab data`: the corpora that are known, what a recipe's data hold, fetching, and manifests."""

from __future__ import annotations

import sys
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from asr_lab.errors import count_of
from cli.console import output_console
from cli.options import AsJson, Overrides

if TYPE_CHECKING:
    from rich.progress import Progress, TaskID

    from asr_lab.commands.data_sets import CorpusHere, SetHere
    from asr_lab.data.catalog import PublishedCorpus

data = typer.Typer(no_args_is_help=True, help="List, show, fetch and describe data.", rich_markup_mode=None)


@data.command("list")
def list_(as_json: AsJson = False) -> None:
    """List the corpora that are known, and which are here.

    Example: asrlab data list
    """
    from asr_lab.commands.data_sets import corpora_here
    from asr_lab.compiler.inputs import data_root

    found = corpora_here(data_root())
    if as_json:
        _print_json([_corpus_json(one) for one in found])
        return
    from rich.table import Table

    table = Table(box=None, pad_edge=False, padding=(0, 2, 0, 0))
    for name in ("name", "corpus", "languages", "hours", "licence", "fetched by", "here"):
        table.add_column(name, overflow="fold")
    for one in found:
        corpus = one.corpus
        how = f"asrlab data prepare {corpus.name}" if corpus.downloads else "you: asrlab data prepare says how"
        here = f"{len(one.there)} of {len(one.there) + len(one.absent)} parts" if corpus.downloads else ""
        table.add_row(corpus.name, corpus.title, corpus.languages, corpus.hours, corpus.licence, how, here)
    output_console().print(table)


@data.command("show")
def show(
    what: Annotated[str, typer.Argument(metavar="RECIPE|NAME", help="A recipe's file, or a corpus.")],
    overrides: Overrides = [],  # noqa: B006
    as_json: AsJson = False,
) -> None:
    """Show what the sets of a recipe hold, or a corpus.

    Example: asrlab data show recipes/conformer_base.toml
    """
    from asr_lab.commands.data_sets import corpus_here, corpus_named, sets_of
    from asr_lab.compiler.inputs import data_root

    root = data_root()
    if what.endswith(".toml") or Path(what).is_file():
        sets = list(sets_of(Path(what), overrides, root))
        if as_json:
            import attrs

            _print_json([attrs.asdict(one) for one in sets])
        else:
            _print_sets(sets)
        return
    one = corpus_here(corpus_named(what), root)
    if as_json:
        _print_json(_corpus_json(one))
    else:
        _print_corpus(one, root)


@data.command("prepare")
def prepare(
    name: Annotated[str, typer.Argument(metavar="NAME", help="A corpus of `asrlab data list`.")],
    only: Annotated[str, typer.Option(metavar="PARTS", help="Some parts, by commas; * stands for anything.")] = "",
    mirror: Annotated[str, typer.Option(metavar="URL", help="A host with the same paths.")] = "",
    keep: Annotated[bool, typer.Option("--keep", help="Keep archives once they are unpacked.")] = False,
    dry_run: Annotated[bool, typer.Option("--dry-run", help="Say what would be fetched.")] = False,
    as_json: AsJson = False,
) -> None:
    """Fetch a corpus into ASRLAB_DATA, or say how.

    Example: asrlab data prepare librispeech --only test-clean,dev-*
    """
    import attrs

    from asr_lab.commands.data_sets import corpus_named, downloads_of
    from asr_lab.compiler.inputs import data_root

    corpus, root = corpus_named(name), data_root()
    parts = [part.strip() for part in only.split(",") if part.strip()]
    if not corpus.downloads:
        _print_how(corpus, as_json)
        return
    downloads = downloads_of(corpus, parts)
    if dry_run:
        rows = [{**attrs.asdict(one), "there": (root / one.makes).exists()} for one in downloads]
        if as_json:
            _print_json(rows)
            return
        for one, row in zip(downloads, rows, strict=True):
            print(f"{one.url} -> {root / one.makes}{' (there)' if row['there'] else ''}")
        wanted = [d for d, row in zip(downloads, rows, strict=True) if not row["there"]]
        print(f"{len(wanted)} of {len(downloads)} files, {sum(one.size for one in wanted) / 1e9:.1f} GB")
        return
    from asr_lab.data.fetching.prepare import prepare as fetch

    made = []
    with _Bars() as bars:
        for done in fetch(downloads, corpus, root, mirror=mirror, keep=keep, watcher=bars):
            made.append(done)
            if not as_json:
                checked = f", {done.checked} right" if done.checked else ", no checksum is published"
                state = "is there" if done.state == "there" else f"fetched{checked}"
                print(f"{done.part}: {state}: {done.path}", flush=True)
    if as_json:
        _print_json([attrs.asdict(done) for done in made])


@data.command("manifest")
def manifest(
    folders: Annotated[list[Path], typer.Argument(metavar="FOLDER...", help="Recordings with transcripts.")],
    out: Annotated[Path | None, typer.Option(metavar="FILE.tsv", help="Where; none = FOLDER/manifest.tsv.")] = None,
    replace: Annotated[bool, typer.Option("--replace", help="Write a manifest that is there anew.")] = False,
    as_json: AsJson = False,
) -> None:
    """Make a manifest.tsv of recordings with transcripts.

    Transcripts are .txt, .lab, .srt or .vtt of the recordings' names, Kaldi data directories, or *.trans.txt.

    Example: asrlab data manifest talks
    """
    from asr_lab.commands.data_manifest import make_manifest

    made = make_manifest(folders, out, replace=replace)
    if as_json:
        bad = [{"id": one.id, "audio": one.audio, "reason": one.reason} for one in made.bad]
        rows = {"path": str(made.path), "rows": made.num_rows, "columns": list(made.columns), "bad": bad}
        _print_json(rows)
        return
    for one in made.bad[:5]:
        print(f"note: left out: {one.id}: {one.reason}", file=sys.stderr)
    if len(made.bad) > 5:
        print(f"note: {count_of(len(made.bad), 'row')} are left out in all", file=sys.stderr)
    print(f"{made.path}: {count_of(made.num_rows, 'row')}; columns {', '.join(made.columns)}")


class _Bars:
    """A progress bar on a terminal's stderr; a line for each stage elsewhere."""

    def __init__(self) -> None:
        self._progress: Progress | None = None
        self._task: TaskID | None = None

    def __enter__(self) -> _Bars:
        if sys.stderr.isatty():
            from rich.console import Console
            from rich.progress import BarColumn, DownloadColumn, Progress, TextColumn, TimeRemainingColumn
            from rich.progress import TransferSpeedColumn as Speed

            columns = (TextColumn("{task.description}"), BarColumn(), DownloadColumn(), Speed(), TimeRemainingColumn())
            self._progress = Progress(*columns, console=Console(stderr=True), redirect_stdout=False)
            self._progress.start()
        return self

    def __exit__(self, *_: object) -> None:
        if self._progress is not None:
            self._progress.stop()

    def stage(self, name: str, total: int | None) -> None:
        """Something begins."""
        if self._progress is None:
            print(name, file=sys.stderr, flush=True)
            return
        if self._task is not None:
            self._progress.remove_task(self._task)
        self._task = self._progress.add_task(name, total=total)

    def at(self, done: int, total: int | None) -> None:
        """So much of it is done."""
        if self._progress is not None and self._task is not None:
            self._progress.update(self._task, completed=done, total=total)


def _print_how(corpus: PublishedCorpus, as_json: bool) -> None:
    if as_json:
        _print_json({"name": corpus.name, "home": corpus.home, "licence": corpus.licence, "how": corpus.how})
    else:
        print(f"{corpus.title} ({corpus.licence}; {corpus.home})\n{corpus.how}")


def _corpus_json(one: CorpusHere) -> dict[str, object]:
    corpus = one.corpus
    fixed = {key: getattr(corpus, key) for key in ("name", "title", "languages", "hours", "licence", "home", "how")}
    return {**fixed, "fetched": bool(corpus.downloads), "there": list(one.there), "absent": list(one.absent)}


def _print_corpus(one: CorpusHere, root: Path) -> None:
    corpus = one.corpus
    languages = f"{corpus.languages} languages" if corpus.languages.isdigit() else corpus.languages
    print(f"{corpus.title}: {languages}, {corpus.hours} hours, {corpus.licence}")
    print(f"published at {corpus.home}")
    if corpus.columns:
        print(f"columns: {corpus.columns}")
    if not corpus.downloads:
        print(corpus.how)
        return
    from rich.table import Table

    table = Table(box=None, pad_edge=False, padding=(0, 2, 0, 0))
    for name in ("part", "GB", "checksum", "path", "here"):
        table.add_column(name, overflow="fold", justify="right" if name == "GB" else "left")
    for download in corpus.downloads:
        kind = "sha256" if download.sha256 or (download.checksum_form == "hub_tree" and download.checksums) else ""
        kind = kind or ("md5" if download.md5 or download.checksums else "none")
        there = "yes" if (root / download.makes).exists() else ""
        size = f"{download.size / 1e9:.3f}" if download.size else ""
        table.add_row(download.part, size, kind, download.makes, there)
    output_console().print(table)
    print(f"fetch it: asrlab data prepare {corpus.name}")


def _print_sets(sets: list[SetHere]) -> None:
    from rich.table import Table

    table = Table(box=None, pad_edge=False, padding=(0, 2, 0, 0))
    for name in ("set", "name", "type", "utterances", "hours", "left out", "columns"):
        table.add_column(
            name, overflow="fold", justify="right" if name in ("utterances", "hours", "left out") else "left"
        )
    for one in sets:
        if one.problem:
            continue
        columns = ", ".join(f"{name} ({number})" for name, number in one.distinct.items())
        numbers = (f"{one.num_utterances:,}", f"{one.hours:.2f}", f"{one.left_out:,}")
        table.add_row(one.place, one.name, one.type, *numbers, columns)
    if table.rows:
        output_console().print(table)
    for one in sets:
        if one.text:
            print(f"{one.place}: {one.text[:100]!r}")
        if one.problem:
            print(f"{one.place} {one.name}: {one.problem}")
        if one.first_reason:
            print(f"note: {one.place}: {one.left_out:,} left out, as {one.first_reason}", file=sys.stderr)


def _print_json(value: object) -> None:
    from asr_lab.files import json_text

    print(json_text(value, indent=2))
