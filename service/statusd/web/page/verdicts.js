// After a command: what becomes of it, as it comes. Who says nothing is named.

import { lines, now, post } from "./api.js";
import { $, announce, h, inFrame } from "./dom.js";
import { clock, count } from "./format.js";
import { batches, Sent } from "./orders.js";

const MOST_KEPT = 20;
const MOST_NAMES = 500;
const SHOWN = ["silent", "lost", "unasked", "refused", "pending", "done"];
const HEADS = {
  silent: "Silent: no answer in time", lost: "Lost: can't be asked", refused: "Refused or failed",
  unasked: "Unasked: it wasn't sent to them", pending: "Pending: taken, not there yet", done: "Done",
};

export class Verdicts {
  /** `heard.silent(name, word)`: somebody has said nothing. */
  constructor(heard) {
    this.heard = heard;
    this.sents = [];
    this.open = null;
    this.place = $("verdicts");
    this.draw = inFrame(() => this._draw());
  }

  close() {
    this.place.hidden = true;
  }

  /** Send a command and follow it to its end. Never throws: what goes wrong is told in its place. */
  async send(word, names, { args = {}, durable = false, expires_s } = {}) {
    const sent = new Sent(word, names, now());
    this.sents = [sent, ...this.sents].slice(0, MOST_KEPT);
    this.open = sent;
    this.place.hidden = false;
    this.draw();
    const more = { ...(Object.keys(args).length > 0 && { args }), ...(durable && { durable }), ...(expires_s && { expires_s }) };
    for (const name of batches(names)) await this._part(sent, { command: word, target: { name }, ...more });
    sent.end();
    for (const { name } of sent.of("silent")) this.heard.silent(name, word);
    announce(sent.summary);
    this.draw();
  }

  async _part(sent, body) {
    try {
      const answer = await post("api/commands", body);
      for await (const line of lines(answer)) {
        sent.take(line);
        this.draw();
      }
    } catch (error) {
      sent.take({ error: error.message });
    }
  }

  _draw() {
    const { open } = this;
    if (!open || this.place.hidden) return;
    const close = h("button", { type: "button", class: "quiet", "aria-label": "Close", onclick: () => this.close() }, "✕");
    const others = this.sents.filter((sent) => sent !== open).slice(0, 3);
    this.place.replaceChildren(
      h("header", {}, h("h2", { class: open.error ? "wrong" : "" }, open.summary), h("span", { class: "note" }, clockOf(open)), h("span", { class: "gap" }), close),
      h("div", { class: "groups" }, ...(open.isOver ? [] : [waiting(open)]), ...SHOWN.map((group) => groupOf(open, group)).filter(Boolean)),
      ...others.map((sent) => this._other(sent)),
    );
  }

  _other(sent) {
    const show = () => {
      this.open = sent;
      this.draw();
    };
    return h("button", { type: "button", class: "earlier", onclick: show }, `${clock(new Date(sent.at * 1000).toISOString(), now())} ${sent.summary}`);
  }
}

const clockOf = (sent) => `${clock(new Date(sent.at * 1000).toISOString(), now())}, ${count(sent.names.length, "unit")}`;

function waiting(sent) {
  const names = [...sent.waiting.keys()];
  const list = h("ul", {}, ...names.slice(0, MOST_NAMES).map((name) => h("li", {}, h("b", {}, name), h("span", { class: "note" }, sent.waiting.get(name)))));
  return h("section", { class: "waiting" }, h("h3", {}, `Waiting for ${count(names.length, "unit")}`), list);
}

function groupOf(sent, group) {
  const found = sent.of(group);
  if (found.length === 0) return null;
  const items = found.slice(0, MOST_NAMES).map((outcome) => itemOf(group, outcome));
  return h("section", { class: group }, h("h3", {}, `${HEADS[group]} · ${found.length}`), h("ul", {}, ...items));
}

const AT = /\d{4}-\d\d-\d\dT[\d:.]+Z/g;

function itemOf(group, outcome) {
  const { name, verdict, before, after, ms, reason } = outcome;
  const change = after && before !== after ? `${before} → ${after}` : before || after || "";
  const took = Number.isFinite(ms) ? `${Math.round(ms)} ms` : "";
  const told = verdict === group ? "" : verdict; // its head says so
  const parts = [h("b", {}, name), h("i", {}, told), h("span", {}, change), h("span", { class: "took" }, took)];
  return h("li", {}, ...parts, ...(reason ? [h("span", { class: "reason" }, reason.replace(AT, (at) => clock(at, now())))] : []));
}
