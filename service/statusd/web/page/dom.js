// What is done to the document. Texts are set as texts: nothing that a unit says becomes markup.

const SVG = "http://www.w3.org/2000/svg";

/** Return the element with that id. */
export const $ = (id) => document.getElementById(id);

/** Return a new element: `h("p", {class: "note"}, "text", other)`. */
export function h(tag, attributes = {}, ...children) {
  return filled(document.createElement(tag), attributes, children);
}

/** Return a new element of a picture. */
export function s(tag, attributes = {}, ...children) {
  return filled(document.createElementNS(SVG, tag), attributes, children);
}

function filled(element, attributes, children) {
  for (const [key, value] of Object.entries(attributes)) {
    if (key.startsWith("on")) element.addEventListener(key.slice(2), value);
    else if (value === true) element.setAttribute(key, "");
    else if (value !== false && value != null) element.setAttribute(key, value);
  }
  element.append(...children);
  return element;
}

/** Set a text, if it is another one: what is the same costs nothing. */
export function put(element, text) {
  if (element.said === text) return;
  element.said = text;
  element.textContent = text;
}

/** Set an attribute, if it is another one; an empty one is taken away. */
export function mark(element, key, value) {
  const known = (element.marked ??= {});
  if (known[key] === value) return;
  known[key] = value;
  if (value === "" || value === false || value == null) element.removeAttribute(key);
  else element.setAttribute(key, value === true ? "" : value);
}

/** Return what asks for `work` to be done once, in the next frame, however often it is asked. */
export function inFrame(work) {
  let isAsked = false;
  return () => {
    if (isAsked) return;
    isAsked = true;
    requestAnimationFrame(() => {
      isAsked = false;
      work();
    });
  };
}

/** Return the badge of a state: a colour, a sign and the word. */
export function badge(state, kind) {
  const element = h("span", { class: `badge ${kind}` }, h("i", { class: "sign" }), h("b"));
  put(element.lastChild, state);
  return element;
}

/** Change a badge. */
export function rebadge(element, state, kind) {
  mark(element, "class", `badge ${kind}`);
  put(element.lastChild, state);
}

/** Do `work` when somebody presses beside a dialog: not at its edge, nor for what began inside it. */
export function besides(dialog, work) {
  const isBeside = ({ target, clientX, clientY }) => {
    const { left, right, top, bottom } = dialog.getBoundingClientRect();
    return target === dialog && (clientX < left || clientX > right || clientY < top || clientY > bottom);
  };
  let hasBegun = false;
  dialog.onpointerdown = (event) => {
    hasBegun = isBeside(event);
  };
  dialog.onclick = (event) => {
    if (hasBegun && isBeside(event)) work();
  };
}

const said = [];
let isSaying = false;

/** Tell who can't see the screen; what comes together is told together. */
export function announce(text) {
  if (!said.includes(text)) said.push(text);
  if (isSaying) return;
  isSaying = true;
  setTimeout(() => {
    isSaying = false;
    const [first, second, third, ...rest] = said.splice(0);
    const told = [first, second, third].filter(Boolean).join(". ");
    $("said").textContent = rest.length > 0 ? `${told}. And ${rest.length} more` : told;
  }, 400);
}
