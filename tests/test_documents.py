"""What the documents say can be done: every command is one, every link leads somewhere."""

import ast
import re
import shlex
import sys
from importlib.util import find_spec

import pytest
from hydra.core.override_parser.overrides_parser import OverridesParser
from program import ROOT

from satae import datasets, evaluate, report
from satae.cli.compose import compose_runs
from satae.cli.run_options import read_run_options
from satae.data.published import PUBLISHED_SETS, find_archive
from satae.experiment.before_training import check_config

SOURCE = ROOT / "src" / "satae"
FILES = {path.relative_to(SOURCE).as_posix(): path for path in sorted(SOURCE.rglob("*.py"))}
DOCUMENTS = [ROOT / "README.md", *sorted((ROOT / "docs").rglob("*.md"))]


def tree(name):
    return ast.parse(FILES[name].read_text("utf-8"))


def commands(program):
    """Every line of a program that the documents and the Makefile give, by where it stands."""
    found = {}
    for document in [*DOCUMENTS, ROOT / "Makefile"]:
        text = document.read_text("utf-8") if document.exists() else ""
        for line in re.findall(rf"(?:^[ \t]*|`|/){program} +([^`\n]*)", text, re.MULTILINE):
            words = [word for word in shlex.split(line, comments=True) if word not in ("$(ARGS)", "[...]")]
            found[f"{document.name}: {' '.join(words)}"] = words
    return [pytest.param(words, id=line) for line, words in found.items()]


def fewer_values(word):
    """A word of a sweep with one of its seeds, and the smallest and the largest of its values of alpha."""
    if word.startswith("alpha="):
        values = word.removeprefix("alpha=").split(",")
        return f"alpha={','.join(dict.fromkeys([values[0], values[-1]]))}"
    return "seed=0" if word.startswith("seed=") else word


def one_run_for_each_value(words):
    """Commands of one run each, which together have every value of a sweep's words."""
    parsed = OverridesParser.create().parse_overrides(words)
    axes = [
        [f"{word.get_key_element()}={value}" for value in word.sweep_string_iterator()]
        if word.is_sweep_override()
        else [word.input_line]
        for word in parsed
    ]
    return [[axis[number % len(axis)] for axis in axes] for number in range(max(map(len, axes), default=1))]


def is_there(source):
    """Whether the data that a configuration names are on this machine."""
    if published := PUBLISHED_SETS.get(source.name):
        return all(find_archive(published, archive, source.dir) for archive in published.archives)
    return getattr(source, "path", None) is None


def check_runs(words, commands_of):
    """Compose and check the runs of the commands that a function makes of the words of one."""
    if {"--help", "--hydra-help", "--cfg"} & {*words}:
        pytest.skip("shows something")
    if "--config-dir" in words:
        pytest.skip("needs a file of the reader's own; tests/test_recipes.py writes it")
    if any(word.startswith("plugins=") for word in words):
        pytest.skip("imports a file; tests/test_plugins.py runs it")
    if [word for word in words if word.startswith(("resume=", "rerun="))] or (len(words) == 1 and "sweep=" in words[0]):
        pytest.skip("needs a run that is there")
    if any(word.startswith("hydra/launcher=ray") for word in words) and not find_spec("ray"):
        pytest.skip("pip install 'satae[ray]'")
    overrides = [fewer_values(word) for word in words if not word.startswith("-")]
    options = read_run_options(overrides, {"-m", "--multirun"} & {*words} != set())
    checked = [command for typed in options.commands for command in commands_of([*typed])]
    for run in compose_runs(*checked, multirun=options.multirun)[0]:
        if not is_there(run.config.data):
            pytest.skip("can be composed; its data are not on this machine")
        check_config(run.config)


@pytest.mark.parametrize("words", commands("satae-train"))
def test_every_command_in_the_documents_can_be_run_with_each_of_its_values(words):
    check_runs(words, one_run_for_each_value)


@pytest.mark.slow  # the same with every combination of the values
@pytest.mark.parametrize("words", commands("satae-train"))
def test_every_command_in_the_documents_can_be_run_with_all_combinations(words):
    check_runs(words, lambda command: [command])


@pytest.mark.parametrize("words", commands("satae-data"))
def test_every_command_about_data_in_the_documents_is_one(words, monkeypatch, capsys):
    monkeypatch.setattr(sys, "argv", ["satae-data", *words[:1], "--help"])
    with pytest.raises(SystemExit, match="0"):
        datasets.main()
    assert {*words[1:]} - {"--dir", "/scratch/me"} <= {*PUBLISHED_SETS, "all"}
    assert "usage: satae-data" in capsys.readouterr().out


@pytest.mark.parametrize("words", commands("satae-eval"))
def test_every_command_about_evaluations_in_the_documents_is_one(words):
    if "--help" in words or any(word.startswith("plugins=") for word in words):
        pytest.skip("shows something, or imports a file")
    assert evaluate.settings([word for word in words if not word.startswith("run=")]).parts
    assert [word for word in words if word.startswith("run=")]


@pytest.mark.parametrize("words", commands("satae-report"))
def test_every_command_about_reports_in_the_documents_is_one(words):
    assert report.parse_difference(words[1:]) if words[0] == "diff" else report.parse_words(words)[0]


HELP = ROOT / "conf" / "config.yaml"


def typed_lines():
    """Every command line that a user reads, with its file: in the help, what comes before its explanation."""
    for document in [*DOCUMENTS, ROOT / "CHANGELOG.md", ROOT / "Makefile"]:
        for line in re.findall(r"(?:^[ \t]*|`|/)(satae-\w+ +[^`\n]*)", document.read_text("utf-8"), re.MULTILINE):
            yield document.name, line.replace("$(ARGS)", "")
    for line in re.findall(r"^ +(satae-train +.*?)(?:  |$)", HELP.read_text("utf-8"), re.MULTILINE):
        yield HELP.name, line


def test_a_shell_can_read_every_command_line():
    lines = [*typed_lines()]
    assert {"README.md", "config.yaml"} <= {name for name, _ in lines}
    for name, line in lines:
        words = shlex.shlex(line, posix=True, punctuation_chars="()")
        words.whitespace_split = True
        assert not [word for word in words if word in ("(", ")")], (name, line)


@pytest.mark.parametrize("name", FILES)
def test_messages_quote_what_a_shell_would_not_read(name):
    said = [node.value for node in ast.walk(tree(name)) if isinstance(node, ast.Constant)]
    assert not [text for text in said if isinstance(text, str) and re.search(r"(?<!['\w])\w+=range\(", text)]


def folder_names(document):
    return re.findall(r"(?:\w+=[\w.]+,)+\w+=[\w.]+", document.read_text("utf-8"))


@pytest.mark.parametrize("document", [*filter(folder_names, DOCUMENTS)], ids=lambda path: path.name)
def test_folders_are_named_in_the_order_that_the_sweeps_of_a_document_have(document):
    text = document.read_text("utf-8")
    orders = [re.findall(r"([\w.]+)=[^ ]*(?:,|range)", line) for line in re.findall("satae-train ([^`#\n]*)", text)]
    for name in folder_names(document):
        keys = re.findall(r"(\w+)=", name)
        assert any([key for key in order if key in keys] == keys for order in orders), name


def test_there_are_commands_to_try():
    assert len(commands("satae-report")) >= 2
    assert len(commands("satae-eval")) >= 2
    assert len(commands("satae-train")) >= 5
    assert len(commands("satae-data")) >= 5


@pytest.mark.parametrize("document", [path for path in DOCUMENTS if path.exists()], ids=lambda path: path.name)
def test_every_link_to_a_file_leads_somewhere(document):
    links = re.findall(r"\]\(([^)#\s]+)[^)]*\)", document.read_text("utf-8"))
    assert [link for link in links if "://" not in link and not (document.parent / link).exists()] == []


def anchors(document):
    """The anchors that a Markdown page gives its headings."""
    text = re.sub(r"^```.*?^```", "", document.read_text("utf-8"), flags=re.MULTILINE | re.DOTALL)
    headings = re.findall(r"^#+ +(.+?) *$", text, re.MULTILINE)
    return {re.sub(r"[^\w\- ]", "", heading.lower()).replace(" ", "-") for heading in headings}


@pytest.mark.parametrize("document", DOCUMENTS, ids=lambda path: path.name)
def test_every_link_to_a_heading_leads_to_one(document):
    links = re.findall(r"\]\(([^)#\s:]*)#([^)\s]+)\)", document.read_text("utf-8"))
    assert [link for link in links if link[1] not in anchors(document.parent / link[0] if link[0] else document)] == []
