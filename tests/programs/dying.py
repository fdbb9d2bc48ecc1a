"""An agent that is killed, or ends, in the middle of a tool; `sys.argv[1]` says how."""

from __future__ import annotations

import os
import signal
import sys
import threading

from whodid.instrumentation import attribution, core, init


def work(how: str) -> None:
    """Begins an action that never comes to its end."""
    with (
        attribution(principal="alice", principal_type="human"),
        core.agent_span("support", adapter="test"),
        core.tool_call(core.ToolCall("refund", "c1", {}), adapter="test").executing(),
    ):
        if how == "exit":
            begun.set()
            threading.Event().wait()
        os.kill(os.getpid(), signal.SIGKILL if how == "kill" else signal.SIGTERM)
        threading.Event().wait()


begun = threading.Event()
if __name__ == "__main__":
    init(report=False)
    if sys.argv[1] == "exit":
        threading.Thread(target=work, args=("exit",), daemon=True).start()
        begun.wait()
    else:
        work(sys.argv[1])
