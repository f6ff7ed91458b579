"""A run whose model keeps only the word pieces that its texts use."""

import copy
from collections.abc import Callable
from dataclasses import replace
from typing import Any

import numpy as np
from keras import ops

from bert_tf.data.examples import Examples
from bert_tf.data.tokenizer import Tokens, prefix_of, tokenize
from bert_tf.data.vocabulary import trimmed_tokenizer
from bert_tf.formatting import format_value
from bert_tf.training.job import Job

IDS = ("pad_token_id", "bos_token_id", "eos_token_id", "cls_token_id", "sep_token_id", "unk_token_id", "mask_token_id")


def trimmed(job: Job, test: Examples | None, say: Callable[[str], Any]) -> Job:
    """Returns a run with a smaller vocabulary: the pieces of its training, validation and test texts.

    Raises: ValueError for a tokenizer that cannot be trimmed, or one that would split these texts in another way.
    """
    before = prefix_of(job.model.config)

    def split(run: Job) -> list[Tokens]:
        """Returns the tokens of the run, which keeps them, and of the test texts."""
        return [run.tokens, *([tokenize(test.texts, run.tokenizer, run.max_length, before)] if test else [])]

    tokens = split(job)
    used = np.unique(np.concatenate([part.ids for part in tokens]))
    tokenizer, kept = trimmed_tokenizer(job.tokenizer, used, job.checkpoint)
    model = with_vocabulary(job.model, kept)
    model.freeze(job.settings.model.unfreeze)
    smaller = replace(job, tokenizer=tokenizer, model=model, kept_pieces=kept)
    for old, new in zip(tokens, split(smaller), strict=True):
        if new.ends.tolist() != old.ends.tolist() or (kept[new.ids] != old.ids).any():
            raise ValueError(
                f"{job.checkpoint}: its vocabulary cannot be trimmed: some texts would be split in another way. Leave out "
                "vocabulary='trimmed' (--vocabulary trimmed)."
            )
    sizes = [4 * each.num_parameters() for each in (job.model, model)]
    learnt, others = np.split(tokens[0].ids, [tokens[0].ends[len(job.train) - 1]])
    unseen = float((~np.isin(others, learnt)).mean()) if len(others) else 0.0
    say(
        f"Vocabulary trimmed to {len(kept):,} of {job.model.config.vocab_size:,} word pieces, the model from "
        f"{format_value(sizes[0], 'bytes')} to {format_value(sizes[1], 'bytes')}. Of the pieces of the validation texts, "
        f"{unseen:.1%} are in no training text: so often new texts are split into smaller pieces."
    )
    return smaller


def with_vocabulary(model: Any, kept: np.ndarray) -> Any:
    """Returns a copy of a model with some of its word pieces.

    Args:
        kept: int `(V,)`, the ids of the pieces; in the copy they are 0, 1, ...
    Raises: ValueError if the model has no vectors for them.
    """
    size = model.config.vocab_size
    if kept.max(initial=0) >= size:
        raise ValueError(f"The tokenizer gives ids up to {kept.max()}, the model has {size} tokens.")
    config, new_id = copy.deepcopy(model.config), {int(old): new for new, old in enumerate(kept)}
    config.vocab_size = len(kept)
    for key in IDS:
        if (old := getattr(config, key, None)) is not None:
            # e5 names a padding that is another token of its tokenizer; what is not kept cannot occur
            setattr(config, key, new_id.get(old))
    other = type(model)(config, dtype=model.dtype_policy)
    other.name_or_path = model.name_or_path
    table, smaller = (each.get_input_embeddings().embeddings for each in (model, other))
    for old, new in zip(model.variables, other.variables, strict=True):
        if new is smaller:
            new.assign(ops.convert_to_numpy(table)[kept])
        elif tuple(old.shape) == tuple(new.shape):
            new.assign(old)
    other.dropout.rate = model.dropout.rate
    return other
