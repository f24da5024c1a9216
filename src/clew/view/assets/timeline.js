"use strict";
const data = JSON.parse(document.getElementById("data").textContent);
const byId = (name) => document.getElementById(name);
const make = (tag, attributes = {}, ...children) => {
  const element = document.createElement(tag);
  for (const [name, value] of Object.entries(attributes)) element.setAttribute(name, value);
  element.append(...children);
  return element;
};

// ---- numbers -----------------------------------------------------------------------------------------------------------
const short = (value) => {
  if (value === null || value === undefined) return "None";
  if (typeof value !== "number") return String(value);
  const size = Math.abs(value);
  if (size !== 0 && (size >= 1e6 || size < 1e-4)) return value.toExponential(2);
  return String(Number(value.toPrecision(5)));
};
const many = (number, word) => `${number.toLocaleString("en")} ${word}${number === 1 ? "" : word.endsWith("s") ? "es" : "s"}`;

// `x.grad = 6 + 2 = 8`; of larger tensors the norms, which do not add up.
const sum = (kind, c) => {
  const name = kind === "update" ? c.name : `${c.name}.grad`;
  if (kind === "clear" || kind === "changed") return `${name}: ${short(c.before)} → ${short(c.after)}${c.size === 1 ? "" : " (norm)"}`;
  if (c.size === 1) {
    if (c.added === null || c.before === null) return `${name} = ${short(c.after)}`;
    const minus = typeof c.added === "number" && c.added < 0;
    return `${name} = ${short(c.before)} ${minus ? "−" : "+"} ${minus ? short(-c.added) : short(c.added)} = ${short(c.after)}`;
  }
  if (kind === "backward") return c.before ? `‖${name}‖ ${short(c.before)}, ‖added‖ ${short(c.added)} → ${short(c.after)}` : `‖${name}‖ = ${short(c.after)}`;
  return c.added === null ? `‖${name}‖ ${short(c.before)} → ${short(c.after)}` : `‖change of ${name}‖ = ${short(c.added)}`;
};

// ---- the list ------------------------------------------------------------------------------------------------------------
const events = [];
const list = byId("events");
let before = 0;
for (const step of data.steps) {
  if (step.number !== before + 1) list.append(make("p", {}, `… ${many(step.number - before - 1, "step")} …`));
  before = step.number;
  list.append(make("h2", {}, `step ${step.number}`));
  for (const event of step.events) {
    const number = events.length;
    const rows = event.kind === "forward"
      ? [many(event.operations, "operation") + (event.loss === null ? "" : `, loss = ${short(event.loss)}`)]
      : event.changes.slice(0, 12).map((c) => sum(event.kind, c));
    if (event.changes.length > 12) rows.push(`… and ${event.changes.length - 12} more`);
    const button = make("button", { "data-kind": event.kind, type: "button" },
      make("span", { class: "kind" }, event.kind), make("span", { class: "line" }, event.line ? `line ${event.line}` : ""),
      make("code", {}, event.text), make("span", { class: "sums" }, rows.join("\n")));
    button.addEventListener("click", () => go(number + 1));
    list.append(button);
    events.push({ ...event, step: step.number, button, rows });
  }
  if (step.left_out) list.append(make("p", {}, `… ${many(step.left_out, "event")} more`));
}
if (!events.length) list.append(make("p", {}, "nothing was recorded"));
byId("counts").textContent = [many(data.count, "step"), many(data.passes, "backward pass"), many(data.updates, "update"), data.note].filter(Boolean).join(", ");

// ---- the loss --------------------------------------------------------------------------------------------------------------
const points = data.losses.filter(([, value]) => typeof value === "number");
let marker = null;
if (points.length > 1) {
  const values = points.map(([, value]) => value);
  const low = Math.min(...values), high = Math.max(...values), end = points.length - 1;
  const path = points.map(([, value], i) => `${i ? "L" : "M"}${(i / end) * 100} ${38 - ((value - low) / (high - low || 1)) * 36}`).join("");
  const space = "http://www.w3.org/2000/svg";
  const svg = document.createElementNS(space, "svg");
  svg.setAttribute("viewBox", "0 0 100 40");
  svg.setAttribute("preserveAspectRatio", "none");
  const curve = document.createElementNS(space, "path");
  curve.setAttribute("d", path);
  marker = document.createElementNS(space, "line");
  marker.setAttribute("y1", 0);
  marker.setAttribute("y2", 40);
  svg.append(curve, marker);
  byId("curves").append(make("span", {}, `loss ${short(values[0])} → ${short(values[end])}`), svg);
}

// ---- where we are ------------------------------------------------------------------------------------------------------------
const shown = data.parameters.slice(0, 200);
const rowsOf = new Map();
const body = make("tbody");
for (const parameter of shown) {
  const cells = [make("td", {}, parameter.name + (parameter.shape.length ? ` ${parameter.shape.join("×")}` : "")), make("td"), make("td")];
  rowsOf.set(parameter.name, [...cells, parameter.value]);
  body.append(make("tr", {}, ...cells));
}
if (shown.length) {
  const norms = shown.some((p) => p.shape.reduce((a, b) => a * b, 1) !== 1);
  byId("ledger").append(make("table", {}, make("thead", {}, make("tr", {}, make("th", {}, "parameter"), make("th", {}, norms ? "value (or norm)" : "value"), make("th", {}, ".grad"))), body));
}

let at = 0;
const go = (to) => {
  at = Math.max(0, Math.min(events.length, to));
  const values = new Map(), grads = new Map(), fresh = new Set();
  events.slice(0, at).forEach((event, i) => {
    for (const c of event.changes) {
      (event.kind === "update" ? values : grads).set(c.name, c.after);
      if (i === at - 1) fresh.add(`${event.kind === "update" ? "value" : "grad"} ${c.name}`);
    }
  });
  const now = events[at - 1];
  for (const [name, [, value, grad, start]] of rowsOf) {
    value.textContent = short(values.has(name) ? values.get(name) : start);
    grad.textContent = short(grads.get(name));
    value.className = fresh.has(`value ${name}`) ? "new" : "";
    grad.className = fresh.has(`grad ${name}`) ? "new" : "";
    value.parentElement.dataset.kind = now ? now.kind : "";
  }
  events.forEach((event, i) => event.button.classList.toggle("now", i === at - 1));
  if (now) now.button.scrollIntoView({ block: "nearest" });
  const told = byId("told");
  told.replaceChildren();
  if (now) {
    told.dataset.kind = now.kind;
    told.append(make("h2", {}, make("span", { class: "kind" }, now.kind), ` in step ${now.step}`), make("p", { class: "rule" }, now.rows.join("\n")),
      make("p", { class: "soft" }, [now.text, now.line ? `(line ${now.line})` : "", now.by].filter(Boolean).join(" ")));
  } else {
    told.append(make("h2", {}, "Before the first step"), make("p", { class: "soft" }, "→ goes on, ← goes back."));
  }
  byId("phase").textContent = `event ${at} of ${events.length}`;
  byId("where").value = at;
  byId("back").disabled = byId("first").disabled = at === 0;
  byId("next").disabled = byId("last").disabled = at === events.length;
  if (marker) {
    const steps = points.map(([step]) => step);
    const place = now ? steps.findLastIndex((step) => step <= now.step) : 0;
    const x = (Math.max(place, 0) / (points.length - 1)) * 100;
    marker.setAttribute("x1", x);
    marker.setAttribute("x2", x);
  }
};
byId("where").max = events.length;
byId("where").addEventListener("input", (e) => go(Number(e.target.value)));
byId("first").addEventListener("click", () => go(0));
byId("back").addEventListener("click", () => go(at - 1));
byId("next").addEventListener("click", () => go(at + 1));
byId("last").addEventListener("click", () => go(events.length));
document.addEventListener("keydown", (e) => {
  if (e.ctrlKey || e.metaKey || e.altKey || e.target.type === "range") return;
  const to = { ArrowRight: at + 1, ArrowLeft: at - 1, ArrowDown: at + 1, ArrowUp: at - 1, Home: 0, End: events.length }[e.key];
  if (to === undefined) return;
  e.preventDefault();
  go(to);
});
go(0);
