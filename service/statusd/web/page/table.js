// The fleet as rows, or as cards on a phone. Only what can be seen is in the document.

import { now } from "./api.js";
import { h, inFrame, mark, put, rebadge, badge } from "./dom.js";
import { isTrouble, lastSaid, part, tagsOf, told, unseenFor } from "./fleet.js";
import * as f from "./format.js";

const BEYOND = 6; // rows above and below what is seen
const STILL_MS = 1500; // a pointer that rests for so long isn't aiming any more

const COLUMNS = [
  ["select", ""], ["state", "State"], ["name", "Name"], ["since", "Since"], ["progress", "Progress"],
  ["text", "Text"], ["cpu", "CPU"], ["memory", "Memory"], ["host", "Host"], ["tags", "Tags"],
  ["last", "Last"],
];

export class Table {
  /**
   * `heard.changed()`: cursor or selection; `heard.open(name)`: somebody wants to see one in full;
   * `heard.sort(column)`: the head of a column was pressed.
   */
  constructor(grid, fleet, heard) {
    Object.assign(this, { grid, fleet, heard });
    this.cursor = ""; // the name of the unit that keys are for
    this.selected = new Set();
    this.anchor = "";
    this.rows = [];
    this.height = 34;
    this.head = h("div", { role: "row", class: "row head", "aria-rowindex": 1 });
    for (const [key, title] of COLUMNS) {
      const press = () => heard.sort(key);
      const inside = title ? h("button", { type: "button", class: "quiet", title: `Sort by ${title}`, onclick: press }, title) : h("span", { class: "unseen" }, "Selected");
      this.head.append(h("div", { role: "columnheader", class: `c-${key}` }, inside));
    }
    this.window = h("div", { class: "window", role: "rowgroup" });
    this.space = h("div", { class: "space", role: "presentation" }, this.window);
    grid.append(h("div", { role: "rowgroup", class: "heads" }, this.head), this.space);
    this.draw = inFrame(() => this._draw());
    this._listen();
  }

  _listen() {
    const { grid } = this;
    grid.addEventListener("scroll", this.draw, { passive: true });
    new ResizeObserver(() => this.measure()).observe(grid);
    grid.addEventListener("click", (event) => this._clicked(event));
    grid.addEventListener("dblclick", (event) => this._rowOf(event) && this.heard.open(this._rowOf(event)));
    grid.addEventListener("pointermove", () => this._aims(), { passive: true });
    grid.addEventListener("pointerdown", () => this._aims(), { passive: true });
    grid.addEventListener("pointerleave", () => this._rests());
    grid.addEventListener("focus", () => this._focused());
    grid.addEventListener("copy", (event) => this._copied(event));
  }

  /** What is marked over several rows is copied as a table, a line each: as a sheet takes it. */
  _copied(event) {
    const marked = document.getSelection();
    const rows = this.rows.filter((row) => marked.containsNode(row, true));
    if (rows.length < 2) return;
    const cells = (row) => [...row.children].slice(1).map((cell) => cell.innerText.trim().replace(/\s+/g, " "));
    event.clipboardData.setData("text/plain", rows.map((row) => cells(row).join("\t")).join("\n"));
    event.preventDefault();
  }

  /** Rows don't move under a pointer that aims at one. */
  _aims() {
    this.fleet.hold(true);
    clearTimeout(this.resting);
    this.resting = setTimeout(() => this._rests(), STILL_MS);
  }

  _rests() {
    clearTimeout(this.resting);
    if (this.fleet.hold(false)) this.draw();
  }

  measure() {
    const style = getComputedStyle(this.grid);
    this.height = Number.parseFloat(style.getPropertyValue("--row")) || 34;
    this.draw();
  }

  /** Tell by what it is sorted; return that in words, empty where trouble comes first. */
  tellOrder({ column, isDown }) {
    COLUMNS.forEach(([key], at) => mark(this.head.children[at], "aria-sort", key !== column ? "" : isDown ? "descending" : "ascending"));
    const title = COLUMNS.find(([key]) => key === column)?.[1] ?? "";
    mark(this.grid, "aria-label", title ? `Units, by ${title}` : "Units, trouble first");
    return title;
  }

  // ---- cursor and selection ---------------------------------------------------------------------

  _rowOf(event) {
    return event.target.closest(".row:not(.head)")?.entry?.name;
  }

  _clicked(event) {
    const name = this._rowOf(event);
    if (!name || event.target.closest("a")) return;
    this.grid.focus({ preventScroll: true });
    const isBox = event.target.closest(".c-select");
    if (event.shiftKey && this.anchor) this._range(this.anchor, name);
    else if (isBox || event.ctrlKey || event.metaKey) this.toggle(name);
    this.anchor = name;
    this._set(name);
  }

  _range(from, to) {
    const names = this.fleet.shown.map((entry) => entry.name);
    const [one, other] = [names.indexOf(from), names.indexOf(to)];
    if (one < 0) return;
    for (const name of names.slice(Math.min(one, other), Math.max(one, other) + 1)) this.selected.add(name);
  }

  toggle(name) {
    if (!this.selected.delete(name)) this.selected.add(name);
    this.anchor = name;
    this._changed();
  }

  /** Select what is shown, all of it; or nothing. */
  selectAll(isAll) {
    this.selected = new Set(isAll ? this.fleet.shown.map((entry) => entry.name) : []);
    this._changed();
  }

  _set(name) {
    this.cursor = name;
    this._changed();
  }

  _changed() {
    this.heard.changed();
    this.draw();
  }

  /** Return those that a command is for: the selected ones, else the one that is seen with the cursor. */
  get meant() {
    if (this.selected.size > 0) return [...this.selected].map((name) => this.fleet.get(name)).filter(Boolean);
    const entry = this.fleet.get(this.cursor);
    return entry && this.fleet.indexOf(entry) >= 0 ? [entry] : [];
  }

  /** Forget a unit that is gone. */
  forget(name) {
    this.selected.delete(name);
    if (this.cursor === name) this.cursor = "";
    this._changed();
  }

  _focused() {
    const entry = this.fleet.get(this.cursor);
    if (!entry || this.fleet.indexOf(entry) < 0) this.move(0); // to the first one
  }

  /** Move the cursor by so many rows. */
  move(by) {
    const entry = this.fleet.get(this.cursor);
    const at = entry ? this.fleet.indexOf(entry) : -1;
    const last = this.fleet.shown.length - 1;
    if (last < 0) return;
    const next = Math.max(0, Math.min(last, at < 0 ? 0 : at + by));
    this._set(this.fleet.shown[next].name);
    this._reveal(next);
  }

  /** Return how many rows a page has. */
  get page() {
    return Math.max(1, Math.floor((this.grid.clientHeight - this.head.offsetHeight) / this.height) - 1);
  }

  _reveal(index) {
    const [top, room] = [index * this.height, this.grid.clientHeight - this.head.offsetHeight];
    if (top < this.grid.scrollTop) this.grid.scrollTop = top;
    else if (top + this.height > this.grid.scrollTop + room) this.grid.scrollTop = top + this.height - room;
  }

  // ---- what is seen -----------------------------------------------------------------------------

  _draw() {
    if (this.grid.offsetParent === null) return;
    const { shown } = this.fleet;
    const seen = Math.ceil(this.grid.clientHeight / this.height) + 2 * BEYOND;
    const first = Math.max(0, Math.min(Math.floor(this.grid.scrollTop / this.height) - BEYOND, shown.length - seen));
    const entries = shown.slice(first, first + seen);
    this._stock(entries.length);
    this._match(entries);
    const height = `${shown.length * this.height}px`;
    if (this.space.style.height !== height) this.space.style.height = height;
    this.window.style.transform = `translateY(${first * this.height}px)`;
    mark(this.grid, "aria-rowcount", String(shown.length + 1));
    const time = now();
    let current = "";
    this.rows.forEach((row, at) => {
      this._fill(row, entries[at], first + at, time);
      if (row.entry.name === this.cursor) current = row.id;
    });
    mark(this.grid, "aria-activedescendant", current);
  }

  _stock(wanted) {
    while (this.rows.length < wanted) {
      const row = rowOf(`row-${this.rows.length}`);
      this.rows.push(row);
      this.window.append(row);
    }
    while (this.rows.length > wanted) this.rows.pop().remove();
  }

  /** A unit keeps its row for as long as it is seen, wherever it goes: what is written in it stays. */
  _match(entries) {
    const known = new Map(this.rows.map((row) => [row.entry?.name, row]));
    const kept = entries.map(({ name }) => known.get(name));
    const free = new Set(this.rows);
    for (const row of kept) free.delete(row);
    const others = free.values();
    this.rows = kept.map((row) => row ?? others.next().value);
    let next = this.window.firstChild;
    for (const row of this.rows) {
      if (row !== next && row === next.nextSibling) this.window.append(next); // it comes later, or is the last
      else if (row !== next) {
        next.before(row);
        continue;
      }
      next = row.nextSibling;
    }
  }

  _fill(row, entry, index, time) {
    const isSelected = this.selected.has(entry.name);
    mark(row, "aria-rowindex", String(index + 2));
    mark(row, "aria-selected", String(isSelected));
    if (row.cells.box.checked !== isSelected) row.cells.box.checked = isSelected;
    const isCursor = entry.name === this.cursor;
    mark(row, "class", `row ${entry.kind}${isTrouble(entry) ? " trouble" : ""}${isCursor ? " cursor" : ""}`);
    if (row.entry !== entry) fillCells(row.cells, entry);
    row.entry = entry;
    fillTimes(row.cells, entry, time);
  }
}

function rowOf(id) {
  const row = h("div", { role: "row", class: "row", id });
  const cells = { box: h("input", { type: "checkbox", tabindex: -1 }), badge: badge("", "") };
  cells.more = h("span", { class: "more" });
  cells.link = h("a", { tabindex: -1 });
  cells.bar = h("span", { class: "bar" }, h("span"));
  cells.share = h("span", { class: "share" });
  cells.much = h("span", { class: "much" });
  const inside = { select: [cells.box], state: [cells.badge, cells.more], name: [cells.link], progress: [cells.bar, cells.share, cells.much] };
  for (const [key] of COLUMNS) {
    const role = key === "name" ? "rowheader" : "gridcell";
    cells[key] = h("div", { role, class: `c-${key}` }, ...(inside[key] ?? []));
    row.append(cells[key]);
  }
  return Object.assign(row, { cells });
}

/** Write what doesn't change with the time. */
function fillCells(cells, entry) {
  const { document } = entry;
  mark(cells.box, "aria-label", `select ${entry.name}`);
  rebadge(cells.badge, entry.state, entry.kind);
  put(cells.link, entry.name);
  mark(cells.link, "href", `#/unit/${encodeURIComponent(entry.name)}`);
  mark(cells.name, "title", entry.name);
  fillProgress(cells, document.progress, entry.left);
  const text = told(entry);
  put(cells.text, text);
  mark(cells.text, "title", text);
  const uses = entry.left ? {} : part(part(document, "worker"), "resources");
  put(cells.cpu, f.percent(uses.cpu));
  put(cells.memory, f.size(uses.memory));
  put(cells.host, document.host ?? "");
  mark(cells.host, "title", document.host ?? "");
  put(cells.tags, tagsOf(entry).join(" "));
  mark(cells.tags, "title", tagsOf(entry).join(" "));
  put(cells.last, lastSaid(document));
  mark(cells.last, "title", lastSaid(document));
}

function fillProgress(cells, progress, isOver) {
  const share = f.share(progress);
  cells.bar.hidden = Number.isNaN(share);
  cells.bar.firstChild.style.width = `${(share || 0) * 100}%`;
  cells.share.hidden = cells.bar.hidden;
  put(cells.share, f.percent(Math.floor(share * 100) / 100));
  const parts = Number.isNaN(share) ? [f.number(progress?.step)] : [];
  if (!isOver && Number.isFinite(progress?.left_s)) parts.push(`${f.duration(progress.left_s)} left`);
  put(cells.much, parts.filter(Boolean).join(" · "));
  const exact = [f.number(progress?.step), progress?.total ? `of ${f.number(progress.total)}` : "", progress?.unit].filter(Boolean);
  mark(cells.progress, "title", [exact.join(" "), f.rate(progress?.rate, progress?.unit), ...parts].filter(Boolean).join(", "));
}

/** Write what the time changes. */
function fillTimes(cells, entry, time) {
  const { document } = entry;
  const since = document.since ?? entry.seen;
  put(cells.since, f.ago(since, time));
  mark(cells.since, "title", `${document.since ? "since" : "last seen"} ${f.exact(since)}`);
  const rest = more(entry, time);
  put(cells.more, rest);
  mark(cells.state, "title", rest ? `${entry.state}, ${rest}` : entry.state);
}

/** Return what a state would hide: that it isn't seen yet, how its end goes on. */
export function more(entry, time) {
  if (entry.left) return "";
  const stop = part(entry.document, "stop");
  if (stop.next) {
    const left = (stop.in_s ?? 0) - Math.max(0, time - f.seconds(entry.seen) || 0);
    return `${stop.next} in ${f.duration(Math.max(0, left))}`;
  }
  const unseen = unseenFor(entry, time);
  if (unseen < 0) return "";
  return unseen < 1 ? "not seen yet" : `not seen yet, ${f.ago(time - unseen, time)}`;
}
