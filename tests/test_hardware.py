"""What the processor and its memory are asked."""

import platform
import subprocess
import sys

import pytest

FREED_AND_USED_AGAIN = """
import ctypes, resource
import numpy as np
from bert_tf import hardware
from bert_tf.data.pipeline import batches
from bert_tf.data.tokenizer import Tokens

if not hardware.keep_memory():
    raise SystemExit("not glibc")
tokens = Tokens(np.ones(6, "int32"), np.array([2, 4, 6]))
for _ in batches(tokens, np.zeros(3, "int32"), batch_size=2):
    pass
libc, size = ctypes.CDLL(None), 24 * 2**20  # a block that glibc takes from its own heap
libc.malloc.restype, libc.free.argtypes = ctypes.c_void_p, [ctypes.c_void_p]
libc.memset.argtypes = [ctypes.c_void_p, ctypes.c_int, ctypes.c_size_t]
for turn in range(3):
    before = resource.getrusage(resource.RUSAGE_SELF).ru_minflt
    blocks = [libc.malloc(size) for _ in range(8)]  # more than it keeps in any case
    for block in blocks:
        libc.memset(block, 1, size)
    for block in blocks:
        libc.free(block)
print(resource.getrusage(resource.RUSAGE_SELF).ru_minflt - before)
"""


@pytest.mark.skipif(platform.libc_ver()[0] != "glibc", reason="the options are those of glibc")
def test_memory_that_is_kept_stays_so_when_tensorflow_reads_batches():
    process = subprocess.run([sys.executable, "-c", FREED_AND_USED_AGAIN], capture_output=True, text=True)
    assert process.returncode == 0, process.stderr
    assert int(process.stdout) < 100  # page faults, of 49,152 pages
