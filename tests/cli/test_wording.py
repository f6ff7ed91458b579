"""Messages of the library in the words of the command line."""

import pytest

from bert_tf.cli.wording import as_options


@pytest.mark.parametrize(
    ("message", "said"),
    [
        ("`epochs` must be greater than 0. Received: epochs=-3", "--epochs must be greater than 0. Received: --epochs -3"),
        ("Start anew with overwrite=True (--overwrite).", "Start anew with --overwrite."),
        ("x.csv: name it with text_column=... (--text-column).", "x.csv: name it with --text-column."),
        ("For several labels: task='multi-label' (--task multi-label).", "For several labels: --task multi-label."),
        ("must be less. Received: layers=9 (--layers)", "must be less. Received: --layers 9"),
        ('`blend` needs recipe="auto" and unfreeze=0 (--unfreeze 0)', "--blend needs --recipe auto and --unfreeze 0"),
        ("`overwrite` and `resume` exclude each other.", "--overwrite and --resume exclude each other."),
        ("Or cache=False, report=True.", "Or --no-cache, --report."),
        ("`labels` (--labels) names values", "--labels names values"),
        ("Received: checkpoint='./a b/c'", "Received: --checkpoint './a b/c'"),
        # what is no option stays
        ("Pass a list of strings (--text).", "Pass a list of strings (--text)."),
        ("reviews.csv: the text epochs, seed and `nothing` stay; a_seed=3", "reviews.csv: the text epochs, seed and `nothing` stay; a_seed=3"),
        ("Unknown checkpoint './none': there is no such folder", "Unknown checkpoint './none': there is no such folder"),
        ("Received: verbose=3", "Received: verbose=3"),
        ("Fine-tuned model in runs/epochs=3/model", "Fine-tuned model in runs/epochs=3/model"),
        ("'data/task=x/train.csv': no such file", "'data/task=x/train.csv': no such file"),
        ("http://localhost/?text=a&seed=1", "http://localhost/?text=a&seed=1"),
    ],
)  # fmt: skip
def test_arguments_become_options(message, said):
    assert as_options(message) == said
