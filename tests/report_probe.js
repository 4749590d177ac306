// Uses the player of a report as a reader would and writes what it saw, as JSON, into <pre id="probe">.
// SPREADS is replaced by the number of panels that show a spread.
const wait = (ms) => new Promise((resolve) => setTimeout(resolve, ms));
const failures = [];
window.addEventListener("error", (event) => failures.push(event.message));
const colours = (canvas) => {
  const data = canvas.getContext("2d").getImageData(0, 0, canvas.width, canvas.height).data;
  return Array.from({ length: data.length / 4 }, (_, i) => data.slice(4 * i, 4 * i + 4).join());
};
(async () => {
  while (!("ready" in document.documentElement.dataset)) await wait(100);
  const seen = { failures };
  const player = document.querySelector(".player");
  const stage = player.querySelector(".stage");
  const canvases = () => [...player.querySelectorAll(".frame canvas")].map(colours);
  const press = (key) => stage.dispatchEvent(new KeyboardEvent("keydown", { key, bubbles: true }));
  const set = (selector, value, kind) => {
    const element = document.querySelector(selector);
    element.value = value;
    element.dispatchEvent(new Event(kind, { bubbles: true }));
  };
  seen.hidden = player.hidden;
  seen.still = getComputedStyle(document.querySelector(".still")).display;
  seen.played = [player.dataset.frame];
  for (let i = 0; i < 100 && player.dataset.frame === seen.played[0]; i++) await wait(100);
  seen.played.push(player.dataset.frame);
  press("Home");
  seen.home = [player.dataset.frame, player.dataset.playing, player.className];
  const given = canvases();
  seen.givenAlike = given.slice(1, given.length - SPREADS).every((c) => c.join() === given[0].join());
  const levels = (canvas) => canvas.join().split(",").map(Number);
  const apart = (a, b) => a.reduce((sum, value, i) => sum + Math.abs(value - b[i]), 0) / a.length;
  seen.givenApart = Math.max(...given.slice(1, given.length - SPREADS).map((c) => apart(levels(c), levels(given[0]))));
  seen.colours = given.map((c) => new Set(c).size);
  press("ArrowRight");
  press("ArrowRight");
  seen.stepped = player.dataset.frame;
  seen.changed = canvases()[0].join() !== given[0].join();
  seen.caption = player.querySelector(".caption").textContent;
  set(".lead-slider", "5", "input");
  seen.slid = player.dataset.frame;
  const before = canvases()[0].join();
  set(".start", "1", "change");
  while (!player.dataset.shown.endsWith(" 1")) await wait(100);
  seen.otherStart = canvases()[0].join() !== before;
  const canvas = player.querySelector(".frame canvas");
  const box = canvas.getBoundingClientRect();
  const at = { bubbles: true, clientX: box.left + box.width * 0.5, clientY: box.top + box.height * 0.5 };
  canvas.dispatchEvent(new PointerEvent("pointermove", at));
  seen.values = [...player.querySelectorAll("output")].map((o) => o.textContent);
  seen.bars = [...player.querySelectorAll(".bar p")].filter((p) => p.checkVisibility()).map((p) => p.textContent);
  seen.ticks = player.querySelectorAll(".tick.x").length;
  seen.starts = [...player.querySelectorAll(".start option")].map((option) => option.textContent);
  press(" ");
  seen.resumed = player.dataset.playing;
  const chooser = document.querySelector(".chooser select");
  if (chooser) {
    set(".chooser select", "u10", "change");
    while (!player.dataset.shown.startsWith("u10")) await wait(100);
    seen.shown = [...document.querySelectorAll(".plot h3")].filter((h) => h.checkVisibility())
      .map((h) => h.textContent);
    seen.windBar = player.querySelector(".bar p").textContent;
  }
  seen.overflow = document.documentElement.scrollWidth - document.documentElement.clientWidth;
  document.getElementById("probe").textContent = JSON.stringify(seen);
})();
