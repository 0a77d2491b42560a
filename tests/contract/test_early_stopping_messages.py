"""What a run says that stops early."""

from program import TINY, here, read

WORDS = ("optim.lr=0.03", "alpha=0.2", "alpha_schedule=constant", "epochs=40", "patience=2", "hydra.run.dir=run")


def test_a_run_that_stops_early_says_after_which_epoch_and_how_it_continues(tmp_path):
    outcome = here(tmp_path, *TINY, *WORDS)
    assert outcome.code == 0
    done = len((tmp_path / "run" / "metrics.jsonl").read_text().splitlines())
    after = f"after {done} of 40 epochs: no lower validation loss in the last 2"
    assert f"\nstopped early, {after}\n" in outcome.out
    assert read(tmp_path / "run" / "run.json")["stopped_early"] == after
    outcome = here(tmp_path, "resume=run")
    more = "to train further, give more (patience=... or epochs=...)"
    assert (outcome.code, outcome.out) == (0, f"run: already finished, {after}; {more}\n")


def test_a_patience_that_is_no_number_of_epochs_is_refused(tmp_path):
    for value, why in (("0", "must be at least 1"), ("1.5", "must be a whole number, or null")):
        outcome = here(tmp_path, f"patience={value}")
        assert (outcome.code, outcome.err) == (2, f"satae-train: patience={value}: {why}\n")
