"""What a class is, what it states and what its constructor takes, read from its source without importing it.

Importing torch takes seconds, and importing a module runs it; a wrong `_target_` should be told in milliseconds, by its
source alone. The source is parsed, re-exports are followed, and where the source cannot say (a C extension, `**kwargs`,
a name made at run time) the answer is None: then only the import itself can tell.
"""

from __future__ import annotations

import ast
import functools
import importlib.util
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from lookahead_bench.errors import ConfigError

Definition = ast.ClassDef | ast.FunctionDef | ast.AsyncFunctionDef
Ancestor = tuple[str, str]  # module and name of a class
OPTIMIZER = ("torch.optim.optimizer", "Optimizer")
WRAPPER = ("lookahead_bench.optim.wrapper", "Wrapper")
ANCHORED = ("lookahead_bench.optim.anchored", "Anchored")


@dataclass(frozen=True)
class Names:
    """The top-level names of a module: classes and functions by definition, others by where they are imported from."""

    defined: dict[str, Definition]
    imported: dict[str, tuple[str, str | None]]
    others: frozenset[str]
    stars: tuple[str, ...]  # modules that it imports everything from
    open: bool  # a star import or a module-level __getattr__: more names may exist


def module_file(module: str) -> Path | None:
    """The source file of a dotted module name; nothing is imported, not even the package."""
    top, *rest = module.split(".")
    try:
        spec = importlib.util.find_spec(top)
    except (ImportError, ValueError):
        return None
    if spec is None:
        return None
    if not rest:
        return Path(spec.origin) if spec.origin and spec.origin.endswith(".py") else None
    for location in spec.submodule_search_locations or ():
        base = Path(location, *rest)
        for candidate in (base / "__init__.py", base.with_suffix(".py")):
            if candidate.is_file():
                return candidate
    return None


def _statements(body: list[ast.stmt]) -> Iterator[ast.stmt]:
    for statement in body:
        yield statement
        if isinstance(statement, ast.If):
            yield from _statements(statement.body + statement.orelse)
        elif isinstance(statement, ast.Try):
            yield from _statements(statement.body + statement.orelse + [s for h in statement.handlers for s in h.body])


@functools.cache
def names(module: str) -> Names | None:
    """The names that `module` defines, or None without a readable source."""
    file = module_file(module)
    if file is None:
        return None
    package = module.split(".") if file.name == "__init__.py" else module.split(".")[:-1]
    defined: dict[str, Definition] = {}
    imported: dict[str, tuple[str, str | None]] = {}
    others: set[str] = set()
    stars: list[str] = []
    is_open = False
    try:
        body = ast.parse(file.read_text(encoding="utf-8")).body
    except (SyntaxError, UnicodeDecodeError) as error:
        line = f", line {error.lineno}" if isinstance(error, SyntaxError) else ""
        raise ConfigError(f"{file}{line}: is no Python: {error.args[0]}") from None
    for statement in _statements(body):
        match statement:
            case ast.ClassDef() | ast.FunctionDef() | ast.AsyncFunctionDef():
                defined[statement.name] = statement
                is_open |= statement.name == "__getattr__"
            case ast.Import():
                for alias in statement.names:
                    imported[alias.asname or alias.name.split(".")[0]] = (alias.name, None)
            case ast.ImportFrom():
                base = package[: len(package) - statement.level + 1] if statement.level else []
                source = ".".join([*base, *([statement.module] if statement.module else [])])
                if statement.names[0].name == "*":
                    stars.append(source)
                else:
                    imported |= {alias.asname or alias.name: (source, alias.name) for alias in statement.names}
            case ast.Assign():
                others.update(t.id for t in statement.targets if isinstance(t, ast.Name))
    return Names(defined, imported, frozenset(others), tuple(stars), is_open or bool(stars))


def find(module: str, name: str, depth: int = 8) -> tuple[str, Definition] | None:
    """The module that defines class or function `name` of `module`, and its definition; re-exports are followed."""
    found = names(module)
    if found is None or depth == 0:
        return None
    if name in found.defined:
        return module, found.defined[name]
    source, original = found.imported.get(name, (None, None))
    if source is not None and original is not None:
        return find(source, original, depth - 1)
    return next(filter(None, (find(star, name, depth - 1) for star in found.stars)), None)


def find_class(module: str, name: str) -> tuple[str, ast.ClassDef] | None:
    """The same for a class."""
    match find(module, name):
        case (where, ast.ClassDef() as definition):
            return where, definition
    return None


def _bases(module: str, definition: ast.ClassDef) -> Iterator[tuple[str, ast.ClassDef]]:
    for base in definition.bases:
        *owner, name = ast.unparse(base).split(".")
        where = module
        if owner:
            known = names(module)
            first = known.imported.get(owner[0], (owner[0], None)) if known else (owner[0], None)
            where = ".".join([*filter(None, first), *owner[1:]])  # `from torch import nn` and `import torch.nn as nn`
        found = find_class(where, name)
        if found:
            yield found


def derives(path: str, ancestor: Ancestor) -> bool | None:
    """Whether the class at `path` is `ancestor` or derives from it; None where the source cannot tell."""
    module, _, name = path.rpartition(".")
    match find(module, name):
        case None:
            return None
        case (where, ast.ClassDef() as definition):
            bases = list(_bases(where, definition))
            if (where, definition.name) == ancestor:
                return True
            if any(derives(f"{place}.{base.name}", ancestor) for place, base in bases):
                return True
            return False if len(bases) == len(definition.bases) else None
    return False  # a function


def lineage(path: str) -> Iterator[ast.ClassDef]:
    """The class at `path` and its first base, and so on, as far as sources can be read."""
    module, _, name = path.rpartition(".")
    found = find_class(module, name)
    while found:
        yield found[1]
        found = next(_bases(*found), None)


def fact(path: str, name: str) -> Any:
    """The literal that the class at `path`, or the nearest class that it derives from, assigns to `name`.

    Errors: LookupError where no source assigns it, or where it is no literal.
    """
    for definition in lineage(path):
        for statement in definition.body:
            match statement:
                case ast.Assign(targets=[ast.Name(id=target)], value=value):
                    pass
                case ast.AnnAssign(target=ast.Name(id=target), value=ast.expr() as value):
                    pass
                case _:
                    continue
            if target == name:
                try:
                    return ast.literal_eval(value)
                except ValueError:
                    raise LookupError(f"{path}.{name} is no literal") from None
    raise LookupError(f"{path} states no {name}")


def arguments(path: str) -> frozenset[str] | None:
    """The names that the constructor of the class at `path` takes; None where the source cannot tell."""
    for definition in lineage(path):
        for statement in definition.body:
            if isinstance(statement, ast.FunctionDef) and statement.name == "__init__":
                args = statement.args
                if args.kwarg or args.vararg:
                    return None
                return frozenset(a.arg for a in args.posonlyargs + args.args + args.kwonlyargs) - {"self"}
    return None


def missing(path: str) -> list[str] | None:
    """None if the class may exist; otherwise the class names of its module, for a did-you-mean."""
    module, _, name = path.rpartition(".")
    known = names(module)
    there = () if known is None else (*known.defined, *known.imported, *known.others)
    if known is None or known.open or name in there:
        return None
    return sorted(n for n in [*known.defined, *known.imported] if n[:1].isupper())
