"""A progress bar, by tqdm where it is installed."""

from __future__ import annotations

from importlib.util import find_spec
from time import perf_counter
from typing import Any, Final

from tapegrad.errors import MissingExtraError, describe

_OFTEN: Final = 0.1  # seconds between two changes of what the bar says


class Progress:
    """A bar of the steps of a fit, with the loss and the learning rate; says nothing where there is none.

    Args:
        shown: True, False, or None: on a terminal, if tqdm is installed.
        total: steps of the whole fit; `done`: of those before.
    """

    def __init__(self, shown: bool | None, total: int, done: int = 0) -> None:
        self.bar: Any = None
        self.waiting, self.next = 0, 0.0
        if shown is False:
            return
        if find_spec("tqdm") is None:
            if shown:
                found, wanted = "progress=True and no tqdm", "pip install 'tapegrad[fit]'"
                raise MissingExtraError(describe("fit", found=found, wanted=wanted))
            return
        from tqdm.auto import tqdm

        bar = tqdm(total=total, initial=done, unit=" steps", disable=None if shown is None else False)
        self.bar = None if bar.disable else bar

    def step(self, epoch: int, loss: float, rate: float) -> None:
        """A step has been taken."""
        if self.bar is None:
            return
        self.waiting += 1
        now = perf_counter()
        if now >= self.next:
            self.next = now + _OFTEN
            self.bar.set_postfix_str(f"epoch {epoch}, loss {loss:.4g}, rate {rate:.3g}", refresh=False)
            self.flush()

    def flush(self) -> None:
        """Let the bar know of the steps taken."""
        if self.bar is not None:
            self.bar.update(self.waiting)
            self.waiting = 0

    def close(self) -> None:
        """The fit is over."""
        if self.bar is not None:
            self.flush()
            self.bar.close()
