// Curves of the last minutes: how far, how busy, how large.

import { h, put, s } from "./dom.js";
import { duration } from "./format.js";

const [WIDTH, HEIGHT] = [600, 64];
const MOST = 150;
const APART_S = 4;

/** Return the points of a picture `width` by `height`: `values` are `[time, value]`, null where unknown. */
export function points(values, least, most, width = WIDTH, height = HEIGHT) {
  const known = values.filter(([, value]) => value !== null && Number.isFinite(value));
  if (known.length < 2) return "";
  const [from, to] = [known[0][0], known.at(-1)[0]];
  const [across, up] = [width / Math.max(1e-9, to - from), (height - 2) / Math.max(1e-9, most - least)];
  const rounded = (value) => Math.round(value * 10) / 10;
  return known.map(([at, value]) => `${rounded((at - from) * across)},${rounded(height - 1 - (value - least) * up)}`).join(" ");
}

/** One curve with its name, its value now, and what its edges mean. */
export class Curve {
  /** `write(value)`: a value in words; `floor`: the least that the picture shows; null: of the values. */
  constructor(title, write, { floor = 0, ceiling = 0 } = {}) {
    Object.assign(this, { title, write, floor, ceiling });
    this.now = h("b");
    this.span = h("span", { class: "note" });
    this.line = s("polyline", { class: "line" });
    this.area = s("polygon", { class: "area" });
    const svg = s("svg", { viewBox: `0 0 ${WIDTH} ${HEIGHT}`, preserveAspectRatio: "none", "aria-hidden": "true" }, this.area, this.line);
    this.element = h("figure", { class: "curve" }, h("figcaption", {}, h("span", {}, title), this.now), h("div", { class: "plot" }, svg), this.span);
  }

  /** Draw `values`, `[time, value]` each; `now` in words, if it isn't the last value. */
  draw(values, now) {
    const known = values.filter(([, value]) => value !== null && Number.isFinite(value));
    this.element.hidden = known.length === 0;
    if (known.length === 0) return;
    const numbers = known.map(([, value]) => value);
    const least = this.floor ?? Math.min(...numbers);
    const most = Math.max(this.ceiling, ...numbers, least + 1e-9);
    const line = points(values, least, most);
    this.line.setAttribute("points", line);
    this.area.setAttribute("points", line ? `0,${HEIGHT} ${line} ${WIDTH},${HEIGHT}` : "");
    put(this.now, now ?? this.write(known.at(-1)[1]));
    const span = known.at(-1)[0] - known[0][0];
    const top = this.floor === null ? "" : `, ${this.write(most)} at the top`;
    put(this.span, span >= 1 ? `the last ${duration(span)}${top}` : "it has just begun");
  }
}

/** The points of one unit, as the server keeps them: `[time, step, cpu, memory]`, bounded. */
export class Track {
  constructor(rows = []) {
    this.rows = rows;
  }

  /** Take a point of a document, unless the last one is too near. */
  add(now, document) {
    const last = this.rows.at(-1);
    if (last && now - last[0] < APART_S) return;
    const used = document.worker?.resources ?? {};
    this.rows.push([now, document.progress?.step ?? null, used.cpu ?? null, used.memory ?? null]);
    if (this.rows.length > MOST) this.rows.shift();
  }

  of(column) {
    return this.rows.map((row) => [row[0], row[column]]);
  }
}
