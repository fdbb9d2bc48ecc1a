"""Arrow for code that is type-checked: it ships no types, and the stubs others wrote are wrong about `take`.

So an Arrow object is `Any` to the checker, under a name that tells people what it is. And one allocator
serves Arrow and Python, for two each keep what the other lacks; Arrow asks for its name when it is imported.
"""

from __future__ import annotations

import os
from typing import Any, TypeAlias

os.environ.setdefault("ARROW_DEFAULT_MEMORY_POOL", "system")

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
