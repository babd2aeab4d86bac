// The pure functions of the page, as node runs them: `node --test`, beside copies of the modules.

import assert from "node:assert/strict";
import { test } from "node:test";

import { points, Track } from "./curves.js";
import { entryOf, filterOf, Fleet, isTrouble, RANK, woe } from "./fleet.js";
import * as f from "./format.js";
import { addressOf, CALM, keyOf, pressed, viewOf } from "./order.js";
import { argumentsOf, batches, caution, choices, named, secondsOf, Sent, turned } from "./orders.js";
import { plain } from "./output.js";
import { isBehind } from "./stream.js";

const NOW = Date.parse("2026-01-01T12:00:00Z") / 1000;
const at = (past) => new Date((NOW - past) * 1000).toISOString();

function unit(name, state, document = {}, more = {}) {
  const part = { RUNNING: "works" }[state] ?? "waits";
  return { name, boot: 1, state, lost: state === "LOST", left: state === "END", seen: at(1), document: { state, part, seq: 1, allowed: [], ...document }, ...more };
}

function fleetOf(...units) {
  const fleet = new Fleet();
  fleet.reset(units, NOW);
  return fleet;
}

const names = (fleet) => fleet.shown.map((entry) => entry.name);
const words = (found) => found.filter(({ why }) => !why).map(({ word }) => word);

test("times are told in the largest unit that fits, and unknown ones not at all", () => {
  const told = [0.4, 1, 59, 60, 3599, 3600, 86399, 86400, 9e6].map((past) => f.ago(at(past), NOW));
  assert.deepEqual(told, ["now", "1 s", "59 s", "1 min", "59 min", "1 h", "23 h", "1 d", "104 d"]);
  assert.equal(f.ago(at(-5), NOW), "now"); // a clock that is ahead
  for (const none of [undefined, null, "", "yesterday", {}]) assert.equal(f.ago(none, NOW), "");
});

test("lengths, sizes, shares, numbers and paces", () => {
  assert.deepEqual([0, 59.4, 59.6, 3599, 3661, 90000].map(f.duration), ["0 s", "59 s", "1 min", "1 h 0 min", "1 h 1 min", "1 d 1 h"]);
  assert.deepEqual([0, 1023, 1024, 2.1 * 2 ** 30].map(f.size), ["0 B", "1023 B", "1.0 KiB", "2.1 GiB"]);
  assert.deepEqual([0, 0.984, 4].map(f.percent), ["0 %", "98 %", "400 %"]);
  assert.deepEqual([1240, 12.345, 0.00123, 1234.5].map(f.number), ["1,240", "12.3", "0.00123", "1,235"]);
  assert.deepEqual([12.34, 0.5, 0.01, 0.0001, 0].map((pace) => f.rate(pace, "images")), ["12.3 images/s", "30 images/min", "36 images/h", "8.64 images/d", "stands still"]);
  for (const write of [f.duration, f.size, f.percent, f.number, f.rate]) {
    for (const none of [undefined, null, NaN]) assert.equal(write(none), "");
  }
  assert.equal(f.share({ step: 30, total: 20 }), 1);
  for (const none of [null, {}, { step: 3, total: 0 }, { total: 4 }]) assert.ok(Number.isNaN(f.share(none)));
});

test("a state is of the kind that its daemon says; of an older one, what its part tells", () => {
  const kinds = (...documents) => documents.map(([state, document]) => entryOf(unit("a", state, document), NOW).kind);
  assert.deepEqual(kinds(["ABORTED", { kind: "fault" }], ["CLEARING", { kind: "acting", part: "works" }], ["IDLE", { kind: "waiting" }]), ["fault", "acting", "waiting"]);
  assert.deepEqual(kinds(["FAILED", {}], ["BACKOFF", {}], ["ACQUIRING", { part: "works" }], ["IDLE", {}]), ["fault", "acting", "working", "waiting"]);
  assert.deepEqual(kinds(["LOST", { kind: "working" }], ["IDLE", { kind: "lost" }], ["IDLE", { kind: ["fault"] }]), ["lost", "waiting", "waiting"]);
  const entry = entryOf(unit("a", "ABORTED", { kind: "fault", text: "door open" }), NOW);
  assert.equal(entry.rank, RANK.fault);
  assert.ok(isTrouble(entry));
});

test("trouble stands first, the worst of it before the rest, and names decide the rest", () => {
  const fleet = fleetOf(
    unit("works", "RUNNING"), unit("also-works", "RUNNING"), unit("waits", "READY"), unit("over", "END"),
    unit("unseen", "PAUSED", { unseen_since: at(11) }), unit("in-a-step", "PAUSED", { unseen_since: at(1) }),
    unit("told", "RUNNING", { trouble: "its disk is full" }), unit("again", "BACKOFF", { text: "exit code 1" }),
    unit("dead", "FAILED"), unit("gone", "LOST"), unit("broken", "UNREADABLE", {}, { unreadable: "no JSON" }),
    unit("leaves", "ENDING"),
  );
  assert.deepEqual(names(fleet), [
    "broken", "gone", "dead", "again", "unseen", "told", "leaves", "also-works", "works", "in-a-step", "waits", "over",
  ]);
  assert.equal(fleet.troubles, 6);
  assert.deepEqual(fleet.statesByRank.slice(0, 4), ["UNREADABLE", "LOST", "FAILED", "BACKOFF"]);
});

test("names are sorted as people count", () => {
  const fleet = fleetOf(...["unit-10", "unit-2", "unit-1", "unit-02"].map((name) => unit(name, "RUNNING")));
  assert.deepEqual(names(fleet), ["unit-1", "unit-02", "unit-2", "unit-10"]);
});

test("what isn't seen in its state becomes trouble by the time alone", () => {
  const fleet = fleetOf(unit("a", "PAUSED", { unseen_since: at(4.9) }), unit("b", "RUNNING"));
  assert.deepEqual(names(fleet), ["b", "a"]);
  fleet.tick(NOW + 0.2);
  assert.deepEqual(names(fleet), ["a", "b"]);
  assert.equal(fleet.troubles, 1);
});

test("why somebody should look at it is told in words", () => {
  assert.equal(woe(entryOf(unit("a", "BACKOFF", { text: "exit code 1", trouble: "disk full" }), NOW)), "exit code 1; disk full");
  assert.equal(woe(entryOf(unit("a", "RUNNING"), NOW)), "");
  assert.equal(woe(entryOf(unit("a", "PAUSED", { unseen_since: at(60) }), NOW)), "its worker isn't seen in PAUSED yet");
  assert.equal(woe(entryOf(unit("a", "PAUSED", { unseen_since: at(1) }), NOW)), "");
});

test("changes one by one give what a sort of all gives, by whatever it is sorted", () => {
  const states = ["RUNNING", "PAUSED", "FAILED", "LOST", "END", "BACKOFF"];
  let seed = 7;
  const draw = (below) => (seed = (seed * 48271) % 2147483647) % below;
  for (const order of [CALM, { column: "cpu", isDown: true }, { column: "host", isDown: false }, { column: "since", isDown: true }]) {
    const fleet = fleetOf();
    fleet.sort(keyOf(order), order.isDown);
    const known = new Map();
    for (let turn = 0; turn < 3000; turn += 1) {
      const name = `unit-${draw(60)}`;
      if (draw(10) === 0) {
        known.delete(name);
        fleet.drop(name);
      } else {
        const more = { ...(draw(4) && { host: `lab-${draw(12)}` }), ...(draw(3) && { since: at(draw(99)) }) };
        const changed = unit(name, states[draw(states.length)], { seq: turn, worker: { resources: { cpu: draw(5) / 4 } }, ...more });
        known.set(name, changed);
        fleet.take(changed, NOW);
      }
      if (draw(50) === 0) fleet.hold(!fleet.held);
    }
    fleet.hold(false);
    const sorted = fleetOf(...known.values());
    sorted.sort(keyOf(order), order.isDown);
    assert.deepEqual(names(fleet), names(sorted), order.column);
    const counts = [...fleet.states.values()].reduce((sum, many) => sum + many, 0);
    assert.equal(counts, known.size);
    assert.equal(fleet.troubles, fleet.shown.filter(isTrouble).length);
  }
});

test("a column sorts what has a value in it; the rest stands last, and what is alike as ever", () => {
  const of = (cpu, more = {}) => ({ worker: { resources: { cpu } }, ...more });
  const fleet = fleetOf(
    unit("b-10", "RUNNING", of(0.5, { since: at(60) })), unit("b-2", "RUNNING", of(0.5, { since: at(5) })), unit("A", "FAILED", of(0.1, { since: at(900) })),
    unit("none", "LOST"), unit("over", "END", of(0.9, { since: at(1) })),
  );
  const sorted = (column, isDown) => (fleet.sort(keyOf({ column }), isDown), names(fleet));
  assert.deepEqual(sorted("cpu", true), ["b-2", "b-10", "A", "none", "over"]); // what is over uses none
  assert.deepEqual(sorted("cpu", false), ["A", "b-2", "b-10", "none", "over"]);
  assert.deepEqual(sorted("name", false), ["A", "b-2", "b-10", "none", "over"]);
  assert.deepEqual(sorted("since", false).slice(0, 3), ["none", "over", "b-2"]); // a lost one: since it was seen
  assert.deepEqual(sorted("state", true), ["b-2", "b-10", "none", "A", "over"]);
  assert.deepEqual(sorted("", false), ["none", "A", "b-2", "b-10", "over"]);
});

test("a head that is pressed again turns it round, and then lets trouble be first", () => {
  const name = pressed(CALM, "name");
  assert.deepEqual(name, { column: "name", isDown: false });
  assert.deepEqual(pressed(name, "name"), { column: "name", isDown: true });
  assert.deepEqual(pressed({ column: "name", isDown: true }, "name"), CALM);
  assert.deepEqual(pressed(name, "cpu"), { column: "cpu", isDown: true }); // the busiest first
  assert.deepEqual(pressed({ column: "cpu", isDown: false }, "cpu"), CALM);
});

test("an address says what is looked at, and nothing that isn't", () => {
  const view = { text: "tag:gpu -night & #1", states: new Set(["PAUSED", "LOST"]), onlyTrouble: true, order: { column: "cpu", isDown: true } };
  assert.deepEqual(viewOf(addressOf(view)), view);
  const calm = { text: "", states: new Set(), onlyTrouble: false, order: CALM };
  assert.equal(addressOf(calm), "#/");
  assert.equal(viewOf("#/"), null);
  assert.deepEqual(viewOf("#/?sort=constructor&q=&x=%"), calm);
  assert.deepEqual(viewOf("#/?sort=--cpu").order, CALM);
});

test("rows that are held stay where they are, with what is new in them", () => {
  const fleet = fleetOf(unit("a", "RUNNING"), unit("b", "RUNNING"));
  fleet.hold(true);
  fleet.take(unit("b", "FAILED"), NOW);
  assert.deepEqual(names(fleet), ["a", "b"]);
  assert.equal(fleet.shown[1].state, "FAILED");
  assert.equal(fleet.indexOf(fleet.get("b")), 1);
  assert.equal(fleet.hold(false), true);
  assert.deepEqual(names(fleet), ["b", "a"]);
});

test("a unit stays silent until it says something new", () => {
  const fleet = fleetOf(unit("a", "RUNNING"), unit("b", "RUNNING"));
  fleet.silent("b", "pause", NOW);
  assert.deepEqual(names(fleet), ["b", "a"]);
  fleet.take(unit("b", "RUNNING", { text: "a step further" }), NOW);
  assert.equal(fleet.get("b").silentTo, "pause");
  fleet.reset([unit("a", "RUNNING"), unit("b", "RUNNING")], NOW);
  assert.equal(fleet.get("b").rank, RANK.silent);
  fleet.take(unit("c", "LOST"), NOW);
  fleet.silent("c", "pause", NOW);
  assert.equal(fleet.get("c").rank, RANK.lost);
  fleet.take(unit("b", "PAUSED", { seq: 2 }), NOW);
  assert.equal(fleet.get("b").silentTo, "");
});

test("the filter: words, keys, patterns, opposites", () => {
  const fleet = fleetOf(
    unit("gpu-1", "RUNNING", { tags: ["night"], host: "lab-01", text: "exposing M31" }),
    unit("gpu-2", "PAUSED", { tags: ["day"], host: "lab-02" }), unit("cpu.1", "FAILED", { tags: ["night"] }),
  );
  const shown = (text, ...more) => (fleet.refilter(filterOf(text, ...more)), names(fleet).sort());
  assert.deepEqual(shown("gpu"), ["gpu-1", "gpu-2"]);
  assert.deepEqual(shown("GPU paused"), ["gpu-2"]);
  assert.deepEqual(shown("tag:night -state:failed"), ["gpu-1"]);
  assert.deepEqual(shown("host:lab-02"), ["gpu-2"]);
  assert.deepEqual(shown("text:m31"), ["gpu-1"]);
  assert.deepEqual(shown("*-1"), ["gpu-1"]);
  assert.deepEqual(shown("cpu?1"), ["cpu.1"]);
  assert.deepEqual(shown("name:cpu.*"), ["cpu.1"]);
  assert.deepEqual(shown("nokey:x"), []);
  assert.deepEqual(shown("", new Set(["PAUSED"])), ["gpu-2"]);
  assert.deepEqual(shown("", new Set(), true), ["cpu.1"]);
  fleet.take(unit("gpu-2", "FAILED"), NOW);
  assert.deepEqual(names(fleet).sort(), ["cpu.1", "gpu-2"]);
});

test("ten thousand units are filtered, and changed, in a moment", () => {
  const many = Array.from({ length: 10_000 }, (_, number) => unit(`unit-${number}`, number % 7 ? "RUNNING" : "PAUSED"));
  const fleet = fleetOf(...many);
  const began = performance.now();
  fleet.refilter(filterOf("unit-99 state:run"));
  for (const column of ["", "name", "since"]) {
    fleet.sort(keyOf({ column }), true);
    for (let turn = 0; turn < 50; turn += 1) fleet.take(unit(`unit-${turn * 31}`, "PAUSED", { seq: 2 }), NOW);
  }
  assert.ok(performance.now() - began < 1000); // it takes about 20 ms; a quadratic one takes minutes
});

test("only what all allow can be said; who is lost stands in nobody's way", () => {
  const running = entryOf(unit("a", "RUNNING", { allowed: ["pause", "stop", "end"] }), NOW);
  const paused = entryOf(unit("b", "PAUSED", { allowed: ["resume", "stop", "end"] }), NOW);
  const lost = entryOf(unit("c", "LOST"), NOW);
  const over = entryOf(unit("d", "END", { daemon: "lab" }), NOW);
  const gone = entryOf(unit("e", "END"), NOW);
  assert.deepEqual(words(choices([running])), ["pause", "stop", "end"]);
  assert.deepEqual(words(choices([running, paused])), ["stop", "end"]);
  assert.deepEqual(words(choices([running, lost])), ["pause", "stop", "end"]);
  assert.deepEqual(words(choices([lost])), []);
  assert.deepEqual(words(choices([over])), ["launch"]);
  assert.deepEqual(words(choices([over, gone])), []);
  assert.deepEqual(words(choices([running, over])), []);
  const why = choices([running, paused]).find(({ word }) => word === "pause").why;
  assert.equal(why, "not allowed in PAUSED: b");
});

test("words stand in one order, and what ends stands last", () => {
  const own = entryOf(unit("a", "IDLE", { words: ["x"], allowed: ["expose", "calibrate", "end", "force"] }), NOW);
  assert.deepEqual(choices([own]).map(({ word }) => word), ["calibrate", "expose", "end", "force"]);
  const usual = entryOf(unit("b", "RUNNING", { allowed: ["end", "pause"] }), NOW);
  assert.deepEqual(choices([usual]).map(({ word }) => word), ["start", "pause", "resume", "stop", "reset", "end"]);
});

test("what ends work takes more than a press", () => {
  const running = entryOf(unit("a", "RUNNING"), NOW);
  const paused = entryOf(unit("b", "PAUSED"), NOW);
  assert.equal(caution("pause", [running, paused]), "plain");
  assert.equal(caution("end", [paused]), "plain");
  assert.equal(caution("END", [running]), "button");
  assert.equal(caution("force", [paused]), "button");
  assert.equal(caution("end", [paused, paused]), "typed");
});

test("who was begun anew, is back, or has come to work is looked at again before it is sent", () => {
  const entry = (name, state, document = {}, more = {}) => entryOf(unit(name, state, document, more), NOW);
  const again = (word, before, units) => turned(word, before, units).map(({ name }) => name);
  const [running, paused] = [entry("a", "RUNNING"), entry("a", "PAUSED")];
  assert.deepEqual(again("end", [paused], [running]), ["a"]);
  assert.deepEqual(again("end", [running], [paused]), []); // it was confirmed for worse
  assert.deepEqual(again("pause", [paused], [running]), []); // it may be said, or is refused
  assert.deepEqual(again("pause", [running], [{ ...running, boot: 2 }]), ["a"]);
  const both = [paused, entry("b", "RUNNING")];
  assert.deepEqual(again("end", both, [running, entry("b", "PAUSED")]), []); // their number was typed
  assert.deepEqual(again("end", [running, entry("b", "LOST")], both.toReversed().map((one, at) => ({ ...one, name: "ab"[at] }))), ["b"]);
  assert.deepEqual(again("launch", [entry("d", "END")], [entry("d", "END")]), []);
});

test("how long it is good for is a number of seconds, or none", () => {
  assert.deepEqual(["", " ", "90", " 0.5 "].map(secondsOf), [undefined, undefined, 90, 0.5]);
  for (const none of ["0", "-1", "1e3", "10m", "abc", "1,5", "999999999"]) assert.throws(() => secondsOf(none), /no number of seconds/);
});

test("a selection is names, each of which means itself alone, in requests that aren't too long", () => {
  assert.deepEqual(batches(["a", "b*", "c[1]?"]), [["a", "b[*]", "c[[]1][?]"]]);
  assert.deepEqual(batches([]), []);
  const many = batches(Array.from({ length: 2500 }, (_, number) => `unit-${number}`));
  assert.deepEqual(many.map((part) => part.length), [1000, 1000, 500]);
  const long = batches(Array.from({ length: 900 }, (_, number) => `${"x".repeat(200)}${number}`));
  for (const part of long) assert.ok(JSON.stringify(part).length < 64 * 1024 - 300);
  assert.equal(named([{ name: "a" }, "b", "c", "d"]), "a, b, c and 1 more");
});

test("arguments are numbers, true, false and texts", () => {
  const found = argumentsOf("exposure = 0.5\nfilter=red\n\nflat=true\nid=007\nat=1e3\nequation=a=b\nnothing=");
  assert.deepEqual(found, { exposure: 0.5, filter: "red", flat: true, id: "007", at: 1000, equation: "a=b", nothing: "" });
  assert.throws(() => argumentsOf("exposure"), /key=value/);
  assert.throws(() => argumentsOf("=1"), /key=value/);
});

test("nobody is done before they have said so", () => {
  const sent = new Sent("pause", ["a", "b", "c"], NOW);
  assert.equal(sent.summary, "pause: sent");
  sent.take({ asked: [{ name: "a", state: "RUNNING" }, { name: "b", state: "RUNNING" }], lost: [{ name: "c", state: "LOST" }] });
  assert.equal(sent.summary, "pause: 1 lost; waiting for a, b");
  sent.take({ outcome: { name: "a", verdict: "done", before: "RUNNING", after: "PAUSED", ms: 3 } });
  assert.equal(sent.summary, "pause: 1 done, 1 lost; waiting for b");
  sent.take({ report: { outcomes: [{ name: "b", verdict: "silent" }, { name: "c", verdict: "LOST", reason: "last seen" }] } });
  sent.end();
  assert.equal(sent.summary, "pause: 1 done, 1 silent, 1 lost");
  assert.deepEqual(sent.of("silent").map(({ name }) => name), ["b"]);
});

test("an answer that breaks off leaves nobody out", () => {
  const sent = new Sent("pause", ["a"], NOW);
  sent.take({ asked: [{ name: "a", state: "RUNNING" }], lost: [] });
  sent.end();
  assert.equal(sent.summary, "pause: 1 silent");
  const broken = new Sent("pause", ["a", "b", "c"], NOW);
  broken.take({ asked: [{ name: "a", state: "RUNNING" }], lost: [] });
  broken.take({ outcome: { name: "a", verdict: "done" } });
  broken.take({ error: "the broker is away" });
  broken.end();
  assert.equal(broken.summary, "pause: the broker is away; 1 done; 2 unasked");
  assert.deepEqual(broken.of("unasked").map(({ name, reason }) => [name, reason]), [["b", "the broker is away"], ["c", "the broker is away"]]);
  for (const verdict of ["refused", "failed", "invalid", "expired"]) {
    const other = new Sent("pause", ["a"], NOW);
    other.take({ outcome: { name: "a", verdict } });
    assert.equal(other.of("refused").length, 1, verdict);
  }
});

test("positions of one count are told apart from those of another", () => {
  assert.equal(isBehind("ab-9", "ab-10"), true);
  assert.equal(isBehind("ab-10", "ab-10"), true);
  assert.equal(isBehind("ab-11", "ab-10"), false);
  assert.equal(isBehind("cd-1", "ab-10"), false);
});

test("curves have a point each four seconds at most, and a hundred and fifty", () => {
  const track = new Track();
  for (let second = 0; second < 1000; second += 1) track.add(second, { progress: { step: second }, worker: { resources: { cpu: 1 } } });
  assert.equal(track.rows.length, 150);
  assert.equal(track.rows[1][0] - track.rows[0][0], 4);
  assert.deepEqual(track.rows.at(-1).slice(1), [996, 1, null]);
  assert.equal(points([[0, 0], [10, 50], [20, null], [30, 100]], 0, 100, 300, 102), "0,101 100,51 300,1");
  assert.equal(points([[0, 1]], 0, 1), "");
});

test("what a terminal would make of a line is left out of it", () => {
  assert.equal(plain("\x1b[1;31mred\x1b[0m\x07 and\ttabs"), "red and\ttabs");
  assert.equal(plain("\x1b]0;a title\x07text \x1b]8;;https://host/a\x1b\\a link\x1b]8;;\x1b\\ \x1b(B\x1b7end\x9b"), "text a link end");
  assert.equal(plain("\x1b[38:2::1:2:3mcolon\x1b[?25l\x1b[m"), "colon");
});
