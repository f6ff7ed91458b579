"""The lines that end a command which has trained a model."""

from types import SimpleNamespace

import pytest

from bert_tf.cli.next_steps import say_next_steps


@pytest.mark.parametrize(
    ("name", "report", "pairs", "lines"),
    [
        ("run", True, False, ["The report, for your browser: {}/report.html", '{}/model --text "Your text."']),
        ("run", False, None, ['{}/model --text "Your text."']),
        ("my run", False, True, ['\'{}/model\' --text "Your text." --text-pair "Your second text."']),
    ],
)
def test_report_and_model_are_named_in_lines_to_copy(name, report, pairs, lines, tmp_path, capsys):
    (tmp_path / name).mkdir()
    if report:
        (tmp_path / name / "report.html").touch()
    config = SimpleNamespace() if pairs is None else SimpleNamespace(text_pairs=pairs)
    say_next_steps(SimpleNamespace(output_dir=tmp_path / name, model=SimpleNamespace(config=config)))
    lines[-1] = "The model, for new texts: bert-tf predict " + lines[-1]
    assert capsys.readouterr().out.splitlines() == ["", *(line.format(tmp_path / name) for line in lines)]


def test_a_worker_of_a_search_has_no_model_to_name(capsys):
    say_next_steps(None)
    assert capsys.readouterr().out == ""
