"""What cannot be run is refused in one line, before anything is written."""

import pytest
import torch
from program import TINY, files, here, there

from satae.config.schema import GROUPS

ACTS = "celu, "
SEVERAL = "several values need -m"
LISTS = " for one run of each\n"

# what is typed, and what the line must say: the value, the choices or bounds, the remedy
UNKNOWN_OPTIONS = [
    ("aplha=1", "aplha: no such option; did you mean alpha?", "--help"),
    ("+alhpa=1", "alhpa: no such option; did you mean alpha?"),
    ("++alhpa=1", "alhpa: no such option; did you mean alpha?"),
    ("ALPHA=1", "ALPHA: no such option; did you mean alpha?"),
    ("alpha.x=1", "alpha.x: no such option; did you mean alpha?"),
    ("+zzz=1", "zzz: no such option; there are", "batch_size", "epochs"),
    ("lr=0.1", "lr: no such option; did you mean optim.lr?"),
    ("threshold=1", "threshold: no such option; did you mean act.threshold?"),
    ("act=shrink act.thrshold=1", "act.thrshold: act=shrink has no such option; did you mean act.threshold?"),
    ("act.thrshold=1", "act.thrshold: act=relu has no such option; did you mean act.threshold of act=shrink?"),
    ("act=relu act.threshold=1", "act.threshold: act=relu has no such option; it belongs to act=shrink"),
    (
        "noise=none noise.level=.1",
        "noise.level: noise=none has no such option",
        "gaussian, uniform, masking",
    ),
    ("arch.channels=[1]", "arch.channels: arch=mlp has no such option; it belongs to arch=conv"),
    ("optim.momentum=0.5", "optim.momentum: optim=adam has no such option; it belongs to optim=muon, sgd or signum"),
    (
        "optim.betas=[0.9,0.9]",
        "optim.betas: optim=adam has no such option; it has lr, weight_decay, schedule, warmup, step_at, "
        "step_factor, clip",
    ),
    ("checkpoint.evry_steps=1", "checkpoint.evry_steps: checkpoint has no such option; did you mean every_steps?"),
    ("every_steps=1", "every_steps: no such option; did you mean checkpoint.every_steps?"),
    ("failfast=true", "failfast: no such option; did you mean fail_fast?"),
    ("sweeep=first", "sweeep: no such option; did you mean sweep?"),
    ("sweeep=first alpha=0,0.1", "sweeep: no such option; did you mean sweep?"),
    ("zzz=1", "zzz: no such option; there are act, arch", "resume, rerun, sweep, fail_fast"),
    ("launcher=joblib", "launcher: no such option; did you mean hydra/launcher=joblib?"),
    ("n_job=2", "n_job: no such option; did you mean hydra.launcher.n_jobs=2?"),
    ("hydra.launcher.n_jobs=2", "hydra.launcher.n_jobs: needs hydra/launcher=joblib\n"),
    ("hydra.launcher.cpus_per_task=2", "hydra.launcher.cpus_per_task: needs hydra/launcher=submitit_local or slurm\n"),
    ("hydra.launcher.zzz=2", "hydra.launcher.zzz: no such option without hydra/launcher= (see"),
    ("hydra.run.dri=x", "hydra.run.dri", "did you mean hydra.run.dir?"),
    ("hydra.zzz=1", "hydra.zzz: Hydra has no such option", "--cfg hydra"),
    ("+hydra.callbacks.x._target_=os.system", "hydra.callbacks: satae-train does not follow it; leave it out"),
]
WRONG_TYPES = [
    ("alpha=abc", "alpha=abc: must be a number"),
    ("alpha=1=2", "alpha=1=2: cannot be read; write option=value, and quote a value with a second =: \"alpha='...'\""),
    ("alpha=true", "alpha=true: must be a number"),
    ("alpha=null", "alpha=null: must be a number"),
    ("alpha=", "alpha=: must be a number"),
    ("alpha=[1]", "alpha=[1]: must be a number"),
    ("alpha={a:1}", "alpha={a:1}: must be a number"),
    ("optim.lr=fast", "optim.lr=fast: must be a number"),
    ("epochs=1.5", "epochs=1.5: must be a whole number"),
    ("epochs=1e3", "epochs=1000.0: must be a whole number; write epochs=1000\n"),
    ("data.limit=64.0", "data.limit=64.0: must be a whole number, or null; write data.limit=64\n"),
    ("epochs=[3]", "epochs=[3]: must be a whole number\n"),
    ("arch.widths=[5e2,64]", "such as [512,64]; write arch.widths=[500,64]\n"),
    ("seed=true", "seed=true: must be a whole number"),
    ("threads=two", "threads=two: must be a whole number, or null"),
    ("decoder_norm=true", "decoder_norm=true: must be a whole number, or null"),
    ("data.limit=1.5", "data.limit=1.5: must be a whole number, or null"),
    ("arch.widths=64", "arch.widths=64: must be whole numbers in brackets, such as [512,64]; write arch.widths=[64]\n"),
    ("arch.widths=[a]", "arch.widths=[a]: must be whole numbers in brackets"),
    ("arch.widths=[1.5]", "arch.widths=[1.5]: must be whole numbers in brackets"),
    ("arch.widths={a:1}", "arch.widths={a:1}: must be whole numbers in brackets"),
    ("arch.batch_norm=maybe", "arch.batch_norm=maybe: must be true or false"),
    ("standardize=2", "standardize=2: must be true or false"),
    ("standardize=null", "standardize=null: must be true or false"),
    ("device=null", "device=null: must be a word"),
    ("init=[torch]", "init=[torch]: must be a word"),
    ("checkpoint.every_minutes=often", "checkpoint.every_minutes=often: must be a number, or null"),
    ("checkpoint.every_steps=1.5", "checkpoint.every_steps=1.5: must be a whole number, or null"),
    ("checkpoint.keep=null", "checkpoint.keep=null: must be a whole number"),
    ("checkpoint=5", "checkpoint=5: is not one value; there are checkpoint.every_minutes"),
    ("checkpoint=null", "checkpoint=null: is not one value"),
]
OUT_OF_RANGE = [
    ("alpha=-1", "alpha=-1: must be at least 0\n"),
    ("++alpha=-1", "alpha=-1: must be at least 0\n"),
    ("alpha=nan", "alpha=nan: must be finite and at least 0"),
    ("alpha=inf", "alpha=inf: must be finite"),
    ("alpha=1e400", "alpha=inf: must be finite"),
    ("alpha=1e39", "alpha=1e+39: must be 0 or at most 3.4e+38, which single precision can hold\n"),
    ("alpha=1e-300", "alpha=1e-300: must be 0 or from 1.2e-38 to 3.4e+38, which single precision can hold\n"),
    ("optim.lr=1e300", "optim.lr=1e+300: must be 0 or at most 3.4e+38"),
    ("optim.weight_decay=1e-50", "optim.weight_decay=1e-50: must be 0 or from 1.2e-38"),
    ("noise.level=1e-50", "noise.level=1e-50: must be 0 or from 1.2e-38"),
    ("data=array data.path=x.npy data.span=[0,1e-300]", "data.span=[0,1e-300]: must be 0 or from 1.2e-38"),
    ("alpha=0,01", "alpha=0,01: did you mean alpha=0.01? (write decimals with a point; a comma separates values)\n"),
    ("noise.level=-0.1", "noise.level=-0.1: must be at least 0"),
    ("noise.level=1e300", "noise.level=1e+300: must be at least 0 and at most 1000000"),
    ("noise=masking noise.level=1.5", "noise.level=1.5: must be at least 0 and at most 1"),
    ("noise=salt_and_pepper noise.level=2", "noise.level=2: must be at least 0 and at most 1"),
    ("epochs=0", "epochs=0: must be at least 1"),
    ("epochs=-3", "epochs=-3: must be at least 1"),
    ("threads=0", "threads=0: must be at least 1"),
    ("threads=1000000", "threads=1000000: must be at least 1 and at most 1024"),
    ("batch_size=0", "batch_size=0: must be at least 1"),
    ("batch_size=99999999999999999999", "batch_size=99999999999999999999: must be at least 1 and at most 2147483647"),
    ("eps=0", "eps=0: must be above 0 and below 1"),
    ("eps=1", "eps=1: must be above 0 and below 1"),
    ("optim.lr=0", "optim.lr=0: must be above 0"),
    ("optim.lr=-0.1", "optim.lr=-0.1: must be above 0"),
    ("optim.weight_decay=-1", "optim.weight_decay=-1: must be at least 0"),
    ("optim.warmup=1", "optim.warmup=1: must be at least 0 and below 1"),
    ("optim.clip=0", "optim.clip=0: must be above 0"),
    ("optim.step_at=[0.5,1]", "optim.step_at=[0.5,1]: each must be above 0 and below 1"),
    ("optim=sgd optim.momentum=1", "optim.momentum=1: must be at least 0 and below 1"),
    ("seed=-1", "seed=-1: must be at least 0\n"),
    ("seed=4294967296", "seed=4294967296: must be at least 0 and below 4294967296"),
    ("arch.widths=[]", "arch.widths=[]: give at least one value"),
    ("arch.widths=[0]", "arch.widths=[0]: each must be at least 1"),
    (f"arch.widths=[{','.join(['1'] * 300)}]", "arch.widths: has 300 values; give at most 256"),
    (f"alpha={'9' * 400}", "a number is too large"),
    ("arch.widths=[64,-1]", "arch.widths=[64,-1]: each must be at least 1"),
    ("arch.widths=[10000000000000000]", "each must be at least 1 and at most 1000000"),
    ("arch=conv arch.channels=[]", "arch.channels=[]: give at least one"),
    ("arch=conv arch.stride=0", "arch.stride=0: must be at least 1"),
    ("act=shrink act.threshold=0", "act.threshold=0: must be above 0"),
    ("act=satlin act.low=2", "act=satlin: low=2, high=1: high must be above low"),
    ("act=satlin act.low=1 act.high=1", "act=satlin: low=1, high=1: high must be above low"),
    ("act=satlin act.low=-inf", "act.low=-inf: must be finite"),
    ("data.limit=0", "data.limit=0: must be at least 1"),
    ("data.valid=0", "data.valid=0: must be above 0 and below 1"),
    ("data.test=1", "data.test=1: must be above 0 and below 1"),
    ("data.valid=0.5 data.test=0.5", "valid=0.5", "test=0.5"),
    ("data.valid=0.0001", "data=digits: valid=0.0001", "each needs at least one"),
    ("data=manifold data.count=2", "data.count=2: must be at least 3"),
    ("data=manifold data.count=1000000000000", "data.count=1000000000000: must be at least 3 and at most 10000000"),
    ("decoder_norm=0", "decoder_norm=0: must be at least 1"),
    ("checkpoint.every_minutes=0", "checkpoint.every_minutes=0: must be above 0"),
    ("checkpoint.every_epochs=0", "checkpoint.every_epochs=0: must be at least 1"),
    ("checkpoint.keep=0", "checkpoint.keep=0: must be at least 1"),
]
UNKNOWN_NAMES = [
    ("act=rleu", f"act=rleu: choose one of {ACTS}", "did you mean relu?"),
    ("arch=cnn", "arch=cnn: choose one of conv, mlp", "did you mean conv?"),
    ("data=mnits", "data=mnits: choose one of array, cifar10", "did you mean mnist?"),
    ("noise=gausian", "noise=gausian: choose one of adversarial, gaussian, masking,", "did you mean gaussian?"),
    (
        "optim.schedule=cosin",
        "optim.schedule=cosin: choose one of constant, cosine, linear, step",
        "did you mean cosine?",
    ),
    ("optim=adams", "optim=adams: choose one of adam, ", "did you mean adam?"),
    ("experiment=paper/toy_shrnk", "experiment=paper/toy_shrnk: choose one of", "did you mean paper/toy_shrink?"),
    ("experiment=toy_satlin", "experiment=toy_satlin: choose one of", "did you mean paper/toy_satlin?"),
    ("experiment=[paper/toy_satlin,foo]", "experiment=foo: choose one of paper/"),
    ("alpha_schedule=cosine", "alpha_schedule=cosine: choose one of linear, constant"),
    ("complement=outptu", "complement=outptu: choose one of output, input, slope; did you mean output?"),
    ("reduction=avg", "reduction=avg: choose one of mean, sum"),
    ("init=xavier", "init=xavier: choose one of unit_variance, torch"),
    ("device=gpu", "device=gpu: choose one of auto, cpu, cuda, mps; did you mean cuda?"),
    ("device=", "device=: choose one of auto, cpu, cuda, mps"),
    ("data=manifold data.curve=arcs", "data.curve=arcs: choose one of arc, line", "did you mean arc?"),
    ("act=", f"act=: choose one of {ACTS}"),
    ("act=../config", f"act=../config: choose one of {ACTS}"),
    ("act=/relu", f"act=/relu: choose one of {ACTS}"),
    ("act=./relu", f"act=./relu: choose one of {ACTS}"),
    ("experiment=../config", "experiment=../config: choose one of paper/"),
    ("act=null", f"act=null: choose one of {ACTS}"),
    ("act={a:1}", f"act={{a:1}}: choose one of {ACTS}"),
    ("act=[relu,tanh]", f"act=[relu,tanh]: choose one of {ACTS}"),
    ("act=${nokey}", f"act=${{nokey}}: choose one of {ACTS}"),
    ("optim=1", "optim=1: choose one of adam, "),
    ("experiment=null", "experiment=null: choose one of paper/"),
    ("experiment=1", "experiment=1: choose one of paper/"),
    ("act.name=tanh", "act.name=tanh: write act=tanh"),
    ("+act=tanh", "+act=tanh: act exists already; leave out the +"),
    ("act@foo=tanh", "act@foo=tanh: write act=..., without the @"),
    ("hydra/launcher=zzz", "hydra/launcher=zzz: choose one of joblib, submitit_local, slurm, ray, ray_cluster\n"),
    ("-m hydra/launcher=../x seed=0,1", "hydra/launcher=../x: choose one of joblib, submitit_local, slurm, ray"),
    ("hydra/launcher=joblibb", "hydra/launcher=joblibb: choose one of joblib", "did you mean joblib?"),
    ("hydra/launcher=submitit", "hydra/launcher=submitit: choose one of joblib", "did you mean submitit_local?"),
]
MISFITS = [
    ("arch=conv arch.kernel=9", "arch=conv: kernel=9 is larger than the 8x8 input of layer 1", "use kernel=8 or less"),
    ("arch=conv arch.channels=[8,8,8,8,8,8]", "channels=[8, 8, 8, 8, 8, 8]", "use at most 2"),
    ("arch=conv data=manifold", "arch=conv: needs images", "choose mlp"),
    (
        "act=gelu complement=output",
        "act=gelu: is not monotone, so complement=output is not defined for it",
        "choose complement=input or complement=slope",
    ),
    ("act=mish", "act=mish: is not monotone", "choose complement=input or"),
    ("arch.tied=true decoder_norm=3", "decoder_norm=3: ", "set arch.tied=false"),
    ("arch.batch_norm=true batch_size=1", "batch_size=1", "arch.batch_norm", "choose another"),
    ("arch.batch_norm=true batch_size=157", "batch_size=157", "a batch of one of the 1257", "choose another"),
    ("act=sigmoid eps=0.3", "eps=0.3", "its largest slope is 0.25", "try eps=0.05"),
    ("act=softsign eps=1e-30", "eps=1e-30", "try eps=0.05"),
]
UNREADABLE = [
    ("alpha", "alpha: cannot be read; write option=value"),
    ("alpha=[", "alpha=[: cannot be read; write option=value"),
    ("alpha==1", "alpha==1: cannot be read"),
    ("=3", "=3: cannot be read; write option=value"),
    ("alpha=0.1,", "alpha=0.1,: cannot be read"),
    ("alpha=0, 0.1", "alpha=0,: cannot be read; write values with commas and without blanks, such as alpha=0,0.1"),
    ("alpha=0 ,0.1", ",0.1: cannot be read; write values with commas and without blanks"),
    ("arch.widths[0]=3", "arch.widths[0]=3: cannot be read"),
    ("arch.widths.5=1", "arch.widths.5=1: list index out of range"),
    ("alpha=${nokey}", "alpha=${nokey}: Interpolation key 'nokey' not found"),
    ("alpha=${alpha}", "alpha=${alpha}: Recursive interpolation"),
    ("alpha=${oc.env:NOT_SET}", "alpha=${oc.env:NOT_SET}", "'NOT_SET' not found"),
    ("alpha=${foo:1}", "alpha=${foo:1}: Unsupported interpolation type foo"),
    ("alpha=0.1,0.2", "alpha=0.1,0.2", SEVERAL),
    ("act=relu,tanh", f"act=relu,tanh: {SEVERAL}"),
    ("arch.widths=16,8", "arch.widths=16,8: write arch.widths=[16,8] for one list, or -m arch.widths=[16],[8]", LISTS),
    ("arch.widths=[16],[8]", f"arch.widths=[16],[8]: {SEVERAL}"),
    ("arch=conv arch.channels=16,8", "arch.channels=16,8: write arch.channels=[16,8] for one list, or -m", LISTS),
    ("arch.channels=16,8", "arch.channels: arch=mlp has no such option; it belongs to arch=conv\n"),
    ("data.span=0,1", "data.span: data=digits has no such option; it belongs to data="),
    ("optim.lr=0.1,0.2", f"optim.lr=0.1,0.2: {SEVERAL}"),
    ("seed=range(3)", "seed=range(3)", SEVERAL),
    ("~alpha", "~alpha: every run needs alpha; leave it out"),
    ("~act", "~act: every run needs act; leave it out"),
    ("~noise.level", "~noise.level: every run needs noise.level"),
    ("~alhpa", "alhpa: no such option; did you mean alpha?"),
]
FLAGS = [
    ("--foo", "--foo: no such flag; options are written option=value", "--help"),
    ("--alpha=0.1", "--alpha=0.1: no such flag"),
    ("--alpha 0.1", "--alpha: no such flag"),
    ("alpha=1 -x", "-x: no such flag"),
    ("--co x", "ambiguous option: --co"),
    ("--cfg zzz", "invalid choice: 'zzz'", "job"),
    ("--cfg", "--cfg", "expected one argument"),
    ("--cfg job aplha=1", "aplha: no such option; did you mean alpha?"),
    ("--cfg job alpha=-1", "alpha=-1: must be at least 0"),
    ("--cfg job -m", "--run, --multirun, --cfg, --info, --shell-completion: give only one"),
    ("--info defaults rerun=taken", "rerun=taken: no run there (no /", "/taken/config.yaml)"),
    ("--resolve", "--resolve: needs --cfg or --help"),
    ("--help -m alpha=0,1", "-m: makes runs; leave it out where something is only shown"),
    ("--help sweep=first alpha=0,1", "sweep=first: makes runs; leave it out where something is only shown"),
    ("--help aplha=1", "aplha: no such option"),
    ("--experimental-rerun x", "--experimental-rerun: not offered"),
    ("--config-path /tmp", "--config-path: not offered; add a folder of your own with --config-dir"),
    ("--config-dir /no/such/folder", "--config-dir /no/such/folder: no such folder"),
    ("--config-name zzz", "Cannot find primary config 'zzz'"),
    ("--shell-completion", "Expecting one subcommand from ['install', 'uninstall', 'query']"),
    ("--shell-completion query=zzz", "No completion plugin for 'zzz'"),
]
SWEEPS = [
    ("-m alpha=0,-1", "alpha=-1: must be at least 0"),
    ("-m alpha=0,1 act=relu,rleu", "act=rleu: choose one of", "did you mean relu?"),
    ("act=relu -m alpha=0,-1", "alpha=-1: must be at least 0"),
    ("-m aplha=0,1", "aplha: no such option; did you mean alpha?"),
    ("-m act=relu,shrink act.threshold=1", "act.threshold: act=relu has no such option"),
    ("-m act=relu,gelu", "act=gelu: is not monotone, so complement=output is not defined for it"),
    ("-m alpha=interval(0,1)", "alpha=interval(0,1): an interval cannot be swept; list values, such as alpha=0,0.1"),
    ("-m alpha=0,01", "alpha=0,01: did you mean alpha=0.01?"),
    ("-m seed=range(1e8)", "seed=range(1e8): asks for 100,000,000 runs, and a sweep makes 20,000 at most"),
    ("-m seed=shuffle(range(100000000))", "asks for 100,000,000 runs"),
    ("-m seed=range(30000) act=relu,tanh", "seed=range(30000) act=relu,tanh: asks for 60,000 runs"),
    ("-m alpha=range(0,1,1e-300)", "alpha=range(0,1,1e-300): asks for 1e+300 runs"),
    ("-m alpha=range(0,1,0)", "alpha=range(0,1,0): must have finite numbers, and a step that is not 0"),
    ("-m alpha=range(0,inf)", "alpha=range(0,inf): must have finite numbers"),
    (f"-m alpha=range({'9' * 400})", ": must have finite numbers"),
    ("-m alpha=range(0)", "alpha=range(0): gives no values"),
    ("-m act=glob(zzz*)", "act=glob(zzz*): gives no values"),
    ("-m alpha=0,,1", "alpha=0,,1: cannot be read"),
    (
        "-m hydra.sweep.dir=choice(a,b)",
        "hydra.sweep.dir=choice(a,b): Hydra's own options cannot vary within a sweep; give one value",
    ),
]
PLACES = [
    ("hydra.run.dir=/proc/x/y", "hydra.run.dir=/proc/x/y: cannot write there", "name another folder"),
    ("hydra.run.dir=file", "hydra.run.dir=file: cannot write there (Not a directory)"),
    ("hydra.run.dir=file/below", "hydra.run.dir=file/below: cannot write there (Not a directory)"),
    (f"hydra.run.dir={'long' * 80}", "cannot write there (File name too long)"),
    ("hydra.run.dir=", "hydra.run.dir=: is empty; name a folder, or leave it out"),
    ("hydra.run.dir=${nokey}", "hydra.run.dir: Interpolation key 'nokey' not found"),
    ("hydra.run.dir=taken", "taken holds a run already; name another folder", "resume="),
    ("-m alpha=0,1 hydra.sweep.dir=/proc/x/y", "hydra.sweep.dir=/proc/x/y", "cannot write there"),
    ("-m alpha=0,1 hydra.sweep.dir=file/below", "hydra.sweep.dir=file/below", "cannot write there"),
    ("-m alpha=0,1 hydra.sweep.dir=", "hydra.sweep.dir=: is empty"),
    ("-m alpha=0,1 hydra.sweep.subdir=x", "hydra.sweep.subdir=x: the folders of a sweep are named by what it varies"),
    ("-m alpha=0,1 sweep=", "sweep=: is empty; give a name, such as sweep=first"),
    ("sweep=first", "sweep=first: no sweep in /", "/outputs/first; say what it varies"),
    ("sweep=a sweep=b alpha=0,1", "sweep=a sweep=b: name one sweep"),
    ("sweep=taken/ alpha=0,1", "sweep=taken/: is one run; resume it with resume=taken/"),
    ("sweep=${x} alpha=0,1", "sweep=${x}: the name contains ${, which Hydra replaces; choose another name"),
    ("sweep=/proc/x/y alpha=0,1", "sweep=/proc/x/y: cannot write there (No such file or directory)"),
    ("sweep=file/below alpha=0,1", "sweep=file/below: cannot write there (Not a directory); name another folder"),
    (f"sweep={'long' * 80} alpha=0,1", "sweep=longlong", "...: cannot write there (File name too long)"),
    (f"sweep=new/{'long' * 80} alpha=0,1", "sweep=new/longlong", "...: cannot write there (File name too long)"),
    (f"-m alpha=0,1 hydra.sweep.dir=new/{'long' * 80}", "hydra.sweep.dir=new/long", "(File name too long)"),
    ("sweep=first alpha=0,1 hydra.sweep.dir=x", "hydra.sweep.dir=x: sweep= names the folder"),
    ("-m alpha=0,0.0", "alpha=0.0: is asked for twice"),
    (
        "-m seed=${hydra:job.num} alpha=0,1",
        "seed=${hydra:job.num}: ${hydra:...} has another value when the sweep resumes",
        "write the values, such as 'seed=range(3)'",
    ),
    ("-m fail_fast=perhaps alpha=0,1", "fail_fast=perhaps: must be true or false"),
    ("fail_fast=true", "fail_fast=true: is for sweeps"),
    ("fail_fast alpha=0,1 -m", "fail_fast: has no value; write fail_fast=true, for example"),
    ("sweep alpha=0,1", "sweep: has no value; write sweep=first, for example"),
    (
        "sweep=new alpha=0,1 hydra.job_logging.root.handlers=[zzz]",
        "hydra.job_logging.root.handlers=[zzz]: no such handler; there are console and file\n",
    ),
]
KINDS = [
    *(UNKNOWN_OPTIONS + WRONG_TYPES + OUT_OF_RANGE + UNKNOWN_NAMES),
    *(MISFITS + UNREADABLE + FLAGS + SWEEPS + PLACES),
]


@pytest.fixture
def folder(tmp_path):
    """A folder to start from, with a file and a directory that holds a run."""
    (tmp_path / "taken" / "0").mkdir(parents=True)
    for name in ("file", "taken/run.json", "taken/0/run.json"):
        (tmp_path / name).write_text("{}")
    return tmp_path


def assert_refused(outcome, *fragments):
    assert outcome.out == ""
    assert outcome.err.startswith("satae-train: ")
    assert outcome.err.endswith("\n")
    assert len(outcome.err.splitlines()) == 1
    assert [fragment for fragment in fragments if fragment not in outcome.err] == []
    assert outcome.code == 2


@pytest.mark.parametrize(
    ("line", "fragments"), [(line, said) for line, *said in KINDS], ids=[kind[0] for kind in KINDS]
)
def test_bad_input_is_refused_in_one_line_and_nothing_is_written(folder, line, fragments):
    before = files(folder)
    assert_refused(here(folder, *line.split()), *fragments)
    assert files(folder) == before


@pytest.mark.parametrize("word", ["alpha 0.1", "", "  ", "alpha=0.1\nact=relu"])
def test_words_that_a_shell_passed_on_whole_are_refused(folder, word):
    before = files(folder)
    assert_refused(here(folder, word), "cannot be read; write option=value")
    assert files(folder) == before


@pytest.mark.parametrize("name", ["cuda", "mps"])
def test_a_device_that_is_not_there_is_refused(folder, monkeypatch, name):
    monkeypatch.setattr(torch.cuda, "is_available", lambda: False)
    monkeypatch.setattr(torch.backends.mps, "is_available", lambda: False)
    assert_refused(here(folder, f"device={name}"), f"device={name}: not on this machine, which has cpu", "device=auto")


@pytest.mark.parametrize("group", GROUPS)
def test_every_name_of_a_group_is_offered_for_one_that_is_not_there(folder, group):
    line = here(folder, f"{group}=zzz").err
    assert [name for name in GROUPS[group].names() if name not in line] == []


@pytest.mark.parametrize(
    ("file", "words"),
    [
        ("config.yaml", "x/a b: is a run; did you mean resume='x/a b', which resumes it, or rerun='x/a b', which"),
        ("sweep.json", "x/a b: is a sweep; did you mean 'sweep=x/a b', which resumes it?"),
    ],
)
def test_a_folder_of_a_run_or_a_sweep_that_is_typed_alone_is_refused_with_the_option(folder, file, words):
    (folder / "x" / "a b").mkdir(parents=True)
    (folder / "x" / "a b" / file).write_text("{}")
    before = files(folder)
    assert_refused(here(folder, "x/a b", "alpha=1"), words)
    assert files(folder) == before


REAL = [
    ("aplha=1", "did you mean alpha?"),
    pytest.param("alpha=-1", "must be at least 0", marks=pytest.mark.slow),
    pytest.param("act=gelu", "choose complement=input or complement=slope", marks=pytest.mark.slow),
    pytest.param("--foo", "no such flag", marks=pytest.mark.slow),
    ("-m alpha=0,-1", "must be at least 0"),
    ("hydra.run.dir=file/below", "cannot write there"),
]


@pytest.mark.parametrize(("line", "fragment"), REAL)
def test_the_installed_program_refuses_the_same_line(folder, line, fragment):
    before = files(folder)
    assert_refused(there(folder, *line.split()), fragment)
    assert files(folder) == before


@pytest.mark.parametrize(
    "line",
    [
        "alpha=0.1 alpha=0.2",
        "arch=conv arch.kernel=2 arch.channels=[2] arch.code=4",
        "alpha=${eps}",
        "seed=${oc.decode:'7'}",
        "~experiment",
        "+hydra.job.env_set.NOTHING=1",
        "act=satlin act.low=-1e6 act.high=1e6",
        "noise.level=1e6",
        "act=shrink act.threshold=1e6",
        "batch_size=2147483647 data.limit=2147483647",
        "hydra.run.dir=runs/${act.name}_${alpha}",
        "act=gelu complement=slope eps=1e-6",
        "-m act=glob(sigm*) seed=range(2)",
        "act=tanh -m alpha=0,1",
        "-m act=relu,tanh arch.widths=[8],[8,4]",
        "sweep=nested/first act=relu,tanh",
    ],
)
def test_an_unusual_but_valid_command_line_is_run(tmp_path, line):
    small = [word for word in TINY if "widths" not in word] + ["epochs=1"]
    outcome = here(tmp_path, *small, *line.split())
    assert (outcome.code, outcome.err) == (0, "")
