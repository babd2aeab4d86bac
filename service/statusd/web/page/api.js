// Asking the server. Whoever's session is over is sent to where a token is typed.

export class Refused extends Error {
  constructor(status, reason) {
    super(reason);
    this.status = status;
  }
}

let skew = 0; // the server's clock less ours, in seconds

/** Return the time in seconds since 1970 by the server's clock: a laptop's may be off by minutes. */
export const now = () => Date.now() / 1000 + skew;

/**
 * Return the JSON of an answer; throws `Refused`, or TypeError where the server doesn't answer.
 *
 * `early`: the answer to the same, if it was asked for already.
 */
export async function get(path, options = {}, early = undefined) {
  const answer = await asked(path, options, early);
  return answer.json();
}

export function post(path, body, options = {}) {
  const headers = { "content-type": "application/json" };
  return asked(path, { ...options, method: "POST", headers, body: JSON.stringify(body) });
}

async function asked(path, options, early = undefined) {
  const answer = await (early ?? fetch(path, { cache: "no-store", ...options }));
  const ahead = Date.parse(answer.headers.get("date")) - Date.now();
  skew = Math.abs(ahead) > 2500 ? ahead / 1000 : 0; // the header knows no parts of a second
  if (answer.ok) return answer;
  if (answer.status === 401) return leave();
  let reason = `the server answers ${answer.status}`;
  try {
    reason = (await answer.json()).error ?? reason;
  } catch {
    // Not ours: a proxy's page. The number says what there is to say.
  }
  throw new Refused(answer.status, reason);
}

/** Go to where a token is typed; nothing more happens on this page. */
function leave() {
  location.assign(`login${location.hash}`); // from there it leads back to what was looked at
  return new Promise(() => {});
}

export const unitPath = (name) => `api/units/${encodeURIComponent(name)}`;

/** Yield the objects of an answer that has one a line, as they come. */
export async function* lines(answer) {
  const reader = answer.body.pipeThrough(new TextDecoderStream()).getReader();
  let rest = "";
  try {
    for (;;) {
      const { done, value } = await reader.read();
      if (done) break;
      const parts = (rest + value).split("\n");
      rest = parts.pop();
      for (const part of parts) if (part) yield JSON.parse(part);
    }
  } finally {
    reader.cancel().catch(() => {}); // it is gone already, or goes now
  }
}
