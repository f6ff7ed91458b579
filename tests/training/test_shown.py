"""What is seen of a training while it runs."""

from bert_tf import terminal
from bert_tf.training.shown import _Epochs


def test_a_bar_says_when_an_epoch_is_validated():
    bar = terminal.Bar("Training", 4, "step", shown=False)
    shown = _Epochs(bar, steps=2, pace=None, say=lambda _: None)
    notes = []
    for epoch in range(2):
        shown.on_epoch_begin(epoch)
        for batch in range(2):
            shown.on_train_batch_end(batch)
            notes.append(bar.note)
        shown.on_epoch_end(epoch, {"loss": 1.0})
    assert notes == ["epoch 1 of 2", "epoch 1 of 2, validating", "epoch 2 of 2", "epoch 2 of 2, validating"]


def test_a_training_that_a_budget_cut_short_is_validated_too():
    bar = terminal.Bar("Training", 3, "step", shown=False)
    shown = _Epochs(bar, steps=5, pace=None, say=lambda _: None)
    shown.on_epoch_begin(0)
    for batch in range(3):
        shown.on_train_batch_end(batch)
    assert bar.note == "epoch 1 of 1, validating"
