"use strict";
// Steps through a computation that the page holds as data: values forward, then gradients backward.
(() => {
  const data = JSON.parse(document.getElementById("data").textContent);
  const at = (id) => document.getElementById(id);
  const picture = at("picture"), told = at("told"), source = at("source"), where = at("where"), phase = at("phase");
  let level, boxes, lines, byId, into, from, steps, place, zoom = 1, hits = [], hit = -1, file = null;

  const short = (x) => (Number.isInteger(x) && Math.abs(x) < 1e7 ? String(x) : String(Number(x.toPrecision(4))));
  const group = (list, key) => { const made = new Map(); for (const x of list) { if (!made.has(x[key])) made.set(x[key], []); made.get(x[key]).push(x); } return made; };

  function open(number, keep) {
    data.first = number;
    level = data.levels[number];
    byId = new Map(level.nodes.map((n) => [n.id, n]));
    into = group(level.edges, "to");
    from = group(level.edges, "from");
    picture.innerHTML = `<svg class="clew" xmlns="http://www.w3.org/2000/svg" viewBox="0 0 ${level.width} ${level.height}">${level.svg}</svg>`;
    boxes = new Map(Array.from(picture.querySelectorAll("g[data-id]"), (g) => [g.dataset.id, g]));
    lines = Array.from(picture.querySelectorAll("g[data-to]"));
    steps = [...level.forward.map((id) => ["forward", id]), ...level.backward.map((id) => ["backward", id])];
    where.max = steps.length;
    at("fold").disabled = number >= data.levels.length - 1;
    at("unfold").disabled = number === 0;
    scale();
    go(steps.length);
    tell(level.root, "");
    if (keep && boxes.has(keep)) choose(keep); else if (boxes.has(level.root)) show(level.root);
  }

  function scale() {
    const svg = picture.firstElementChild;
    svg.setAttribute("width", level.width * zoom);
    svg.setAttribute("height", level.height * zoom);
  }

  // ---- steps ----
  function go(step) {
    place = Math.max(0, Math.min(steps.length, step));
    where.value = place;
    const made = new Set(), reached = new Set();
    for (const [way, id] of steps.slice(0, place)) (way === "forward" ? made : reached).add(id);
    const all = place === steps.length;
    picture.classList.toggle("steps", !all);
    const [way, id] = place ? steps[place - 1] : ["", ""];
    for (const [name, g] of boxes) {
      g.classList.toggle("made", made.has(name));
      g.classList.toggle("reached", reached.has(name));
      g.classList.toggle("now", name === id && !all);
      g.classList.remove("chosen");
    }
    for (const g of lines) {
      const { from: a, to: b } = g.dataset;
      g.classList.toggle("made", made.has(b));
      g.classList.toggle("reached", reached.has(a));
      g.classList.toggle("flow", way === "backward" && a === id && reached.has(b) && !all);
    }
    phase.textContent = !place ? "nothing computed yet" : all ? `${steps.length} steps: ${data.note || "all of them"}` : `${place} of ${steps.length}: ${way}`;
    at("back").disabled = at("first").disabled = !place;
    at("next").disabled = at("last").disabled = all;
    if (id) { tell(id, way); show(id); } else tell(null, "");
  }

  function show(id) {
    const box = boxes.get(id).getBoundingClientRect(), room = picture.getBoundingClientRect();
    if (box.top < room.top || box.bottom > room.bottom) picture.scrollTop += box.top - room.top - room.height / 2;
    if (box.left < room.left || box.right > room.right) picture.scrollLeft += box.left - room.left - room.width / 2;
  }

  function choose(id) {
    for (const [name, g] of boxes) g.classList.toggle("chosen", name === id);
    tell(id, "");
    show(id);
  }

  // ---- words ----
  function add(tag, words, kind) {
    const made = document.createElement(tag);
    if (kind) made.className = kind;
    made.textContent = words;
    told.append(made);
  }

  function chain(node) {  // the chain rule, with its numbers
    const uses = (from.get(node.id) || []).filter((e) => e.local !== null && byId.get(e.to).number !== null);
    if (node.number === null || !uses.length) return "";
    const name = (n) => n.names[0] || n.title;
    const root = byId.get(level.root), end = root ? name(root) : "result";
    const parts = uses.map((e) => `${short(e.local)} × ${short(byId.get(e.to).number)}`);
    const words = uses.map((e) => `∂(${byId.get(e.to).title})/∂(${name(node)}) × ∂${end}/∂(${byId.get(e.to).title})`);
    const sum = uses.reduce((t, e) => t + e.local * byId.get(e.to).number, 0);
    const rest = Math.abs(sum - node.number) > 1e-4 * (1 + Math.abs(node.number)) ? `\n(with what was there before: ${short(node.number)})` : "";
    return `∂${end}/∂(${name(node)}) = ${words.join(" + ")}\n= ${parts.join(" + ")}\n= ${short(sum)}${rest}`;
  }

  function tell(id, way) {
    told.textContent = "";
    const node = id && byId.get(id);
    if (!node) { add("p", "Step on with → or ▶: every value as it is computed, then every gradient on its way back.", "soft"); mark(null); return; }
    add("h2", node.title);
    add("p", [node.op, node.module && `in ${node.module}`, node.size ? `${node.size} operations folded` : ""].filter(Boolean).join(" · "), "soft");
    if (node.value) add("p", `value ${node.value}`);
    if (node.grad && way !== "forward") {
      add("p", `gradient ${node.grad}`);
      const rule = chain(node);
      if (rule) add("p", rule, "rule");
    }
    if (node.explain) add("p", node.explain, "soft");
    const states = node.state.filter((s) => s !== "root" && s !== "leaf");
    if (states.length) add("p", states.join(", "));
    if (node.bytes) add("p", `keeps ${node.bytes.toLocaleString()} bytes for backward`, "soft");
    if (node.line) add("p", `${node.file.split("/").pop()}:${node.line}   ${node.text}`, "soft");
    mark(node);
  }

  function mark(node) {
    if (node && node.file !== file && data.sources[node.file]) {
      file = node.file;
      source.textContent = "";
      data.sources[file].forEach((text, i) => {
        const line = document.createElement("div"), number = document.createElement("b");
        number.textContent = String(i + 1).padStart(4) + "  ";
        line.append(number, text);
        source.append(line);
      });
    }
    for (const line of source.querySelectorAll(".now")) line.classList.remove("now");
    const line = node && node.file === file && source.children[node.line - 1];
    if (line) { line.classList.add("now"); source.scrollTop = line.offsetTop - source.offsetTop - source.clientHeight / 3; }
  }

  // ---- search, folding ----
  function search(words) {
    for (const g of boxes.values()) g.classList.remove("hit");
    const wanted = words.trim().toLowerCase();
    hits = wanted ? level.nodes.filter((n) => [n.title, n.op, n.module, n.text, ...n.names, ...n.state].join(" ").toLowerCase().includes(wanted)) : [];
    for (const n of hits) boxes.get(n.id).classList.add("hit");
    hit = -1;
    at("found").textContent = wanted ? `${hits.length} found` : "";
    if (hits.length) step_hit();
  }
  function step_hit() { if (hits.length) { hit = (hit + 1) % hits.length; choose(hits[hit].id); } }
  const fold = (by) => { const to = data.first + by; if (to >= 0 && to < data.levels.length) open(to); };

  // ---- hands ----
  at("next").onclick = () => go(place + 1);
  at("back").onclick = () => go(place - 1);
  at("first").onclick = () => go(0);
  at("last").onclick = () => go(steps.length);
  where.oninput = () => go(Number(where.value));
  at("fold").onclick = () => fold(1);
  at("unfold").onclick = () => fold(-1);
  at("larger").onclick = () => { zoom = Math.min(4, zoom * 1.25); scale(); };
  at("smaller").onclick = () => { zoom = Math.max(0.1, zoom / 1.25); scale(); };
  at("search").oninput = (event) => search(event.target.value);
  picture.onclick = (event) => {
    const g = event.target.closest("g[data-id]");
    if (!g) return;
    const node = byId.get(g.dataset.id);
    if (node.kind === "folded" && g.classList.contains("chosen")) fold(-1); else choose(node.id);
  };
  picture.onmouseover = (event) => { const g = event.target.closest("g[data-id]"); if (g && place === steps.length) tell(g.dataset.id, ""); };
  document.onkeydown = (event) => {
    if (event.ctrlKey || event.metaKey || event.altKey) return;
    if (event.target === at("search")) {
      if (event.key === "Enter") step_hit();
      if (event.key === "Escape") { event.target.value = ""; search(""); event.target.blur(); }
      return;
    }
    const act = { ArrowRight: () => go(place + 1), ArrowLeft: () => go(place - 1), Home: () => go(0), End: () => go(steps.length),
                  "+": () => fold(-1), "-": () => fold(1), "/": () => at("search").focus() }[event.key];
    if (act && !(event.target === where && event.key.startsWith("Arrow"))) { event.preventDefault(); act(); }
  };
  open(data.first);
})();
