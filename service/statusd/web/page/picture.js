// A lifecycle as a picture: laid out by dagre, the present state lit, what is allowed to be pressed.

import { layout, Graph } from "./dagre.esm.js";
import { mark, s } from "./dom.js";

const SIGN_W = 7.2; // of a letter of a label, in pixels: nothing has to be measured
const LINE_H = 17;
const word = (label) => label.split(" ", 1)[0];

/** Return where everything goes; `lifecycle` as the server tells it. */
export function placed(lifecycle, isUpright) {
  const graph = new Graph({ multigraph: true });
  graph.setGraph({ rankdir: isUpright ? "TB" : "LR", nodesep: 16, ranksep: 24, edgesep: 9, marginx: 4, marginy: 4 });
  graph.setDefaultEdgeLabel(() => ({}));
  for (const { name, kind } of lifecycle.nodes) {
    graph.setNode(name, { name, kind, width: name.length * 8.6 + 26, height: 34 });
  }
  lifecycle.arrows.forEach((arrow, at) => {
    const longest = Math.max(...arrow.labels.map((label) => label.length));
    const isBare = isQuiet(arrow);
    const size = isBare ? { width: 0, height: 0 } : { width: longest * SIGN_W + 12, height: arrow.labels.length * LINE_H + 4 };
    const label = { arrow, labelpos: "c", weight: arrow.is_aside ? 1 : 3, ...size };
    graph.setEdge(arrow.source, arrow.dest, label, String(at));
  });
  layout(graph);
  return graph;
}

/** What the daemon does when a process dies is alike everywhere: these arrows say it when pointed at. */
const isQuiet = (arrow) => arrow.is_aside && arrow.who !== "anyone";

export class Picture {
  /** `command(word)`: an arrow that is allowed was pressed. */
  constructor(lifecycle, command, isUpright) {
    const graph = placed(lifecycle, isUpright);
    const { width, height } = graph.graph();
    this.command = command;
    this.nodes = new Map();
    this.labels = [];
    const edges = graph.edges().map((edge) => this._edge(graph.edge(edge)));
    const nodes = graph.nodes().map((name) => this._node(graph.node(name)));
    const labels = graph.edges().map((edge) => this._labels(graph.edge(edge)));
    this.svg = s("svg", { class: "lifecycle", viewBox: `0 0 ${width} ${height}`, role: "group", "aria-label": "Lifecycle" }, arrowheads(), ...edges, ...labels.flat(), ...nodes);
    this.svg.style.maxWidth = `${width}px`;
  }

  _node({ name, kind, x, y, width, height }) {
    const [left, top] = [x - width / 2, y - height / 2];
    const shape = kind === "fault" ? octagon(left, top, width, height) : box(left, top, width, height, kind);
    const ring = kind === "end" ? [box(left + 3, top + 3, width - 6, height - 6, kind)] : [];
    const text = s("text", { x, y: y + 4.5 }, name);
    const node = s("g", { class: `node ${kind}` }, shape, ...ring, text);
    this.nodes.set(name, node);
    return node;
  }

  _edge({ points, arrow }) {
    const kind = `arrow ${arrow.who}${arrow.is_aside ? " aside" : ""}`;
    const title = s("title", {}, `${arrow.labels.join(", ")}: ${arrow.source} → ${arrow.dest}`);
    return s("path", { class: kind, d: curve(points), "marker-end": `url(#to-${arrow.who})` }, title);
  }

  _labels({ x, y, height, width, arrow }) {
    if (isQuiet(arrow)) return [];
    return arrow.labels.map((label, at) => {
      const line = y - height / 2 + 2 + (at + 0.5) * LINE_H;
      const back = s("rect", { x: x - width / 2, y: line - LINE_H / 2, width, height: LINE_H, rx: 8 });
      const group = s("g", { class: `label ${arrow.who}${arrow.is_aside ? " aside" : ""}` }, back, s("text", { x, y: line + 4 }, label));
      const press = () => group.classList.contains("press") && this.command(word(label));
      group.addEventListener("click", press);
      group.addEventListener("keydown", (event) => {
        if (event.key !== "Enter" && event.key !== " ") return;
        event.preventDefault();
        press();
      });
      this.labels.push({ group, arrow, label });
      return group;
    });
  }

  /** Light the state that it is in; let be pressed what is allowed there. */
  show(state, allowed) {
    for (const [name, node] of this.nodes) {
      node.classList.toggle("current", name === state);
      mark(node, "aria-current", name === state ? "true" : "");
    }
    for (const { group, arrow, label } of this.labels) {
      const isFree = arrow.source === state && arrow.who === "anyone" && allowed.includes(word(label));
      group.classList.toggle("press", isFree);
      mark(group, "role", isFree ? "button" : "");
      mark(group, "tabindex", isFree ? "0" : "");
      mark(group, "aria-label", isFree ? `${word(label)}, leads to ${arrow.dest}` : "");
    }
  }
}

function box(x, y, width, height, kind) {
  return s("rect", { x, y, width, height, rx: kind === "working" ? height / 2 : kind === "acting" ? 10 : 3 });
}

function octagon(x, y, width, height) {
  const cut = 9;
  const [right, bottom] = [x + width, y + height];
  const points = [[x + cut, y], [right - cut, y], [right, y + cut], [right, bottom - cut], [right - cut, bottom], [x + cut, bottom], [x, bottom - cut], [x, y + cut]];
  return s("polygon", { points: points.map((point) => point.join(",")).join(" ") });
}

/** Return a smooth line through the points that dagre has found. */
function curve(points) {
  const [first, ...rest] = points;
  let path = `M${first.x},${first.y}`;
  for (let at = 0; at < rest.length - 1; at += 1) {
    const [one, next] = [rest[at], rest[at + 1]];
    const isLast = at === rest.length - 2;
    const [x, y] = isLast ? [next.x, next.y] : [(one.x + next.x) / 2, (one.y + next.y) / 2];
    path += `Q${one.x},${one.y} ${x},${y}`;
  }
  return rest.length === 1 ? `${path}L${rest[0].x},${rest[0].y}` : path;
}

function arrowheads() {
  const heads = ["anyone", "worker", "daemon"].map((who) =>
    s("marker", { id: `to-${who}`, class: `head ${who}`, viewBox: "0 0 8 8", refX: 7, refY: 4, markerWidth: 8, markerHeight: 8, markerUnits: "userSpaceOnUse", orient: "auto" }, s("path", { d: "M0,0L8,4L0,8z" })),
  );
  return s("defs", {}, ...heads);
}
