"""Plugins: Python files and modules of the user, imported because they were typed, whose functions become choices.

``plugins=ramp.py`` on a command line, or the environment variable ``SATAE_PLUGINS``, imports them before anything else.
What a run directory says of plugins is compared with what was typed, and never imported.
"""

from __future__ import annotations

import functools
import hashlib
import importlib.util
import logging
import os
import re
import sys
import traceback
from collections.abc import Iterable, Mapping, Sequence
from importlib.abc import ExecutionLoader
from pathlib import Path
from typing import Final, NamedTuple

from satae import signals
from satae.config.registry import REGISTRIES
from satae.errors import ConfigError
from satae.messages import brief, first_line, is_utf8, quote_word, reason

PLUGINS: Final = "plugins"  # the word on the command line, and the key in files
VARIABLE: Final = "SATAE_PLUGINS"

log = logging.getLogger(__name__)


class Plugin(NamedTuple):
    """A file or a module that was typed; a worker process receives it as a pickle."""

    name: str  # as typed
    sha256: str  # of the file, or of all Python files of a package
    source: bytes | None  # of a file: a worker process gets what the main process has read
    path: str = ""  # of a file: absolute

    @property
    def key(self) -> str:
        """The name of the file without its folder, or of the module: which plugin it is, wherever it lies."""
        return _key(self.name)


_loaded: dict[str, Plugin] = {}  # by key
_registered_by: dict[tuple[str, str], Plugin] = {}  # by group and name of a choice


def imported_plugins() -> list[Plugin]:
    """The plugins that this process has imported."""
    return [*_loaded.values()]


def plugin_entries() -> list[dict[str, str]]:
    """The entry of ``config.yaml`` and ``run.json`` on the imported plugins: their names, as typed, and digests."""
    return [{"name": plugin.name, "sha256": plugin.sha256} for plugin in _loaded.values()]


def typed_words(names: Iterable[str] | None = None) -> list[str]:
    """The word that imports plugins, as on a command line; none without plugins.

    Args:
        names: of plugins; None for those that this process has imported.
    """
    typed = [plugin.name for plugin in _loaded.values()] if names is None else [*names]
    return [f"{PLUGINS}={','.join(typed)}"] if typed else []


def import_typed(words: Sequence[str]) -> list[str]:
    """Import the plugins that ``SATAE_PLUGINS`` and the words of a command line name; returns the other words.

    Raises:
        ConfigError: a plugin cannot be imported, or one of its choices cannot be used.
    """
    typed = [word for word in words if "=" in word and word.lstrip("+~").partition("=")[0].partition(".")[0] == PLUGINS]
    if wrong := [word for word in typed if not word.startswith(f"{PLUGINS}=")]:
        raise ConfigError(f"{wrong[0]}: write {PLUGINS}=FILE.py, or {PLUGINS}=MODULE")
    if len(typed) > 1:
        raise ConfigError(f"{typed[0]} {typed[1]}: write one list, such as {PLUGINS}=one.py,other.py")
    if f"{PLUGINS}=" in typed:
        raise ConfigError(f"{PLUGINS}=: is empty; name a file, such as {PLUGINS}=ramp.py, or leave it out")
    values = [os.environ.get(VARIABLE, ""), *(word.partition("=")[2] for word in typed)]
    import_plugins([name for value in values for name in _split(value)])
    return [word for word in words if word not in typed]


def _split(value: str) -> list[str]:
    """The names in ``a.py``, ``a.py,b`` or ``[a.py,b]``; a file whose name has a comma is one."""
    if os.path.isfile(os.path.expanduser(value)):
        return [value]
    value = value.removeprefix("[").removesuffix("]")
    return [name for name in (part.strip(" \t'\"") for part in value.split(",")) if name]


def import_plugins(names: Iterable[str]) -> None:
    """Import plugins by the names of their files or modules.

    Raises:
        ConfigError: one cannot be imported, or one of its choices cannot be used.
    """
    load([_find(name) for name in dict.fromkeys(names)])


def load(plugins: Iterable[Plugin]) -> None:
    """Import plugins, unless this process has.

    Raises:
        ConfigError: one cannot be imported, or one of its choices cannot be used.
    """
    asked, known = [*plugins], dict(_loaded)
    for plugin in asked:
        if known.setdefault(plugin.key, plugin).sha256 != plugin.sha256:
            raise ConfigError(
                f"{PLUGINS}={plugin.name}: there is another plugin named {plugin.key}; rename one of them"
            )
    for plugin in asked:
        if plugin.key not in _loaded:
            _import(plugin)


def _find(name: str) -> Plugin:
    """Read a file, or find a module, without running it."""
    typed = f"{PLUGINS}={name}"
    if not is_utf8(name) or "${" in name:
        raise ConfigError(f"{brief(typed)}: no file of a run can record this name; rename it")
    if name.endswith(".py") or os.sep in name:
        path = Path(os.path.expanduser(name)).absolute()
        try:
            source = path.read_bytes()
        except OSError as error:
            hint = "; name a .py file" if path.is_dir() else ""
            raise ConfigError(f"{typed}: cannot be read ({reason(error)}){hint}") from None
        return Plugin(name, hashlib.sha256(source).hexdigest(), source, str(path))
    remedy = f"did you mean {name}.py?" if os.path.isfile(f"{name}.py") else "name a .py file, or an installed module"
    try:
        spec = importlib.util.find_spec(name) if re.fullmatch(r"\w+(\.\w+)*", name) else None
    except (ImportError, ValueError):
        spec = None
    if spec is None or not spec.has_location or not str(spec.origin).endswith(".py"):
        raise ConfigError(f"{typed}: Python finds no such module; {remedy}")
    is_package, origin = spec.submodule_search_locations is not None, Path(str(spec.origin))
    files = sorted(origin.parent.rglob("*.py")) if is_package else [origin]
    return Plugin(name, hashlib.sha256(b"".join(file.read_bytes() for file in files)).hexdigest(), None, str(origin))


class _SourceLoader(ExecutionLoader):
    """Runs the content of a plugin's file that was read and whose digest is recorded, and writes no other file."""

    def __init__(self, plugin: Plugin) -> None:
        self._plugin = plugin

    def get_filename(self, fullname: str) -> str:
        return self._plugin.path

    def get_source(self, fullname: str) -> str:
        return importlib.util.decode_source(self._plugin.source or b"")


def _import(plugin: Plugin) -> None:
    """Run a plugin, which registers its choices.

    Raises:
        ConfigError: it cannot be imported, or one of its choices cannot be used.
    """
    before = _added_choices()
    try:
        with signals.hold_signals():  # torch, which it may import, aborts the process if one is raised inside it
            if plugin.source is None:
                importlib.import_module(plugin.name)
            else:
                name = f"satae_plugin_{plugin.key.removesuffix('.py')}"
                spec = importlib.util.spec_from_loader(name, loader := _SourceLoader(plugin))
                assert spec is not None
                module = sys.modules[name] = importlib.util.module_from_spec(spec)
                loader.exec_module(module)
    except ConfigError as error:
        raise ConfigError(f"{PLUGINS}={plugin.name}: {error}") from None
    except (Exception, SystemExit) as error:
        raise ConfigError(f"{PLUGINS}={plugin.name}: cannot be imported ({_describe(error, plugin.path)})") from None
    _loaded[plugin.key] = plugin
    new = [choice for choice in _added_choices() if choice not in before]
    _registered_by.update(dict.fromkeys(new, plugin))
    if not new:
        log.warning("warning: %s=%s registers no choice", PLUGINS, plugin.name)


def _added_choices() -> list[tuple[str, str]]:
    return [(registry.group, name) for registry in REGISTRIES for name in registry.added_choices]


def _describe(error: BaseException, path: str) -> str:
    """An error while a plugin was imported, with the last line of its file that was reached."""
    lines = [frame.lineno for frame in traceback.extract_tb(error.__traceback__) if frame.filename == path]
    if isinstance(error, SyntaxError) and error.filename == path:
        lines.append(error.lineno)
        what = f"{type(error).__name__}: {error.msg}"
    else:
        what = f"{type(error).__name__}: {first_line(error)}".rstrip(": ")
    return f"line {lines[-1]}: {what}" if lines else what


# what was stored of plugins


def check_stored(value: object) -> list[dict[str, str]]:
    """What a configuration says of plugins.

    Raises:
        ConfigError: it is not a list of names and digests.
    """
    entries = value if isinstance(value, list) else [None]
    if not all(
        isinstance(entry, Mapping) and entry.keys() == {"name", "sha256"} and {*map(type, entry.values())} == {str}
        for entry in entries
    ):
        raise ConfigError(f"{PLUGINS}={brief(value)}: is not what satae-train writes, names and digests")
    return [dict(entry) for entry in entries if entry]


def missing_plugins(value: object) -> str:
    """What to type if a stored configuration names plugins that this process has not imported; "" if it has all."""
    try:
        names = [entry["name"] for entry in check_stored(value)]
    except ConfigError:
        return ""
    return missing_names(names)


def missing_names(names: Sequence[str]) -> str:
    """What to type if some plugins are not imported; "" if they are."""
    if all(_key(name) in _loaded for name in names):
        return ""
    word = quote_word(brief(typed_words(names)[0]))
    return f"was made with {word}, which nothing imports by itself: if you trust that code, type {word} as well"


def changed_plugins(value: object) -> list[str]:
    """The names of plugins whose contents differ from those that a stored configuration names."""
    try:
        stored = {_key(entry["name"]): entry["sha256"] for entry in check_stored(value)}
    except ConfigError:
        return []
    return [plugin.name for key, plugin in _loaded.items() if stored.get(key, plugin.sha256) != plugin.sha256]


def warn_of_changes(value: object) -> None:
    """Warn, once in a process, of plugins that have changed since a configuration was stored."""
    for name in changed_plugins(value) if _loaded and value else ():
        _warn_of_change(name)


@functools.cache
def _warn_of_change(name: str) -> None:
    log.warning("warning: %s=%s: the file has changed since the run was made; its numbers may, too", PLUGINS, name)


def digests(choices: Iterable[tuple[str, str]], stored: Iterable[Mapping[str, str]] = ()) -> dict[str, str]:
    """The digests of the plugins that registered some choices, as an entry for what is stored.

    Args:
        choices: group and name of each.
        stored: what a configuration says of plugins: their digests when the run was made, instead of those now.
    """
    before = {_key(entry["name"]): entry["sha256"] for entry in stored}
    used = {_registered_by[choice] for choice in choices if choice in _registered_by}
    return {PLUGINS: " ".join(sorted(before.get(plugin.key, plugin.sha256) for plugin in used))} if used else {}


def _key(name: str) -> str:
    return name.rpartition(os.sep)[2]
