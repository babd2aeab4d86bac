// What a worker prints, live. Bounded: the oldest lines go.

import { get, lines, now, unitPath } from "./api.js";
import { h, inFrame, put } from "./dom.js";
import { clock, exact, number } from "./format.js";

const FIRST = 200;
const MOST = 2000;
const AGAIN_MS = 2000;
const OVER = ["ended", "refused", "nobody"]; // nothing more comes of it
const NOTES = [...OVER, "silent", "lost"];

export class Output {
  constructor(name) {
    this.name = name;
    this.items = []; // what came and isn't shown yet
    this.waits = 0;
    this.isPaused = false;
    this.run = 0;
    this.last = { at: "", seen: new Set() };
    this.show = inFrame(() => this._show());
    this._build();
    this._seen = () => (document.hidden ? this._stop() : this._start());
    document.addEventListener("visibilitychange", this._seen);
    this._start();
  }

  _build() {
    this.search = h("input", { type: "search", placeholder: "Search output", "aria-label": "Search output", spellcheck: "false", oninput: () => this._search() });
    this.pause = h("button", { type: "button", class: "plain", "aria-pressed": "false", onclick: () => this._pause() }, "Hold");
    this.found = h("span", { class: "note" });
    this.list = h("div", { class: "lines", tabindex: 0, role: "log", "aria-label": `Output of ${this.name}`, "aria-live": "off" });
    this.standing = h("div", { class: "ln standing", hidden: true });
    this.element = h("section", { class: "panel output", "aria-label": "Output" }, h("header", {}, h("h2", {}, "Output"), this.found, h("span", { class: "gap" }), this.search, this.pause), this.list);
    this.list.append(this.standing);
  }

  close() {
    document.removeEventListener("visibilitychange", this._seen);
    this._stop();
  }

  _stop() {
    this.reading?.abort();
    this.reading = null;
  }

  async _start() {
    if (this.reading) return;
    const { signal } = (this.reading = new AbortController());
    while (!signal.aborted) {
      try {
        await this._read(signal);
      } catch (error) {
        if (!signal.aborted) this._note(`output: ${error.message}`);
      }
      await new Promise((resolve) => {
        this.again = resolve;
        if (!this.isOver) setTimeout(resolve, AGAIN_MS);
      });
    }
  }

  /** A unit that had ended may print again. */
  wake() {
    this.again?.();
  }

  /** Read until it ends; what was shown already when we were away comes again, and is passed over. */
  async _read(signal) {
    this.isOver = false;
    this.isAgain = Boolean(this.last.at);
    const since = this.last.at ? `&since=${encodeURIComponent(this.last.at)}` : "";
    const path = `${unitPath(this.name)}/logs?lines=${since ? MOST : FIRST}&follow=1${since}`;
    const answer = await fetch(path, { signal, cache: "no-store" });
    if (!answer.ok) return this._refused(answer);
    for await (const item of lines(answer)) {
      if (signal.aborted) return;
      if ("line" in item && this._isKnown(item)) continue;
      this.isOver = OVER.some((key) => key in item);
      if (!this._isSaid(item)) this.items.push(item);
      this.show();
    }
  }

  /** What is told again at each try is shown once. */
  _isSaid(item) {
    const text = NOTES.map((key) => item[key]).find(Boolean) ?? "";
    const isSaid = text !== "" && text === this.noted;
    if (!("standing" in item)) this.noted = text;
    return isSaid;
  }

  async _refused(answer) {
    if (answer.status === 401) await get("api/me"); // leaves the page
    const { error } = await answer.json();
    this._note(error);
  }

  _isKnown({ at, run, stream, line }) {
    if (at < this.last.at) return true;
    if (at > this.last.at) {
      this.last = { at, seen: new Set() };
      this.isAgain = false;
    }
    const key = `${run} ${stream} ${line}`;
    // Two equal lines in one millisecond are shown once after an absence: better than all twice.
    if (this.isAgain && this.last.seen.has(key)) return true;
    this.last.seen.add(key);
    return false;
  }

  _note(text) {
    this.items.push({ note: text });
    this.show();
  }

  _pause() {
    this.isPaused = !this.isPaused;
    this.pause.setAttribute("aria-pressed", String(this.isPaused));
    this.show();
  }

  // ---- what is seen -----------------------------------------------------------------------------

  _show() {
    if (this.isPaused) {
      if (this.items.length > MOST) this.items.splice(0, this.items.length - MOST);
      put(this.pause, this.items.length > 0 ? `Go on (${number(this.items.length)} new)` : "Go on");
      return;
    }
    put(this.pause, "Hold");
    const { list } = this;
    const isAtEnd = list.scrollHeight - list.scrollTop - list.clientHeight < 30;
    const rows = this.items.splice(0).flatMap((item) => this._rows(item));
    this.standing.before(...rows);
    for (let over = list.children.length - 1 - MOST; over > 0; over -= 1) list.firstChild.remove();
    if (isAtEnd) list.scrollTop = list.scrollHeight;
    if (this.search.value) this._count();
  }

  _rows(item) {
    if ("line" in item) return this._line(item);
    if ("standing" in item) this._standing(item.standing);
    else if (item.left_out) return [noteRow(`… ${number(item.left_out)} lines left out`)];
    else return [noteRow(item.note ?? item.error ?? NOTES.map((key) => item[key]).find(Boolean) ?? "")];
    return [];
  }

  _line({ at, run, stream, line, cut }) {
    const rows = [];
    if (run !== this.run && (this.run || run > 1)) rows.push(h("div", { class: "ln run" }, `run ${run}`));
    this.run = run;
    const isError = stream === "stderr";
    const text = h("span", { class: "tx" }, plain(line));
    if (cut) text.append(h("i", {}, ` … ${number(cut)} bytes more`));
    const time = h("time", { title: exact(at) }, clock(at, now()).slice(-8));
    const row = h("div", { class: `ln${isError ? " err" : ""}` }, time, h("i", { class: "st" }, isError ? "err" : ""), text);
    row.plain = line.toLowerCase();
    row.hidden = !this._fits(row);
    rows.push(row);
    return rows;
  }

  _standing(standing) {
    this.standing.hidden = !standing;
    if (standing) put(this.standing, plain(standing.line));
  }

  _fits(row) {
    const wanted = this.search.value.toLowerCase();
    return !wanted || row.plain === undefined || row.plain.includes(wanted);
  }

  _search() {
    for (const row of this.list.children) if (row.plain !== undefined) row.hidden = !this._fits(row);
    this._count();
    this.list.scrollTop = this.list.scrollHeight;
  }

  _count() {
    const rows = [...this.list.children].filter((row) => row.plain !== undefined && !row.hidden);
    put(this.found, this.search.value ? `${number(rows.length)} found` : "");
  }
}

const noteRow = (text) => h("div", { class: "ln note" }, text);

// A title or an address, up to its end; colours and moves; one character; what can't be seen.
const NOISE = /\x1b[\]P^_X][^\x07\x1b]*(?:\x07|\x1b\\)?|\x1b\[[0-?]*[ -/]*[@-~]|\x1b[ -/]*[0-~]|[\x00-\x08\x0b-\x1f\x7f-\x9f]/g;

/** Return a line without the colours, moves, titles and links that a terminal would make of it. */
export function plain(line) {
  return line.replace(NOISE, "");
}
