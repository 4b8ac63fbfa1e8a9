// Copyright 2026 The magma_ros authors
// SPDX-License-Identifier: Apache-2.0
// Live pictures, and on them what the policy intends and what can be pointed at.

import { ago, draw, figure, make, mark, part, say, show } from "./parts.js";

const STALE = 0.5; // age of a picture that is shown grey [s]
const OLD_INTENT = 1.0; // age of an intention that is no longer drawn [s]
const GRID = 256; // Magma's grid across a picture, in which marks are told
// As in perception/overlay.py, shares of the picture's width:
const DIGIT = 0.03; // height of a digit
const DISC = 0.0325; // radius of the disc under a number
const CAPITAL = 0.68; // height of a digit as a share of the font's size

export class Cameras {
  // onmark(number): a mark was chosen.
  constructor(feed, onmark) {
    Object.assign(this, { feed, onmark, chosen: null });
    this.shown = new Map();
  }

  update(view) {
    const names = view.cameras.map((camera) => camera.name);
    if (names.join() !== [...this.shown.keys()].join()) this.layOut(names);
    for (const camera of view.cameras) {
      const shown = this.shown.get(camera.name);
      shown.camera = camera;
      say(shown.rate, `${camera.width} × ${camera.height}, ${figure(camera.rate, 0, "Hz")}`);
      this.drawPaths(shown, camera);
      this.drawMarks(shown, view.marks.filter((m) => m.camera === camera.name));
    }
  }

  layOut(names) {
    this.shown = new Map(names.map((name) => [name, this.makeFigure(name)]));
    part("cameras").replaceChildren(...[...this.shown.values()].map((shown) => shown.figure));
    part("cameras").dataset.count = names.length;
  }

  makeFigure(name) {
    const canvas = make("canvas", { role: "img", "aria-label": `Camera ${name}` });
    const paths = draw("g");
    const marks = draw("g");
    const overlay = draw("svg", { viewBox: "0 0 1 1", "aria-label": `Marks in camera ${name}` });
    overlay.append(paths, marks);
    const age = make("div", { class: "picture-age" });
    const rate = make("span", { class: "picture-rate" });
    const heading = make("figcaption", {}, make("span", { class: "picture-name" }, name), rate);
    const figure = make("figure", { class: "camera" }, make("div", { class: "picture" }, canvas, overlay, age), heading);
    return { figure, canvas, overlay, paths, marks, age, rate, heard: NaN, told: "", camera: null };
  }

  async draw(name, blob, heard) {
    const shown = this.shown.get(name);
    if (!shown) return;
    let picture;
    try {
      picture = await createImageBitmap(blob);
    } catch {
      return; // not a picture: the age of the last one goes on
    }
    const { canvas, overlay } = shown;
    if (canvas.width !== picture.width || canvas.height !== picture.height) {
      canvas.width = picture.width;
      canvas.height = picture.height;
      overlay.setAttribute("viewBox", `0 0 ${picture.width} ${picture.height}`);
      canvas.parentElement.style.aspectRatio = `${picture.width} / ${picture.height}`;
      shown.told = "";
    }
    canvas.getContext("2d").drawImage(picture, 0, 0);
    picture.close();
    shown.heard = heard;
    mark(canvas, "data-pictures", Number(canvas.dataset.pictures ?? 0) + 1);
  }

  drawPaths({ canvas, paths }, camera) {
    const fresh = camera.intended_age !== null && camera.intended_age < OLD_INTENT;
    const { width, height } = canvas;
    paths.replaceChildren();
    if (!fresh) return;
    const unit = Math.max(width, height) / 160;
    for (const [name, points] of Object.entries(camera.paths)) {
      if (points.length === 0) continue;
      const at = points.map(([column, row]) => [column * width, row * height]);
      const line = { points: at.map((p) => p.join()).join(" "), class: `path path-${name}` };
      const [cx, cy] = at.at(-1);
      paths.append(
        draw("polyline", { ...line, class: `${line.class} edge`, "stroke-width": 2.4 * unit }),
        draw("polyline", { ...line, "stroke-width": 1.2 * unit }),
        draw("circle", { cx, cy, r: 2 * unit, class: `path-end path-${name}`, "stroke-width": 0.6 * unit }),
      );
    }
  }

  // Marks are buttons: they are made anew only when they changed, so that the focus stays.
  drawMarks(shown, marks) {
    const told = JSON.stringify([marks, this.chosen, shown.canvas.width]);
    if (told === shown.told) return;
    const focused = shown.marks.contains(document.activeElement)
      ? document.activeElement.dataset.number
      : null;
    shown.told = told;
    shown.marks.replaceChildren(...marks.map((m) => this.makeMark(shown.canvas, m)));
    shown.marks.querySelector(`[data-number="${focused}"]`)?.focus();
  }

  makeMark({ width, height }, { number, point, outline }) {
    const at = ([column, row]) => [(column / GRID) * width, (row / GRID) * height];
    const [x, y] = at(point);
    const unit = Math.max(width, height) / 160;
    const attributes = {
      class: "mark",
      role: "button",
      tabindex: 0,
      "data-number": number,
      "aria-label": `The one marked ${number}`,
      "aria-pressed": number === this.chosen,
    };
    const button = draw("g", attributes);
    if (outline.length > 2) {
      const points = outline.map((p) => at(p).join()).join(" ");
      button.append(draw("polygon", { points, "stroke-width": 0.8 * unit }));
    }
    const text = draw("text", { x, y, "font-size": (DIGIT / CAPITAL) * width }, String(number));
    button.append(draw("circle", { cx: x, cy: y, r: DISC * width, "stroke-width": 0.7 * unit }), text);
    button.addEventListener("click", () => this.onmark(number));
    button.addEventListener("keydown", (event) => {
      if (event.key !== "Enter") return; // Space is the link's stop
      event.preventDefault();
      this.onmark(number);
    });
    return button;
  }

  choose(number) {
    if (this.chosen === number) return;
    this.chosen = number;
    if (this.feed.view) this.update(this.feed.view);
  }

  // Grey what is old, by this browser's own clock.
  tick(silent) {
    for (const { figure, age, heard } of this.shown.values()) {
      const old = this.feed.now - heard;
      const stale = silent > 0 || !(old < STALE);
      figure.classList.toggle("stale", stale);
      show(age, stale);
      if (stale) say(age, Number.isNaN(heard) ? "no picture yet" : ago(old));
    }
  }
}
