#!/usr/bin/env python3
"""What `measure` measures of sessions, measured of Jupyter kernels: jupyter.py KERNELS. bench/code/run calls it."""

import statistics
import sys
import time

from jupyter_client.manager import KernelManager

STARTS = 10
CALLS = 200
IMPORTS = "import numpy, pandas, matplotlib.pyplot"
PLOT = "import matplotlib.pyplot as plt\nplt.plot([1, 2])\nplt.show()"
# Without it no figure would be drawn.
INLINE = "%matplotlib inline\n"


class Kernel:
    """A kernel as its own client starts it, over Unix sockets."""

    def __init__(self):
        self.manager = KernelManager(transport="ipc")
        self.manager.start_kernel()
        self.client = self.manager.client()
        self.client.start_channels()
        self.client.wait_for_ready(timeout=300)

    def run(self, code):
        self.wait(self.client.execute(code))

    def wait(self, asked):
        """Until it is idle again, having sent all that it has to say."""
        while True:
            heard = self.client.get_iopub_msg(timeout=300)
            if heard["parent_header"].get("msg_id") != asked:
                continue
            if heard["msg_type"] == "error":
                sys.exit("\n".join(heard["content"]["traceback"]))
            if heard["msg_type"] == "status" and heard["content"]["execution_state"] == "idle":
                return

    def close(self):
        self.client.stop_channels()
        self.manager.shutdown_kernel(now=True)


def started(code):
    kernel = Kernel()
    kernel.run(code)
    return kernel


def say(what, times, work):
    took = []
    for _ in range(times):
        began = time.perf_counter()
        done = work()
        took.append(time.perf_counter() - began)
        if done:
            done.close()
    print(f"| {what} | {statistics.median(took) * 1000:.1f} |", flush=True)


def many(number):
    free = available_kb()
    began = time.perf_counter()
    kernels = [started(INLINE + IMPORTS) for _ in range(number)]
    opened = time.perf_counter() - began
    each = max(free - available_kb(), 1) / number / 1024
    began = time.perf_counter()
    asked = [kernel.client.execute(PLOT) for kernel in kernels]
    for kernel, message in zip(kernels, asked):
        kernel.wait(message)
    plotted = time.perf_counter() - began
    for kernel in kernels:
        kernel.close()
    print(
        f"\n{number} Jupyter kernels with imports: opened one after the other in {opened:.1f} s, {each:.0f} MB of memory "
        f"each, {1024 / each:.1f} a GB; a plot in all of them at once: {plotted:.1f} s"
    )


def available_kb():
    with open("/proc/meminfo") as about:
        return next(int(line.split()[1]) for line in about if line.startswith("MemAvailable:"))


say("a Jupyter kernel, nothing imported", STARTS, lambda: started("1"))
say("a Jupyter kernel, the same imported", STARTS, lambda: started(IMPORTS))
kernel = started(INLINE + PLOT)
say("a call in a kernel: `1`", CALLS, lambda: kernel.run("1"))
say("a call in a kernel with a plot", CALLS, lambda: kernel.run(PLOT))
kernel.close()
many(int(sys.argv[1]))
