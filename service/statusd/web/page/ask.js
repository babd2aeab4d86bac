// Before a command: who would get it. What ends work takes more than one press in one place.

import { post } from "./api.js";
import { $, badge, h } from "./dom.js";
import { entryOf } from "./fleet.js";
import { count } from "./format.js";
import { argumentsOf, batches, caution, isFatal, LAUNCH, named } from "./orders.js";

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

/**
 * Show who would get `word`, and wait for what somebody says to that.
 *
 * Returns `{args, durable}`, or null if it isn't to be sent.
 */
export function ask(word, entries) {
  const dialog = $("ask");
  const parts = partsOf(word, entries);
  dialog.replaceChildren(parts.form);
  dialog.classList.toggle("fatal", isFatal(word));
  return new Promise((resolve) => {
    const over = (answer) => {
      dialog.close();
      resolve(answer);
    };
    dialog.oncancel = () => resolve(null);
    dialog.onclick = (event) => {
      if (event.target === dialog) over(null); // beside it
    };
    parts.cancel.onclick = () => over(null);
    parts.form.onsubmit = (event) => {
      event.preventDefault();
      if (parts.isFree) said(parts, over); // some browsers ask for it by Enter on a checkbox
    };
    parts.yes = () => said(parts, over);
    dialog.showModal();
    parts.cancel.focus();
    look(word, entries, parts);
  });
}

function said(parts, over) {
  try {
    over({ args: argumentsOf(parts.args.value), durable: parts.durable.checked });
  } catch (error) {
    parts.wrong.textContent = error.message;
    parts.args.focus();
  }
}

const capital = (word) => word[0].toUpperCase() + word.slice(1);

function partsOf(word, entries) {
  const one = entries.length === 1 ? entries[0].name : count(entries.length, "unit");
  const title = `${capital(word)} ${one}`;
  const parts = { care: caution(word, entries), title };
  parts.roster = h("ul", { class: "roster", "aria-label": "Who would get it" }, h("li", { class: "note" }, "Asking who would get it"));
  parts.wrong = h("p", { class: "wrong", role: "alert" });
  parts.args = h("textarea", { rows: 2, spellcheck: "false", placeholder: "exposure=0.5", "aria-label": "Arguments, one key=value a line" });
  parts.durable = h("input", { type: "checkbox" });
  parts.args.hidden = word === LAUNCH; // it goes on as it was
  parts.more = h("details", {}, h("summary", {}, parts.args.hidden ? "More" : "Arguments and more"), parts.args, h("label", {}, parts.durable, " Keep it for who is away, until they are back"));
  parts.cancel = h("button", { type: "button", class: "plain" }, "Cancel");
  parts.send = h("button", { type: "submit", class: isFatal(word) ? "fatal" : "main", disabled: true }, title);
  parts.sure = h("div", { class: "sure" });
  const feet = h("footer", {}, parts.cancel, h("span", { class: "gap" }), parts.send);
  parts.form = h("form", { method: "dialog" }, h("h2", { id: "ask-title" }, title), parts.roster, parts.wrong, parts.more, parts.sure, feet);
  return parts;
}

async function look(word, entries, parts) {
  let found;
  try {
    found = await expected(word, entries.map((entry) => entry.name));
  } catch (error) {
    parts.roster.replaceChildren();
    parts.wrong.textContent = error.message;
    return;
  }
  showRoster(parts.roster, found, entries);
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

function showRoster(list, { asked, lost }, entries) {
  const known = new Map(entries.map((entry) => [entry.name, entry]));
  const rows = [...lost.map((unit) => [unit, "can't be asked"]), ...asked.map((unit) => [unit, ""])];
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
