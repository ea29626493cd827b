"""What the documents show is run: commands, recipes and Python."""

from __future__ import annotations

import re
import shlex
from pathlib import Path

import pytest
import tomli
import torch

from asr_lab.compiler.load import checked
from asr_lab.config.fields import fields
from asr_lab.config.grid import grid
from asr_lab.config.load import loads
from asr_lab.errors import RecipeError
from asr_lab.families.ssm import SSMConfig
from asr_lab.recipe import Recipe
from asr_lab.runs.study.points import points_of
from asr_lab.slots.launch.slurm import Slurm
from cli.check import check
from cli.main import COMMANDS, app

ROOT = Path(__file__).resolve().parents[2]
README = (ROOT / "README.md").read_text()
FROM_SCRIPTS = (ROOT / "docs" / "from-scripts.md").read_text()
CLUSTERS = (ROOT / "docs" / "clusters.md").read_text()
SWEEPS = (ROOT / "docs" / "sweeps.md").read_text()
FLAGS = (
    "model",
    "config",
    "dataset",
    "split",
    "epochs",
    "batch-size",
    "gradient-accumulation",
    "precision",
    "fsdp",
    "reproducible",
    "checkpoint",
    "language",
    "compare-streaming",
)


def commands_in(text: str) -> list[str]:
    """Every `asrlab …` that a document shows, in a code span or a line of a shell block."""
    shell = "\n".join(re.findall(r"```sh\n(.*?)```", text, flags=re.DOTALL))
    spans = re.findall(r"`([^`\n]+)`", re.sub(r"```.*?```", "", text, flags=re.DOTALL))
    found = [line.partition("#")[0] for line in shell.splitlines()] + spans
    starts = (re.search(r"\basrlab .*", part) for part in found)
    return list(dict.fromkeys(match[0].strip() for match in starts if match))


def blocks(kind: str) -> list[str]:
    return re.findall(rf"```{kind}\n(.*?)```", README, flags=re.DOTALL)


CHECKED = [command for command in commands_in(FROM_SCRIPTS) if command.startswith("asrlab check ")]


@pytest.mark.parametrize("command", CHECKED)
def test_each_line_of_from_scripts_is_right(
    command: str, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.chdir(ROOT)
    _, _, recipe, *rest = shlex.split(command)
    assert rest[::2] == ["--set"] * (len(rest) // 2)
    check([Path(recipe)], rest[1::2])
    assert f"{recipe}: OK" in capsys.readouterr().out


def test_the_page_on_clusters_names_every_key_and_the_script_that_is_printed(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    for field in fields(Slurm):
        assert re.search(rf"\b{field.name}\b", CLUSTERS), field.name
    (command,) = [one for one in commands_in(CLUSTERS) if "--dry-run" in one and "quickstart" in one]
    monkeypatch.chdir(ROOT)
    monkeypatch.setenv("ASRLAB_RUNS", "/home/user/runs")
    app(shlex.split(command)[1:], standalone_mode=False)
    printed = capsys.readouterr().out.splitlines()
    shown = next(block for block in re.findall(r"```text\n(.*?)```", CLUSTERS, flags=re.DOTALL) if "#SBATCH" in block)
    flags = [line for line in printed if line.startswith("#")]
    assert flags == [line for line in shown.splitlines() if line.startswith("#")]


def test_from_scripts_says_where_each_usual_flag_went() -> None:
    rows = [line for line in FROM_SCRIPTS.splitlines() if line.startswith("| `--")]
    assert {match[1] for row in rows if (match := re.match(r"\| `--([a-z-]+)", row))} >= set(FLAGS)
    assert len(CHECKED) >= 14
    assert all("`asrlab " in row.split(" | ")[-1] for row in rows)


@pytest.mark.parametrize("command", [one for one in commands_in(SWEEPS) if one.startswith("asrlab sweep recipes/")])
def test_every_grid_in_sweeps_is_of_recipes_that_may_be_trained(command: str) -> None:
    recipe, *words = shlex.split(command)[2:]
    assert words[::2] == ["--set"] * (len(words) // 2)
    assert len(points_of(ROOT / recipe, grid(words[1::2], recipe))) >= 4


def test_the_impossible_grid_in_sweeps_is_told_so() -> None:
    (shown,) = re.findall(r"```text\nerror: (.*?)\n```", SWEEPS, flags=re.DOTALL)
    with pytest.raises(RecipeError) as found:
        points_of(ROOT / "recipes/quickstart.toml", grid(["encoder.dim=126,128", "seed=1,2"], "x"))
    assert str(found.value).replace(f"{ROOT}/", "") == shown


@pytest.mark.parametrize("command", [c for page in (README, FROM_SCRIPTS, CLUSTERS, SWEEPS) for c in commands_in(page)])
def test_every_command_that_is_shown_exists(command: str) -> None:
    import typer

    from cli.main import app

    name, *words = shlex.split(command.replace("…", ""))[1:]
    assert name in COMMANDS
    group = typer.main.get_command(app)
    options = {
        option
        for parameter in group.commands[name].params  # type: ignore[attr-defined]
        for option in parameter.opts
    }
    assert {word for word in words if word.startswith("--")} <= options
    shown = [word for word in words if word.startswith("recipes/")]
    assert [path for path in shown if not (ROOT / path).is_file()] == []


def test_readme_shows_every_command() -> None:
    assert set(COMMANDS) <= {command.split()[1] for command in commands_in(README)}


def test_every_just_target_that_is_shown_exists() -> None:
    targets = set(re.findall(r"^([a-z]+)(?: \*args)?:", (ROOT / "justfile").read_text(), flags=re.MULTILINE))
    assert set(re.findall(r"\bjust ([a-z]+)", README)) <= targets


def test_the_recipe_in_the_readme_is_right() -> None:
    (text,) = blocks("toml")
    assert checked(loads(text, Recipe)).value.name == tomli.loads(text)["name"] == "my_first"


def test_the_python_in_the_readme_runs(monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> None:
    on_a_run, without = blocks("python")
    assert "asr_lab.load(" in on_a_run  # tests/unit/commands/test_load.py runs it
    torch.manual_seed(0)
    monkeypatch.setattr(SSMConfig, "base", SSMConfig.tiny)
    exec(compile(without, "README.md", "exec"), {})
    assert capsys.readouterr().out.endswith("\n")


def test_every_recipe_in_the_readmes_table_ships_and_every_shipped_one_is_named() -> None:
    shipped = {path.stem for path in (ROOT / "recipes").glob("*.toml")}
    assert {name for name in shipped if f"`{name}`" not in README and f"{name}.toml" not in README} == set()
    families = re.findall(r"^\| .* \| (`.*`) \|.*\|$", README, flags=re.MULTILINE)
    named = {name for row in families for name in re.findall(r"`([a-z0-9_]+)`", row)}
    assert named <= shipped
    assert len(named) >= 13


def test_links_between_documents_lead_somewhere() -> None:
    for text, folder in ((README, ROOT), (FROM_SCRIPTS, ROOT / "docs")):
        for target in re.findall(r"\]\((?!https?:)([^)#]+)", text):
            assert (folder / target).exists(), target
