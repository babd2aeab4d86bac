// What may be said to a selection of units, and what became of it. Pure: node tests it.

const USUAL = ["start", "pause", "resume", "stop", "reset", "end"];
export const LAUNCH = "launch";
const FATAL = new Set(["end", "force"]);

/** A request names so many units at most: its body is bounded. */
const MOST_NAMES = 1000;
const MOST_CHARACTERS = 40_000;

export function isFatal(word) {
  return FATAL.has(word.toLowerCase());
}

export function canLaunch(entry) {
  return entry.left && Boolean(entry.document.daemon);
}

const allowedOf = (entry) => (Array.isArray(entry.document.allowed) ? entry.document.allowed : []);

/**
 * Return the buttons of a selection, always in the same order: `{word, why}`, where `why` says why
 * it can't be pressed. A lost unit stands in nobody's way: it is named as lost, afterwards.
 */
export function choices(entries) {
  const living = entries.filter((entry) => !entry.left && !entry.lost);
  const ended = entries.filter((entry) => entry.left);
  const words = new Set(living.some((entry) => entry.document.words) ? [] : USUAL);
  for (const entry of living) allowedOf(entry).forEach((word) => words.add(word));
  words.add("end");
  const sorted = [...words].filter((word) => !isFatal(word)).sort(byUse);
  const found = sorted.map((word) => ({ word, why: objection(word, living, ended) }));
  if (ended.length > 0) found.push({ word: LAUNCH, why: launchObjection(living, ended) });
  const last = [...words].filter(isFatal).sort();
  return [...found, ...last.map((word) => ({ word, why: objection(word, living, ended) }))];
}

function byUse(one, other) {
  const places = [one, other].map((word) => USUAL.indexOf(word)).map((at) => (at < 0 ? 99 : at));
  return places[0] - places[1] || (one < other ? -1 : 1);
}

function objection(word, living, ended) {
  if (living.length === 0) return ended.length > 0 ? "it has ended" : "nobody is there to be asked";
  if (ended.length > 0) return `${named(ended)} ${ended.length === 1 ? "has" : "have"} ended`;
  const others = living.filter((entry) => !allowedOf(entry).includes(word));
  if (others.length === 0) return "";
  const states = [...new Set(others.map((entry) => entry.state))].slice(0, 3).join(", ");
  return `not allowed in ${states}${living.length > 1 ? `: ${named(others)}` : ""}`;
}

function launchObjection(living, ended) {
  if (living.length > 0) return `${named(living)} ${living.length === 1 ? "hasn't" : "haven't"} ended`;
  const others = ended.filter((entry) => !canLaunch(entry));
  return others.length > 0 ? `${named(others)}: no daemon is left that could begin it again` : "";
}

/** Return `a, b, c and 7 more`. */
export function named(entries, most = 3) {
  const names = entries.slice(0, most).map((entry) => entry.name ?? entry);
  const more = entries.length - names.length;
  return names.join(", ") + (more > 0 ? ` and ${more} more` : "");
}

/**
 * Return how sure somebody has to be: `plain` (one press), `button` (a second one, elsewhere),
 * `typed` (the number of units is typed).
 */
export function caution(word, entries) {
  if (!isFatal(word)) return "plain";
  const living = entries.filter((entry) => !entry.left && !entry.lost);
  if (living.length > 1) return "typed";
  const isAtWork = living.some((entry) => entry.document.part === "works");
  return isAtWork || word.toLowerCase() === "force" ? "button" : "plain";
}

const GRADES = ["plain", "button", "typed"];

/**
 * Return those of `units` that aren't what they were in `before`, when `word` was asked about: begun
 * anew, back from where nobody could ask them, or at work now where it takes more to end them.
 */
export function turned(word, before, units) {
  const [was, is] = [before, units].map((entries) => GRADES.indexOf(caution(word, entries)));
  const isThere = (entry) => !entry.left && !entry.lost;
  return units.filter((unit, at) => {
    const old = before[at];
    return unit.boot !== old.boot || (isThere(unit) && !isThere(old)) || (is > was && unit.state !== old.state);
  });
}

/** Return names in parts that a request can hold; each as a pattern that fits that name alone. */
export function batches(names) {
  const found = [];
  let [part, size] = [[], 0];
  for (const name of names) {
    const pattern = name.replace(/[[*?]/g, "[$&]");
    if (part.length >= MOST_NAMES || size + pattern.length > MOST_CHARACTERS) {
      found.push(part);
      [part, size] = [[], 0];
    }
    part.push(pattern);
    size += pattern.length + 3;
  }
  return part.length > 0 ? [...found, part] : found;
}

/** Return the arguments that somebody typed, a `key=value` a line; numbers and true/false are such. */
export function argumentsOf(text) {
  const found = {};
  for (const line of text.split("\n").map((each) => each.trim()).filter(Boolean)) {
    const at = line.indexOf("=");
    if (at < 1) throw new Error(`${line}: an argument is written key=value`);
    found[line.slice(0, at).trim()] = scalar(line.slice(at + 1).trim());
  }
  return found;
}

/** Return the seconds that somebody typed, undefined if it is none. */
export function secondsOf(text) {
  const typed = text.trim();
  if (!typed) return undefined;
  if (!/^\d{1,8}(\.\d{1,6})?$/.test(typed) || Number(typed) === 0) throw new Error(`${typed}: it is no number of seconds`);
  return Number(typed);
}

function scalar(text) {
  if (text === "true" || text === "false") return text === "true";
  if (text === "null") return null;
  return /^-?(0|[1-9]\d{0,14})(\.\d{1,15})?([eE][+-]?\d{1,2})?$/.test(text) ? Number(text) : text;
}

// ---- what became of it --------------------------------------------------------------------------

const OBEYED = new Set(["done", "noop"]);
export const GROUPS = ["done", "refused", "pending", "silent", "lost", "unasked"];

/** A command on its way: who was asked, who has said what. It is `done` only for those who said so. */
export class Sent {
  constructor(word, names, at) {
    Object.assign(this, { word, names, at, isOver: false, error: "" });
    this.waiting = new Map(); // name -> state when it was asked
    this.outcomes = new Map();
  }

  /** Take in one line of the answer. */
  take(line) {
    if (line.asked) {
      for (const unit of line.asked) if (!this.outcomes.has(unit.name)) this.waiting.set(unit.name, unit.state);
      for (const unit of line.lost ?? []) this._end({ name: unit.name, verdict: "lost", reason: "" });
    } else if (line.outcome) this._end(line.outcome);
    else if (line.report) {
      for (const outcome of line.report.outcomes) this._end(outcome);
    } else if (line.error) this.error = line.error;
  }

  _end(outcome) {
    const verdict = outcome.verdict === "LOST" ? "lost" : outcome.verdict;
    this.waiting.delete(outcome.name);
    this.outcomes.set(outcome.name, { ...outcome, verdict });
  }

  /** Nothing more comes: who hasn't answered is named. */
  end() {
    this.isOver = true;
    for (const [name, before] of this.waiting) {
      this.outcomes.set(name, { name, verdict: "silent", before, reason: "the answer broke off" });
    }
    this.waiting.clear();
    const reason = this.error || "it wasn't there to be asked";
    for (const name of this.names) {
      if (!this.outcomes.has(name)) this.outcomes.set(name, { name, verdict: "unasked", reason });
    }
  }

  /** Return the outcomes of a group, by name. */
  of(group) {
    const found = [...this.outcomes.values()].filter((outcome) => groupOf(outcome.verdict) === group);
    return found.sort((one, other) => (one.name < other.name ? -1 : 1));
  }

  /** Return it in words: `pause: 2 done, 1 silent; waiting for camera`. */
  get summary() {
    const told = GROUPS.map((group) => [this.of(group).length, group]).filter(([many]) => many > 0);
    const parts = told.map(([many, group]) => `${many} ${group}`);
    const said = parts.join(", ") || (this.isOver ? "nobody was there to be asked" : "sent");
    if (this.error) return `${this.word}: ${[this.error, ...parts].join("; ")}`;
    const waits = this.waiting.size > 0 ? `; waiting for ${named([...this.waiting.keys()])}` : "";
    return `${this.word}: ${said}${waits}`;
  }
}

export function groupOf(verdict) {
  if (OBEYED.has(verdict)) return "done";
  return GROUPS.includes(verdict) ? verdict : "refused";
}
