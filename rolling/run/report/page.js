// One choice of variable for a whole page, players, tables and plots; on a page of chapters one for each
// chapter, wherever the page has parts of it.
function choose(parts, variable, players) {
  for (const part of parts) {
    for (const element of part.querySelectorAll("[data-variable]")) {
      element.classList.toggle("other", element.dataset.variable !== variable);
    }
    for (const select of part.querySelectorAll(".chooser select")) select.value = variable;
  }
  for (const player of players) {
    const here = parts.some((part) => part.contains(player.root));
    if (here && player.data.reels.some((reel) => reel.variable === variable)) {
      player.variable = variable;
      player.load();
    }
  }
}

function partsAround(chooser) {
  const chapter = chooser.closest("[data-chapter]")?.dataset.chapter;
  return chapter ? [...document.querySelectorAll(`[data-chapter="${chapter}"]`)] : [document];
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
    const parts = partsAround(chooser);
    select.addEventListener("change", () => choose(parts, select.value, players));
    choose(parts, select.value, players);
  }
  const still = window.matchMedia("(prefers-reduced-motion: reduce)").matches;
  if (!still && players.length) players[0].play(true);
  document.documentElement.dataset.ready = "true";
}

begin().catch((error) => {
  document.documentElement.dataset.error = String(error);
  throw error;
});
