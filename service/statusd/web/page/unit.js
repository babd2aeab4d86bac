// One unit in full.

import { get, now, unitPath } from "./api.js";
import { badge, h, inFrame, mark, put, rebadge } from "./dom.js";
import { Curve, Track } from "./curves.js";
import { Events } from "./events.js";
import { entryOf, howEnded, lastSaid, part, tagsOf, woe } from "./fleet.js";
import * as f from "./format.js";
import { Output } from "./output.js";
import { Picture } from "./picture.js";
import { more } from "./table.js";

const NARROW = matchMedia("(max-width: 640px)");

export class UnitPage {
  /** `parts`: `fleet`, `command(word)`, `drawButtons(place, entries, command)`. */
  constructor(place, name, parts) {
    Object.assign(this, { place, name, ...parts });
    this.track = new Track();
    this.picture = null;
    this.draw = inFrame(() => this._draw());
    this.output = new Output(name);
    this.events = new Events(name);
    this._build();
    this._read();
    this._readLifecycle();
    this.draw();
    this.title.focus({ preventScroll: true });
  }

  close() {
    this.isClosed = true;
    this.output.close();
    this.place.replaceChildren();
  }

  _build() {
    this.back = h("a", { href: "#/", class: "back", "aria-label": "Back to the fleet" }, "← Fleet");
    this.title = h("h1", { tabindex: -1 }, this.name);
    this.badge = badge("", "");
    this.more = h("span", { class: "more" });
    this.since = h("span", { class: "note" });
    this.words = h("div", { class: "words", role: "group", "aria-label": "Command" });
    this.woe = h("p", { class: "woe", hidden: true });
    this.said = h("p", { class: "said" });
    const head = h("header", { class: "head" }, this.back, this.title, this.badge, this.more, this.since, h("span", { class: "gap" }), this.words);
    const left = h("div", { class: "column" }, this._work(), this._lifecycle(), this.events.element);
    const right = h("div", { class: "column" }, this.output.element, this._document());
    this.columns = h("div", { class: "columns" }, left, right);
    this.place.replaceChildren(head, this.woe, this.said, this.columns);
  }

  _work() {
    this.bar = h("span", { class: "bar" }, h("span"));
    this.much = h("b", { class: "much" });
    this.left = h("span", { class: "note" });
    this.progress = h("div", { class: "progress" }, this.much, this.bar, this.left);
    this.curves = [
      new Curve("Step", f.number, { floor: null }), new Curve("CPU", f.percent, { ceiling: 1 }), new Curve("Memory", f.size),
    ];
    this.nothing = h("p", { class: "note" }, "It says nothing of its progress.");
    const curves = h("div", { class: "curves" }, ...this.curves.map((curve) => curve.element));
    return h("section", { class: "panel work", "aria-label": "Work" }, h("header", {}, h("h2", {}, "Work")), this.progress, this.nothing, curves);
  }

  _lifecycle() {
    this.drawing = h("div", { class: "drawing", tabindex: 0, role: "region", "aria-label": "Picture of the lifecycle" }, h("p", { class: "note" }, "Reading"));
    const legend = h("p", { class: "legend" }, ...["anyone", "worker", "daemon"].map((who) => h("span", { class: who }, h("i"), who)));
    return h("section", { class: "panel states", "aria-label": "Lifecycle" }, h("header", {}, h("h2", {}, "Lifecycle"), h("span", { class: "gap" }), legend), this.drawing);
  }

  _document() {
    this.facts = h("dl", { class: "facts" });
    this.json = h("pre", { tabindex: 0, "aria-label": "The document as JSON" });
    this.details = h("details", {}, h("summary", {}, "As JSON"), this.json);
    this.details.addEventListener("toggle", () => this.draw());
    return h("section", { class: "panel document", "aria-label": "Document" }, h("header", {}, h("h2", {}, "Document")), this.facts, this.details);
  }

  // ---- what is known ----------------------------------------------------------------------------

  async _read() {
    try {
      const unit = await get(unitPath(this.name));
      this.track = new Track(unit.curve);
      this.full = unit;
    } catch (error) {
      this.error = error.message;
      if (error.status === 404) this.full = undefined;
    }
    this.draw();
  }

  async _readLifecycle() {
    try {
      const lifecycle = await get(`${unitPath(this.name)}/lifecycle`);
      this.picture = new Picture(lifecycle, this.command, NARROW.matches);
      this.drawing.replaceChildren(this.picture.svg);
    } catch (error) {
      this.picture = null;
      this.drawing.replaceChildren(h("p", { class: "note" }, `No picture: ${error.message}.`));
    }
    this.draw();
  }

  /** All was read anew: look for what was missed. */
  reset() {
    this.events.missed();
    this._read();
    if (!this.picture) this._readLifecycle();
  }

  /** Nobody knows it any more. */
  gone(name) {
    if (name !== this.name) return;
    [this.full, this.error] = [undefined, "nothing is known of it any more"];
    this.draw();
  }

  unit(entry) {
    if (entry.name !== this.name) return;
    this.track.add(now(), entry.document);
    if (entry.boot !== this.boot || !entry.left) this.output.wake();
    // It is another one then, or the first that can be seen.
    if (entry.boot !== this.boot && (this.boot || !this.picture)) this._readLifecycle();
    this.boot = entry.boot;
    this.draw();
  }

  event(event) {
    if (event.name === this.name || event.gap === this.name) this.events.take(event);
  }

  tick() {
    this._times();
  }

  // ---- what is seen -----------------------------------------------------------------------------

  get entry() {
    return this.fleet.get(this.name) ?? (this.full ? entryOf(this.full, now()) : undefined);
  }

  _draw() {
    const { entry } = this;
    if (this.isClosed) return;
    this.columns.hidden = !entry && Boolean(this.error);
    this.badge.hidden = !entry;
    if (!entry) {
      document.title = this.name;
      for (const place of [this.woe, this.since, this.more]) put(place, "");
      this.woe.hidden = true;
      this.words.replaceChildren();
      put(this.said, this.error ? `${this.name}: ${this.error}` : "");
      return;
    }
    this.boot ??= entry.boot;
    document.title = `${entry.state} · ${this.name}`;
    rebadge(this.badge, entry.state, entry.kind);
    const trouble = woe(entry);
    put(this.woe, trouble);
    this.woe.hidden = !trouble;
    const said = sayingOf(entry);
    put(this.said, said === trouble ? "" : said);
    this.drawButtons(this.words, [entry], this.command);
    this.picture?.show(entry.state, entry.left ? [] : entry.document.allowed ?? []);
    this._drawWork(entry);
    this._drawFacts(entry);
    if (this.details.open) put(this.json, JSON.stringify(entry.document, null, 2));
    this._times();
  }

  _drawWork({ document, left }) {
    const progress = part(document, "progress");
    const share = f.share(progress);
    const hasStep = Number.isFinite(progress.step);
    this.nothing.hidden = hasStep;
    this.progress.hidden = !hasStep;
    this.bar.hidden = Number.isNaN(share);
    this.bar.firstChild.style.width = `${(share || 0) * 100}%`;
    put(this.much, Number.isNaN(share) ? f.number(progress.step) : f.percent(Math.floor(share * 100) / 100));
    const told = [progress.total ? `${f.number(progress.step)} of ${f.number(progress.total)}` : "", progress.unit ?? ""].filter(Boolean);
    const parts = [told.join(" "), f.rate(progress.rate, progress.unit), !left && Number.isFinite(progress.left_s) ? `${f.duration(progress.left_s)} left` : ""];
    put(this.left, parts.filter(Boolean).join(" · "));
    const used = part(part(document, "worker"), "resources");
    this.curves.forEach((curve, at) => curve.draw(this.track.of(at + 1), [f.number(progress.step), f.percent(used.cpu), f.size(used.memory)][at] || undefined));
  }

  _drawFacts(entry) {
    const rows = factsOf(entry);
    while (this.facts.children.length > rows.length) this.facts.lastChild.remove();
    while (this.facts.children.length < rows.length) this.facts.append(h("div", {}, h("dt"), h("dd")));
    rows.forEach(([key, text, title], at) => {
      const row = this.facts.children[at];
      put(row.firstChild, key);
      put(row.lastChild, text);
      mark(row.lastChild, "title", title ?? "");
    });
  }

  _times() {
    const { entry } = this;
    if (!entry) return;
    const since = entry.document.since ?? entry.seen;
    const past = f.ago(since, now());
    put(this.since, past && `${entry.document.since ? "for" : "last seen"} ${past}${entry.document.since ? "" : " ago"}`);
    mark(this.since, "title", f.exact(since));
    put(this.more, more(entry, now()));
  }
}

/** Return what it says of itself, beside its trouble. */
function sayingOf({ document, left }) {
  if (left) return howEnded(document) ? `ended: ${howEnded(document)}` : "";
  if (document.waits_for) return `waits for ${document.waits_for}`;
  return document.text ?? "";
}

function factsOf(entry) {
  const { document } = entry;
  const worker = part(document, "worker");
  const used = part(worker, "resources");
  const last = part(document, "last");
  const stop = part(document, "stop");
  const rows = [
    ["commanded last", last.command ? lastSaid(document) : "", [last.id, last.source].filter(Boolean).join(" · ")],
    ["happened last", last.command ? "" : lastSaid(document), last.event],
    ["goal", document.goal], ["allowed", list(document.allowed)], ["waits for", document.waits_for],
    ["ended", howEnded(document)],
    ["stopping", stop.stage ? [stop.stage, stop.next && `then ${stop.next}`].filter(Boolean).join(", ") : ""],
    ["tags", tagsOf(entry).join(" ")], ["channels", list(document.channels)],
    ["args", Object.keys(part(document, "args")).length > 0 ? JSON.stringify(document.args) : ""],
    ["worker", worker.pid ? `pid ${worker.pid}, run ${document.run}` : document.run ? `none, run ${document.run} is over` : ""],
    ["restarts", worker.restarts ? String(worker.restarts) : ""],
    ["uses", usesOf(used)],
    ["died", worker.death ? `run ${worker.death.run}: ${worker.death.reason}` : ""],
    ["", list(part(worker, "death").stderr, "\n")],
    ["daemon", document.pid ? `pid ${document.pid} on ${document.host}` : "", `boot ${entry.boot}`],
    ["link", linkOf(document)], ["seen", f.clock(entry.seen, now()), f.exact(entry.seen)],
  ];
  return rows.filter(([, text]) => text);
}

const list = (value, between = " ") => (Array.isArray(value) ? value.join(between) : "");

function usesOf(used) {
  const counts = [["processes", "process"], ["threads", "thread"], ["descriptors", "descriptor"]];
  const parts = counts.filter(([key]) => Number.isFinite(used[key])).map(([key, one]) => (used[key] === 1 ? `1 ${one}` : `${used[key]} ${key}`));
  const cpu = Number.isFinite(used.cpu_s) ? `${f.duration(used.cpu_s)} of CPU` : "";
  const own = Number.isFinite(used.pss) ? `${f.size(used.pss)} of its own` : "";
  return [cpu, own, ...parts].filter(Boolean).join(", ");
}

function linkOf(document) {
  if (!document.link) return "";
  const canary = Number.isFinite(document.canary_ms) ? `, canary ${document.canary_ms.toFixed(1)} ms` : "";
  const outages = document.outages ? `, ${f.count(document.outages, "outage")} since its start` : "";
  return `${document.link}${canary}${outages}`;
}
