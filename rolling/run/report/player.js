// Plays the sprite sheets of a report. The page carries, for each player, a JSON manifest:
//   tile: [width, height] of one frame; panels: {name, sheet, row}; pace: milliseconds of a given frame, of
//   one of the forecast and of the last; scales: per variable, one for each sheet, null where colours are those
//   of a picture;
//   reels: one start of one variable each, {variable, start, given, captions, sheets: data URIs}.
// A frame is a tile of a sheet: the column is the frame's number, the row is the panel's.
"use strict";

class Player {
  constructor(root) {
    this.root = root;
    this.data = JSON.parse(root.querySelector("script").textContent);
    this.find = (selector) => root.querySelector(selector);
    this.canvases = [...root.querySelectorAll(".frame canvas")];
    for (const canvas of this.canvases) [canvas.width, canvas.height] = this.data.tile;
    this.frame = 0;
    this.playing = false;
    this.pointer = null;
    this.variable = this.data.reels[0].variable;
    this.listen();
  }

  listen() {
    this.find(".play").addEventListener("click", () => this.play(!this.playing));
    this.find(".lead-slider").addEventListener("input", (event) => this.seek(Number(event.target.value)));
    this.find(".start")?.addEventListener("change", () => this.load());
    this.root.addEventListener("keydown", (event) => this.key(event));
    this.root.addEventListener("pointermove", (event) => this.point(event));
    this.root.addEventListener("pointerleave", () => this.point(null));
  }

  // The sheets of the chosen variable and start, decoded before the first of them is drawn.
  async load() {
    const start = Number(this.find(".start")?.value ?? 0);
    const reel = this.data.reels.filter((candidate) => candidate.variable === this.variable)[start];
    const turn = (this.turn = (this.turn ?? 0) + 1);
    const images = await Promise.all(reel.sheets.map(decode));
    if (turn !== this.turn) return; // another choice was made meanwhile
    this.reel = reel;
    this.images = images;
    this.colours = this.data.scales[reel.variable].map((scale) => new Map(scale?.colours.map((c, i) => [c, i])));
    this.find(".lead-slider").max = reel.captions.length - 1;
    this.bars();
    this.root.dataset.shown = `${reel.variable} ${start}`;
    this.seek(Math.min(this.frame, reel.captions.length - 1));
  }

  seek(frame) {
    const count = this.reel.captions.length;
    this.frame = ((frame % count) + count) % count;
    this.find(".lead-slider").value = this.frame;
    this.find(".lead-slider").setAttribute("aria-valuetext", this.reel.captions[this.frame]);
    this.find(".caption").textContent = this.reel.captions[this.frame];
    this.root.classList.toggle("given", this.frame < this.reel.given);
    this.root.dataset.frame = this.frame;
    this.draw();
  }

  draw() {
    const [width, height] = this.data.tile;
    this.data.panels.forEach((panel, i) => {
      const context = this.canvases[i].getContext("2d", { willReadFrequently: true });
      const image = this.images[panel.sheet];
      context.drawImage(image, this.frame * width, panel.row * height, width, height, 0, 0, width, height);
    });
    this.read();
  }

  play(playing) {
    this.playing = playing;
    this.find(".play").textContent = playing ? "❚❚ Pause" : "▶ Play";
    this.root.dataset.playing = playing;
    clearTimeout(this.timer);
    if (playing) this.tick();
  }

  tick() {
    const last = this.reel.captions.length - 1;
    const [given, made, rest] = this.data.pace;
    const pause = this.frame === last ? rest : this.frame < this.reel.given ? given : made;
    this.timer = setTimeout(() => {
      this.seek(this.frame + 1);
      this.tick();
    }, pause);
  }

  key(event) {
    if (event.target.matches("select, button, a") && event.key === " ") return;
    const last = this.reel.captions.length - 1;
    const moves = { ArrowLeft: this.frame - 1, ArrowRight: this.frame + 1, Home: 0, End: last };
    if (event.key === " ") this.play(!this.playing);
    else if (event.key in moves && !event.target.matches("select")) {
      this.play(false);
      this.seek(moves[event.key]);
    } else return;
    event.preventDefault();
  }

  // The colour bars of the chosen variable, one for each sheet.
  bars() {
    this.data.scales[this.reel.variable].forEach((scale, i) => {
      const bar = this.root.querySelectorAll(".bar")[i];
      bar.hidden = !scale;
      if (!scale) return;
      const canvas = bar.querySelector("canvas");
      const colours = scale.colours.slice(1);
      canvas.width = colours.length;
      canvas.height = 1;
      const context = canvas.getContext("2d");
      colours.forEach((colour, x) => {
        context.fillStyle = colour;
        context.fillRect(x, 0, 1, 1);
      });
      bar.querySelector(".ticks").replaceChildren(...scale.ticks.map(({ at, text }) => tick(at, text)));
      bar.querySelector("p").textContent = scale.label;
    });
  }

  // The cell below the pointer is marked in every panel, and its value is written beside each name.
  point(event) {
    const canvas = event?.target.closest?.(".frame")?.querySelector("canvas");
    if (canvas) {
      const box = canvas.getBoundingClientRect();
      const inside = (offset, size) => Math.min(Math.max(offset / size, 0), 1 - 1e-6);
      this.pointer = [inside(event.clientX - box.left, box.width), inside(event.clientY - box.top, box.height)];
    } else this.pointer = null;
    this.read();
  }

  read() {
    this.canvases.forEach((canvas, i) => {
      const frame = canvas.parentElement;
      const cross = frame.querySelector(".cross");
      cross.style.display = this.pointer ? "block" : "none";
      frame.parentElement.querySelector("output").textContent = this.pointer ? this.value(canvas, i) : "";
      if (this.pointer) {
        cross.style.left = `${100 * this.pointer[0]}%`;
        cross.style.top = `${100 * this.pointer[1]}%`;
      }
    });
  }

  // A value from its colour: exact to a step of the scale, nothing where a browser guards its canvases.
  value(canvas, i) {
    const [x, y] = [this.pointer[0] * canvas.width, this.pointer[1] * canvas.height].map(Math.floor);
    const pixel = canvas.getContext("2d").getImageData(x, y, 1, 1).data;
    const colour = "#" + [...pixel.slice(0, 3)].map((part) => part.toString(16).padStart(2, "0")).join("");
    const sheet = this.data.panels[i].sheet;
    const scale = this.data.scales[this.reel.variable][sheet];
    const level = this.colours[sheet].get(colour);
    if (level === undefined) return "";
    if (level === 0) return "no data";
    const value = scale.low + ((level - 1) / (scale.colours.length - 2)) * (scale.high - scale.low);
    return `${Number(value.toPrecision(3))} ${scale.units}`;
  }
}

async function decode(source) {
  const image = new Image();
  image.src = source;
  await image.decode();
  return image;
}

function tick(at, text) {
  const element = document.createElement("span");
  element.className = "tick";
  element.style.left = `${100 * at}%`;
  element.textContent = text;
  return element;
}

