// The keyboard: what each key does, and the list of it.

import { $, besides, h } from "./dom.js";

const ROWS = [
  ["/", "filter: words; name: tag: state: host: text:; gpu-* for whole names; -\u2060word for what hasn't it"],
  ["↑ ↓ or k j", "go to another unit"], ["Space", "select it, or no longer"],
  ["Ctrl A", "select all that are shown"], ["Enter", "look at it in full; Backspace leads back"],
  ["t", "show trouble alone"], ["p", "pause"], ["r", "resume"],
  ["s", "start"], ["e", "end"], ["l", "launch what has ended"], ["Esc", "close, clear"], ["?", "this list"],
];
const WORDS = { p: "pause", r: "resume", s: "start", e: "end", l: "launch" };
const APART_MS = 500; // letters that are nearer to each other are a name
const MOVES = { ArrowDown: 1, j: 1, ArrowUp: -1, k: -1 };

export function showKeys() {
  const dialog = $("keys");
  const close = h("button", { type: "button", class: "main", onclick: () => dialog.close() }, "Close");
  const rows = ROWS.map(([key, text]) => h("div", {}, h("dt", {}, h("kbd", {}, key)), h("dd", {}, text)));
  const note = h("p", { class: "note" }, "Words go to the selected units; without any, to the one with the cursor, if it is shown. Each asks first.");
  dialog.replaceChildren(h("h2", { id: "keys-title" }, "Keys"), h("dl", {}, ...rows), note, close);
  besides(dialog, () => dialog.close());
  dialog.showModal();
  close.focus();
}

let letterAt = -Infinity;

/** Return whether a letter is of a name that somebody types beside the filter: another one was just there. */
export function isOfName({ key, timeStamp, ctrlKey, metaKey, altKey }) {
  if (key.length > 1 || " /?jk".includes(key) || ctrlKey || metaKey || altKey) return false;
  const isNear = timeStamp - letterAt < APART_MS;
  letterAt = timeStamp;
  return isNear;
}

/**
 * Listen to keys.
 *
 * `doing`: `table`, `isFleet()`, `command(word)`, `open()`, `back()`, `clear()`, `trouble()`.
 */
export function listen(doing) {
  addEventListener("keydown", (event) => {
    if (document.querySelector("dialog[open]") || event.altKey || event.isComposing) return;
    const isTyping = event.target.matches("input:not([type=checkbox]), textarea, select");
    if (isTyping) typed(event, doing);
    else if ((event.ctrlKey || event.metaKey) && event.key !== "a") return;
    else if (!isOfName(event) && pressed(event, doing)) event.preventDefault();
  });
}

function typed(event, doing) {
  const isFilter = event.target.id === "filter";
  if (event.key === "Escape" && isFilter && !event.target.value) $("grid").focus();
  else if (isFilter && (event.key === "Enter" || event.key === "ArrowDown")) {
    $("grid").focus();
    event.preventDefault();
  }
}

function pressed(event, doing) {
  const { key } = event;
  if (key === "?") showKeys();
  else if (key === "Escape") doing.clear();
  else if (WORDS[key] && !event.repeat && !event.ctrlKey) doing.command(WORDS[key]);
  else if (!doing.isFleet()) {
    if (key !== "Backspace") return false;
    doing.back();
  } else return inFleet(event, doing);
  return true;
}

function inFleet(event, { table, open, trouble }) {
  const { key } = event;
  const isElsewhere = event.target.matches("button, a, input, summary") && event.target.closest(".row:not(.head)") === null;
  if (event.ctrlKey || event.metaKey) table.selectAll(true);
  else if (key === "/") $("filter").focus();
  else if (key === "t") trouble();
  else if (MOVES[key]) go(table, MOVES[key], event.shiftKey);
  else if (isElsewhere) return false; // Enter and space press what has the focus
  else if (key === "PageDown") go(table, table.page);
  else if (key === "PageUp") go(table, -table.page);
  else if (key === "Home") go(table, -Infinity);
  else if (key === "End") go(table, Infinity);
  else if (key === " " && table.cursor) table.toggle(table.cursor);
  else if (key === "Enter" && table.cursor) open();
  else return false;
  return true;
}

function go(table, by, isSelecting = false) {
  $("grid").focus({ preventScroll: true });
  if (isSelecting && table.cursor) table.selected.add(table.cursor);
  table.move(by);
  if (isSelecting && table.cursor) table.selected.add(table.cursor);
}
