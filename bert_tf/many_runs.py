"""The options of what consists of many runs, a search or a comparison; `bert_tf.settings` has those of one run, and the commands."""

from dataclasses import dataclass
from typing import Any

from bert_tf.extras import check_tracker
from bert_tf.options import Group, listed, option, unrecorded, values_to_search


def _space(absent: str, help: str) -> Any:
    return option(None, help, metavar="VALUES", parse=values_to_search, absent=absent)


@dataclass(frozen=True)
class Space(Group):
    """search space (one value, several as 0.1,0.3, or a range as 1e-4:1e-2)"""

    learning_rate: Any = _space("1e-4:1e-2 for a frozen base, else 1e-5:3e-4", "step size, at its highest")
    batch_size: Any = _space("16,32,64", "texts in a step")
    dropout: Any = _space("0.1,0.2,0.3,0.5", "dropout rate of the head")
    weight_decay: Any = _space("0,0.01,0.1", "decoupled weight decay")
    warmup: Any = _space("0,0.1", "fraction of all steps in which the learning rate rises from 0")
    unfreeze: Any = _space("0", "how many of the top layers to train, or all")


@dataclass(frozen=True)
class Trials(Group):
    """trials"""

    objective: str = option(
        "val_loss", "what decides which epoch and trial is best", choices=("val_loss", "val_accuracy")
    )


@dataclass(frozen=True)
class Search(Group):
    """search"""

    tuner: str = option("random", "how values are chosen", choices=("random", "bayesian", "grid", "hyperband"))
    max_trials: int | None = unrecorded(None, "trials, at most", least=1, absent="30, or as many as hyperband takes")


@dataclass(frozen=True)
class Processes(Group):
    """several processes, each started with the same options"""

    chief: bool = unrecorded(False, "hand out trials to workers and run none")
    worker: str | None = unrecorded(None, "run trials of the chief; each worker has its own name", absent="no worker")
    address: str = unrecorded(
        "127.0.0.1:7077",
        "where the chief listens. The connection is neither encrypted nor authenticated: use another address only on a "
        "network you trust",
        metavar="HOST:PORT",
    )
    lease: float = unrecorded(
        60.0, "seconds without a sign of life after which a worker's trial goes to another", metavar="SECONDS"
    )


@dataclass(frozen=True)
class Tracking(Group):
    """tracking"""

    track: str | None = unrecorded(
        None,
        "experiment tracker that gets settings, curves, report and model too: mlflow or wandb, each an extra of this package "
        "(pip install bert-tf[mlflow])",
        choices=("mlflow", "wandb"),
        check=check_tracker,
        repeat=False,
        absent="none",
    )


@dataclass(frozen=True)
class Repeats(Group):
    """repeats"""

    seeds: int = option(3, "runs of each, with seeds 0, 1, ...; their spread enters the intervals", least=1)
    alone: bool = unrecorded(
        True, "whether each candidate runs in its own process, which measures its memory", cli=False
    )


@dataclass(frozen=True)
class Ladder(Group):
    """ladder"""

    rungs: Any = option(
        None,
        "some of baseline, first_token, layer_means (a frozen base under either head, trained by epochs), solved (the first stage "
        "of finetune), 1, 2, ... (the top layers trained), all, auto (both stages of finetune)",
        metavar="RUNGS",
        parse=listed,
        absent="all of these",
    )
    frozen_epochs: int = option(20, "epochs of the rungs with a frozen base, which stop early", above=0)


@dataclass(frozen=True)
class Race(Group):
    """race"""

    baselines: Any = option(
        ("tfidf", "lstm"), "baselines to compare with: tfidf, lstm, or none", metavar="NAMES", parse=listed
    )


@dataclass(frozen=True)
class Curve(Group):
    """learning curve"""

    sizes: Any = option((100, 300, 1000, "all"), "numbers of training texts", metavar="SIZES", parse=listed, cli=False)
