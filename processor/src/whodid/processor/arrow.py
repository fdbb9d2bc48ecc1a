"""Arrow for code that is type-checked: it ships no types, and the stubs others wrote are wrong about `take`.

So an Arrow object is `Any` to the checker, under a name that tells people what it is.
"""

from __future__ import annotations

from typing import Any, TypeAlias

import pyarrow
import pyarrow.compute

pa: Any = pyarrow
pc: Any = pyarrow.compute

Array: TypeAlias = Any
"""A `pyarrow.Array`."""

Strings: TypeAlias = Any
"""A `pyarrow.StringArray`."""

Table: TypeAlias = Any
"""A `pyarrow.Table`."""
