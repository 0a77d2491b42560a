"""One decorator and one YAML file make a function a choice of the command line; the groups of choices.

``conf/<group>/<name>.yaml`` says which choices and options exist, and their values: help, completion and "did you mean"
read it, without torch. The keyword-only parameters of the registered function say the types and ranges. Its positional
parameters are what the program passes in. Nothing is stated a third time.
"""

from __future__ import annotations

import copy
import difflib
import functools
import importlib
import pkgutil
from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import dataclass
from importlib import resources
from importlib.resources.abc import Traversable
from types import SimpleNamespace
from typing import Any, Final, TypeVar

import yaml

from satae import signals
from satae.config.option_types import MISSING, check_value, option_types
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

    def __init__(self, group: str, home: str, first: Iterable[str] = ()) -> None:
        """Name the group and the module or package that registers its choices; nothing is imported yet.

        Args:
            group: folder in ``conf/`` and word on the command line, such as ``"act"``.
            home: such as ``"satae.model.activations"``, or ``"satae.data"`` for every module in that package.
            first: choices that are listed before all others, which follow in alphabetical order.
        """
        self.group, self.home, self.first = group, home, tuple(first)
        self._entries: dict[str, Entry] = {}

    def register(self, name: str, **tags: Any) -> Callable[[Make], Make]:
        """Decorate the function or class that builds the choice ``name``."""

        def add(function: Make) -> Make:
            self._entries[name] = Entry(name, function, tags)
            return function

        return add

    def names(self) -> list[str]:
        """Every choice that has a YAML file; nothing heavy is imported."""
        order = {name: place for place, name in enumerate(self.first)}
        return sorted(choice_names(self.group), key=lambda name: order.get(name, len(order)))

    def defaults(self, name: str) -> dict[str, Any]:
        """The options of a choice and their values in its YAML file; nothing heavy is imported.

        Raises:
            ConfigError: the choice is unknown.
        """
        if name not in self.names():
            raise ConfigError(unknown_choice(self.group, name, self.names()))
        values = conf_values(f"{self.group}/{name}.yaml")
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


# the groups of choices, one registry each

ACTIVATIONS: Final = Registry("act", "satae.model.activations", ["relu", "shrink", "satlin"])
ARCHITECTURES: Final = Registry("arch", "satae.model.architectures", ["mlp"])
NOISES: Final = Registry("noise", "satae.model.noise", ["gaussian", "uniform", "masking", "salt_and_pepper"])
DATA_SOURCES: Final = Registry(
    "data", "satae.data", ["digits", "manifold", "mnist", "fashion_mnist", "cifar10", "svhn", "patches"]
)
OPTIMIZERS: Final = Registry("optim", "satae.training.optimizers")
EVALUATION_PARTS: Final = Registry(
    "evaluation", "satae.evaluation.parts", ["denoising", "code", "manifold", "perturbation", "defence"]
)
LOGGERS: Final = Registry("logger", "satae.loggers")


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


def conf_values(name: str) -> dict[str, Any]:
    """The values in a file of ``conf/``, such as ``"config.yaml"``."""
    return copy.deepcopy(_read_conf(conf_folder() / name))  # type: ignore[arg-type]


@functools.cache
def _read_conf(file: Traversable) -> dict[str, Any]:
    values: dict[str, Any] = YAML_LOADER(file.read_bytes()).get_single_data()
    return values
