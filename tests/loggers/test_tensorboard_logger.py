import pytest

from satae.config.registry import LOGGERS


@pytest.mark.parametrize(
    ("folder", "shown"), [("outputs/day/time", "outputs"), ("else where", "'else where'"), (".", ".")]
)
def test_the_end_message_of_tensorboard_is_a_command_for_the_runs_below_outputs(tmp_path, monkeypatch, folder, shown):
    monkeypatch.chdir(tmp_path)
    (tmp_path / folder).mkdir(parents=True, exist_ok=True)
    with LOGGERS.build("tensorboard", tmp_path / folder, None) as logger:
        logger.log_scalars({"valid/fvu": 0.5}, 1)
    assert logger.end_message() == f"TensorBoard  tensorboard --logdir {shown}"


def test_the_logger_none_writes_nothing(tmp_path):
    with LOGGERS.build("none", tmp_path, None) as logger:
        logger.log_command("satae-train")
        logger.log_scalars({"valid/fvu": 0.5}, 1)
        logger.flush()
    assert logger.end_message() is None
    assert not list(tmp_path.iterdir())
