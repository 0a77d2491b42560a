"""One decorator and one YAML file make a function a choice of the command line; the groups of choices.

``conf/<group>/<name>.yaml`` says which choices and options exist, and their values: help, completion and "did you mean"
read it, without torch. The keyword-only parameters of the registered function say the types and ranges. Its positional
parameters are what the program passes in. Nothing is stated a third time.

A function without a YAML file, such as a plugin's, is a choice as soon as it is registered. The defaults of its
keyword-only parameters are the values, and the first line of its docstring is the description.
"""

from __future__ import annotations

import copy
import difflib
import functools
import importlib
import inspect
import pkgutil
import re
from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import dataclass
from importlib import resources
from importlib.resources.abc import Traversable
from types import SimpleNamespace
from typing import Any, Final, TypeVar

import yaml

from satae import signals
from satae.config.option_types import MISSING, check_value, describe, option_types, type_words
from satae.errors import ConfigError
from satae.messages import join_words, unknown_choice

Make = TypeVar("Make", bound=Callable[..., Any])

YAML_LOADER: Final = getattr(yaml, "CSafeLoader", yaml.SafeLoader)  # builds plain data only; the fast one if available


class Choice(SimpleNamespace):
    """A choice of a group and its options, as attributes: ``noise.name``, ``noise.level``."""

    name: str

    @property
    def options(self) -> dict[str, Any]:
        """Everything but the name."""
        return {key: value for key, value in vars(self).items() if key != "name"}


@dataclass(frozen=True)
class Entry:
    """What was registered under a name."""

    name: str
    build: Callable[..., Any]
    tags: Mapping[str, Any]  # what was registered beside the function, such as ``images`` of a data source


class Registry:
    """The choices of one configuration group, found by importing one module, or all modules of one package."""

    def __init__(self, group: str, home: str, first: Iterable[str] = (), given: Iterable[str] = ()) -> None:
        """Name the group and the module or package that registers its choices; nothing is imported yet.

        Args:
            group: folder in ``conf/`` and word on the command line, such as ``"act"``.
            home: such as ``"satae.model.activations"``, or ``"satae.data"`` for every module in that package.
            first: choices that are listed before all others, which follow in alphabetical order.
            given: what the program passes to a registered function, as its positional arguments.
        """
        self.group, self.home, self.first, self.given = group, home, tuple(first), tuple(given)
        self._entries: dict[str, Entry] = {}
        self._texts: dict[str, str] = {}  # of choices without a YAML file: what it would hold

    def register(self, name: str, **tags: Any) -> Callable[[Make], Make]:
        """Decorate the function or class that builds the choice ``name``.

        Raises:
            ConfigError: there is another choice of this name, or the signature of the function cannot be used.
        """

        def add(function: Make) -> Make:
            if name in choice_names(self.group):
                is_known = name in self._entries or function.__module__.partition(".")[0] not in ("satae", "torch")
                text = None
            else:
                before = self._entries[name].build if name in self._entries else function
                is_known = (before.__module__, before.__qualname__) != (function.__module__, function.__qualname__)
                text = self._text_of(name, function)
            if is_known:
                raise ConfigError(f"{self.group}={name}: there is a choice of this name already; choose another name")
            self._entries[name] = Entry(name, function, tags)
            if text:
                self._texts[name] = text
            return function

        return add

    @property
    def added_choices(self) -> dict[str, dict[str, Any]]:
        """The choices without a YAML file, such as those of plugins, and the values that it would hold."""
        return {name: _parse_yaml(text) for name, text in self._texts.items()}

    def names(self) -> list[str]:
        """Every choice that has a YAML file, or is registered without one; nothing heavy is imported."""
        order = {name: place for place, name in enumerate(self.first)}
        return sorted(sorted([*choice_names(self.group), *self._texts]), key=lambda name: order.get(name, len(order)))

    def text(self, name: str) -> str:
        """The content of a choice's YAML file, or what it would hold."""
        return self._texts.get(name) or conf_text(f"{self.group}/{name}.yaml")

    def defaults(self, name: str) -> dict[str, Any]:
        """The options of a choice and their values in its YAML file; nothing heavy is imported.

        Raises:
            ConfigError: the choice is unknown.
        """
        if name not in self.names():
            raise ConfigError(unknown_choice(self.group, name, self.names()))
        values = copy.deepcopy(_parse_yaml(self.text(name)))
        return {key: value for key, value in values.items() if key != "name"}

    def owners(self, option: str) -> list[str]:
        """The choices that have an option; nothing heavy is imported."""
        return [name for name in self.names() if option in self.defaults(name)]

    def __getitem__(self, name: str) -> Entry:
        """What was registered under a name; its module is imported.

        Raises:
            ConfigError: the choice is unknown.
        """
        if name not in self._entries:
            self._import(name)
        if name not in self._entries:
            raise ConfigError(unknown_choice(self.group, name, self.names()))
        return self._entries[name]

    def entries(self) -> list[Entry]:
        """Everything that is registered, in the order of ``names()``; all modules of the registry are imported."""
        self._import("")
        order = [*self.names(), *self._entries]
        return sorted(self._entries.values(), key=lambda entry: order.index(entry.name))

    def choice(self, name: str, options: Mapping[str, Any] | None = None, prefix: str = "") -> Choice:
        """A choice, its options checked against the signature of its function and converted to plain data.

        The module of the choice is imported only if an option differs from the YAML file.

        Args:
            name: of the choice.
            options: all of them; None takes those in its YAML file.
            prefix: of the options in messages, instead of the name of the group.

        Raises:
            ConfigError: the choice or an option is unknown, or a value is missing, of the wrong type or out of range.
        """
        values = self.defaults(name)
        if options is None or sorted(map(repr, options.items())) == sorted(map(repr, values.items())):
            options = values
            if MISSING not in values.values():
                return Choice(name=name, **values)
        kinds = option_types(self[name].build)
        for option in options:
            if option not in kinds:
                line = self.unknown_option(option, name)
                raise ConfigError(line if not prefix else f"{prefix}.{option}: no such option")
        for option in [*values, *(kind for kind in kinds if kind not in values)]:
            kind, dotted = kinds[option], f"{prefix or self.group}.{option}"
            values[option] = kind.dump_python(check_value(dotted, kind, options.get(option, MISSING)), mode="json")
        return Choice(name=name, **values)

    def build(self, choice: Choice | str, *given: Any) -> Any:
        """Call the function of a choice.

        Args:
            choice: its name and options; a name alone takes the options in its YAML file.
            given: positional arguments of the function.

        Raises:
            ConfigError: an option is unknown, of the wrong type or out of range, or the function refuses it.
        """
        choice = self.choice(choice) if isinstance(choice, str) else choice
        function = self[choice.name].build
        kinds = option_types(function)
        options = {
            option: check_value(f"{self.group}.{option}", kinds[option], value)
            for option, value in choice.options.items()
        }
        try:
            return function(*given, **options)
        except ConfigError:
            raise
        except ValueError as error:
            raise ConfigError(f"{self.group}={choice.name}: {error}") from None

    def unknown_option(self, option: str, name: str) -> str:
        """What to say when a choice does not have an option; nothing heavy is imported."""
        group = self.group
        refused = f"{group}.{option}: {group}={name} has no such option"
        own, there = list(self.defaults(name)) if name in self.names() else [], self.owners(option)
        near = difflib.get_close_matches(option, own, 1, 0.9 if there else 0.5)  # data.label of data=array: data.labels
        if there and not near:
            return f"{refused}; it belongs to {group}={join_words(there)}"
        if near:
            return f"{refused}; did you mean {group}.{near[0]}?"
        others = dict.fromkeys(other for each in self.names() for other in self.defaults(each))
        if near := difflib.get_close_matches(option, list(others), 1, 0.5):
            return f"{refused}; did you mean {group}.{near[0]} of {group}={join_words(self.owners(near[0]))}?"
        return f"{refused}; it has {', '.join(own) or 'none'}"

    def _text_of(self, name: str, function: Callable[..., Any]) -> str:
        """What the YAML file of a function without one would hold, from its signature and its docstring.

        Raises:
            ConfigError: the signature cannot be used.
        """
        typed = f"{self.group}={name}"
        if not re.fullmatch(r"[A-Za-z]\w*", name, re.ASCII):
            raise ConfigError(f"{typed}: a name has letters, digits and _ alone, and begins with a letter")
        parameters = inspect.signature(function, eval_str=True).parameters.values()
        first = [item for item in parameters if item.kind in (item.POSITIONAL_ONLY, item.POSITIONAL_OR_KEYWORD)]
        own = [item for item in parameters if item.kind is item.KEYWORD_ONLY]
        more = [item for item in first[len(self.given) :] if item.default is item.empty or not _is_of_torch(function)]
        if len(first) < len(self.given) or more or len(first) + len(own) < len(parameters):
            given = ", ".join([*self.given, "*", "option: type = value"])
            raise ConfigError(f"{typed}: its function must take ({given}); options stand after the *")
        values = dict[str, Any](name=name)
        for item in own:
            option = f"{self.group}.{item.name}"
            if item.annotation is item.empty or item.name == "name":
                what = "cannot be the name of an option" if item.name == "name" else "has no type"
                raise ConfigError(f"{option}: {what}; write an option as threshold: float = 0.5")
            try:
                kind = option_types(function)[item.name]
                type_words(describe(kind))
            except Exception:  # whatever pydantic raises for a type that it does not know
                types = (
                    "bool, int, float, str, Literal, list[...] and ... | None, and those of satae.config.option_types"
                )
                raise ConfigError(f"{option}: an option cannot have this type; there are {types}") from None
            is_missing = item.default is item.empty
            values[item.name] = (
                MISSING if is_missing else kind.dump_python(check_value(option, kind, item.default), mode="json")
            )
        about = (function.__doc__ or "").strip().partition("\n")[0].rstrip(".")
        return f"# {about}\n{yaml.safe_dump(values, default_flow_style=None, sort_keys=False, width=10**6)}"

    def _import(self, name: str) -> None:
        """Import the module of a choice: ``home/<name>.py`` if it exists, else ``home`` with all its modules.

        It is ``home/<name>_.py`` for a name that the standard library has, too. Signals are held back: torch, which
        many modules import, aborts the process if one is raised inside it.
        """
        with signals.hold_signals():
            home = importlib.import_module(self.home)
            modules = [module.name for module in pkgutil.iter_modules(getattr(home, "__path__", []))]
            for module in [one for one in (name, f"{name}_") if one in modules] or modules:
                importlib.import_module(f"{self.home}.{module}")


def _is_of_torch(function: Callable[..., Any]) -> bool:
    """Whether a function or class is torch's own, whose positional parameters with defaults keep them."""
    return function.__module__.partition(".")[0] == "torch"


# the groups of choices, one registry each

ACTIVATIONS: Final = Registry("act", "satae.model.activations", ["relu", "shrink", "satlin"])
ARCHITECTURES: Final = Registry("arch", "satae.model.architectures", ["mlp"], ["shape", "act"])
NOISES: Final = Registry(
    "noise", "satae.model.noise", ["gaussian", "uniform", "masking", "salt_and_pepper"], ["span", "model"]
)
DATA_SOURCES: Final = Registry(
    "data", "satae.data", ["digits", "manifold", "mnist", "fashion_mnist", "cifar10", "svhn", "patches"]
)
OPTIMIZERS: Final = Registry("optim", "satae.training.optimizers", given=["parameters"])
EVALUATION_PARTS: Final = Registry(
    "evaluation", "satae.evaluation.parts", ["denoising", "code", "manifold", "perturbation", "defence"]
)
LOGGERS: Final = Registry("logger", "satae.loggers", given=["directory", "resume_from"])
REGISTRIES: Final = (ACTIVATIONS, ARCHITECTURES, NOISES, DATA_SOURCES, OPTIMIZERS, EVALUATION_PARTS, LOGGERS)


@functools.cache
def conf_folder() -> Traversable:
    """The folder ``conf/`` of the installed package."""
    return resources.files("satae.conf")


def choice_names(group: str, *, is_nested: bool = False) -> list[str]:
    """The names in a group of ``conf/``, such as ``relu``, in alphabetical order.

    Args:
        group: folder in ``conf/``.
        is_nested: whether the files in its subfolders count, as those of presets do: ``paper/toy_satlin``.
    """

    def names(folder: Traversable, before: str) -> Iterator[str]:
        for item in folder.iterdir():
            if item.name.endswith(".yaml"):
                yield before + item.name.removesuffix(".yaml")
            elif is_nested and item.is_dir():
                yield from names(item, f"{before}{item.name}/")

    return sorted(names(conf_folder() / group, ""))


def conf_text(name: str) -> str:
    """The content of a file of ``conf/``, such as ``"config.yaml"``."""
    return _read_text(conf_folder() / name)  # type: ignore[arg-type]


@functools.cache
def _read_text(file: Traversable) -> str:
    return file.read_text("utf-8")


def conf_values(name: str) -> dict[str, Any]:
    """The values in a file of ``conf/``, such as ``"config.yaml"``."""
    return copy.deepcopy(_parse_yaml(conf_text(name)))


@functools.cache
def _parse_yaml(text: str) -> dict[str, Any]:
    values: dict[str, Any] = YAML_LOADER(text).get_single_data()
    return values
