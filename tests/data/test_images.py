"""Images in files: what becomes of their pixels, what is kept, and what is refused."""

import os

import numpy
import pytest
import torch
from PIL import Image

from satae.data import images
from satae.data.folder import folder
from satae.data.local_files import CACHE_VARIABLE

RANDOM = numpy.random.default_rng(0)
GREY = RANDOM.integers(0, 256, (9, 6)).astype("uint8")
COLOUR = RANDOM.integers(0, 256, (9, 6, 3)).astype("uint8")
LUMA = numpy.array([0.299, 0.587, 0.114])


@pytest.fixture
def opened(monkeypatch):
    """The names of the files that have been decoded."""
    names, to_pixels = [], images.to_pixels

    def counted(image, size, colour, rendering, stream):
        names.append(os.path.basename(stream.name))
        return to_pixels(image, size, colour, rendering, stream)

    monkeypatch.setattr(images, "to_pixels", counted)
    return names


def put(file, values, **options):
    file.parent.mkdir(parents=True, exist_ok=True)
    Image.fromarray(values).save(file, **options)
    return file


def plain(file, level, shape=(8, 8)):
    return put(file, numpy.full(shape, level, "uint8"))


def album(root, names, first=0):
    for number, name in enumerate(names, first):
        plain(root / name, number)
    return str(root)


def levels(split):
    """The grey level of each of some plain images."""
    assert (split.x.flatten(1) == split.x.flatten(1)[:, :1]).all()
    return split.x.flatten(1)[:, 0].tolist()


def read(file, size, colour):
    """The pixels of the only page of a file."""
    files = [images.local_image(file)]
    [(_, pixels)] = images.decode(
        files, images.survey(files, "auto", size=size, colour=colour), size=size, colour=colour
    )
    return pixels


def everything(data):
    return sorted(levels(data.train) + levels(data.valid) + levels(data.test))


def kept(tmp_path):
    """The files in the cache, without the locks."""
    found = (tmp_path / "cache").rglob("*")
    return sorted(file.name for file in found if file.is_file() and file.suffix not in (".lock", ".json"))


# Pixels


@pytest.mark.parametrize("mode", ["L", "LA", "1", "I;16", "I", "P", "RGB", "RGBA", "RGBX", "CMYK"])
@pytest.mark.parametrize("colour", [False, True])
def test_every_mode_becomes_grey_or_colour(mode, colour):
    if mode in ("I;16", "I"):
        wide = GREY.astype("uint16") * 257
        image = Image.fromarray(wide if mode == "I;16" else wide.astype("int32"))
    else:
        image = Image.fromarray(COLOUR if mode[0] in "RCP" else GREY).convert(mode)
    assert image.mode == mode
    if mode == "P":
        wanted = numpy.asarray(image.getpalette()).reshape(-1, 3)[numpy.asarray(image)]
    elif mode == "1":
        wanted = numpy.asarray(image)[..., None] * numpy.array([255] * 3)
    else:
        wanted = COLOUR if mode[0] in "RC" else GREY[..., None].repeat(3, axis=2)
    found = images.to_pixels(image, None, colour)
    assert found.dtype == numpy.uint8
    assert found.shape == (3 if colour else 1, 9, 6)
    wanted = wanted.transpose(2, 0, 1) if colour else (wanted @ LUMA)[None]
    numpy.testing.assert_allclose(found, wanted, rtol=0, atol=0 if colour else 1)


@pytest.mark.parametrize("transparency", [0, bytes(range(256))])
@pytest.mark.parametrize("colour", [False, True])
def test_a_palette_with_transparency_is_read(tmp_path, transparency, colour):
    file = tmp_path / "a.png"
    image = Image.fromarray(COLOUR).convert("P")
    image.save(file, transparency=transparency)
    solid = numpy.asarray(image.convert("RGB")).astype(float)
    alpha = numpy.asarray(Image.open(file).convert("RGBA"))[..., 3:] / 255
    found, ends = read(file, None, colour), []
    for background in (0, 255):
        drawn = solid * alpha + background * (1 - alpha)
        ends.append(drawn.transpose(2, 0, 1) if colour else (drawn @ LUMA)[None])
    assert min(abs(found - end).max() for end in ends) <= 2


@pytest.mark.parametrize(
    ("orientation", "turned"),
    [
        (1, GREY),
        (2, GREY[:, ::-1]),
        (3, GREY[::-1, ::-1]),
        (4, GREY[::-1]),
        (5, GREY.T),
        (6, GREY.T[:, ::-1]),
        (7, GREY.T[::-1, ::-1]),
        (8, GREY.T[::-1]),
    ],
)
def test_an_image_is_turned_as_its_camera_says(tmp_path, orientation, turned):
    exif = Image.Exif()
    exif[0x0112] = orientation
    file = put(tmp_path / "a.png", GREY, exif=exif)
    assert numpy.array_equal(read(file, None, False), turned[None])


@pytest.mark.parametrize("tall", [False, True])
def test_the_middle_is_kept_and_scaled(tall):
    wide = numpy.zeros((30, 90), "uint8")
    wide[:, 28:62] = RANDOM.integers(90, 110, (30, 34))
    image, middle = Image.fromarray(wide.T.copy() if tall else wide), wide[:, 30:60]
    middle = middle.T if tall else middle
    assert numpy.array_equal(images.to_pixels(image, 30, False), middle[None])
    assert images.to_pixels(image, None, False).shape == (1, *(wide.T if tall else wide).shape)
    for size in (15, 60):
        found = images.to_pixels(image, size, True)
        assert found.shape == (3, size, size)
        assert abs(found.mean() - middle.mean()) < 3


# Folders


def test_images_are_found_below_the_folder_in_the_order_of_their_names(tmp_path):
    names = ["b/z.PNG", "a/deep/er/y.png", "a/x.jpeg", "c.gif", "B.bmp"]
    root = album(tmp_path / "in", names)
    for other in (".hidden.png", "a/._x.png", "notes.txt", "png", "b/data.npy"):
        (tmp_path / "in" / other).write_bytes(b"no image")
    found, notes = images.find_images(root)
    assert [str(file.relative_to(root)) for file in found] == sorted(names)
    assert notes == [
        f"path={root}: 3 files are not read as images: .npy (1), .txt (1), png (1)",
        f"path={root}: 1 hidden image or folder is left out: .hidden.png",
    ]
    data = folder(path=root, size=None, valid=0.2, test=0.2)
    assert notes[0] in data.notes
    assert everything(data) == list(range(5))


def test_images_outside_the_subfolders_that_would_be_labels_are_reported(tmp_path):
    root = album(tmp_path / "in", ["0.png", *(f"{'ab'[n % 2]}/{n}.png" for n in range(9))])
    data = folder(path=root, size=None, valid=0.2, test=0.2)
    note = f"path={root}: there are no labels; in no subfolder: 1 of 10 images, such as 0.png"
    assert data.train.y is None
    assert note in data.notes
    (tmp_path / "in" / "0.png").unlink()
    data = folder(path=root, size=None, valid=0.2, test=0.2)
    assert data.train.y is not None
    assert not any("subfolder" in note for note in data.notes)


def test_images_in_a_hidden_folder_are_left_out(tmp_path):
    root = album(tmp_path / "in", ["a/x.png", "b/y.png", ".thumbnails/x.png", "a/.trash/z.png"])
    found, notes = images.find_images(root)
    assert [file.name for file in found] == ["x.png", "y.png"]
    assert notes == [f"path={root}: 2 hidden images and folders are left out: .thumbnails/, .trash/"]


def test_a_folder_that_two_links_lead_to_is_read_once_and_the_other_link_is_reported(tmp_path):
    album(tmp_path / "elsewhere", ["x.png"])
    root = album(tmp_path / "in", ["a/y.png"])
    for name in ("b", "c"):
        (tmp_path / "in" / name).symlink_to(tmp_path / "elsewhere")
    found, notes = images.find_images(root)
    assert [file.name for file in found] == ["y.png", "x.png"]
    assert notes == [f"path={root}: 1 link leads to a folder that is read already: c"]


def test_images_are_0_to_1_grey_or_colour_and_of_one_size(tmp_path):
    for number in range(8):
        put(tmp_path / "in" / f"{number}.png", COLOUR if number else 255 - COLOUR)
    grey, colour = folder(path=str(tmp_path / "in"), size=5), folder(path=str(tmp_path / "in"), size=None, colour=True)
    assert (grey.shape, colour.shape) == ((1, 5, 5), (3, 9, 6))
    assert grey.span == colour.span == (0.0, 1.0)
    wanted = torch.from_numpy(COLOUR.transpose(2, 0, 1).copy()).float() / 255
    for image in colour.batch(colour.test.x):
        assert min((image - wanted).abs().max(), (1 - image - wanted).abs().max()) < 1e-6
    assert colour.train.x.dtype == torch.uint8


def test_labels_are_the_folders_that_images_lie_in(tmp_path):
    root = album(tmp_path / "in", [f"{name}/{number}.png" for name in ("a", "b/deep", "c") for number in range(10)])
    for split in folder(path=root).splits:
        assert split.y.dtype == torch.int64
        assert split.y.tolist() == [level // 10 for level in levels(split)]


@pytest.mark.parametrize("names", [["a/1.png", "b/2.png", "b/3.png", "4.png"], ["1.png", "2.png", "3.png", "4.png"]])
def test_there_are_no_labels_where_images_lie_at_the_top(tmp_path, names):
    data = folder(path=album(tmp_path / "in", names), valid=0.25, test=0.25)
    assert [split.y for split in data.splits] == [None] * 3


def test_splits_are_disjoint_seeded_and_limited(tmp_path):
    root = album(tmp_path / "in", [f"{number:02}.png" for number in range(20)])
    first, other = (folder(path=root, valid=0.25, test=0.25, split_seed=seed) for seed in (0, 1))
    limited = folder(path=root, valid=0.25, test=0.25, limit=2)
    assert everything(first) == list(range(20))
    assert levels(first.train) != levels(other.train)
    assert [levels(split) for split in limited.splits] == [levels(split)[:2] for split in first.splits]


def test_another_folder_is_for_the_test(tmp_path):
    train = album(tmp_path / "in", [f"{name}/{number}.png" for name in "ab" for number in range(5)])
    test = album(tmp_path / "out", [f"{name}/{number}.png" for name in "ab" for number in range(2)], first=100)
    data = folder(path=train, test_path=test, valid=0.2)
    assert levels(data.test) == [100, 101, 102, 103]
    assert data.test.y.tolist() == [0, 0, 1, 1]
    assert sorted(levels(data.train) + levels(data.valid)) == list(range(10))


def test_a_label_of_the_test_is_that_of_the_same_folder_name_in_training(tmp_path):
    train = album(tmp_path / "in", [f"{name}/{number}.png" for name in "abc" for number in range(5)])
    test = album(tmp_path / "out", ["b/1.png", "c/1.png"])
    data = folder(path=train, test_path=test, valid=0.2)
    assert data.test.y.tolist() == [1, 2]


def test_test_images_of_another_shape_are_refused(tmp_path):
    train = album(tmp_path / "in", ["1.png", "2.png", "3.png", "4.png"])
    plain(tmp_path / "out" / "1.png", 0, (9, 9))
    with pytest.raises(ValueError, match=r"set size"):
        folder(path=train, test_path=str(tmp_path / "out"), size=None, valid=0.3)


# The cache


def test_images_are_decoded_once(tmp_path, opened):
    root = album(tmp_path / "in", ["1.png", "2.png", "3.png", "4.png"])
    first = folder(path=root, valid=0.3, test=0.3)
    assert sorted(opened) == ["1.png", "2.png", "3.png", "4.png"]
    second = folder(path=root + "/", valid=0.3, test=0.3, split_seed=0)
    assert len(opened) == 4
    assert torch.equal(first.train.x, second.train.x)
    assert len(kept(tmp_path)) == 1


def test_a_changed_file_is_decoded_again(tmp_path, opened):
    root = album(tmp_path / "in", ["1.png", "2.png", "3.png", "4.png"])
    folder(path=root, valid=0.3, test=0.3)
    stat = plain(tmp_path / "in" / "2.png", 77).stat()
    os.utime(tmp_path / "in" / "2.png", ns=(stat.st_atime_ns, stat.st_mtime_ns + 10**9))
    data = folder(path=root, valid=0.3, test=0.3)
    assert everything(data) == [0, 2, 3, 77]
    plain(tmp_path / "in" / "5.png", 5)
    folder(path=root, valid=0.2, test=0.2)
    assert len(opened) == 4 + 4 + 5


def test_another_size_or_colour_is_another_file(tmp_path, opened):
    root = album(tmp_path / "in", ["1.png", "2.png", "3.png", "4.png"])
    kinds = [(8, False), (4, False), (None, False), (8, True)]
    shapes = [folder(path=root, size=size, colour=colour, valid=0.3, test=0.3).shape for size, colour in kinds]
    assert shapes == [(1, 8, 8), (1, 4, 4), (1, 8, 8), (3, 8, 8)]
    assert len(opened) == 16
    assert len(kept(tmp_path)) == 4


def test_more_images_than_are_decoded_at_once(tmp_path, monkeypatch):
    monkeypatch.setattr(images, "IMAGES_PER_WRITE", 4)
    root = album(tmp_path / "in", [f"{number:02}.png" for number in range(11)])
    data = folder(path=root)
    assert everything(data) == list(range(11))


@pytest.mark.parametrize("left", [0, 60, -1])
def test_a_damaged_cache_file_is_named(tmp_path, left):
    root = album(tmp_path / "in", ["1.png", "2.png", "3.png", "4.png"])
    folder(path=root, valid=0.3, test=0.3)
    [file] = (tmp_path / "cache").rglob("*.npy")
    file.write_bytes(file.read_bytes()[:left])
    with pytest.raises(ValueError, match=r"is damaged .*; delete it") as refusal:
        folder(path=root, valid=0.3, test=0.3)
    assert str(file) in str(refusal.value)
    file.unlink()
    folder(path=root, valid=0.3, test=0.3)


def test_a_cache_that_cannot_be_written_is_named(tmp_path, monkeypatch):
    (tmp_path / "file").write_text("")
    monkeypatch.setenv(CACHE_VARIABLE, str(tmp_path / "file"))
    with pytest.raises(ValueError, match=r"file/decoded/.*cannot be written .*SATAE_DATA_DIR"):
        folder(path=album(tmp_path / "in", ["1.png", "2.png", "3.png", "4.png"]))


# Refusals


@pytest.mark.filterwarnings("ignore:Corrupt EXIF data:UserWarning")
@pytest.mark.parametrize("bad", ["empty", "text", "truncated", "cut in the header"])
@pytest.mark.parametrize("suffix", [".png", ".jpg", ".gif", ".bmp", ".tiff", ".webp", ".ppm"])
def test_an_image_that_cannot_be_read_is_named_and_nothing_is_kept(tmp_path, bad, suffix):
    root = album(tmp_path / "in", ["1.png", "2.png", "3.png", "4.png"])
    file = put(tmp_path / "in" / f"bad{suffix}", RANDOM.integers(0, 256, (32, 32, 3)).astype("uint8"))
    whole = file.read_bytes()
    file.write_bytes({"empty": b"", "text": b"no image", "truncated": whole[:-500]}.get(bad, whole[:10]))
    with pytest.raises(ValueError, match=r"cannot be read as an image \(.+\); replace it or remove it") as refusal:
        folder(path=root)
    assert str(file) in str(refusal.value)
    assert kept(tmp_path) == []
    assert not list((tmp_path / "cache").rglob("*.part"))
    file.unlink()
    folder(path=root, valid=0.3, test=0.3)


@pytest.mark.parametrize("length", [10, -500])
def test_the_first_image_that_cannot_be_read_is_named_and_the_others_are_counted(tmp_path, length):
    root = album(tmp_path / "in", ["1.png", "2.png", "3.png", "4.png"])
    for name in ("b.png", "c.png", "d.png"):
        file = put(tmp_path / "in" / name, RANDOM.integers(0, 256, (32, 32, 3)).astype("uint8"))
        file.write_bytes(file.read_bytes()[:length])
    with pytest.raises(ValueError, match=r"b\.png: cannot be read .*; 2 other files cannot be read either"):
        folder(path=root)


def test_unequal_images_are_refused_where_no_size_is_given(tmp_path):
    root = album(tmp_path / "in", ["1.png", "2.png", "3.png", "4.png"])
    odd = plain(tmp_path / "in" / "2.png", 0, (8, 10))
    with pytest.raises(ValueError, match=r"is 10x8, and the first image 8x8; set size") as refusal:
        folder(path=root, size=None)
    assert str(odd) in str(refusal.value)
    assert kept(tmp_path) == []


def test_a_folder_that_is_empty_or_missing_is_named(tmp_path):
    empty, file = tmp_path / "empty", plain(tmp_path / "1.png", 0)
    empty.mkdir()
    (empty / "notes.txt").write_text("")
    with pytest.raises(ValueError, match=rf"path={empty}: no images in it; .*\.png"):
        folder(path=str(empty))
    for path, said in ((tmp_path / "nowhere", "no such folder; name one"), (file, "is a file; name the folder")):
        with pytest.raises(ValueError, match=rf"path={path}: {said}"):
            folder(path=str(path))


def test_a_folder_with_train_and_test_in_it_is_not_mixed(tmp_path):
    for part in ("train", "test"):
        plain(tmp_path / part / "cat" / "1.png", 0)
    with pytest.raises(ValueError, match=r"has train and test in it; use path=.*/train test_path=.*/test"):
        folder(path=str(tmp_path))


def test_too_few_images_are_refused(tmp_path):
    with pytest.raises(ValueError, match="of 2 examples"):
        folder(path=album(tmp_path / "in", ["1.png", "2.png"]))


def test_folders_of_one_name_are_distinguished(tmp_path):
    for place, shade in (("a", 10), ("b", 200)):
        for number in range(9):
            file = plain(tmp_path / place / "set" / f"{number}.png", shade + number)
            os.utime(file, ns=(0, 0))
    found = [everything(folder(path=str(tmp_path / place / "set"))) for place in "ab"]
    assert found == [list(range(10, 19)), list(range(200, 209))]


def test_a_file_that_changed_within_its_size_and_time_is_decoded_again(tmp_path):
    shades = []
    for shade in (10, 200):
        for number in range(9):
            file = put(tmp_path / "set" / f"{number}.bmp", numpy.full((8, 8), shade + number, "uint8"))
            os.utime(file, ns=(0, 0))
        shades.append(everything(folder(path=str(tmp_path / "set"))))
    assert shades == [list(range(10, 19)), list(range(200, 209))]


def test_no_other_program_is_started_for_an_image(tmp_path, monkeypatch):
    started = []
    monkeypatch.setattr("subprocess.check_call", lambda *given, **named: started.append(given))
    (tmp_path / "a.png").write_bytes(b"%!PS-Adobe-3.0 EPSF-3.0\n%%BoundingBox: 0 0 9 9\n%%EndComments\nshowpage\n")
    with pytest.raises(ValueError, match=r"a\.png: cannot be read as an image"):
        folder(path=str(tmp_path))
    assert not started


def test_a_pipe_or_a_broken_link_is_refused_without_waiting(tmp_path):
    os.mkfifo(tmp_path / "a.png")
    with pytest.raises(ValueError, match=r"a\.png: is not a file, or a link to nothing"):
        folder(path=str(tmp_path))
    (tmp_path / "a.png").unlink()
    (tmp_path / "b.png").symlink_to(tmp_path / "nowhere")
    with pytest.raises(ValueError, match=r"b\.png: is not a file, or a link"):
        folder(path=str(tmp_path))


def test_a_folder_that_cannot_be_entered_is_named(tmp_path, monkeypatch):
    plain(tmp_path / "a" / "1.png", 0)

    def walk(root, onerror, **_):
        onerror(PermissionError(13, "Permission denied", str(tmp_path / "b")))

    monkeypatch.setattr(os, "walk", walk)
    with pytest.raises(ValueError, match=r"/b: cannot be read \(Permission denied\)"):
        folder(path=str(tmp_path))
