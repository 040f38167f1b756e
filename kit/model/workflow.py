"""Workflows: a handler, a name, and how it is to be treated."""

from __future__ import annotations

import functools
from collections.abc import Callable
from datetime import timedelta
from typing import (
    TYPE_CHECKING,
    Any,
    Generic,
    Literal,
    ParamSpec,
    TypeAlias,
    TypeVar,
    get_type_hints,
)

from kit.model.frozen import Frozen
from kit.model.name import check_own_name
from kit.model.retry import RetryPolicy

if TYPE_CHECKING:
    import inspect

P = ParamSpec("P")
R = TypeVar("R")

Checkpoints = Literal["each", "gather"]
"""`each` finished step is stored before the next begins, or they are `gather`ed until a pause."""

StoreName = Literal["awl", "blobs"]
"""Where checkpoints live on Netlify: in the event itself, or in a record in Netlify Blobs."""


class Workflow(Frozen, Generic[P, R]):
    """
    A definition: the handler, and the policy around it; not to be changed once made.

    Calling it calls the plain handler. `timeout` bounds a whole run, from its first attempt to its
    end, sleeps and waits included; on Netlify it is enforced with `store` "blobs" only. `name` is
    None until discovery has named the workflow after its file. `store` is None where the
    settings say it.
    """

    handler: Callable[P, R]
    name: str | None
    timeout: timedelta | None
    retry: RetryPolicy
    background: bool
    checkpoints: Checkpoints
    store: StoreName | None

    __slots__ = ("background", "checkpoints", "handler", "name", "retry", "store", "timeout")

    def __init__(
        self,
        handler: Callable[P, R],
        name: str | None = None,
        timeout: timedelta | None = None,
        retry: RetryPolicy | None = None,
        background: bool = False,
        checkpoints: Checkpoints = "each",
        store: StoreName | None = None,
    ) -> None:
        self._set(
            handler=handler,
            name=name,
            timeout=timeout,
            retry=retry or RetryPolicy(),
            background=background,
            checkpoints=checkpoints,
            store=store,
        )
        self._check()

    def _check(self) -> None:
        if not callable(self.handler):
            msg = f"define_workflow needs a function as its handler, not {self.handler!r}"
            raise TypeError(msg)
        if self.name is not None:
            check_own_name(self.name)
        if self.checkpoints not in ("each", "gather"):
            msg = f'checkpoints must be "each" or "gather", not {self.checkpoints!r}'
            raise ValueError(msg)
        if self.store not in (None, "awl", "blobs"):
            msg = f'store must be "awl" or "blobs", not {self.store!r}'
            raise ValueError(msg)
        if self.timeout is not None and self.timeout <= timedelta():
            msg = f"timeout must be longer than nothing, not {self.timeout}"
            raise ValueError(msg)
        takes(self)
        _check_order(self.handler)

    def __call__(self, *args: P.args, **kwargs: P.kwargs) -> R:
        """Call the plain handler, with no engine and no checkpoints: for unit tests."""
        return self.handler(*args, **kwargs)

    @property
    def event_name(self) -> str:
        """The name of the event that starts it: its own, else the handler's in kebab case."""
        return self.name or getattr(self.handler, "__name__", "workflow").replace("_", "-")

    @property
    def doc(self) -> str:
        """The first line of the handler's docstring, or nothing."""
        import inspect  # takes a quarter of the time of all that a definition needs

        lines = (inspect.getdoc(self.handler) or "").splitlines()
        return lines[0] if lines else ""


AnyWorkflow: TypeAlias = Workflow[..., Any]
"""A workflow whose handler's parameters and result do not matter."""


@functools.lru_cache(maxsize=1024)  # looked up in every invocation
def takes(workflow: Workflow[..., Any]) -> int:
    """
    Return how many of `(input, context)` the workflow's handler takes.

    Raises:
        TypeError: If no handler could be called so; see `parameter_count`.
    """
    return parameter_count(workflow.handler)


def parameter_count(handler: Callable[..., Any]) -> int:
    """
    Return how many of `(input, context)` the handler takes: 0, 1 or 2.

    Raises:
        TypeError: If it requires more, or a keyword nobody would give.
    """
    import inspect

    taken = 0
    takes_any = False
    for parameter in inspect.signature(handler).parameters.values():
        if parameter.kind in (parameter.POSITIONAL_ONLY, parameter.POSITIONAL_OR_KEYWORD):
            taken += 1
        elif parameter.kind is not parameter.KEYWORD_ONLY:
            takes_any |= parameter.kind is parameter.VAR_POSITIONAL
            continue  # they need nothing
        is_keyword = parameter.kind is parameter.KEYWORD_ONLY
        if parameter.default is parameter.empty and (is_keyword or taken > 2):
            msg = (
                f"{getattr(handler, '__name__', handler)!s} takes {parameter.name!r}, but a handler"
                " is called with (input, context), (input) or nothing"
            )
            raise TypeError(msg)
    return 2 if takes_any else min(taken, 2)


def _check_order(handler: Callable[..., Any]) -> None:
    """Refuse a handler whose first parameter is meant for the context: it would get the input."""
    import inspect

    first = next(iter(inspect.signature(handler).parameters.values()), None)
    if first is None or first.kind not in (first.POSITIONAL_ONLY, first.POSITIONAL_OR_KEYWORD):
        return
    is_bare = first.annotation is first.empty
    if _is_context(first.annotation) or (is_bare and first.name in ("context", "ctx")):
        msg = (
            f"{getattr(handler, '__name__', handler)!s} takes its context first ({first}), but a"
            " handler is called with (input, context), (input) or nothing: put the input first,"
            " as in (input: None, context: Context) where there is none"
        )
        raise TypeError(msg)


def _is_context(annotation: Any) -> bool:
    if isinstance(annotation, str):
        return annotation.strip("'\" ").rpartition(".")[2] in ("Context", "PlainContext")
    return getattr(annotation, "__module__", "") == "kit.execution.context"


def input_parameter(handler: Callable[..., Any]) -> inspect.Parameter | None:
    """Return the handler's input parameter, or None if it takes none."""
    import inspect

    parameters = list(inspect.signature(handler).parameters.values())
    return parameters[0] if parameters and parameter_count(handler) else None


def annotation_of(function: Callable[..., Any], name: str) -> Any:
    """
    Return what *function* says of its parameter *name* (or `"return"`), or `Any` if nothing.

    Raises:
        TypeError: If the annotation names something that does not exist, or is no expression.
    """
    stated = getattr(function, "__annotations__", {})
    if name not in stated:
        return Any
    try:  # that one alone: another may name what is imported for type checkers only
        alone = _Alone(function, {name: stated[name]})
        return get_type_hints(alone, include_extras=True)[name]
    except Exception as error:  # whatever an expression raises
        where = getattr(function, "__qualname__", function)
        msg = (
            f"the annotation of {name!r} in {where} cannot be resolved: {error}. Import what it"
            " names at the top of the module, and not for type checkers only"
        )
        raise TypeError(msg) from error


class _Alone:
    """Stands for a function that has some annotations only, where `typing` asks for them."""

    def __init__(self, function: Callable[..., Any], annotations: dict[str, Any]) -> None:
        self.__wrapped__ = function
        self.__annotations__ = annotations
        self.__type_params__ = getattr(function, "__type_params__", ())
