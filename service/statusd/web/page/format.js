// How times, sizes and numbers are written; the same words as `statusd status`. Pure: node tests it.

const UNKNOWN = "";
const SPANS = [[86400, "d"], [3600, "h"], [60, "min"], [1, "s"]];

/** Return a time (RFC 3339) in seconds since 1970; NaN if it is none. */
export function seconds(at) {
  return typeof at === "string" ? Date.parse(at) / 1000 : NaN;
}

/** Return how long ago that was, in the largest unit that fits: `5 min`; empty if nobody knows. */
export function ago(at, now) {
  const then = typeof at === "number" ? at : seconds(at);
  if (!Number.isFinite(then)) return UNKNOWN;
  const past = Math.max(0, now - then);
  for (const [size, letter] of SPANS) {
    if (past >= size) return `${Math.floor(past / size)} ${letter}`;
  }
  return "now";
}

/** Return a time as a clock on the reader's wall has it, exact to the second, with its zone. */
export function exact(at) {
  const then = seconds(at);
  return Number.isFinite(then) ? EXACT.format(then * 1000) : UNKNOWN;
}

const EXACT = new Intl.DateTimeFormat(undefined, {
  ...{ year: "numeric", month: "short", day: "2-digit", weekday: "short" },
  ...{ hour: "2-digit", minute: "2-digit", second: "2-digit", timeZoneName: "short", hourCycle: "h23" },
});

const CLOCK = new Intl.DateTimeFormat(undefined, {
  ...{ hour: "2-digit", minute: "2-digit", second: "2-digit", hourCycle: "h23" },
});
const DAY = new Intl.DateTimeFormat(undefined, { day: "2-digit", month: "short" });

/** Return the time of day; of another day than today's with the day. */
export function clock(at, now) {
  const then = seconds(at);
  if (!Number.isFinite(then)) return UNKNOWN;
  const time = CLOCK.format(then * 1000);
  const isToday = new Date(then * 1000).toDateString() === new Date(now * 1000).toDateString();
  return isToday ? time : `${DAY.format(then * 1000)} ${time}`;
}

/** Return a length of time: `40 s`, `5 min`, `1 h 20 min`, `3 d 4 h`. */
export function duration(length) {
  if (!Number.isFinite(length)) return UNKNOWN;
  if (length < 59.5) return `${Math.round(length)} s`;
  const minutes = Math.round(length / 60);
  if (minutes < 60) return `${minutes} min`;
  const hours = Math.floor(minutes / 60);
  if (hours < 24) return `${hours} h ${minutes % 60} min`;
  return `${number(Math.floor(hours / 24))} d ${hours % 24} h`;
}

/** Return a size in bytes in the largest unit that fits: `2.1 GiB`. */
export function size(bytes) {
  if (!Number.isFinite(bytes)) return UNKNOWN;
  let [value, unit] = [bytes, "B"];
  for (const larger of ["KiB", "MiB", "GiB", "TiB"]) {
    if (value < 1024) break;
    [value, unit] = [value / 1024, larger];
  }
  return `${unit === "B" ? value : value.toFixed(1)} ${unit}`;
}

/** Return a share of one processor: `98 %`. */
export function percent(share) {
  return Number.isFinite(share) ? `${Math.round(share * 100)} %` : UNKNOWN;
}

/** Return `12.3`, `1,240`: whole numbers as they are, of others three digits. */
export function number(value) {
  if (!Number.isFinite(value)) return UNKNOWN;
  if (Number.isInteger(value) || Math.abs(value) >= 100) return Math.round(value).toLocaleString("en");
  return String(Number(value.toPrecision(3)));
}

/** Return `12.3 images/s`; of what takes longer, how many come in a minute, an hour, a day. */
export function rate(perSecond, unit) {
  if (!Number.isFinite(perSecond)) return UNKNOWN;
  if (perSecond === 0) return "stands still";
  const of = unit ? ` ${unit}` : "";
  for (const [length, per] of [[1, "s"], [60, "min"], [3600, "h"]]) {
    if (perSecond * length >= 1) return `${number(perSecond * length)}${of}/${per}`;
  }
  return `${number(perSecond * 86400)}${of}/d`;
}

/** Return how much of the work is done, from 0 to 1; NaN if nobody knows its end. */
export function share(progress) {
  if (!progress || !progress.total || !Number.isFinite(progress.step)) return NaN;
  return Math.max(0, Math.min(1, progress.step / progress.total));
}

/** Return `3 units`, `1 unit`. */
export function count(many, what) {
  return `${number(many)} ${what}${many === 1 ? "" : "s"}`;
}
