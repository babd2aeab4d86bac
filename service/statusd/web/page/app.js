// The page: what is on it, and what belongs together.

import { get, now } from "./api.js";
import { ask, meanwhile, withdraw } from "./ask.js";
import { $, announce, h, inFrame, mark, put } from "./dom.js";
import { filterOf, Fleet, isTrouble } from "./fleet.js";
import * as f from "./format.js";
import { listen, showKeys } from "./keys.js";
import { addressOf, CALM, keyOf, pressed, viewOf } from "./order.js";
import { choices, isFatal, named } from "./orders.js";
import { Stream } from "./stream.js";
import { Table } from "./table.js";
import { Verdicts } from "./verdicts.js";

const LATE_S = 2; // a server that doesn't answer for so long is told of
const KEEP_MS = 300;
const THEMES = ["auto", "light", "dark"];

const fleet = new Fleet();
const verdicts = new Verdicts({ silent: (name, word) => changed(() => fleet.silent(name, word, now())) });
const table = new Table($("grid"), fleet, { changed: () => drawBars(), open, sort: (column) => sort(pressed(state.order, column)) });
const state = { me: null, broker: null, downSince: 0, heardAt: 0, page: null, states: new Set(), onlyTrouble: false, order: CALM };
const drawAll = inFrame(() => {
  drawChips();
  drawWords();
  drawNobody();
  table.draw();
  meanwhile();
});
const drawBars = inFrame(() => {
  drawChips();
  drawWords();
});

function changed(change) {
  change();
  drawAll();
}

// ---- what the server tells ----------------------------------------------------------------------

const stream = new Stream({ units: takeAll, message: take, link });

function takeAll({ units, broker }) {
  changed(() => fleet.reset(units, now()));
  for (const name of [...table.selected]) if (!fleet.get(name)) table.forget(name);
  brokerIs(broker);
  state.page?.reset();
  document.body.dataset.ready = "";
}

function take(kind, data) {
  state.heardAt = now();
  if (kind === "unit") takeUnit(data);
  else if (kind === "gone") takeGone(data);
  else if (kind === "broker") brokerIs(data);
  else if (kind === "event") state.page?.event(data);
}

function takeUnit(unit) {
  const before = fleet.get(unit.name);
  const entry = fleet.take(unit, now());
  if (isTrouble(entry) && (!before || !isTrouble(before) || before.state !== entry.state)) {
    announce(`${entry.name}: ${entry.state}`);
  }
  state.page?.unit(entry);
  drawAll();
}

function takeGone({ name }) {
  changed(() => fleet.drop(name));
  table.forget(name);
  state.page?.gone(name);
}

function link(isUp) {
  if (isUp) state.downSince = 0;
  else state.downSince ||= now();
  drawBanner();
}

function brokerIs(broker) {
  state.broker = broker;
  state.heardAt = now();
  drawBanner();
  drawBars();
  state.page?.draw();
}

/** Return why nobody can be commanded now; empty if they can. */
function standstill() {
  if (state.me && !state.me.may_command) return state.me.read_only ? "this server only shows" : "a viewer's token only looks";
  if (state.broker && state.broker.state !== "up") return "the broker is away";
  return state.downSince ? "the server doesn't answer" : "";
}

function drawBanner() {
  const { broker, downSince } = state;
  let text = "";
  if (downSince && now() - downSince >= LATE_S) {
    text = `statusd web doesn't answer since ${clockAt(downSince)}. What is shown is as of ${clockAt(state.heardAt || downSince)}.`;
  } else if (broker && broker.state !== "up") {
    const heard = broker.heard ? `What is shown is as of ${f.clock(broker.heard, now())}.` : "It hasn't answered yet.";
    text = `The broker is away since ${f.clock(broker.since, now())} (${f.ago(broker.since, now())}): ${broker.reason}. ${heard}`;
  }
  put($("banner"), text);
  $("banner").hidden = !text;
  mark(document.body, "class", text ? "stale" : "");
  const isLive = !text && !downSince && broker;
  put($("live"), isLive ? "live" : text ? "not live" : "connecting");
  mark($("live"), "class", `live ${isLive ? "up" : "down"}`);
}

const clockAt = (time) => f.clock(new Date(time * 1000).toISOString(), now());

// ---- the summary and the filter -----------------------------------------------------------------

function drawChips() {
  const states = fleet.statesByRank;
  for (const name of state.states) if (!states.includes(name)) states.push(name);
  const wanted = [
    ["all", "every", "All", fleet.size, state.states.size === 0 && !state.onlyTrouble],
    ["trouble", "trouble", "Trouble", fleet.troubles, state.onlyTrouble],
    ...states.map((name) => [`is ${name}`, fleet.kinds.get(name) ?? "", name, fleet.states.get(name) ?? 0, state.states.has(name)]),
  ];
  const chips = $("chips");
  while (chips.children.length > wanted.length) chips.lastChild.remove();
  while (chips.children.length < wanted.length) chips.append(chip());
  wanted.forEach((each, at) => drawChip(chips.children[at], ...each));
  if (!state.page) document.title = fleet.troubles > 0 ? `(${fleet.troubles}) statusd` : "statusd";
}

function chip() {
  const made = h("button", { type: "button" }, h("i", { class: "sign" }), h("span"), h("b"));
  made.onclick = () => press(made.dataset.key);
  return made;
}

function drawChip(element, key, kind, name, many, isOn) {
  element.dataset.key = key;
  const isCalm = key === "trouble" && many === 0;
  mark(element, "class", `chip ${isCalm ? "calm" : kind}`);
  mark(element, "aria-pressed", String(isOn));
  put(element.children[1], name);
  put(element.children[2], f.number(many));
}

function press(key) {
  if (key === "all") {
    state.states.clear();
    state.onlyTrouble = false;
  } else if (key === "trouble") state.onlyTrouble = !state.onlyTrouble;
  else if (!state.states.delete(key.slice(3))) state.states.add(key.slice(3));
  refilter();
}

function refilter() {
  fleet.refilter(filterOf($("filter").value, state.states, state.onlyTrouble));
  $("grid").scrollTop = 0;
  keep();
  drawAll();
  if ("ready" in document.body.dataset) announce(`${f.count(fleet.shown.length, "unit")} shown`);
}

/** Sort by a column, or with trouble first. */
function sort(order) {
  state.order = order;
  fleet.sort(keyOf(order), order.isDown);
  const title = table.tellOrder(order);
  put($("order"), title && `by ${title} ${order.isDown ? "▼" : "▲"} ✕`);
  mark($("order"), "aria-label", `Sorted by ${title}: trouble first again`);
  $("order").hidden = !title;
  $("grid").scrollTop = 0;
  keep();
  drawAll();
  announce(title ? `sorted by ${title}` : "trouble first");
}

let keeping = 0;
const address = () => addressOf({ text: $("filter").value, ...state });

/** Keep in the address what is looked at; not with each letter, for browsers count that. */
function keep() {
  clearTimeout(keeping);
  keeping = setTimeout(() => {
    const isAsSaid = (location.hash || "#/") === address();
    if (!isAsSaid && !isUnit()) history.replaceState(null, "", address());
  }, KEEP_MS);
}

/** Show what the address says; what it doesn't say stays as it is. */
function restore() {
  const view = viewOf(location.hash);
  if (!view || location.hash === address()) return keep();
  $("filter").value = view.text;
  state.states = view.states;
  state.onlyTrouble = view.onlyTrouble;
  sort(view.order);
  refilter();
}

function drawNobody() {
  const isEmpty = fleet.shown.length === 0 && (fleet.size > 0 || state.broker?.state === "up");
  $("nobody").hidden = !isEmpty;
  if (!isEmpty) return;
  const isFiltered = fleet.size > 0;
  put($("nobody"), isFiltered ? "No unit fits the filter. Esc clears it." : "There is no unit yet: statusd run starts one.");
}

// ---- commands -----------------------------------------------------------------------------------

/**
 * Put the buttons of a selection into `place`, whatever is allowed. A button is one word for as long
 * as it lives: whoever has it under the finger never presses another one.
 */
function drawButtons(place, entries, command) {
  const stands = standstill();
  const wanted = entries.length === 0 ? [] : choices(entries);
  const words = new Set(wanted.map(({ word }) => word));
  for (const element of [...place.children]) if (!words.has(element.dataset.word)) element.remove();
  wanted.forEach(({ word, why }, at) => {
    if (place.children[at]?.dataset.word !== word) place.insertBefore(buttonOf(word, command), place.children[at] ?? null);
    const element = place.children[at];
    const reason = stands || why;
    mark(element, "class", isFatal(word) ? "fatal" : "plain");
    mark(element, "aria-disabled", reason ? "true" : "");
    mark(element, "title", reason || `${word} ${named(entries)}`);
  });
}

function buttonOf(word, command) {
  const press = ({ currentTarget }) => {
    if (currentTarget.getAttribute("aria-disabled") !== "true") command(word);
  };
  return h("button", { type: "button", "data-word": word, onclick: press }, isFatal(word) ? `${word} …` : word);
}

function drawWords() {
  const { selected } = table;
  const { meant } = table;
  const shown = new Set(selected.size > 0 ? fleet.shown : []);
  const hidden = meant.filter((entry) => !shown.has(entry)).length;
  let text = "Nothing is selected";
  if (selected.size > 0) text = `${f.number(selected.size)} selected${hidden ? `, ${hidden} not shown` : ""}`;
  else if (meant.length > 0) text = meant[0].name;
  put($("meant"), [text, standstill()].filter(Boolean).join(" · "));
  const all = $("all");
  all.checked = shown.size > 0 && fleet.shown.every((entry) => selected.has(entry.name));
  all.indeterminate = selected.size > 0 && !all.checked;
  mark(all, "aria-label", `Select all ${fleet.shown.length} shown`);
  drawButtons($("words"), meant, (word) => command(word));
}

function meantNow() {
  return state.page ? [fleet.get(state.page.name)].filter(Boolean) : table.meant;
}

/** Ask, send, follow. */
async function command(word) {
  const entries = meantNow();
  const stands = standstill();
  if (entries.length === 0 || stands) {
    toast(stands || "Nothing is selected");
    return;
  }
  const choice = choices(entries).find((each) => each.word === word);
  if (!choice || choice.why) {
    toast(`${word}: ${choice?.why || "it isn't a word of these"}`);
    return;
  }
  const isShown = (entry) => Boolean(state.page) || fleet.indexOf(entry) >= 0;
  const answer = await ask(word, entries, { latest: (name) => fleet.get(name), isShown });
  if (answer) verdicts.send(word, entries.map((entry) => entry.name), answer);
}

let toasted = 0;

/** Say for a moment why nothing happens. */
function toast(text) {
  announce(text);
  document.querySelector(".toast")?.remove();
  document.body.append(h("div", { class: "toast", "aria-hidden": "true" }, text));
  clearTimeout(toasted);
  toasted = setTimeout(() => document.querySelector(".toast")?.remove(), 4000);
}

// ---- where we are -------------------------------------------------------------------------------

function open(name = table.cursor) {
  if (name) location.hash = `#/unit/${encodeURIComponent(name)}`;
}

const isUnit = () => location.hash.startsWith("#/unit/");

async function route() {
  withdraw();
  $("keys").close();
  const [, encoded] = /^#\/unit\/(.+)$/.exec(location.hash) ?? [];
  const name = encoded && decoded(encoded);
  state.page?.close();
  state.page = null;
  $("fleet").hidden = Boolean(name);
  $("unit").hidden = !name;
  if (!name) {
    restore();
    drawAll();
    table.measure();
    if (table.cursor) $("grid").focus({ preventScroll: true }); // we come back from it
    return;
  }
  const { UnitPage } = await import("./unit.js");
  if (location.hash !== `#/unit/${encoded}`) return;
  table.cursor = name;
  state.page = new UnitPage($("unit"), name, { fleet, command, drawButtons, stream });
}

function decoded(text) {
  try {
    return decodeURIComponent(text);
  } catch {
    return text; // a per cent that somebody typed
  }
}

function clear() {
  if (!$("verdicts").hidden) verdicts.close();
  else if (state.page) location.hash = "#/";
  else if (table.selected.size > 0) table.selectAll(false);
  else if ($("filter").value || state.states.size > 0 || state.onlyTrouble) {
    $("filter").value = "";
    press("all");
  } else if (state.order.column) sort(CALM);
}

// ---- all of it ----------------------------------------------------------------------------------

function drawTheme() {
  const chosen = document.documentElement.dataset.theme ?? "auto";
  put($("theme"), chosen[0].toUpperCase() + chosen.slice(1));
  mark($("theme"), "aria-label", `Colours: ${chosen}`);
}

function nextTheme() {
  const { dataset } = document.documentElement;
  const next = THEMES[(THEMES.indexOf(dataset.theme ?? "auto") + 1) % THEMES.length];
  if (next === "auto") delete dataset.theme;
  else dataset.theme = next;
  localStorage.setItem("statusd-theme", next);
  drawTheme();
}

async function logOut() {
  await fetch("logout", { method: "POST" });
  location.assign("login");
}

async function introduce() {
  state.me = await get("api/me");
  const { user, role, read_only: isReadOnly, namespace, broker } = state.me;
  put($("where"), `${namespace} · ${broker}`);
  mark($("where"), "title", `namespace ${namespace} on ${broker}`);
  put($("who"), [user, isReadOnly ? "read-only" : role].filter(Boolean).join(" · "));
  drawBars();
  state.page?.draw();
}

setInterval(() => {
  if (document.hidden) return;
  fleet.tick(now());
  drawBanner();
  table.draw();
  state.page?.tick();
}, 1000);

$("filter").addEventListener("input", refilter);
$("order").addEventListener("click", () => sort(CALM));
$("all").addEventListener("change", () => table.selectAll($("all").checked));
$("theme").addEventListener("click", nextTheme);
$("help").addEventListener("click", showKeys);
$("logout").addEventListener("click", logOut);
addEventListener("hashchange", route);
listen({
  ...{ table, open, command, clear, isFleet: () => !state.page, trouble: () => press("trouble") },
  back: () => (location.hash = "#/"),
});
drawTheme();
introduce().catch(() => {}); // what the server lacks, the stream's banner tells
stream.start();
route();
