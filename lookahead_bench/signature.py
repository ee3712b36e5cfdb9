"""What a class's constructor takes, read from its source without importing it.

Importing torch takes seconds; a wrong `optimizer.base` should be told in milliseconds. The source is parsed, re-exports
are followed, and where the source cannot say (a C extension, `**kwargs`, a name made at run time) the answer is None:
then only the import itself can tell.
"""

from __future__ import annotations

import ast
import functools
import importlib.util
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

OPTIMIZER = ("torch.optim.optimizer", "Optimizer")
WRAPPER = ("lookahead_bench.optim.wrapper", "Wrapper")


@dataclass(frozen=True)
class Names:
    """The top-level names of a module: classes by definition, others by where they are imported from."""

    classes: dict[str, ast.ClassDef]
    imported: dict[str, tuple[str, str | None]]
    others: frozenset[str]
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
    classes: dict[str, ast.ClassDef] = {}
    imported: dict[str, tuple[str, str | None]] = {}
    others: set[str] = set()
    is_open = False
    for statement in _statements(ast.parse(file.read_text(encoding="utf-8")).body):
        match statement:
            case ast.ClassDef():
                classes[statement.name] = statement
            case ast.FunctionDef():
                others.add(statement.name)
                is_open |= statement.name == "__getattr__"
            case ast.Import():
                for alias in statement.names:
                    imported[alias.asname or alias.name.split(".")[0]] = (alias.name, None)
            case ast.ImportFrom():
                base = package[: len(package) - statement.level + 1] if statement.level else []
                source = ".".join([*base, *([statement.module] if statement.module else [])])
                for alias in statement.names:
                    is_open |= alias.name == "*"
                    imported[alias.asname or alias.name] = (source, alias.name)
            case ast.Assign():
                others.update(t.id for t in statement.targets if isinstance(t, ast.Name))
    return Names(classes, imported, frozenset(others), is_open)


def find_class(module: str, name: str, depth: int = 8) -> tuple[str, ast.ClassDef] | None:
    """The module that defines class `name` of `module`, and its definition; re-exports are followed."""
    found = names(module)
    if found is None or depth == 0:
        return None
    if name in found.classes:
        return module, found.classes[name]
    source, original = found.imported.get(name, (None, None))
    if source is None or original is None:
        return None
    return find_class(source, original, depth - 1)


def _bases(module: str, definition: ast.ClassDef) -> Iterator[tuple[str, ast.ClassDef]]:
    for base in definition.bases:
        *owner, name = ast.unparse(base).split(".")
        where = module
        if owner:
            known = names(module)
            where = known.imported.get(owner[0], (owner[0], None))[0] if known else owner[0]
            where = ".".join([where, *owner[1:]])
        found = find_class(where, name)
        if found:
            yield found


def derives(path: str, ancestor: tuple[str, str]) -> bool | None:
    """Whether the class at `path` is `ancestor` or derives from it; None where the source cannot tell."""
    module, _, name = path.rpartition(".")
    found = find_class(module, name)
    if found is None:
        return None
    if (found[0], found[1].name) == ancestor:
        return True
    bases = list(_bases(*found))
    if any(derives(f"{where}.{base.name}", ancestor) for where, base in bases):
        return True
    return False if len(bases) == len(found[1].bases) else None


def arguments(path: str) -> frozenset[str] | None:
    """The names that the constructor of the class at `path` takes; None where the source cannot tell."""
    module, _, name = path.rpartition(".")
    found = find_class(module, name)
    while found:
        for statement in found[1].body:
            if isinstance(statement, ast.FunctionDef) and statement.name == "__init__":
                args = statement.args
                if args.kwarg or args.vararg:
                    return None
                return frozenset(a.arg for a in args.posonlyargs + args.args + args.kwonlyargs) - {"self"}
        found = next(_bases(*found), None)
    return None


def missing(path: str) -> list[str] | None:
    """None if the class may exist; otherwise the class names of its module, for a did-you-mean."""
    module, _, name = path.rpartition(".")
    known = names(module)
    if known is None or known.open or name in known.classes or name in known.imported or name in known.others:
        return None
    return sorted(n for n in [*known.classes, *known.imported] if n[:1].isupper())
