"""Lazy views: a property made once, safely from several threads."""

from __future__ import annotations

import threading
from collections.abc import Callable
from typing import Any, Generic, TypeVar, overload

T = TypeVar("T")


class once(Generic[T]):
    """A property computed at first use and kept; a raised error is kept and raised again.

    Unlike `functools.cached_property` two threads never compute it twice.
    """

    def __init__(self, make: Callable[[Any], T]) -> None:
        self.make = make
        self.__doc__ = make.__doc__
        self.name = make.__name__

    @overload
    def __get__(self, instance: None, owner: type) -> once[T]: ...
    @overload
    def __get__(self, instance: object, owner: type) -> T: ...
    def __get__(self, instance: object | None, owner: type) -> T | once[T]:
        """The value for ``instance``, made now if need be."""
        if instance is None:
            return self
        store = instance.__dict__
        key = f"_once_{self.name}"
        if key not in store:
            with store.setdefault(f"{key}_lock", threading.RLock()):
                if key not in store:
                    store[key] = self._attempt(instance)
        value, error = store[key]
        if error is not None:
            raise error
        return value  # type: ignore[no-any-return]

    def _attempt(self, instance: object) -> tuple[T | None, Exception | None]:
        try:
            return self.make(instance), None
        except Exception as error:
            return None, error
