// One choice of variable for the whole page: players, table and plots.
function choose(variable, players) {
  for (const element of document.querySelectorAll("[data-variable]")) {
    element.classList.toggle("other", element.dataset.variable !== variable);
  }
  for (const player of players) {
    if (player.data.reels.some((reel) => reel.variable === variable)) {
      player.variable = variable;
      player.load();
    }
  }
}

async function begin() {
  const players = [...document.querySelectorAll(".player")].map((root) => new Player(root));
  for (const player of players) {
    player.root.hidden = false;
    await player.load();
  }
  const chooser = document.querySelector(".chooser");
  if (chooser) {
    chooser.hidden = false;
    const select = chooser.querySelector("select");
    select.addEventListener("change", () => choose(select.value, players));
    choose(select.value, players);
  }
  const still = window.matchMedia("(prefers-reduced-motion: reduce)").matches;
  if (!still && players.length) players[0].play(true);
  document.documentElement.dataset.ready = "true";
}

begin().catch((error) => {
  document.documentElement.dataset.error = String(error);
  throw error;
});
