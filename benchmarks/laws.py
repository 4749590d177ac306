"""What it is worth to know one modality of several, beside a network that never saw the others.

    python benchmarks/laws.py RUN [MODALITY=RUN_OF_IT_ALONE ...]

RUN is a finished run of several modalities that made forecasts by several laws, as `rolling run lorenz96` is:
for each modality its CRPS by each law over that of all made together, at its first leads, and the spread over
the error. A run of one modality alone, on the same data with as many steps, is what `absent` is held
against. The bounds for `lorenz96`: the CRPS of the slow part given the fast one below 0.6 of that of both
together at its first lead (0.37), without the fast one within 10 % of a network of the slow part alone (1.9
times it: missed), and a spread of 0.8 to 1.2 of the error (missed at the first lead, 1.39 and 1.31).
"""

import sys
from pathlib import Path

from rolling.run.evaluation.scores import read

LEADS = 3


def curve(file: Path, metric: str):
    """The scores of the one variable that a modality has."""
    (score,) = read(file).scores[metric].values()
    return score


def row(name: str, values) -> str:
    return f"  {name:28s}" + "".join(f"{value:10.3f}" for value in values[:LEADS])


def main(folder: Path, alone: dict[str, Path]) -> None:
    for file in sorted(folder.glob("forecast.zarr/*/zarr.json")):
        modality = file.parent.name
        together = curve(folder / f"evaluation-{modality}.json", "crps")
        print(f"{modality}, leads {', '.join(f'{lead:g}' for lead in together.coordinate[:LEADS])}")
        print(row("CRPS, all together", together.values))
        files = sorted(folder.glob(f"evaluation-*-{modality}.json"))
        for scores in files:
            law = scores.stem.removeprefix("evaluation-").removesuffix(f"-{modality}").replace("-", " ")
            if law != "long":
                print(row(f"over it, {law}", curve(scores, "crps").values / together.values))
                print(row(f"spread over error, {law}", curve(scores, "spread_skill_ratio").values))
        spread = curve(folder / f"evaluation-{modality}.json", "spread_skill_ratio")
        print(row("spread over error", spread.values))
        if modality in alone:
            other = curve(alone[modality] / "evaluation.json", "crps")
            absent = [scores for scores in files if "-absent-" in scores.name]
            for scores in absent:
                print(
                    row(
                        "absent over alone",
                        curve(scores, "crps").values / other.values[: len(together.values)],
                    )
                )


if __name__ == "__main__":
    pairs = (word.split("=", 1) for word in sys.argv[2:])
    main(Path(sys.argv[1]), {name: Path(run) for name, run in pairs})
