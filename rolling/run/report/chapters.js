// The players of a page of chapters, and one choice of variable for each chapter, wherever the page has parts
// of it.
function choose(chapter, variable, players) {
  const parts = [...document.querySelectorAll(`[data-chapter="${chapter}"]`)];
  for (const element of parts.flatMap((part) => [...part.querySelectorAll("[data-variable]")])) {
    element.classList.toggle("other", element.dataset.variable !== variable);
  }
  for (const part of parts) for (const select of part.querySelectorAll(".chooser select")) select.value = variable;
  for (const player of players) {
    const here = parts.some((part) => part.contains(player.root));
    if (here && player.data.reels.some((reel) => reel.variable === variable)) {
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
  for (const chooser of document.querySelectorAll(".chooser")) {
    chooser.hidden = false;
    const select = chooser.querySelector("select");
    const { chapter } = chooser.closest("[data-chapter]").dataset;
    select.addEventListener("change", () => choose(chapter, select.value, players));
    choose(chapter, select.value, players);
  }
  const still = window.matchMedia("(prefers-reduced-motion: reduce)").matches;
  if (!still && players.length) players[0].play(true);
  document.documentElement.dataset.ready = "true";
}

begin().catch((error) => {
  document.documentElement.dataset.error = String(error);
  throw error;
});
