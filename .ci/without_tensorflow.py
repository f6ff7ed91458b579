"""Prints what bert_tf and its tests require on another backend of Keras, as a file for `pip install -r`; pip alone cannot leave one out.

Argument: jax or torch.
"""

import re
import sys
from configparser import ConfigParser
from pathlib import Path

TENSORFLOWS = ("tensorflow", "tensorflow-datasets", "importlib_resources")
EXTRAS = ("excel", "zstd", "sentencepiece", "serve", "ray", "mlflow", "wandb")
TOOLS = ("pytest", "ipykernel", "nbclient", "selenium")  # of the tests

config = ConfigParser()
config.read(Path(__file__).parent.parent / "setup.cfg", encoding="utf-8")
extras = config["options.extras_require"]
lines = [
    *config["options"]["install_requires"].splitlines(),
    *(line for name in EXTRAS for line in extras[name].splitlines()),
]
lines += [line for line in extras["test"].splitlines() if line.startswith(TOOLS)]
print(*(line for line in lines if line and re.split(r"[<>=\[]", line)[0] not in TENSORFLOWS), sep="\n")
print(extras[sys.argv[1]].strip())
