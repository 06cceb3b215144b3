"""A digest of the source code that numbers depend on, so that a change of it is noticed and other changes are not."""

import ast
import hashlib
from collections.abc import Iterable, Iterator
from functools import cache
from pathlib import Path
from typing import Final

_PACKAGE: Final = "voxseed"
_ROOT: Final = Path(__file__).resolve().parents[1]


def code_digest(modules: Iterable[str]) -> str:
    """Digest of some of Voxseed's modules and of all that they import of it, inside functions too.

    Comments, docstrings and layout do not count. The package's front does not either: it offers everything.

    Args:
        modules: dotted names, such as "voxseed.methods.scm".
    """
    digest = hashlib.sha256()
    for module in sorted(_reached(modules)):
        digest.update(f"{module} {_module_digest(module)}\n".encode())
    return digest.hexdigest()


def _reached(modules: Iterable[str]) -> set[str]:
    found: set[str] = set()
    waiting = list(modules)
    while waiting:
        module = waiting.pop()
        if module not in found:
            found.add(module)
            waiting += _imported(module)
    return found


@cache
def _imported(module: str) -> tuple[str, ...]:
    """Modules of Voxseed that a module imports."""
    names = {name for node in ast.walk(_tree(module)) for name in _names(node)}
    return tuple(sorted(name for name in names if name.startswith(f"{_PACKAGE}.") and _file(name) is not None))


def _names(node: ast.AST) -> Iterator[str]:
    """What an import statement may mean: `from a import b` is the module a, and a.b if that is one too."""
    if isinstance(node, ast.Import):
        yield from (alias.name for alias in node.names)
    elif isinstance(node, ast.ImportFrom) and node.module:
        yield node.module
        yield from (f"{node.module}.{alias.name}" for alias in node.names)


@cache
def _module_digest(module: str) -> str:
    tree = _tree(module)
    for node in ast.walk(tree):
        if isinstance(node, ast.Module | ast.ClassDef | ast.FunctionDef | ast.AsyncFunctionDef):
            node.body = [statement for statement in node.body if not _is_text(statement)] or [ast.Pass()]
    return hashlib.sha256(ast.unparse(tree).encode()).hexdigest()


def _is_text(statement: ast.stmt) -> bool:
    """A docstring, or a string below an attribute that describes it."""
    return (
        isinstance(statement, ast.Expr)
        and isinstance(statement.value, ast.Constant)
        and isinstance(statement.value.value, str)
    )


def _tree(module: str) -> ast.Module:
    path = _file(module)
    if path is None:
        raise ValueError(f"{module} is no module of {_PACKAGE}.")
    return ast.parse(path.read_text(encoding="utf-8"))


def _file(module: str) -> Path | None:
    """The file of a module or package; None where the name is something inside one."""
    path = _ROOT.joinpath(*module.split(".")[1:])
    candidates = (path.with_name(f"{path.name}.py"), path / "__init__.py")
    return next((candidate for candidate in candidates if candidate.is_file()), None)
