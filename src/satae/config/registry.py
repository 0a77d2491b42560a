"""One decorator and one YAML file make a function a choice of the command line.

``conf/<group>/<name>.yaml`` says which choices and options exist, and their values: help, completion and "did you mean"
read it, without torch. The keyword-only parameters of the registered function say the types and ranges. Its positional
parameters are what the program passes in. Nothing is stated a third time.
"""

from __future__ import annotations

import functools
import importlib
import inspect
import pkgutil
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from importlib import resources
from typing import Any, Generic, TypeVar

import yaml
from pydantic import BaseModel, ConfigDict, ValidationError, create_model

from satae.errors import ConfigError

T = TypeVar("T")


@dataclass(frozen=True)
class Entry(Generic[T]):
    """One choice of a group."""

    name: str
    build: Callable[..., T]
    facts: Mapping[str, Any]  # what was registered beside the function, such as the flat set of an activation


class Registry(Generic[T]):
    """The choices of one configuration group, found by importing one module, or all modules of one package."""

    def __init__(self, group: str, home: str) -> None:
        """Name the group and the module or package that registers its choices; nothing is imported yet.

        Args:
            group: folder in ``conf/`` and word on the command line, such as ``"act"``.
            home: such as ``"satae.model.activations"``, or ``"satae.data"`` for every module in that package.
        """
        self.group, self.home = group, home
        self._entries: dict[str, Entry[T]] = {}

    def register(self, name: str, **facts: Any) -> Callable[[Callable[..., T]], Callable[..., T]]:
        """Decorate the function that builds the choice ``name``."""

        def add(function: Callable[..., T]) -> Callable[..., T]:
            self._entries[name] = Entry(name, function, facts)
            return function

        return add

    def __getitem__(self, name: str) -> Entry[T]:
        """The choice of that name; its module is imported."""
        self._import_home()
        return self._entries[name]

    def names(self) -> list[str]:
        """Every choice that has a YAML file, in alphabetical order."""
        folder = resources.files("satae.conf") / self.group
        return sorted(file.name.removesuffix(".yaml") for file in folder.iterdir() if file.name.endswith(".yaml"))

    def defaults(self, name: str) -> dict[str, Any]:
        """The options of a choice and their values, as its YAML file has them."""
        text = (resources.files("satae.conf") / self.group / f"{name}.yaml").read_text("utf-8")
        return {key: value for key, value in yaml.safe_load(text).items() if key != "name"}

    def build(self, name: str, options: Mapping[str, Any], *given: Any) -> T:
        """Call the function of a choice.

        Args:
            name: of the choice.
            options: its keyword-only arguments; they are checked first.
            given: its positional arguments.

        Raises:
            ConfigError: an option is unknown, of the wrong type or out of range, or the function refuses it.
        """
        function = self[name].build
        checked = self.check(name, options)
        try:
            return function(*given, **checked)
        except ConfigError:
            raise
        except ValueError as error:
            raise ConfigError(f"{self.group}={name}: {error}") from None

    def check(self, name: str, options: Mapping[str, Any]) -> dict[str, Any]:
        """Check the types and ranges of options against the signature of the function; returns them converted.

        Raises:
            ConfigError: an option is unknown, of the wrong type or out of range.
        """
        try:
            return dict(_model_of(self[name].build).model_validate(dict(options)))
        except ValidationError as error:
            first = error.errors()[0]
            key = ".".join(map(str, first["loc"]))
            raise ConfigError(f"{self.group}.{key}={first['input']}: {first['msg']}") from None

    @functools.cache  # noqa: B019  # registries live as long as the program
    def _import_home(self) -> None:
        home = importlib.import_module(self.home)
        for module in pkgutil.iter_modules(getattr(home, "__path__", [])):
            importlib.import_module(f"{self.home}.{module.name}")


@functools.cache
def _model_of(function: Callable[..., Any]) -> type[BaseModel]:
    """A pydantic model of the keyword-only parameters of a function."""
    parameters = inspect.signature(function, eval_str=True).parameters.values()
    fields: dict[str, Any] = {
        parameter.name: (parameter.annotation, ... if parameter.default is parameter.empty else parameter.default)
        for parameter in parameters
        if parameter.kind is parameter.KEYWORD_ONLY
    }
    return create_model(function.__name__, __config__=ConfigDict(extra="forbid", strict=True), **fields)
