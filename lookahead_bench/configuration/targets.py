"""What may stand at a `_target_`: one rule for all of them. A class that is, or derives from, what belongs there.

It is told from the name, then from the source, before anything is imported: importing a module runs it. Only where no
source can tell is the module imported, and the class asked. This module itself imports no torch.
"""

from __future__ import annotations

import difflib
import importlib
import importlib.util
import inspect
import sys
from collections.abc import Iterable
from dataclasses import dataclass
from typing import Any

from lookahead_bench.configuration import source
from lookahead_bench.errors import ConfigError


@dataclass(frozen=True)
class Kind:
    """What stands at a `_target_`: module and name of the class to derive from, and how that is said."""

    ancestor: source.Ancestor
    refusal: str


OPTIMIZER = Kind(source.OPTIMIZER, "is no subclass of torch.optim.Optimizer; name one, such as torch.optim.SGD")
WRAPPER = Kind(source.WRAPPER, "is no wrapper of lookahead_bench.optim; a plain optimizer belongs into optimizer.base")
TASK = Kind(("lookahead_bench.tasks.base", "Task"), "is no lookahead_bench.tasks.base.Task")
CHECK = Kind(("lookahead_bench.tasks.checks", "Check"), "is no lookahead_bench.tasks.checks.Check")
MODEL = Kind(("torch.nn.modules.module", "Module"), "is no torch.nn.Module; name one of your own")
SCHEDULE = Kind(("lookahead_bench.schedule", "Schedule"), "cannot be used: is no lookahead_bench.schedule.Schedule")
HYDRA = {
    "launcher": Kind(("hydra.plugins.launcher", "Launcher"), "is no Hydra launcher"),
    "sweeper": Kind(("hydra.plugins.sweeper", "Sweeper"), "is no Hydra sweeper"),
    "callbacks": Kind(("hydra.experimental.callback", "Callback"), "is no Hydra callback"),
}


def nearest(name: str, names: Iterable[str]) -> str:
    """`; did you mean "SGD"?`, or nothing where nothing is near."""
    known = {n.lower(): n for n in names}
    match = difflib.get_close_matches(name.lower(), known, n=1)
    return f"; did you mean {known[match[0]]!r}?" if match else ""


def check_target(key: str, path: object, kind: Kind) -> str:
    """Refuse what cannot stand at `key`, by its name or its source; gives the path.

    Errors: ConfigError: no dotted path, in the standard library, torch's but no optimizer, no such module or class, no
    class of this kind.
    """
    check_name(key, path)
    assert isinstance(path, str)
    module, _, name = path.rpartition(".")
    top = path.split(".")[0]
    if importlib.util.find_spec(top) is None:
        raise ConfigError(f"{key}={path}: there is no module {top!r}; install it or mend the path")
    others = source.missing(path)
    if others is not None:
        raise ConfigError(f"{key}={path}: {module} has no {name!r}{nearest(name, others)}")
    derived = source.derives(path, kind.ancestor)
    if derived is None:
        load(key, path, kind)
    elif not derived or is_abstract(path, kind):
        raise ConfigError(f"{key}={path}: {kind.refusal}")
    return path


def check_name(key: str, path: object) -> None:
    """Refuse by its name alone what is no dotted path, in the standard library, or torch's but no optimizer."""
    if not isinstance(path, str) or "." not in path or not all(part.isidentifier() for part in path.split(".")):
        shown = "null" if path is None else path
        raise ConfigError(f"{key}={shown}: must be the dotted path of a class, such as torch.optim.SGD")
    top = path.split(".")[0]
    if top in sys.stdlib_module_names:
        raise ConfigError(f"{key}={path}: may not be in the standard library; name a class such as torch.optim.SGD")
    if top == "torch" and not path.startswith("torch.optim."):
        remedy = "such as torch.optim.SGD" if key.startswith("optimizer") else "of lookahead_bench or of your own"
        raise ConfigError(f"{key}={path}: only torch.optim may be used of torch; name a class {remedy}")


def is_abstract(path: str, kind: Kind) -> bool:
    """Whether `path` names the ancestor itself."""
    module, _, name = path.rpartition(".")
    found = source.find_class(module, name)
    return found is not None and (found[0], found[1].name) == kind.ancestor


def load(key: str, path: object, kind: Kind) -> type:
    """The class at `path`, imported. Errors: ConfigError, as `check_target`, or a module that cannot be imported."""
    check_name(key, path)
    assert isinstance(path, str)
    if source.derives(path, kind.ancestor) is False:
        raise ConfigError(f"{key}={path}: {kind.refusal}")
    module_name, _, name = path.rpartition(".")
    try:
        module = importlib.import_module(module_name)
        ancestor = getattr(importlib.import_module(kind.ancestor[0]), kind.ancestor[1])
    except ModuleNotFoundError as error:
        if error.name and (module_name == error.name or module_name.startswith(f"{error.name}.")):
            raise ConfigError(f"{key}={path}: there is no module {error.name!r}; install it or mend the path") from None
        raise ConfigError(f"{key}={path}: importing {module_name} failed: {_line(error)}") from error
    except (Exception, SystemExit) as error:
        raise ConfigError(f"{key}={path}: importing {module_name} failed: {_line(error)}") from error
    found = getattr(module, name, None)
    if found is None:
        classes = [n for n, value in vars(module).items() if isinstance(value, type) and issubclass(value, ancestor)]
        raise ConfigError(f"{key}={path}: {module_name} has no {name!r}{nearest(name, classes)}")
    if not isinstance(found, type) or not issubclass(found, ancestor) or found is ancestor:
        raise ConfigError(f"{key}={path}: {kind.refusal}")
    return found


def fact(key: str, path: str, kind: Kind, name: str) -> Any:
    """What the class states under `name`: from its source, or, where that cannot tell, from the class itself."""
    try:
        return source.fact(path, name)
    except LookupError:
        return getattr(load(key, path, kind), name, None)


def arguments(key: str, path: str, kind: Kind) -> frozenset[str] | None:
    """What the constructor takes by name; None if it takes anything."""
    found = source.arguments(path)
    if found is not None:
        return found
    cls = load(key, path, kind)
    return None if takes_anything(cls) else frozenset(parameters_of(cls))


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


def _line(error: BaseException) -> str:
    return " ".join(f"{type(error).__name__}: {error}".split())
