"""A run of video with its sound: how well both go together, and films with the sound that was made."""

import dataclasses
import json
import shutil

import numpy as np
import pytest

from rolling.common.errors import InputError
from rolling.configs.sounding_shapes import experiment as preset
from rolling.layout import video
from rolling.outputs import Shown
from rolling.run import commands
from rolling.run.cli import main
from rolling.run.evaluation.agreement_of_modalities import (
    Agreement,
    agreement_tables,
    read_agreement,
    write_agreement,
)
from rolling.run.opened_run import open_run
from rolling.sound import companded, mdct, mdct_layout
from rolling.video.outputs import Mp4
from tests.run_tools import thin_towers

pytestmark = pytest.mark.slow
METRIC = preset.joint_metrics[0]


def small():
    """The preset with few data and steps, and forecasts of two seconds."""
    parts = tuple(
        dataclasses.replace(
            part,
            source=dataclasses.replace(part.source, train=4, frames=n, test=4, test_frames=n),
        )
        for part, n in zip(preset.source.parts, (30, 120), strict=True)
    )
    return dataclasses.replace(
        preset,
        source=dataclasses.replace(preset.source, parts=parts),
        network=thin_towers(preset.network, patch=8),
        calls_per_frame=0.25,
        training=dataclasses.replace(preset.training, steps=2, batch=4),
        forecast=dataclasses.replace(preset.forecast, starts=4, members=2, frames=64, batch=8, chunk=32),
        long=dataclasses.replace(preset.long, frames=0),
        laws=preset.laws,
        metrics=(),
        outputs=(Mp4(starts=1, members=1, size=64),),
    )


@pytest.fixture(scope="module")
def finished(tmp_path_factory):
    folder = tmp_path_factory.mktemp("sounding") / "run"
    commands.run(small(), folder)
    return folder


def test_real_clips_and_chance_stand_beside_what_was_made(finished):
    """Real clips score what the metric says of them read from the data; a law in which the video is given is
    scored with the video of the data."""
    _, _, split = open_run(finished)
    found = {(one.law, one.variable): one for one in read_agreement(finished)}
    assert {law for law, _ in found} == {"all together", "given video", "given sound"}
    import xarray as xr

    made = xr.open_zarr(finished / "forecast-given-video.zarr", group="sound")
    state, real = METRIC.start(split.test.layout), METRIC.start(split.test.layout)
    for start, (sequence, frame) in enumerate(zip(made.sequence.values, made.frame.values, strict=True)):
        truth = split.test.read(int(sequence), int(frame), int(frame) + 64)
        real = METRIC.update(real, truth)
        for member in range(2):
            levels = made.level.values[start, member][..., None]
            state = METRIC.update(state, truth | {"sound": levels})
    for score, expected in zip(METRIC.result(state), METRIC.result(real), strict=True):
        one = found["given video", score.variable]
        np.testing.assert_allclose(one.model, score.values)
        np.testing.assert_allclose(one.truth, expected.values)
        np.testing.assert_allclose(one.leads, [2.0])
    # The truth has nothing to do with a law; pairs of different clips are no pairs.
    for law in ("all together", "given sound"):
        np.testing.assert_allclose(found[law, "f1"].truth, found["given video", "f1"].truth)
    assert found["given video", "f1"].truth[0] > 0.7


def test_films_have_the_sound_that_was_made(finished):
    """Of truth and member; that of the given video is the truth's picture with other sound."""
    import av

    for law in ("forecast", "forecast-given-video", "forecast-given-sound"):
        paths = sorted((finished / "videos" / law).iterdir())
        assert [path.name for path in paths] == ["start-1-member-1.mp4", "start-1-truth.mp4"]
        for path in paths:
            with av.open(str(path)) as film:
                seconds = [float(stream.duration * stream.time_base) for stream in film.streams]
                assert [stream.type for stream in film.streams] == ["video", "audio"]
                np.testing.assert_allclose(seconds, 18 / 8, atol=0.05)
    page = (finished / "report.html").read_text()
    assert page.count("<video ") == 6 and "Seen and heard" in page and "Do they go together" in page


def heard(path, rate):
    import av

    with av.open(str(path)) as film:
        assert film.streams.audio[0].rate == rate
        return np.concatenate([frame.to_ndarray()[0] for frame in film.decode(audio=0)])


def forecast(given_sound, frames, step=1 / 8, hop=250):
    """Grey pictures, and a click at the start of the first frame that was made."""
    rate = 32 * hop  # four frames of sound to a picture
    samples = np.zeros((given_sound + 4 * frames + 4) * hop)
    samples[given_sound * hop : given_sound * hop + 40] = 0.9
    coefficients = companded(mdct(samples, hop))[..., None]
    sound = Shown(
        name="one",
        layout=mdct_layout(rate, hop),
        given=coefficients[:given_sound],
        truth=coefficients[:0],
        forecast=(coefficients[given_sound : given_sound + 4 * frames],),
    )
    pictures = np.full((frames + 2, 16, 16, 3), 90.0)
    layout = dataclasses.replace(video(16, 16), step=step, time_units="s")
    return Shown(
        name="one",
        layout=layout,
        given=pictures[:2],
        truth=pictures[:0],
        forecast=(pictures[2:],),
        sound=sound,
    )


@pytest.mark.parametrize(
    ("given_sound", "hop", "rate"), [(8, 250, 8000), (4, 250, 8000), (12, 256, 11025), (8, 4000, 96000)]
)
def test_sound_is_heard_when_it_is_seen(tmp_path, given_sound, hop, rate):
    """Whether it is given from where the pictures are, from later or from earlier; at any rate, of which AAC
    knows some, up to 96,000."""
    (path,) = Mp4(size=32).write([forecast(given_sound, 6, hop=hop)], tmp_path)
    samples = heard(path, rate)
    first = int(np.flatnonzero(np.abs(samples) > 0.2)[0]) / rate
    assert path.name == "one-member-1.mp4" and abs(first - 2 / 8) < 0.01
    assert abs(len(samples) / rate - 1.0) < 0.2  # AAC ends with whole packets


def test_a_film_that_is_not_as_fast_as_its_data_is_silent(tmp_path):
    import av

    for film in (Mp4(size=32, rate=10.0), Mp4(size=32)):
        shown = forecast(8, 6, step=1 / 8 if film.rate else 1 / 50)
        (path,) = film.write([shown], tmp_path)
        with av.open(str(path)) as found:
            assert [stream.type for stream in found.streams] == ["video"]


def test_a_damaged_agreement_is_told(finished, tmp_path, capsys):
    run = tmp_path / "run"
    shutil.copytree(finished, run)
    uneven = json.dumps([{"leads": [1], "model": [1, 2], "truth": [1], "shuffled": [1]}])
    for content in ("[", "{}", '["x"]', '[{"law": "x"}]', '[{"law": 1}]', uneven):
        (run / "agreement.json").write_text(content)
        with pytest.raises(InputError, match="agreement of modalities"):
            read_agreement(run)
    assert main(["report", str(run)]) == 2
    assert "rolling evaluate" in capsys.readouterr().err


def test_what_is_written_is_read_again_and_nothing_leaves_no_file(tmp_path):
    one = Agreement(
        law="given a",
        metric="m",
        title="M",
        note="",
        variable="v",
        units="1",
        time_units="s",
        leads=np.array([1.0, 2.0]),
        model=np.array([0.5, np.nan]),
        truth=np.array([1.0, 1.0]),
        shuffled=np.array([0.1, 0.2]),
    )
    write_agreement([one], tmp_path)
    (found,) = read_agreement(tmp_path)
    np.testing.assert_array_equal(found.model, one.model)
    (table,) = agreement_tables([found])
    assert [name for name, _ in table.rows] == ["real data", "given a", "given a, of different rollouts"]
    assert [cell.text for cell in table.rows[1][1]] == ["0.5", "-"]
    assert table.heads == ("up to (s)", "1", "2")
    write_agreement([], tmp_path)
    assert read_agreement(tmp_path) == [] and not list(tmp_path.iterdir())


def test_outputs_need_pictures(tmp_path, capsys):
    """Said before anything is simulated."""
    from rolling.configs.lorenz96 import experiment

    refused = dataclasses.replace(experiment, outputs=(Mp4(),))
    sources = tuple(
        dataclasses.replace(
            part, source=dataclasses.replace(part.source, train=2, test=2, frames=n, test_frames=n)
        )
        for part, n in zip(experiment.source.parts, (12, 48), strict=True)
    )
    refused = dataclasses.replace(refused, source=dataclasses.replace(experiment.source, parts=sources))
    with pytest.raises(InputError, match="slow, fast are none: leave them out"):
        commands.run(refused, tmp_path / "run")
    assert not (tmp_path / "run").exists()
