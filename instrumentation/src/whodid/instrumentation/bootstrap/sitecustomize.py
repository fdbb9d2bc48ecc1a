"""Loaded by Python itself where `whodid run` put this folder on PYTHONPATH: switches whodid on at its start.

Everything is inside one function, so that nothing of it is left in a module that other tools look into.
"""


def _start() -> None:
    import os
    import sys

    try:
        from whodid.instrumentation import bootstrap
    except ImportError as error:
        # A child may run on a Python of its own, without whodid. Once in a tree of processes is enough.
        if os.environ.get("WHODID_REPORT", "1") != "0":
            os.environ["WHODID_REPORT"] = "0"
            sys.stderr.write(
                f"whodid: not instrumented: {sys.executable} cannot import whodid ({error})\n\n"
                f"hint: {sys.executable} -m pip install whodid\n"
            )
        return
    bootstrap.start()


_start()
