// What is known of the fleet, and in which order it is looked at: trouble first. Pure: node tests it.

import { seconds } from "./format.js";

/** A worker that hasn't been seen in its state for so long is trouble, in seconds. */
export const UNSEEN_S = 5;

// The worst first. What stands in the same rank is sorted by name.
export const RANK = Object.freeze({
  unreadable: 0, lost: 1, fault: 2, backoff: 3, silent: 4, unseen: 5, trouble: 6,
  ending: 7, acting: 8, working: 9, waiting: 10, end: 11,
});
const WORST_CALM = RANK.ending;

const OF_STATE = {
  UNREADABLE: "unreadable", LOST: "lost", FAILED: "fault",
  INIT: "acting", BACKOFF: "acting", ENDING: "acting", END: "end",
};
const KINDS = new Set(["waiting", "working", "acting", "fault", "end"]);

/** Return what kind of state it is, as `statusd graph` colours them; a lost one has a kind of its own. */
export function kindOf(unit) {
  const { kind, part } = unit.document;
  return OF_STATE[unit.state] ?? (KINDS.has(kind) ? kind : part === "works" ? "working" : "waiting");
}

/** Return the parts of a document that are objects; empty ones in place of anything else. */
export function part(document, key) {
  const value = document[key];
  return value !== null && typeof value === "object" ? value : {};
}

/**
 * A unit as the page has it: what came from the server, and what is looked at often.
 *
 * `silentTo` is the command that it hasn't answered, until it says something new.
 */
export function entryOf(unit, now, silentTo = "") {
  const document = unit.document ?? {};
  const entry = { ...unit, document, silentTo, kind: "", rank: 0, place: "", key: null, text: "" };
  entry.kind = kindOf(entry);
  entry.rank = rankOf(entry, now);
  entry.place = `${String(entry.rank).padStart(2, "0")} ${counted(unit.name)}`;
  entry.text = searched(entry);
  return entry;
}

/** Return what sorts a name as people count: unit-2 before unit-10. */
export function counted(name) {
  return `${name.replace(/\d+/g, (digits) => digits.padStart(12, "0"))} ${name}`;
}

function rankOf(entry, now) {
  const { document, kind } = entry;
  if (kind === "unreadable" || kind === "lost" || kind === "fault") return RANK[kind];
  if (entry.state === "BACKOFF") return RANK.backoff;
  if (entry.silentTo) return RANK.silent;
  if (kind === "end") return RANK.end;
  if (unseenFor(entry, now) >= UNSEEN_S) return RANK.unseen;
  if (document.trouble) return RANK.trouble;
  return entry.state === "ENDING" ? RANK.ending : RANK[kind];
}

/** Return for how long its worker hasn't been seen in its state, in seconds; -1 if it was. */
export function unseenFor(entry, now) {
  if (entry.left || !entry.document.unseen_since) return -1;
  const since = seconds(entry.document.unseen_since);
  return Number.isFinite(since) ? Math.max(0, now - since) : 0;
}

export function isTrouble(entry) {
  return entry.rank < WORST_CALM;
}

/** Return why somebody should look at it, in words; empty if nobody has to. */
export function woe(entry) {
  const { document } = entry;
  if (entry.unreadable) return entry.unreadable;
  if (entry.kind === "lost") return "its daemon died, or can't reach the broker";
  const reasons = [];
  if (entry.silentTo) reasons.push(`silent to ${entry.silentTo}`);
  if (entry.rank === RANK.unseen) reasons.push(`its worker isn't seen in ${entry.state} yet`);
  if (entry.kind === "fault" || entry.state === "BACKOFF") {
    reasons.push(document.text || part(document, "last").reason || deathOf(document));
  }
  reasons.push(document.trouble);
  return reasons.filter(Boolean).join("; ");
}

/** Return the text of a unit that says most: its trouble, how it ended, what it says itself. */
export function told(entry) {
  const { document } = entry;
  return woe(entry) || (entry.left ? howEnded(document) : document.text) || "";
}

function deathOf(document) {
  return part(part(document, "worker"), "death").reason ?? "";
}

/** Return how it ended or ends, in words: `end by ops@desk`. */
export function howEnded(document) {
  const ended = part(document, "ended");
  if (ended.command) return `${ended.command} by ${ended.by || ended.source || "somebody"}`;
  return ended.reason || ended.source || "";
}

/** Return who commanded it last: `pause by ops@desk`; else what has happened to it last. */
export function lastSaid(document) {
  const last = part(document, "last");
  if (last.command) return `${last.command} by ${last.by || last.source || "somebody"}`;
  return last.reason ?? "";
}

// ---- the filter ---------------------------------------------------------------------------------

function searched(entry) {
  const { document } = entry;
  const words = [entry.name, entry.state, ...tagsOf(entry), document.host, document.text];
  words.push(document.trouble, entry.unreadable, lastSaid(document));
  return words.filter(Boolean).join("\n").toLowerCase();
}

export function tagsOf(entry) {
  return Array.isArray(entry.document.tags) ? entry.document.tags : [];
}

const KEYS = {
  name: (entry) => [entry.name],
  tag: (entry) => tagsOf(entry),
  state: (entry) => [entry.state],
  host: (entry) => [String(entry.document.host ?? "")],
  text: (entry) => [String(entry.document.text ?? "")],
};

/**
 * Return what tells whether a unit is shown: all words must fit. `tag:gpu` looks at tags alone,
 * `-paused` at what doesn't have it, `gpu-*` is a pattern of a whole name.
 */
export function filterOf(text, states = new Set(), onlyTrouble = false) {
  const tests = text.toLowerCase().split(/\s+/).filter(Boolean).map(testOf);
  return (entry) =>
    (!onlyTrouble || isTrouble(entry)) &&
    (states.size === 0 || states.has(entry.state)) &&
    tests.every((test) => test(entry));
}

function testOf(word) {
  if (word.length > 1 && word.startsWith("-")) {
    const test = testOf(word.slice(1));
    return (entry) => !test(entry);
  }
  const [, key, wanted] = /^([a-z]+):(.*)$/.exec(word) ?? [];
  if (key in KEYS) {
    const fits = fitting(wanted);
    return (entry) => KEYS[key](entry).some((value) => fits(value.toLowerCase()));
  }
  if (/[*?]/.test(word)) {
    const fits = fitting(word);
    return (entry) => fits(entry.name.toLowerCase());
  }
  return (entry) => entry.text.includes(word);
}

function fitting(wanted) {
  if (!/[*?]/.test(wanted)) return (value) => value.includes(wanted);
  const parts = wanted.replace(/[.+^${}()|[\]\\]/g, "\\$&").replaceAll("*", ".*").replaceAll("?", ".");
  const pattern = new RegExp(`^${parts}$`, "s");
  return (value) => pattern.test(value);
}

// ---- the fleet ----------------------------------------------------------------------------------

/**
 * All units, and of these the shown ones in their order. A change costs a search and a splice, not a
 * sort: ten thousand units and fifty changes a second leave a frame free.
 */
export class Fleet {
  constructor() {
    this.entries = new Map();
    this.shown = [];
    this.states = new Map(); // state -> how many
    this.kinds = new Map(); // state -> of what kind it is
    this.troubles = 0;
    this.held = false; // rows stay where they are: somebody is aiming at one
    this._late = false; // what was held back
    this._fits = () => true;
    this._keyOf = () => null; // what it is sorted by, before the place
    this._turn = 1; // or -1: the most first
  }

  get size() {
    return this.entries.size;
  }

  get(name) {
    return this.entries.get(name);
  }

  /** Take all anew. */
  reset(units, now) {
    const silent = new Map([...this.entries.values()].map((entry) => [entry.name, entry]));
    this.entries = new Map();
    this.states = new Map();
    this.troubles = 0;
    for (const unit of units) {
      const entry = this._keyed(entryOf(unit, now, stillSilent(silent.get(unit.name), unit)));
      this.entries.set(unit.name, entry);
      this._count(entry, 1);
    }
    this.refilter(this._fits);
  }

  /** Take a unit in place of what was known of it; return it. */
  take(unit, now) {
    const before = this.entries.get(unit.name);
    return this._put(entryOf(unit, now, stillSilent(before, unit)), before);
  }

  /** Take note of what it hasn't answered. */
  silent(name, word, now) {
    const before = this.entries.get(name);
    if (before) this._put(entryOf(before, now, word), before);
  }

  drop(name) {
    const before = this.entries.get(name);
    if (!before) return;
    this.entries.delete(name);
    this._count(before, -1);
    this._remove(before);
  }

  /** Look again at those that are to be seen in their state: time alone makes trouble of them. */
  tick(now) {
    for (const entry of this.entries.values()) {
      if (entry.document.unseen_since && !entry.left && rankOf(entry, now) !== entry.rank) {
        this._put(entryOf(entry, now, entry.silentTo), entry);
      }
    }
  }

  _keyed(entry) {
    entry.key = this._keyOf(entry);
    return entry;
  }

  _put(unkeyed, before) {
    const entry = this._keyed(unkeyed);
    this.entries.set(entry.name, entry);
    if (before) this._count(before, -1);
    this._count(entry, 1);
    if (this.held && before && this._swap(before, entry)) return entry;
    if (before) this._remove(before);
    if (this._fits(entry)) this.shown.splice(this._place(entry), 0, entry);
    return entry;
  }

  /** Leave it in the row where it is, whatever it would be sorted to; false if it has none. */
  _swap(before, entry) {
    const index = this.indexOf(before);
    if (index >= 0) this.shown[index] = entry;
    if (this._compare(entry, before) !== 0 || !this._fits(entry)) this._late = true;
    return index >= 0;
  }

  /** Return the states that there are, the worst first. */
  get statesByRank() {
    const rank = (state) => (state === "BACKOFF" ? RANK.backoff : RANK[this.kinds.get(state)] ?? 0);
    return [...this.states.keys()].sort((one, other) => rank(one) - rank(other) || (one < other ? -1 : 1));
  }

  _count(entry, by) {
    this.kinds.set(entry.state, entry.kind);
    const many = (this.states.get(entry.state) ?? 0) + by;
    if (many > 0) this.states.set(entry.state, many);
    else this.states.delete(entry.state);
    if (isTrouble(entry)) this.troubles += by;
  }

  _remove(entry) {
    const index = this.indexOf(entry);
    if (index >= 0) this.shown.splice(index, 1);
  }

  /** Return the row of an entry, -1 if it isn't shown. */
  indexOf(entry) {
    const index = this._place(entry);
    if (this.shown[index]?.name === entry.name) return index;
    return this._late ? this.shown.findIndex((other) => other.name === entry.name) : -1;
  }

  /** By the key, where they have one; what is alike there, by the place. */
  _compare(one, other) {
    if (one.key !== other.key) {
      if (one.key === null || other.key === null) return one.key === null ? 1 : -1;
      return one.key < other.key ? -this._turn : this._turn;
    }
    return one.place < other.place ? -1 : one.place > other.place ? 1 : 0;
  }

  _place(entry) {
    let [low, high] = [0, this.shown.length];
    while (low < high) {
      const middle = (low + high) >> 1;
      if (this._compare(this.shown[middle], entry) < 0) low = middle + 1;
      else high = middle;
    }
    return low;
  }

  /** Show those that fit, in their order. */
  refilter(fits) {
    this._fits = fits;
    this._late = false;
    this.shown = [...this.entries.values()].filter(fits);
    this.shown.sort((one, other) => this._compare(one, other));
  }

  /** Sort by `keyOf(entry)`, text or number, null where there is none; without it trouble comes first. */
  sort(keyOf = () => null, isDown = false) {
    this._keyOf = keyOf;
    this._turn = isDown ? -1 : 1;
    for (const entry of this.entries.values()) this._keyed(entry);
    this.refilter(this._fits);
  }

  /** Hold rows where they are; or let them go to where they belong. Returns whether any has moved. */
  hold(held) {
    this.held = held;
    if (held || !this._late) return false;
    this.refilter(this._fits);
    return true;
  }
}

/** Return what a unit is still silent to: whatever it does next ends it. */
function stillSilent(before, unit) {
  if (!before?.silentTo) return "";
  const isSame = before.boot === unit.boot && before.state === unit.state;
  return isSame && before.document.seq === unit.document?.seq ? before.silentTo : "";
}
