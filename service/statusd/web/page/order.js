// By what the fleet is sorted: trouble first, or a column. Pure: node tests it.

import { counted, lastSaid, part, tagsOf, told } from "./fleet.js";
import { seconds, share } from "./format.js";

const least = (text) => (text ? counted(String(text).toLowerCase()) : null);
const finite = (value) => (Number.isFinite(value) ? value : null);
const used = ({ left, document }) => (left ? {} : part(part(document, "worker"), "resources"));

/** What a column is sorted by; null stands last, whichever way. `isMostFirst`: at the first press. */
const COLUMNS = {
  state: { of: (entry) => entry.state },
  name: { of: (entry) => least(entry.name) },
  since: { of: ({ document, seen }) => finite(-seconds(document.since ?? seen)) }, // how long, not when
  progress: { of: ({ document }) => finite(share(document.progress)), isMostFirst: true },
  text: { of: (entry) => least(told(entry)) },
  cpu: { of: (entry) => finite(used(entry).cpu), isMostFirst: true },
  memory: { of: (entry) => finite(used(entry).memory), isMostFirst: true },
  host: { of: ({ document }) => least(document.host) },
  tags: { of: (entry) => least(tagsOf(entry).join(" ")) },
  last: { of: ({ document }) => least(lastSaid(document)) },
};

/** Trouble first. */
export const CALM = Object.freeze({ column: "", isDown: false });

/** Return the order after a press on a column's head: by it, the other way round, trouble first. */
export function pressed({ column, isDown }, key) {
  const first = Boolean(COLUMNS[key].isMostFirst);
  if (column !== key) return { column: key, isDown: first };
  return isDown === first ? { column, isDown: !isDown } : CALM;
}

/** Return what `Fleet.sort` sorts by; undefined for trouble first. */
export const keyOf = ({ column }) => COLUMNS[column]?.of;

// ---- where it is kept: in the address ------------------------------------------------------------

/** Return what is looked at as the address of the fleet has it: `#/?q=gpu&is=PAUSED&sort=-cpu`. */
export function addressOf({ text, states, onlyTrouble, order }) {
  const said = new URLSearchParams();
  if (text) said.set("q", text);
  for (const state of states) said.append("is", state);
  if (onlyTrouble) said.set("trouble", "1");
  if (order.column) said.set("sort", `${order.isDown ? "-" : ""}${order.column}`);
  const query = said.toString();
  return query ? `#/?${query}` : "#/";
}

/** Return what an address says; null if it says nothing of it. What it can't mean is passed over. */
export function viewOf(address) {
  if (!address.startsWith("#/?")) return null;
  const said = new URLSearchParams(address.slice(3));
  const [, down, column] = /^(-?)(\w+)$/.exec(said.get("sort") ?? "") ?? [];
  const order = Object.hasOwn(COLUMNS, column ?? "") ? { column, isDown: down === "-" } : CALM;
  return { text: said.get("q") ?? "", states: new Set(said.getAll("is")), onlyTrouble: said.has("trouble"), order };
}
