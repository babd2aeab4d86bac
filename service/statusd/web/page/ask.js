// Before a command: who would get it. What ends work takes more than one press in one place.

import { post } from "./api.js";
import { $, badge, besides, h } from "./dom.js";
import { entryOf } from "./fleet.js";
import { count } from "./format.js";
import { isOfName } from "./keys.js";
import { argumentsOf, batches, caution, isFatal, LAUNCH, named, secondsOf, turned } from "./orders.js";

const MOST_SHOWN = 200;

/** Ask the server who would get it: `{asked, lost}`. */
export async function expected(word, names) {
  const found = { asked: [], lost: [] };
  for (const name of batches(names)) {
    const answer = await post("api/commands", { command: word, target: { name }, dry_run: true });
    const { asked, lost } = await answer.json();
    found.asked.push(...asked);
    found.lost.push(...lost);
  }
  return found;
}

let asking = null; // what is asked now: `{again, over}`

/** Look again at those whom it is asked about; returns whether it had to be asked anew. */
export const meanwhile = () => asking?.again() ?? false;

/** Ask no more: somebody has gone elsewhere. */
export const withdraw = () => asking?.over(null);

/**
 * Show who would get `word`, and wait for what somebody says to that.
 *
 * `latest(name)`: the unit as it is now. Whoever was begun anew meanwhile, or came to work, isn't the
 * one that was meant: then it is asked anew. `isShown(entry)`: whether the table shows it.
 *
 * Returns `{args, durable, expires_s}`, or null if it isn't to be sent.
 */
export function ask(word, entries, { latest, isShown = () => true }) {
  const dialog = $("ask");
  return new Promise((resolve) => {
    const over = (answer) => {
      asking = null;
      dialog.close();
      resolve(answer);
    };
    let [shown, parts] = [entries, null];
    const show = (others) => {
      parts = partsOf(word, shown, parts);
      if (others.length > 0) parts.changed.textContent = `Look again: ${others.slice(0, 3).map(newsOf).join(", ")}.`;
      lay(dialog, parts, over);
      look(word, shown, parts, isShown);
    };
    const again = () => {
      const units = shown.map((entry) => latest(entry.name) ?? entry);
      const others = turned(word, shown, units);
      if (others.length === 0) return false;
      shown = units;
      show(others);
      return true;
    };
    dialog.classList.toggle("fatal", isFatal(word));
    dialog.onclose = () => dialog.open || over(null); // by Esc, or a phone's way back
    besides(dialog, () => over(null));
    dialog.onkeydown = (event) => pressed(event, () => over(null));
    asking = { again, over };
    dialog.showModal();
    show([]);
  });
}

/** Enter that is held down still says nothing; a letter soon after the one that asked is of a name. */
function pressed(event, cancel) {
  const isField = event.target.matches("textarea, input:not([type=checkbox])");
  if (!isField && !event.repeat && isOfName(event)) cancel();
  else if (event.key === "Enter" && event.repeat && !event.target.matches("textarea")) event.preventDefault();
}

const newsOf = (entry) => `${entry.name} is ${entry.state} now`;

function lay(dialog, parts, over) {
  parts.cancel.onclick = () => over(null);
  parts.yes = () => meanwhile() || said(parts, over);
  // The second press of a double click was for what has opened it.
  parts.send.onclick = (event) => {
    if (event.detail > 1) event.preventDefault();
  };
  parts.form.onsubmit = (event) => {
    event.preventDefault();
    if (parts.isFree) parts.yes(); // some browsers ask for it by Enter on a checkbox
  };
  dialog.replaceChildren(parts.form);
  parts.cancel.focus();
}

function said(parts, over) {
  const told = { durable: parts.durable.checked };
  for (const [key, field, read] of [["args", parts.args, argumentsOf], ["expires_s", parts.expires, secondsOf]]) {
    try {
      told[key] = read(field.value);
    } catch (error) {
      parts.wrong.textContent = error.message;
      parts.more.open = true;
      field.focus();
      return;
    }
  }
  over(told);
}

const capital = (word) => word[0].toUpperCase() + word.slice(1);

/** `before`: those of the same question, asked a moment ago: what was typed stays. */
function partsOf(word, entries, before = null) {
  const one = entries.length === 1 ? entries[0].name : count(entries.length, "unit");
  const title = `${capital(word)} ${one}`;
  const parts = { care: caution(word, entries), title };
  parts.roster = h("ul", { class: "roster", "aria-label": "Who would get it" }, h("li", { class: "note" }, "Asking who would get it"));
  parts.changed = h("p", { class: "changed", role: "alert" });
  parts.wrong = h("p", { class: "wrong", role: "alert" });
  const more = moreOf(word, parts, before);
  parts.cancel = h("button", { type: "button", class: "plain" }, "Cancel");
  parts.send = h("button", { type: "submit", class: isFatal(word) ? "fatal" : "main", disabled: true }, title);
  parts.sure = h("div", { class: "sure" });
  const feet = h("footer", {}, parts.cancel, h("span", { class: "gap" }), parts.send);
  parts.form = h("form", { method: "dialog" }, h("h2", { id: "ask-title" }, title), parts.changed, parts.roster, parts.wrong, more, parts.sure, feet);
  return parts;
}

function moreOf(word, parts, before) {
  const isLaunch = word === LAUNCH; // it goes on as it was
  parts.args = h("textarea", { rows: 2, spellcheck: "false", placeholder: "exposure=0.5", "aria-label": "Arguments, one key=value a line", hidden: isLaunch });
  parts.durable = h("input", { type: "checkbox" });
  parts.expires = h("input", { inputmode: "decimal", autocomplete: "off", "aria-label": "Only if it is taken within so many seconds" });
  const durable = h("label", {}, parts.durable, " Keep it for who is away, until they are back");
  const expires = h("label", { hidden: isLaunch }, "Only if it is taken within ", parts.expires, " s");
  parts.more = h("details", {}, h("summary", {}, isLaunch ? "More" : "Arguments and more"), parts.args, durable, expires);
  if (before) {
    for (const key of ["args", "expires"]) parts[key].value = before[key].value;
    parts.durable.checked = before.durable.checked;
    parts.more.open = before.more.open;
  }
  return parts.more;
}

async function look(word, entries, parts, isShown) {
  let found;
  try {
    found = await expected(word, entries.map((entry) => entry.name));
  } catch (error) {
    parts.roster.replaceChildren();
    parts.wrong.textContent = error.message;
    return;
  }
  showRoster(parts.roster, found, entries, isShown);
  if (found.asked.length !== entries.length) {
    const many = found.asked.length;
    parts.form.firstChild.textContent = `${capital(word)} ${many} of ${count(entries.length, "unit")}`;
    parts.send.textContent = `${capital(word)} ${many === 1 ? found.asked[0].name : count(many, "unit")}`;
  }
  if (found.asked.length === 0) {
    parts.wrong.textContent = "Nobody would get it.";
    return;
  }
  ({ plain: ready, button: elsewhere, typed })[parts.care](parts, found, word);
}

function showRoster(list, { asked, lost }, entries, isShown) {
  const known = new Map(entries.map((entry) => [entry.name, entry]));
  const hidden = (unit) => (known.has(unit.name) && !isShown(known.get(unit.name)) ? "hidden by the filter" : "");
  const rows = [...lost.map((unit) => [unit, "can't be asked"]), ...asked.map((unit) => [unit, hidden(unit)])];
  const there = new Set(rows.map(([unit]) => unit.name));
  const items = rows.slice(0, MOST_SHOWN).map(([unit, note]) => {
    const { kind } = entryOf({ document: {}, ...known.get(unit.name), state: unit.state }, 0);
    return h("li", {}, badge(unit.state, kind), h("b", {}, unit.name), h("span", { class: "note" }, note));
  });
  const others = entries.filter((entry) => !there.has(entry.name));
  if (rows.length > MOST_SHOWN) items.push(h("li", { class: "note" }, `and ${rows.length - MOST_SHOWN} more`));
  if (others.length > 0) items.push(h("li", { class: "note" }, `wouldn't get it: ${named(others, 8)}`));
  list.replaceChildren(...items);
}

function ready(parts) {
  free(parts, true);
  parts.send.focus();
}

function free(parts, isFree) {
  parts.isFree = isFree;
  parts.send.disabled = !isFree;
}

/** The second press is in another place than the first, and the keys rest on what does no harm. */
function elsewhere(parts, { asked }, word) {
  const { name } = asked[0];
  const why = word.toLowerCase() === "force" ? "Its worker is killed at once." : `${name} is at work.`;
  const first = parts.send;
  first.disabled = false;
  first.textContent = `${capital(word)} …`;
  first.type = "button";
  first.onclick = () => {
    first.hidden = true;
    const second = h("button", { type: "button", class: "fatal", onclick: parts.yes }, `Yes, ${word} ${name}`);
    parts.sure.replaceChildren(second, h("p", {}, `${why} It isn't started again by itself.`));
    parts.cancel.textContent = "Keep it";
    parts.cancel.focus();
  };
}

/** How many there are is typed: nobody ends forty in the belief that it is one. */
function typed(parts, { asked }, word) {
  const input = h("input", { id: "ask-many", inputmode: "numeric", autocomplete: "off" });
  const label = `Type ${asked.length} to ${word} ${count(asked.length, "unit")}`;
  parts.sure.replaceChildren(h("label", { for: "ask-many" }, label), input);
  input.oninput = () => free(parts, input.value.trim() === String(asked.length));
  input.focus();
}
