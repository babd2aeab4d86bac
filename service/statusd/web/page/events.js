// What has happened to a unit: as it comes, and as far back as somebody scrolls.

import { get, now, unitPath } from "./api.js";
import { h } from "./dom.js";
import { clock, exact } from "./format.js";

const PAGE = 50;
const MOST_MISSED = 500;

export class Events {
  /** So many are kept here; whoever scrolls has the others read again. */
  static most = 1000;

  constructor(name) {
    this.name = name;
    this.known = new Set();
    this.oldest = "";
    this.newest = "";
    this.isAll = false;
    this.list = h("ol", { class: "list" });
    this.foot = h("p", { class: "note" });
    this.scroll = h("div", { class: "scroll", tabindex: 0, role: "region", "aria-label": `Events of ${name}` }, this.list, this.foot);
    this.element = h("section", { class: "panel events", "aria-label": "Events" }, h("header", {}, h("h2", {}, "Events")), this.scroll);
    this.scroll.addEventListener("scroll", () => this._near() && this.older(), { passive: true });
    this.older();
  }

  _near() {
    return this.scroll.scrollHeight - this.scroll.scrollTop - this.scroll.clientHeight < 200;
  }

  /** Read further back. */
  async older() {
    if (this.isReading || this.isAll) return;
    this.isReading = true;
    this.foot.textContent = "Reading";
    try {
      const before = this.oldest ? `&before=${this.oldest}` : "";
      const found = await get(`${unitPath(this.name)}/history?most=${PAGE}${before}`);
      for (const event of found.toReversed()) this._put(event, "append");
      const ids = found.map((event) => event.event).filter(Boolean);
      this.isAll = found.length < PAGE || ids.length === 0;
      this.oldest = ids[0] ?? this.oldest;
      this.newest ||= ids.at(-1) ?? "";
      this.foot.textContent = this.isAll ? "Nothing older is kept" : "";
    } catch (error) {
      this.foot.textContent = error.message;
    }
    this.isReading = false;
    if (!this.isAll && this._near() && this.scroll.clientHeight > 0 && this.oldest) this.older();
  }

  /** Read what was missed. */
  async missed() {
    if (!this.newest) return;
    try {
      const found = await get(`${unitPath(this.name)}/history?most=${MOST_MISSED}&since=${this.newest}`);
      for (const event of found) this.take(event);
    } catch (error) {
      this.foot.textContent = error.message;
    }
  }

  /** One more has happened. */
  take(event) {
    this._put(event, "prepend");
    if (event.event) this.newest = event.event;
    this._trim();
  }

  /** Let the oldest go, so that a page may stay open for weeks: not while somebody looks at them. */
  _trim() {
    const { children } = this.list;
    if (children.length <= Events.most * (this._near() ? 4 : 1)) return;
    while (children.length > Events.most / 2) {
      this.known.delete(this.list.lastChild.event);
      this.list.lastChild.remove();
    }
    this.oldest = [...children].findLast((item) => item.event)?.event ?? "";
    this.isAll = false;
    this.foot.textContent = "";
  }

  _put(event, where) {
    if (event.event && this.known.has(event.event)) return;
    if (event.event) this.known.add(event.event);
    this.list[where](Object.assign(itemOf(event), { event: event.event }));
  }
}

function itemOf(event) {
  if (event.gap !== undefined && !event.old) return h("li", { class: "note" }, `what came between ${event.after} and ${event.before} isn't kept any more`);
  if (event.unreadable !== undefined) return h("li", { class: "note" }, `unreadable: ${event.reason}`);
  const change = event.old === event.new ? event.new : `${event.old} → ${event.new}`;
  const by = event.by ? `${event.trigger} by ${event.by}` : `${event.trigger} · ${event.source}`;
  const more = [];
  if (event.reason) more.push(h("p", { class: "why" }, event.reason));
  if (event.args && Object.keys(event.args).length > 0) more.push(h("code", {}, JSON.stringify(event.args)));
  if (event.stderr?.length) more.push(h("pre", { tabindex: 0 }, event.stderr.join("\n")));
  return h("li", {}, h("time", { title: exact(event.at) }, clock(event.at, now())), h("b", {}, change), h("span", { class: "by" }, by), ...more);
}
