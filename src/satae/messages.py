"""Text of messages: values as users type them, lists of names, "did you mean"; and text that is safe to print.

A stranger's file must not send control characters to a terminal.
"""

from __future__ import annotations

import difflib
import shlex
from collections.abc import Iterable, Sequence
from typing import Final

# Words that mean a choice which is spelled differently, by the word in small letters without "-", "_" and blanks.
# Without one, the choice that looks alike means something else.
SYNONYMS: Final[dict[str, Sequence[str]]] = {
    **{"gpu": ["cuda"], "gpu0": ["cuda"], "gpu:0": ["cuda"], "tpu": [], "xpu": [], "cosine": [], "none": []},
    **{"average": ["mean"], "fp16": [], "half": [], "float32": ["fp32"]},
    # activations
    **{"swish": ["silu"], "logistic": ["sigmoid"], "hardtanh": ["satlin"], "clip": ["satlin"], "clamp": ["satlin"]},
    **{"softshrink": ["shrink"], "softthreshold": ["shrink"], "hardshrink": [], "linear": ["mlp"], "identity": []},
    **{"logsoftmax": [], "leakyrelu": [], "prelu": [], "rrelu": [], "tanhshrink": [], "htanh": ["satlin"]},
    **dict.fromkeys(("step", "heaviside", "sign", "softmax", "softmin", "sin", "sine", "siren", "snake", "glu"), ()),
    **dict.fromkeys(("swiglu", "geglu", "isru", "lisht"), ()),
    # noise
    **{"dropout": ["masking"], "normal": ["gaussian"], "additive": ["gaussian"], "salt": ["salt_and_pepper"]},
    **{"sp": ["salt_and_pepper"], "s&p": ["salt_and_pepper"], "impulse": ["salt_and_pepper"]},
    **{"pgd": ["adversarial"], "fgsm": ["adversarial"], "worstcase": ["adversarial"]},
    **{"no": ["none"], "off": ["none"], "false": ["none"], "zero": ["none"]},
    # optimizers
    **{"signsgd": ["signum"], "momentum": ["sgd"], "nesterov": ["sgd"], "adagrad": [], "nadam": [], "adamax": []},
    # data
    **{"fmnist": ["fashion_mnist"], "cifar": ["cifar10"], "cifar100": [], "kmnist": [], "emnist": [], "csv": []},
    **{"images": ["folder"], "photos": ["folder", "patches"], "imagefolder": ["folder"], "huggingface": ["hf"]},
    **dict.fromkeys(("tsv", "json", "h5", "hdf5", "mat", "zarr", "iris", "moons", "omniglot"), ()),
    **{"npy": ["array"], "npz": ["array"], "numpy": ["array"], "tensor": ["array"], "toy": ["manifold"]},
    # architectures and loggers
    **{"cnn": ["conv"], "convolutional": ["conv"], "convnet": ["conv"], "dense": ["mlp"], "fc": ["mlp"]},
    **{"fullyconnected": ["mlp"], "tb": ["tensorboard"], "console": []},
}
MAX_BRIEF: Final = 200  # characters
MAX_TEXT: Final = 20_000  # characters
REPLACEMENT: Final = "\N{REPLACEMENT CHARACTER}"  # stands for a control character


def format_value(value: object) -> str:
    """A value as users type it: ``null``, ``true``, ``[512,64]``."""
    if value is None or isinstance(value, bool):
        return {None: "null", True: "true", False: "false"}[value]
    if isinstance(value, list):
        return f"[{','.join(format_value(item) for item in value)}]"
    if isinstance(value, dict):
        return f"{{{','.join(f'{key}:{format_value(item)}' for key, item in value.items())}}}"
    return str(value)


def format_compact(value: object) -> str:
    """A value for people: ``0`` rather than ``0.0``; more digits where six would show another number."""
    if not isinstance(value, float):
        return format_value(value)
    short = f"{value:g}"
    return short if float(short) == value else f"{value:.10g}"


def join_words(words: Iterable[str], link: str = "or") -> str:
    """``"a, b or c"``."""
    *most, last = words
    return f"{', '.join(most)} {link} {last}" if most else last


def count_words(number: int, one: str, more: str = "") -> str:
    """``1 run``, ``2 runs``; or ``1 has``, ``2 have``."""
    return f"{number:,} {one if number == 1 else more or one + 's'}"


def rough_duration(seconds: float) -> str:
    """``40 s``, ``2 min`` or ``1.5 h``."""
    if seconds < 90:
        return f"{max(1, round(seconds))} s"
    return f"{round(seconds / 60)} min" if seconds < 5400 else f"{seconds / 3600:.1f} h"


def did_you_mean(word: str, choices: Iterable[str], likeness: float = 0.5) -> str:
    """``"; did you mean x?"`` for the choice that means the same as ``word`` or is spelled most like it, or nothing."""
    choices, word = list(choices), word.lower()
    plain = word.translate(dict.fromkeys(map(ord, "-_ ")))
    if (same := [choice for choice in choices if choice.replace("_", "") == plain]) or plain in SYNONYMS:
        near = same or [choice for choice in SYNONYMS[plain] if choice in choices]
    else:
        near = difflib.get_close_matches(word, choices, 1, likeness)
    return f"; did you mean {near[0]}?" if near else ""


def unknown_choice(name: str, value: object, choices: Iterable[str]) -> str:
    """What to say of a word that is not among the choices."""
    choices = list(choices)
    return (
        f"{name}={format_value(value)}: choose one of {', '.join(choices)}{did_you_mean(format_value(value), choices)}"
    )


# text that is safe to print


def printable(text: object) -> str:
    """Text with line breaks and tabs, but without other control characters."""
    shown = str(text)
    if shown.isprintable():
        return shown
    return "".join(sign if sign.isprintable() or sign in "\n\t" else REPLACEMENT for sign in shown)


def one_line(text: object) -> str:
    """Text in one line, without control characters: every name of a file or folder is printed so."""
    line = " ".join(str(text).splitlines())
    return line if line.isprintable() else "".join(sign if sign.isprintable() else REPLACEMENT for sign in line)


def is_utf8(text: object) -> bool:
    """Whether text, such as the name of a file, can be stored in a file; Python reads other bytes as surrogates."""
    try:
        str(text).encode()
    except UnicodeEncodeError:
        return False
    return True


def quote_word(text: object) -> str:
    """A word of a command line as a shell reads it; control characters are written as bash's ``$'...'`` has them."""
    word = str(text)
    if word.isprintable():
        return shlex.quote(word)
    return f"$'{''.join(map(_quote_sign, word))}'"


def _quote_sign(sign: str) -> str:
    if sign.isprintable():
        return f"\\{sign}" if sign in "\\'" else sign
    is_byte = "\udc80" <= sign <= "\udcff"  # of a name that is not UTF-8
    return "".join(f"\\x{byte:02x}" for byte in sign.encode("utf-8", "surrogateescape" if is_byte else "replace"))


def brief(text: object) -> str:
    """Text in one line, without control characters, cut after ``MAX_BRIEF`` characters."""
    line = one_line(text)
    return line if len(line) <= MAX_BRIEF else f"{line[: MAX_BRIEF - 3]}..."


def first_line(error: BaseException) -> str:
    """The first line of an error's text, without a full stop."""
    return str(error).strip().partition("\n")[0].rstrip(" .")


def reason(error: BaseException) -> str:
    """The reason that an error of the operating system or of a library gives, in one line."""
    return getattr(error, "strerror", None) or first_line(error) or type(error).__name__


def brief_line(error: BaseException) -> str:
    """The first line of an error's text, made brief: it may quote what is in a file."""
    return brief(first_line(error))


def clean_text(text: object) -> str:
    """Text with line breaks but without control characters, cut after ``MAX_TEXT`` characters."""
    shown = printable(str(text)[: MAX_TEXT + 1]).replace("\t", REPLACEMENT)
    return f"{shown[:MAX_TEXT]} ..." if len(shown) > MAX_TEXT else shown
