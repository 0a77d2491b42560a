"""What satae-eval cannot do is refused in one line, before anything is written."""

import shutil

import pytest
from evaluated import PLANE, trained, typed
from program import files

REFUSED = [
    ("evaluation=code", "run is missing; name a run directory"),
    ("run", "run: write run= and a run directory"),
    ("run=", "run=: write run= and a run directory"),
    ("+run=run", "+run=run: write run= and a run directory"),
    ("run=nowhere", "run=nowhere: no folder nowhere"),
    ("run=run,nowhere", "run=run,nowhere: no folder nowhere"),
    ("run=run,", "run=run,: write run= and a run directory"),
    ("run=first", "run=first: no folder first; did you mean run=outputs/first?"),
    ("run=file", "run=file: no folder file"),
    ("run=empty", "run=empty: no run in empty"),
    (f"run={'long' * 80}", "no folder long"),
    ("rn=run", "rn: no such option; did you mean run?"),
    ("run=run rn=run", "rn: no such option; did you mean run?"),
    ("run=run alpha=0.1", "alpha: no such option; there are best, ema, split", "satae-eval --help"),
    ("run=run evaluaton=code", "evaluaton: no such option; did you mean evaluation?"),
    (
        "run=run evaluation=cod",
        "evaluation=cod: choose one of all, denoising, code, manifold, perturbation, defence; did you mean code?",
    ),
    ("run=run evaluation=", "evaluation=: choose one of all"),
    ("run=run evaluation.name=code", "evaluation.name: no such option; did you mean evaluation?"),
    ("run=run evaluation.control=true", "evaluation.control: no such option"),
    ("run=run evaluation=code,manfold", "evaluation=manfold: choose one of all", "did you mean manifold?"),
    ("run=run evaluation=code,", "evaluation=: choose one of all"),
    ("run=run evaluation=none", "manifold, perturbation, defence\n"),
    ("run=run denoising.gaussian=0.1,0.2", "0.1,0.2: write denoising.gaussian=[0.1,0.2] for one list\n"),
    ("run=run samples=1,2", "samples=1,2: give one value; several runs are named with run="),
    ("outputs/first", "outputs/first: did you mean run=outputs/first?"),
    ("empty", "empty: did you mean run=empty?"),
    ("run=ot*", "run=ot*: no folder ot*; name them with commas: run=other\n"),
    ("run=[a-z]*", "name them with commas, such as run=bare,empty\n"),
    ("run=no*", "run=no*: no folder no*; name run directories, or a sweep"),
    ("run=outputs", "run=outputs: no run in outputs (no config.yaml); it holds day (1 run); name one"),
    ("run=run split=train", "split=train: choose one of test, valid"),
    ("run=run samples=0", "samples=0: must be at least 1"),
    ("run=run samples=many", "samples=many: must be a whole number"),
    ("run=run batch_size=0", "batch_size=0: must be at least 1"),
    ("run=run batch_size=auto", "batch_size=auto: must be a whole number, or null"),
    ("run=run best=perhaps", "best=perhaps: must be true or false"),
    ("run=run seed=-1", "seed=-1: must be at least 0"),
    ("run=run device=gpu", "device=gpu: choose one of auto, cpu, cuda; did you mean cuda?"),
    ("run=run device=mps", "device=mps: choose one of auto, cpu, cuda"),
    ("run=run threads=0", "threads=0: must be at least 1"),
    ("run=run denoising.gaussian=0.1", "denoising.gaussian=0.1: must be numbers in brackets, such as [0.1,0.3]"),
    ("run=run denoising.gaussian=[-1]", "denoising.gaussian=[-1]: each must be at least 0"),
    ("run=run denoising.gaussian=[[1]]", "denoising.gaussian=[[1]]: must be numbers in brackets"),
    ("run=run denoising.masking=[2]", "denoising.masking=[2]: each must be at least 0 and at most 1"),
    ("run=run denoising.mask=[0.1]", "denoising.mask: denoising has no such option; did you mean masking?"),
    ("run=run masking=[0.1]", "masking: no such option; did you mean denoising.masking?"),
    (
        "run=run denoising.corruptions=[rotate,blurr]",
        "corruptions=blurr: choose one of blur, brightness, contrast, translate, rotate, scale, shear; did you mean"
        " blur?",
    ),
    ("run=run denoising.corruptions=blur", "denoising.corruptions=blur: must be words in brackets, such as [a,b]"),
    ("run=run defence.epsilons=[]", "defence.epsilons=[]: give a radius"),
    ("run=run defence.epsilons=[8]", "defence.epsilons=[8]: each must be at most 1; a radius is a share of the range"),
    (
        "run=run perturbation.linf=[0.1,5]",
        "perturbation.linf=[0.1,5]: each must be at most 1",
        "8/255, which is 0.0314",
    ),
    ("run=run perturbation.linf=[8/4]", "perturbation.linf=[2]: each must be at most 1"),
    ("run=run perturbation.linf=[8/0]", "perturbation.linf=[8/0]: must be numbers in brackets"),
    (
        "run=run perturbation.l2=[8.5]",
        "perturbation.l2=[8.5]: each must be at most 8; a radius is a share",
    ),
    ("run=run defence.norm=l2 defence.epsilons=[9]", "defence.epsilons=[9]: each must be at most 8"),
    ("run=plane perturbation.l2=[2]", "perturbation.l2=[2]: each must be at most 1.414;"),
    ("run=run code=3", "code=3: is not one value; there are code.near"),
    ("run=run code.near=0", "code.near=0: must be above 0"),
    ("run=run manifold.other=mnits", "manifold.other=mnits: choose one of auto, none", "did you mean mnist?"),
    ("run=run manifold.other=digits", "manifold.other=digits: is what the run was trained on; choose another"),
    ("run=run manifold.other=svhn", "manifold.other=svhn: is not on this machine; fetch it: satae-data fetch svhn"),
    ("run=plane manifold.other=digits", "manifold.other=digits: the inputs of the run are not images; choose none"),
    ("run=run hydra.run.dir=x", "hydra.run.dir=x: satae-eval makes no runs"),
    ("run=run hydra/launcher=joblib", "hydra/launcher=joblib: satae-eval makes no runs"),
    ("run=run -m", "-m: no such flag; options are written option=value"),
    ("run=run +zzz=1", "zzz: no such option"),
    ("run=run ~seed", "~seed: every run needs seed; leave it out"),
    ("run=run samples", "samples: cannot be read; write option=value"),
    ("run=run samples=[", "samples=[: cannot be read"),
    ("run=bare", "bare: no checkpoint there"),
    ("run=torn", "config.yaml: is not a configuration"),
    (
        "run=other",
        "cannot be evaluated on its data (the run was trained on 32 inputs, but the data now have 64)",
    ),
]


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    """Runs of several kinds, and folders that are not runs."""
    folder = tmp_path_factory.mktemp("refusals")
    run = trained(folder)
    trained(folder, where="plane", tiny=PLANE)
    trained(folder, "data.limit=32", where="other")
    (folder / "other" / "config.yaml").write_text((run / "config.yaml").read_text())
    for name in ("empty", "bare", "torn", "outputs/first"):
        (folder / name).mkdir(parents=True)
    (folder / "outputs" / "day").mkdir()
    shutil.copytree(run, folder / "outputs" / "day" / "time")
    for name in ("config.yaml", "run.json"):
        (folder / "bare" / name).write_text((run / name).read_text())
    (folder / "torn" / "config.yaml").write_text("act: [")
    (folder / "file").write_text("")
    return folder


@pytest.mark.parametrize(
    ("words", "told"), [(words, told) for words, *told in REFUSED], ids=[row[0][:60] for row in REFUSED]
)
def test_an_evaluation_is_refused_in_one_line(folder, words, told):
    before = files(folder)
    outcome = typed(folder, *words.split())
    assert outcome.code == 2
    assert len(outcome.err.splitlines()) == 1
    assert outcome.err.startswith("satae-eval: ")
    for fragment in told:
        assert fragment in outcome.err
    assert [name for name in files(folder) if name not in before and not name.endswith("evaluation/.lock")] == []
