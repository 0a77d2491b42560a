import html
import re

import pytest
from tensorboard.backend.event_processing.event_accumulator import EventAccumulator
from tensorboard.util import tensor_util

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


@pytest.mark.filterwarnings("ignore:html5lib")
@pytest.mark.parametrize(
    "command",
    [
        "satae-train data.path=__x__*1*.npy alpha=0.1",
        "satae-train 'a=```' b=`c` ~~~~",
        "satae-train a=<b>&amp; [x](y) # 1. - |a|b|",
        "```\n</code></pre>\n````",
        "a\n\n    b\n\n# c\n<!-- d\n<script>e",
    ],
)
def test_the_command_is_shown_as_it_was_typed(tmp_path, command):
    from tensorboard.plugins.text import text_plugin

    with LOGGERS.build("tensorboard", tmp_path, None) as logger:
        logger.log_command(command)
    shown = EventAccumulator(str(tmp_path)).Reload()
    (event,) = shown.Tensors("run/text_summary")
    page = text_plugin.text_array_to_html(tensor_util.make_ndarray(event.tensor_proto), True)
    (seen,) = re.findall(r"<pre><code>(.*)\n</code></pre>", page, re.DOTALL)
    assert html.unescape(seen) == command
