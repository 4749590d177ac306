"""The layouts in which people have their videos: names, splits, classes, and what lists name in vain."""

import json
from pathlib import Path

import pytest

from rolling.common.errors import InputError
from rolling.data.clips.collections import UCF101, Collection, Kinetics, SomethingSomething, Videos
from rolling.data.clips.protocol import TEST, TRAIN, UNSPECIFIED, BadClip, Entry, Picture
from rolling.run.experiment.registry import alternatives
from tests.clip_tools import levels, write_video


def touch(root: Path, *names: str) -> str:
    for name in names:
        (root / name).parent.mkdir(parents=True, exist_ok=True)
        (root / name).touch()
    return str(root)


def told(collection) -> list[tuple]:
    return [(e.name, e.split, e.label) for e in collection.entries()]


def test_a_flat_folder_has_no_classes(tmp_path):
    path = touch(tmp_path, "b.MP4", "a.mkv", "c.txt", ".hidden.mp4", ".cache/d.mp4")
    assert told(Videos(path=path)) == [("a.mkv", UNSPECIFIED, ""), ("b.MP4", UNSPECIFIED, "")]


def test_folders_are_classes_and_splits(tmp_path):
    path = touch(tmp_path / "classes", "run/a.mp4", "jump/b.mp4", "jump/high/c.mp4", "d.mp4")
    assert told(Videos(path=path)) == [
        ("d.mp4", UNSPECIFIED, ""),
        ("jump/b.mp4", UNSPECIFIED, "jump"),
        ("jump/high/c.mp4", UNSPECIFIED, "jump/high"),
        ("run/a.mp4", UNSPECIFIED, "run"),
    ]
    path = touch(tmp_path / "splits", "Train/run/a.mp4", "val/run/b.mp4", "train/c.mp4")
    both = [("Train/run/a.mp4", TRAIN, "run"), ("train/c.mp4", TRAIN, ""), ("val/run/b.mp4", TEST, "run")]
    assert told(Videos(path=path)) == both
    touch(tmp_path / "splits", "test/run/d.mp4")  # then validation is neither
    assert told(Videos(path=path)) == [
        ("Train/run/a.mp4", TRAIN, "run"),
        ("test/run/d.mp4", TEST, "run"),
        both[1],
    ]


def test_links_are_followed_once(tmp_path):
    touch(tmp_path / "there", "a.mp4")
    (tmp_path / "here").mkdir()
    (tmp_path / "here" / "link").symlink_to(tmp_path / "there")
    (tmp_path / "there" / "back").symlink_to(tmp_path / "here")
    assert told(Videos(path=str(tmp_path / "here"))) == [("link/a.mp4", UNSPECIFIED, "link")]


HEAD = "label,youtube_id,time_start,time_end,split\n"


def test_kinetics_by_split_and_class_or_flat(tmp_path):
    path = touch(
        tmp_path,
        "train/dunking basketball/--07WQ2iBlw_000001_000011.mp4",
        "replaced/abcdefghijk_000010_000020.mkv",
        "whole_video1.mp4",
    )
    (tmp_path / "train.csv").write_text(
        HEAD
        + "dunking basketball,--07WQ2iBlw,1,11,train\n"
        + "dunking basketball,gone_______,3,13,train\n"
        + '"tie, knot",abcdefghijk,10,20,train\n'
        + "yoga,whole_video1,5,15,train\n"
        + "yoga,whole_video1,25,35,train\n"
    )
    (tmp_path / "annotations").mkdir()
    (tmp_path / "annotations" / "validate.csv").write_text(HEAD + "yoga,val________,0,10,validate\n")
    found = Kinetics(path=path).entries()
    assert [tuple(vars(e).values())[:3] for e in found if e.split == TRAIN] == [
        ("train/dunking basketball/--07WQ2iBlw_000001_000011.mp4", TRAIN, "dunking basketball"),
        ("gone________000003_000013.mp4", TRAIN, "dunking basketball"),
        ("replaced/abcdefghijk_000010_000020.mkv", TRAIN, "tie, knot"),
        ("whole_video1.mp4", TRAIN, "yoga"),
        ("whole_video1.mp4", TRAIN, "yoga"),
    ]
    assert [(e.start, e.stop) for e in found if e.name == "whole_video1.mp4"] == [(5, 15), (25, 35)]
    assert [e.split for e in found].count(TEST) == 1  # validation, as there is no other
    with pytest.raises(BadClip, match="the file is missing"):
        next(Kinetics(path=path).read(found[2], Picture()))
    only = Kinetics(path=path, lists=(str(tmp_path / "train.csv"),))
    assert len(only.entries()) == 5
    # The published test list has no labels.
    (tmp_path / "test.csv").write_text("youtube_id,time_start,time_end\nsecret_____,4,14\n")
    assert [(e.name, e.label) for e in Kinetics(path=path).entries() if e.split == TEST] == [
        ("secret______000004_000014.mp4", "")
    ]


def test_ucf101_has_folds(tmp_path):
    video = "ApplyEyeMakeup/v_ApplyEyeMakeup_g01_c01.avi"
    path = touch(tmp_path, f"UCF-101/{video}")
    lists = tmp_path / "ucfTrainTestlist"
    lists.mkdir()
    (lists / "trainlist02.txt").write_text("YoYo/v_YoYo_g25_c03.avi 101\n")
    (lists / "testlist02.txt").write_text(f"{video}\n\n")
    expected = [("YoYo/v_YoYo_g25_c03.avi", TRAIN, "YoYo"), (video, TEST, "ApplyEyeMakeup")]
    inside = [(f"UCF-101/{name}", split, label) for name, split, label in expected]
    assert told(UCF101(path=path, fold=2)) == inside
    assert told(UCF101(path=str(tmp_path / "UCF-101"), fold=2)) == expected
    with pytest.raises(InputError, match="trainlist01"):
        UCF101(path=path).entries()


def test_something_something(tmp_path):
    path = touch(tmp_path, "20bn-something-something-v2/7.webm", "20bn-something-something-v2/8.webm")
    labelled = {"id": "7", "label": "holding pen", "template": "Holding [something]"}
    (tmp_path / "labels").mkdir()
    prefix = tmp_path / "labels" / "something-something-v2"
    Path(f"{prefix}-train.json").write_text(json.dumps([labelled]))
    Path(f"{prefix}-validation.json").write_text(json.dumps([labelled | {"id": "8"}]))
    Path(f"{prefix}-labels.json").write_text(json.dumps({"Holding something": "0"}))
    videos = SomethingSomething(path=path)
    assert told(videos) == [
        ("20bn-something-something-v2/7.webm", TRAIN, "Holding something"),
        ("20bn-something-something-v2/8.webm", TEST, "Holding something"),
    ]
    Path(f"{prefix}-test.json").write_text(json.dumps([{"id": "9"}]))
    assert told(videos)[0] == ("9.webm", TEST, "") and len(told(videos)) == 2


@pytest.mark.parametrize(
    "name, content, words",
    [
        ("a.csv", "name,other\n", "no column 'youtube_id'"),
        (
            "a.csv",
            HEAD + "yoga,abc,soon,10,train\n",
            "a.csv, line 2: time_start and time_end are not numbers",
        ),
        ("a.csv", b"\xff\xfe\x00", "a.csv cannot be read"),
    ],
)
def test_broken_lists_are_told(tmp_path, name, content, words):
    (tmp_path / name).write_bytes(content if isinstance(content, bytes) else content.encode())
    with pytest.raises(InputError, match=words):
        Kinetics(path=str(tmp_path)).entries()


@pytest.mark.parametrize("collection", [Videos, Kinetics, UCF101, SomethingSomething])
def test_nothing_there_is_one_sentence(tmp_path, collection):
    for path, words in ((str(tmp_path), "there "), (str(tmp_path / "x"), "no folder"), ("", "source.path")):
        with pytest.raises(InputError, match=words):
            collection(path=path).entries()
    file = write_video(tmp_path / "a.mkv", levels(2))
    with pytest.raises(InputError, match="is a file, not a folder"):
        collection(path=str(file)).entries()
    (tmp_path / "a-train.json").write_text('{"id": 3}')
    with pytest.raises(InputError, match="not a list of Something-Something"):
        SomethingSomething(path=str(tmp_path)).entries()


def test_layouts_are_chosen_by_name():
    assert {"videos", "kinetics", "ucf101", "something_something"} <= set(alternatives(Collection))
    assert isinstance(Videos(), Collection) and Entry(name="a").split == UNSPECIFIED
