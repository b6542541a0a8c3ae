"""What every tape that can be called has in common: it can be read."""

from __future__ import annotations

import os
from abc import ABC, abstractmethod
from typing import Any

from tapegrad.costs.calibration import Calibration
from tapegrad.costs.cost import Cost, cost
from tapegrad.drivers.arguments import Argnums
from tapegrad.drivers.interface import Interface
from tapegrad.drivers.limits import MemoryLimit
from tapegrad.explanation.explain import Explanation, explain, values_for
from tapegrad.files.write import save
from tapegrad.pictures.boxes import Labels
from tapegrad.pictures.numbers import VALUE_WIDTH
from tapegrad.pictures.picture import Picture, draw
from tapegrad.reading.figures import summary
from tapegrad.reading.listing import brief, listing, result_names
from tapegrad.tape import Tape


class TapeFunction(ABC):
    """A tape and its outside.

    Attributes:
        tape: the instructions, as arrays.
        interface: arguments and result.
    """

    tape: Tape
    interface: Interface

    @abstractmethod
    def __call__(self, *args: Any) -> Any:
        """The function's value, by the compiled sweep."""

    @abstractmethod
    def adjoint(self) -> TapeFunction:
        """The tape of value and gradient: the forward part, then the reverse part.

        Raises:
            ShapeError: the result is not one floating scalar, or the tape has its reverse part already.
        """

    def cost(self, *, memory_limit: MemoryLimit = None, calibration: Calibration | None = None) -> Cost:
        """What a gradient costs: instructions, flops, bytes, memory, predicted time, the most expensive lines.

        Of a function whose result is not one scalar, or that has no parameters, it is the cost of the value.

        Args:
            memory_limit: bytes that the workspace of a gradient may take, as for `value_and_grad`.
            calibration: of another machine than this one, which is measured once (`tapegrad.calibrate`).

        Raises:
            MemoryLimitError: less than the gradient needs.

        >>> import numpy as np, tapegrad as tg
        >>> cost = tg.record(lambda w, x: np.sum(np.tanh(x @ w)), np.ones((50, 20)), np.ones((30, 50))).cost()
        >>> cost.instructions, cost.products, cost.functions
        ((3, 2), 120000.0, 600.0)
        """
        scalar = self.interface.result is None
        return cost(self.tape, scalar=scalar, memory_limit=memory_limit, calibration=calibration)

    def save(self, path: str | os.PathLike[str]) -> None:
        """Write the tape to a file that `tapegrad.load` reads, in one piece or not at all.

        The file is an .npz of arrays and names; nothing in it is code. What the function captured is saved as it is
        now. Of source lines the file's own name and the number are written, not its folder.

        Raises:
            UnsupportedError: a tape with a function of your own (`elementwise`, `primitive`), which is code; an
                argument that is part of the program and no bool, int or str.
            OSError: a path that cannot be written.
        """
        save(self.tape, self.interface, path)

    def __len__(self) -> int:
        return len(self.tape)

    @property
    def nbytes(self) -> int:
        """Bytes that the tape's instructions take."""
        return self.tape.nbytes

    def to_python(self, name: str = "f") -> str:
        """The tape as a plain function of NumPy, in source form, that runs without tapegrad.

        It takes and gives what the tape does, in the same nesting; namedtuples are given as tuples, dataclasses as
        dicts. Constants of up to 64 elements are written out, larger ones stand behind the function; those of more
        than 256 KB are handed to it, `constants=tape.tape.constants`. Where a branch would go another way than it was
        recorded, and for arguments of other shapes, it raises `ValueError`.

        Args:
            name: what to call the function.

        Raises:
            UnsupportedError: a function of `tapegrad.primitive` or `tapegrad.elementwise` on the tape, which has no
                source in NumPy.
            SettingError: a name that no function can have.

        >>> import numpy as np, tapegrad as tg
        >>> source = tg.record(lambda x: np.sum(x * x), np.ones(3)).to_python("squares")
        >>> names = {}
        >>> exec(source, names)
        >>> float(names["squares"](np.array([1.0, 2.0, 3.0])))
        14.0
        """
        from tapegrad.formulas.python import to_python

        return to_python(self.tape, self.interface, name)

    def __str__(self) -> str:
        return brief(self.tape, self.interface.labels(), result_names(self.interface, self.tape))

    def listing(self, first: int | None = None, last: int | None = None) -> str:
        """The tape as text, one line an instruction: all of it, or from `first` on and up to `last`, as in a slice.

        `print` shows the first and the last lines of a long tape.

        >>> import numpy as np, tapegrad as tg
        >>> tape = tg.record(lambda x: np.sum(np.sin(x)), np.ones(3))
        >>> print(tape.listing(1, 2).splitlines()[1].split()[:4])
        ['v1', 'sin', 'v0', '(3,)']
        """
        return listing(self.tape, self.interface.labels(), result_names(self.interface, self.tape), first, last)

    def explain(
        self, *args: Any, argnums: Argnums | None = None, seed: Any = None, differences: bool | None = None
    ) -> Explanation:
        """The tape with its values, partials and adjoints for some arguments: `tapegrad.explain(tape, *args)`."""
        return explain(self, *args, argnums=argnums, seed=seed, differences=differences)

    def draw(self, *args: Any, **options: Any) -> Picture:
        """The picture of the tape, as SVG that shows itself in Jupyter.

        Args:
            args: arguments to show values for: of each slot, and of a tape without a reverse part also its adjoint and,
                on the arrows, partials. Without them the picture has no numbers.
            options: what to draw of a long tape, and how: `direction`, `most`, `fold`, `depth`, `around` and `name` of
                `tapegrad.pictures.picture.draw`.

        >>> import numpy as np, tapegrad as tg
        >>> picture = tg.record(lambda x: np.sin(x) * x, 1.0).draw(direction="right")
        >>> str(picture)[:4]
        '<svg'
        """
        if args and self.tape.reverse == len(self.tape) and len(self.tape.independents):
            return self.explain(*args, differences=False).draw(**options)
        names, results = self.interface.labels(), result_names(self.interface, self.tape)
        shown: dict[int, str] = {}
        if args:
            found = values_for(self.tape, self.interface.inputs(args, self.tape))
            shown = {k: summary(v, VALUE_WIDTH) for k, v in enumerate(found)}
        return draw(self.tape, Labels(names, results, shown), **options)
