"""The recipe of a rollout of several modalities."""

import dataclasses
from typing import cast

from rolling.common.counting import counted
from rolling.common.errors import InputError
from rolling.joint_layout import JointLayout
from rolling.layout import Layout
from rolling.sampling.coupling import Coupling
from rolling.sampling.modalities import Joint, Modality, joint
from rolling.sampling.recipe import Sampling
from rolling.sampling.sampler import Sampler
from rolling.windows import moving_frames


@dataclasses.dataclass(frozen=True, kw_only=True)
class JointSampling(Sampling):
    """Everything that decides how frames of several modalities are made.

    The window and the calls are those of ticks. `given` and `absent` decide what is made of what: without
    both all modalities are made together.
    """

    modalities: tuple[Modality, ...] = ()
    """In what the making of some differs from the rest."""
    given: tuple[str, ...] = ()
    """Modalities of which all frames are known."""
    absent: tuple[str, ...] = ()
    """Modalities that are left out."""
    couplings: tuple[Coupling, ...] = ()
    """How much modalities listen to the others."""

    @property
    def recipe(self) -> "JointSampling":
        return self._only(JointSampling)

    @property
    def ahead(self) -> int:
        """Ticks of what is given that are seen behind those that are made."""
        return self.window.size - self.window.context - moving_frames(self.window)

    def law(self, layout: JointLayout) -> str:
        """What is made of what, in words."""
        made = [name for name in layout.of if name not in (*self.given, *self.absent)]
        words = [" and ".join(made)]
        if self.given:
            words.append(f"given {', '.join(self.given)}, seen {counted(self.ahead, 'tick')} further ahead")
        if self.absent:
            words.append(f"without {', '.join(self.absent)}")
        return " ".join(words) if len(words) > 1 else f"{words[0]} together"

    @property
    def law_name(self) -> str:
        """The same for the name of a file: empty for all together."""
        told = [(what, names) for what in ("given", "absent") if (names := getattr(self, what))]
        return "-".join(word for what, names in told for word in (what, *names))

    def check_layout(self, layout: JointLayout | Layout) -> None:
        for name, part in self.sampler(layout).parts.items():
            part.recipe.check_layout(cast(JointLayout, layout).of[name])

    def sampler(self, layout: JointLayout | Layout) -> Joint:
        """Raises `InputError` where the recipe does not suit the modalities."""
        if not isinstance(layout, JointLayout):
            raise InputError(
                "this experiment is one of several modalities, and its data are of one: give it the source"
                " `together`, which joins several"
            )
        return joint(
            self,
            layout.every,
            modalities=self.modalities,
            given=self.given,
            absent=self.absent,
            couplings=self.couplings,
        )

    def of(self, name: str, layout: JointLayout) -> Sampling:
        """The recipe as one modality sees it."""
        return self.sampler(layout).parts[name].recipe


def sampler_of(recipe: Sampling, layout: JointLayout | Layout) -> Sampler | Joint:
    """The sampler of one modality, or of several."""
    return recipe.sampler(layout) if isinstance(recipe, JointSampling) else Sampler(recipe)
