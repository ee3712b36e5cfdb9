"""A `_target_` of the configuration -> the optimizer class it names.

Names are judged before anything is imported: importing a module runs it. This module itself imports no torch.
"""

from __future__ import annotations

import difflib
import importlib
import inspect
import sys
from collections.abc import Iterable
from typing import Any

from lookahead_bench.errors import ConfigError


def nearest(name: str, names: Iterable[str]) -> str:
    """`; did you mean "SGD"?`, or nothing where nothing is near."""
    known = {n.lower(): n for n in names}
    match = difflib.get_close_matches(name.lower(), known, n=1)
    return f"; did you mean {known[match[0]]!r}?" if match else ""


def check_target_name(key: str, path: object) -> None:
    """Refuse by its name alone what is no dotted path, in the standard library, or torch's but no optimizer."""
    if not isinstance(path, str) or "." not in path or not all(part.isidentifier() for part in path.split(".")):
        raise ConfigError(f"{key}={path}: must be the dotted path of a class, such as torch.optim.SGD")
    top = path.split(".")[0]
    if top in sys.stdlib_module_names:
        raise ConfigError(f"{key}={path}: may not be in the standard library; name a class such as torch.optim.SGD")
    if top == "torch" and not path.startswith("torch.optim."):
        remedy = "such as torch.optim.SGD" if key.startswith("optimizer") else "of lookahead_bench or of your own"
        raise ConfigError(f"{key}={path}: only torch.optim may be used of torch; name a class {remedy}")


def resolve_target(path: str, key: str = "_target_") -> type:
    """The optimizer class at `path`.

    Raises:
        ConfigError: a name refused by `check_target_name`, no such module or attribute, a module that cannot be
            imported, no subclass of `torch.optim.Optimizer`.
    """
    check_target_name(key, path)
    module_name, _, name = path.rpartition(".")
    try:
        module = importlib.import_module(module_name)
    except ModuleNotFoundError as error:
        if error.name and (module_name == error.name or module_name.startswith(f"{error.name}.")):
            raise ConfigError(f"{key}={path}: there is no module {error.name!r}; install it or mend the path") from None
        raise ConfigError(f"{key}={path}: importing {module_name} failed: {_line(error)}") from error
    except (Exception, SystemExit) as error:
        raise ConfigError(f"{key}={path}: importing {module_name} failed: {_line(error)}") from error

    from torch.optim import Optimizer

    found = getattr(module, name, None)
    if found is None:
        classes = [n for n, value in vars(module).items() if isinstance(value, type) and issubclass(value, Optimizer)]
        raise ConfigError(f"{key}={path}: {module_name} has no {name!r}{nearest(name, classes)}")
    if not isinstance(found, type) or not issubclass(found, Optimizer) or found is Optimizer:
        raise ConfigError(f"{key}={path}: is no subclass of torch.optim.Optimizer; name one, such as torch.optim.SGD")
    return found


def parameters_of(cls: type) -> dict[str, inspect.Parameter]:
    """The named arguments of a constructor beyond its first, the parameters or the base."""
    _, *rest = inspect.signature(cls).parameters.values()
    return {p.name: p for p in rest if p.kind in (p.POSITIONAL_OR_KEYWORD, p.KEYWORD_ONLY)}


def takes_anything(cls: type) -> bool:
    """Whether the constructor has `**kwargs`."""
    return any(p.kind is p.VAR_KEYWORD for p in inspect.signature(cls).parameters.values())


def names_taken(cls: type) -> set[str]:
    """What the constructor takes by name; what it hands on as `**kwargs`, its base class takes."""
    names: set[str] = set()
    for each in cls.__mro__:
        if "__init__" in vars(each):
            parameters = inspect.signature(vars(each)["__init__"]).parameters.values()
            names |= {p.name for p in parameters if p.kind in (p.POSITIONAL_OR_KEYWORD, p.KEYWORD_ONLY)}
            if not any(p.kind is p.VAR_KEYWORD for p in parameters):
                break
    return names - {"self"}


def optimizer_arguments(key: str, path: str) -> frozenset[str] | None:
    """What the optimizer class at `path` takes by name; None if it takes anything."""
    cls = resolve_target(path, key)
    return None if takes_anything(cls) else frozenset(parameters_of(cls))


def import_target(key: str, path: str) -> Any:
    """Whatever `path` names (a task, a schedule), judged by its name first.

    Raises:
        ConfigError: a refused name, no such module or attribute.
    """
    check_target_name(key, path)
    module, _, name = path.rpartition(".")
    try:
        return getattr(importlib.import_module(module), name)
    except (ImportError, AttributeError) as error:
        raise ConfigError(f"{key}={path}: cannot be imported: {_line(error)}") from error


def _line(error: BaseException) -> str:
    return " ".join(f"{type(error).__name__}: {error}".split())
