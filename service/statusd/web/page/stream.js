// News of the fleet: one stream a browser. The tab that holds a lock has it, and tells the others.
//
// A hidden tab holds nothing and hears nothing; when it is seen again it reads on where it was, or,
// if another tab has the stream, reads all anew and then hears that one.
// Who has it says each second that it is alive: from one that hangs (a print dialog, a breakpoint) it is
// taken. And a stream that says nothing is opened anew, for a server that hangs ends none.
// Locks need a secure context: by plain HTTP from another machine each tab has its own stream.

import { get } from "./api.js";

const KINDS = ["unit", "gone", "event", "broker", "gap"];
const AGAIN_MS = 1000;

/** Return whether `position` (`epoch-number`) is behind `other`, in the same count. */
export function isBehind(position, other) {
  const [[epoch, number], [otherEpoch, otherNumber]] = [position.split("-"), other.split("-")];
  return epoch === otherEpoch && Number(number) <= Number(otherNumber);
}

export class Stream {
  static look_ms = 1000;
  static hung_ms = 10_000; // so long a tab that has the stream may say nothing
  static quiet_ms = 40_000; // so long the stream may: a server says each 15 s that it is there

  /**
   * @param {object} heard `units(answer)`: all anew; `message(kind, data)`: one thing more;
   *   `link(isUp)`: whether the server answers.
   */
  constructor(heard, name = `statusd ${new URL(".", location.href).pathname}`) {
    this.heard = heard;
    this.name = name;
    this.position = "";
    this.channel = new BroadcastChannel(name);
    this.channel.onmessage = ({ data }) => this._told(data);
    this.held = null; // ends our hold of the lock
    this.waits = []; // what others told while we read all anew
    this.isReading = false;
    this.readings = 0;
    this.isLeading = false;
    this.heardAt = 0; // a time of the page's clock, as all of these
    document.addEventListener("visibilitychange", () => this._seen());
    addEventListener("pagehide", () => this._stop());
    addEventListener("pageshow", (event) => event.persisted && this._seen());
  }

  start() {
    this._seen();
  }

  _seen() {
    if (document.hidden) this._stop();
    else if (!this.held) this._begin();
  }

  _stop() {
    clearInterval(this.looking);
    this.held?.abort();
    this.held = null;
    this._close();
  }

  async _begin() {
    const held = (this.held = new AbortController());
    this.heardAt = this.lookedAt = Date.now();
    this.looking = setInterval(() => this._look(held.signal), Stream.look_ms);
    if (!navigator.locks) {
      await this._lead(held.signal);
      return;
    }
    const isFree = await this._hold(held.signal, { ifAvailable: true });
    if (isFree || held.signal.aborted) return;
    await this._read(held.signal);
    this._hold(held.signal, { signal: held.signal });
  }

  /** Have the stream for as long as we hold the lock; returns at once whether there is one for us. */
  _hold(signal, options) {
    return new Promise((resolve) => {
      const request = navigator.locks.request(this.name, options, async (lock) => {
        resolve(lock !== null);
        if (lock === null || signal.aborted) return;
        await this._lead(signal);
        await new Promise((over) => (signal.aborted ? over() : signal.addEventListener("abort", over)));
      });
      request.catch((error) => {
        if (error.name !== "AbortError") throw error; // hidden before it was our turn
        if (signal.aborted || !this.isLeading) return;
        this._stop(); // it was taken from us while we hung
        this._seen();
      });
    });
  }

  /** See that whoever has the stream lives, and that the stream does. */
  _look(signal) {
    const [time, slept] = [Date.now(), Date.now() - this.lookedAt];
    this.lookedAt = time;
    const quiet = time - this.heardAt;
    if (this.isLeading) {
      this.channel.postMessage({ kind: "alive" });
      if (this.source && (quiet > Stream.quiet_ms || slept > Stream.hung_ms)) this._open(signal);
    } else if (slept > Stream.hung_ms) this.heardAt = time; // it was we who hung, or all of us slept
    else if (navigator.locks && quiet > Stream.hung_ms) {
      this.heardAt = time;
      this._hold(signal, { steal: true });
    }
  }

  // ---- who has the stream -----------------------------------------------------------------------

  async _lead(signal) {
    this.isLeading = true;
    // One that is as of a while ago will do: the stream goes on from there. It won't for who only hears.
    if (!this.position) await this._read(signal, globalThis.early);
    if (!signal.aborted) this._open(signal);
  }

  _open(signal) {
    this.source?.close();
    this.heardAt = Date.now();
    const source = (this.source = new EventSource(`api/events?since=${encodeURIComponent(this.position)}`));
    for (const kind of KINDS) {
      source.addEventListener(kind, ({ data, lastEventId }) => this._came({ kind, data, id: lastEventId }, signal));
    }
    source.addEventListener("alive", () => { this.heardAt = Date.now(); });
    source.onopen = () => this._link(true);
    setTimeout(() => {
      if (source === this.source && source.readyState !== EventSource.OPEN) this._link(false);
    }, AGAIN_MS);
    source.onerror = () => {
      this._link(false);
      if (source.readyState === EventSource.CLOSED) this._refused(signal);
    };
  }

  /** It isn't tried again by itself: our session is over, or the server has too much to do. */
  async _refused(signal) {
    try {
      await get("api/me");
    } catch {
      // It doesn't answer yet; a session that is over has left the page by now.
    }
    await new Promise((resolve) => setTimeout(resolve, AGAIN_MS));
    if (!signal.aborted) this._open(signal);
  }

  _came(message, signal) {
    this.heardAt = Date.now();
    this.channel.postMessage(message);
    this._apply(message);
    if (message.kind === "gap") this._read(signal);
  }

  _link(isUp) {
    this.channel.postMessage({ kind: "link", isUp });
    this.heard.link(isUp);
  }

  _close() {
    this.source?.close();
    this.source = null;
    this.isLeading = false;
  }

  // ---- who hears of it --------------------------------------------------------------------------

  _told(message) {
    if (document.hidden || this.isLeading) return;
    this.heardAt = Date.now();
    if (message.kind === "alive") return;
    if (message.kind === "link") this.heard.link(message.isUp);
    else if (message.kind === "gap") this._read(this.held?.signal);
    else if (this.isReading || !this.position) this.waits.push(message);
    else this._apply(message);
  }

  _apply(message) {
    if (this.isReading) {
      this.waits.push(message);
      return;
    }
    if (this.position && isBehind(message.id, this.position)) return;
    this.position = message.id;
    if (message.kind !== "gap") this.heard.message(message.kind, JSON.parse(message.data));
  }

  /** Read all anew; what comes meanwhile waits. */
  async _read(signal, early = undefined) {
    this.isReading = true;
    const reading = (this.readings += 1);
    globalThis.early = undefined;
    while (!signal?.aborted) {
      try {
        const answer = await get("api/units", { signal }, early);
        if (reading !== this.readings) return; // somebody else reads, and knows more
        this.position = answer.position;
        this.heard.units(answer);
        this.heard.link(true);
        break;
      } catch (error) {
        if (error.name === "AbortError") break;
        this.heard.link(false);
        early = undefined;
        await new Promise((resolve) => setTimeout(resolve, AGAIN_MS));
      }
    }
    if (reading !== this.readings) return;
    this.isReading = false;
    const waits = this.waits;
    this.waits = [];
    if (!signal?.aborted) for (const message of waits) this._apply(message);
  }
}
