"""How much memory this process has taken. Imports nothing large, which would count."""

import platform
from pathlib import Path


def peak_memory() -> int | None:
    """Returns the most bytes that this process has had in memory so far, None where the system does not say."""
    try:
        lines = Path("/proc/self/status").read_text().splitlines()
        # getrusage would do too, but Linux counts in what the parent had when it began this process
        return next((1024 * int(line.split()[1]) for line in lines if line.startswith("VmHWM")), None)
    except OSError:
        try:
            import resource
        except ImportError:  # Windows
            return None
        most = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
        return most if platform.system() == "Darwin" else 1024 * most
