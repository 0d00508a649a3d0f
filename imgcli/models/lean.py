"""timm and torchvision, imported without torch's compiler and Weights & Biases, which take seconds.

Both ask for it while they are imported, though they need it only when something is compiled:
torchvision's `ops/roi_align.py` takes a function from it, and timm's `models/naflexvit.py` marks a
method that is not to be compiled. Both get stand-ins that import the compiler when they are called.
timm imports `wandb`, and pandas by it, for a function that imgcli does not use; it does without.
"""

import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from functools import wraps
from types import ModuleType
from typing import Any

_PACKAGE, _MODULE = "torch._dynamo", "torch._dynamo.utils"
_NOT_NEEDED = "wandb"


@contextmanager
def _not_installed(name: str) -> Iterator[None]:
    """A library that is taken for absent meanwhile, unless it is imported already."""
    absent = name not in sys.modules
    if absent:
        sys.modules[name] = None  # type: ignore[assignment]
    try:
        yield
    finally:
        if absent:
            del sys.modules[name]


@contextmanager
def _compiler_when_asked() -> Iterator[None]:
    """Modules in place of the compiler's, if it is not there already; taken away at the end."""
    if _PACKAGE in sys.modules:
        yield
        return
    sys.modules[_PACKAGE] = _Later(_PACKAGE, disable=_disable)
    sys.modules[_MODULE] = _Later(_MODULE, is_compile_supported=_is_compile_supported)
    try:
        yield
    finally:
        _take_away()


class _Later(ModuleType):
    """A module that makes room for the one it stands for when anything else is asked of it."""

    def __init__(self, name: str, **functions: Callable[..., Any]) -> None:
        super().__init__(name)
        self.__dict__.update(functions)

    def __getattr__(self, name: str) -> object:
        if name.startswith("__"):
            raise AttributeError(name)
        _take_away()
        __import__(self.__name__)
        return getattr(sys.modules[self.__name__], name)


def _take_away() -> None:
    for name in (_PACKAGE, _MODULE):
        if isinstance(sys.modules.get(name), _Later):
            del sys.modules[name]


def _is_compile_supported(device: str) -> bool:
    from torch._dynamo.utils import is_compile_supported

    return bool(is_compile_supported(device))


def _disable(fn: Any = None, recursive: bool = True, **options: Any) -> Any:
    """As `torch._dynamo.disable`, from the first call on."""
    if fn is None or not recursive:
        return _compiler().disable(fn, recursive, **options)

    @wraps(fn)
    def disabled(*args: Any, **kwargs: Any) -> Any:
        return _compiler().disable(fn, **options)(*args, **kwargs)

    return disabled


def _compiler() -> Any:
    from torch import _dynamo

    return _dynamo


try:
    with _compiler_when_asked(), _not_installed(_NOT_NEEDED):
        import timm
        import torchvision
except ModuleNotFoundError:  # a version that imports a part of the compiler by its own name
    import timm
    import torchvision

__all__ = ["timm", "torchvision"]
