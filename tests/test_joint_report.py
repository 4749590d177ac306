"""The page of a run of several modalities: a chapter for each, and what was made of what side by side."""

import dataclasses
import json
import re

import numpy as np
import pytest
import zarr

from rolling.common.errors import InputError
from rolling.common.forecast_schema import COMPLETE, IDENTITY
from rolling.configs.lorenz96 import experiment as preset
from rolling.data.joint_sequences import JointSequences
from rolling.geometry import Axis
from rolling.layout import Layout, Variable
from rolling.metrics.ensemble import Crps, Rmse
from rolling.run.experiment import codec
from rolling.run.report.joint_page import write_joint_report
from rolling.windows import Ahead, Rolling
from tests.browser_tools import seen
from tests.fake_runs import Held, lasting, write_scores, write_store

EVERY = {"slow": 4, "fast": 1}
LEADS = {"slow": 3, "fast": 12}
NAMES = {"slow": ("wind", "heat"), "fast": ("gust",)}
LOOK = Ahead(inner=Rolling(size=16, context=4, block=4), ahead=2)
EXPERIMENT = dataclasses.replace(
    preset, name="pair <b>", window=LOOK, metrics=(Rmse(), Crps()), long_metrics=()
)


def held(name: str) -> Held:
    """A sequence of 40 ticks, whose first frame ends where the first slot does."""
    axis = lambda name: Axis(name=name, values=(0.0, 1.0, 2.0, 3.0))  # noqa: E731
    step = 0.05 * EVERY[name]
    variables = tuple(Variable(name=variable, units="m s-1") for variable in NAMES[name])
    layout = Layout(variables=variables, axes=(axis("y"), axis("x")), step=step, time_units="s")
    frames = np.random.default_rng(0).normal(size=(40 // EVERY[name], *layout.shape)).astype(np.float32)
    return Held(layout, [frames], [step], step)


TEST = JointSequences({name: held(name) for name in EVERY})


def scores(name: str, base: float) -> dict:
    """Curves that no two laws or modalities share."""
    leads = TEST.parts[name].layout.step * np.arange(1, LEADS[name] + 1)
    return {
        metric: {
            variable: {
                "unit": "m s-1",
                "leads": leads.tolist(),
                "model": (base + times + i + 0.001 * np.arange(len(leads))).tolist(),
                "persistence": [9.0] * len(leads),
            }
            for i, variable in enumerate(NAMES[name])
        }
        for metric, times in (("rmse", 0.0), ("crps", 0.5))
    }


def write_law(run, law: str, made, members: int = 2, **fields) -> None:
    """A store, and the scores of what is in it."""
    for number, name in enumerate(made):
        store = run / f"forecast{law}.zarr" / name
        write_store(store, TEST.parts[name], [(0, 16 // EVERY[name])], members, LEADS[name])
        identity = {"given": [], "absent": [], "window": codec.encode(LOOK)} | fields
        zarr.open_group(store, mode="r+").attrs.update({IDENTITY: json.dumps(identity), COMPLETE: 1})
        base = 1 + number + 0.1 * len(law)
        write_scores(run / f"evaluation{law}-{name}.json", scores(name, base))


def report(run, experiment=EXPERIMENT) -> str:
    made = ["rolling rollout RUN"]
    path = write_joint_report(run, experiment=experiment, test=TEST, context=4, commands=made)
    return path.read_text()


@pytest.fixture(scope="module")
def rich(tmp_path_factory):
    run = tmp_path_factory.mktemp("rich")
    write_law(run, "", EVERY)
    write_law(run, "-given-fast", ["slow"], given=["fast"])
    write_law(run, "-absent-fast", ["slow"], absent=["fast"])
    write_store(run / "long.zarr" / "slow", TEST.parts["slow"], [(0, 2)], members=1, leads=8)
    write_scores(run / "evaluation-long-slow.json", lasting([3.0, 8.0], 8))
    (run / "log.jsonl").write_text("".join(json.dumps({"step": i, "loss": 1 / i}) + "\n" for i in (1, 2, 3)))
    return run, report(run)


def chapters(text: str) -> dict[str, str]:
    """The part of the page that each modality has."""
    found = re.split(r'<section class="chapter" id="(.*?)"', text)
    return dict(zip(found[1::2], found[2::2], strict=True))


def test_every_modality_has_a_chapter_with_its_own_leads(rich):
    found = chapters(rich[1])
    assert [re.search("<h2>(.*?)</h2>", part)[1] for part in found.values()] == ["slow", "fast"]
    for (name, leads), part, every in zip(LEADS.items(), found.values(), EVERY.values(), strict=True):
        manifest = json.loads(re.search(r'application/json">(.*?)</script>', part)[1])
        captions = manifest["reels"][0]["captions"]
        given = 4 // every
        assert [caption.split(" · ")[0] for caption in captions] == [
            *["given"] * given, *(f"lead {lead}" for lead in range(1, leads + 1)),
        ]  # fmt: skip
        assert [reel["variable"] for reel in manifest["reels"]] == list(NAMES[name])
        assert f"A frame every {0.05 * every:.4g} s. In this chapter slow and fast are made together" in part
        assert "<h3>The forecast</h3>" in part and "<h3>Skill</h3>" in part
        assert "<h4>Root mean square error" in part


def test_the_head_has_a_verdict_and_facts_of_each(rich):
    head = rich[1][: rich[1].index("<section")]
    assert "pair &lt;b&gt;" in head and "<b>" not in head
    for name, leads in LEADS.items():
        assert re.search(rf'<p class="verdict">{name}: .*persistence', head)
        assert re.search(rf'<p class="facts">{name}: 4 × 4 cells of .*, {leads} leads', head)
    assert "1 of 2 long rollouts leaves the range of the data, after 3 frames: see Drift." in head
    assert '<a href="#modality-1">slow</a> · <a href="#modality-2">fast</a>' in head


def test_all_ids_are_unique_and_all_links_lead_somewhere(rich):
    markup = re.sub(r"<script.*?</script>", "", rich[1], flags=re.DOTALL)
    ids = re.findall(r'\bid="([^"]*)"', markup)
    assert len(ids) > 10 and len(set(ids)) == len(ids)
    assert set(re.findall(r'href="#([^"]*)"', markup)) <= set(ids)
    assert set(re.findall(r"url\(#([^)]*)\)", markup)) <= set(ids)


def test_laws_stand_side_by_side_with_the_numbers_of_their_evaluations(rich):
    run, text = rich
    whole = text[text.index("<h2>What is made of what") : text.index('<section class="chapter"')]
    for sentence in (
        "all together: slow and fast are made together, and nothing is given.",
        "given fast: slow is made, and fast is given and seen up to 2 ticks beyond the frames that are being"
        " made.",
        "absent fast: slow is made without fast.",
    ):
        assert f"<li>{sentence}</li>" in whole
    assert "A tick is 0.05 s." in whole
    tables = re.findall(
        r"<div class=\"table\" data-variable=\"(.*?)\">.*?<caption>(.*?)</caption>(.*?)</div>", whole
    )
    assert [variable for variable, *_ in tables] == ["wind", "heat"] * 2  # fast was made once
    files = {"all together": "", "given fast": "-given-fast", "absent fast": "-absent-fast"}
    for variable, caption, body in tables:
        metric = {"Root": "rmse", "Continuous": "crps"}[caption.split()[0]]
        assert caption.endswith(f"of {variable} (m s⁻¹)")
        assert re.findall("<th>(.*?)</th>", body)[:4] == ["lead", "1", "2", "3"]
        rows = re.findall(r"<tr><th>([^<]*)</th>((?:<td>.*?</td>)+)</tr>", body)
        assert {law for law, _ in rows} == files.keys()
        for law, cells in rows:
            stored = json.loads((run / f"evaluation{files[law]}-slow.json").read_text())[metric][variable]
            assert re.findall("<td>(.*?)</td>", cells) == [f"{value:.4g}" for value in stored["model"]]


def test_long_rollouts_stand_in_the_chapter_that_has_them(rich):
    slow, fast = chapters(rich[1]).values()
    assert "<h3>The long rollout</h3>" in slow and "<h3>Drift</h3>" in slow
    assert slow.count('class="player"') == 2 and fast.count('class="player"') == 1
    assert "The long rollout" not in fast and "Drift" not in fast


def test_what_concerns_the_whole_run_stands_once_and_last(rich):
    titles = re.findall(r"<h2>(.*?)</h2>", rich[1])
    assert titles == ["What is made of what", "slow", "fast", "Training", "The experiment", "Make it again"]
    last = rich[1][rich[1].index("<h2>Make it again") :]
    assert "rolling rollout RUN\n" in last
    for law in ("--given fast", "--absent fast"):
        assert re.search(rf"rolling rollout \S+ {law}\n?", last)


def test_what_is_missing_leaves_no_trace(tmp_path):
    """One law, one member, no long rollouts, no log."""
    write_law(tmp_path, "", EVERY, members=1)
    text = report(tmp_path)
    assert re.findall(r"<h2>(.*?)</h2>", text) == ["slow", "fast", "The experiment", "Make it again"]
    for absent in ("made together", "Ensemble", "Member", "long rollout", " --given ", "<h3>Drift"):
        assert absent not in re.sub("<h2>The experiment.*?</section>", "", text, flags=re.DOTALL), absent
    assert not re.findall(r"<section>\s*</section>|<ul></ul>", text)


def test_a_modality_that_is_never_made_has_no_chapter(tmp_path):
    write_law(tmp_path, "", ["slow"], given=["fast"])
    text = report(tmp_path, dataclasses.replace(EXPERIMENT, given=("fast",)))
    assert list(chapters(text)) == ["modality-1"] and "fast is given and seen up to 2 ticks" in text


def test_scores_and_forecasts_that_are_missing_are_named(tmp_path):
    with pytest.raises(InputError, match="has no forecast yet: `rolling rollout"):
        report(tmp_path)
    write_law(tmp_path, "", EVERY)
    (tmp_path / "evaluation-fast.json").unlink()
    with pytest.raises(InputError, match=r"evaluation-fast\.json.*rolling evaluate"):
        report(tmp_path)


PROBE = """
(async () => {
  const wait = (ms) => new Promise((resolve) => setTimeout(resolve, ms));
  while (!("ready" in document.documentElement.dataset)) await wait(100);
  const [first, second] = document.querySelectorAll(".chooser select");
  const shown = () => [...document.querySelectorAll(".chapter figure.plot, .numbers")]
    .filter((element) => !element.closest(".other")).map((element) => element.textContent);
  const players = () => [...document.querySelectorAll(".player")].map((player) => player.dataset.shown);
  const before = [shown(), players()];
  first.value = "heat";
  first.dispatchEvent(new Event("change"));
  await wait(500);
  const overflow = document.documentElement.scrollWidth - window.innerWidth;
  const seen = { before, after: [shown(), players()], other: second.value, overflow };
  document.getElementById("probe").textContent = JSON.stringify(seen);
})();
"""


@pytest.mark.slow
def test_a_variable_is_chosen_for_one_modality_wherever_it_is_shown(rich, tmp_path):
    found = seen(rich[0] / "report.html", tmp_path, PROBE)
    assert found["before"][1] == ["wind 0", "wind 0", "gust 0"]
    assert found["after"][1] == ["heat 0", "heat 0", "gust 0"] and found["other"] == "heat"
    for when, variable, hidden in (("before", "wind", "heat"), ("after", "heat", "wind")):
        told = " ".join(found[when][0])
        assert variable in told and hidden not in told and told.count("gust") == 1
    assert found["overflow"] <= 0
