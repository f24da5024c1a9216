"use strict";
// Steps through a program that the page holds as data: its lines, its numbers, and the graph as it grows.
(() => {
  const data = JSON.parse(document.getElementById("data").textContent);
  const at = (id) => document.getElementById(id);
  const picture = at("picture"), told = at("told"), source = at("source"), where = at("where");
  const WORDS = { line: "line", forward: "forward", backward: "backward", leaf: "gradient arrives", print: "prints", error: "error" };
  const steps = data.steps;
  let place = 0, drawn = null, timer = null;

  function make(tag, words, kind) {
    const made = document.createElement(tag);
    if (kind) made.className = kind;
    if (words) made.textContent = words;
    return made;
  }

  data.source.forEach((text, i) => {
    const line = make("div"), number = make("b", String(i + data.first).padStart(4) + "  ");
    line.append(number, text);
    source.append(line);
  });

  function draw(round) {
    if (round === drawn) return;
    drawn = round;
    const graph = data.graphs[round];
    picture.textContent = "";
    if (!graph) { picture.append(make("p", "The graphs of the first rounds are drawn; this round's looks like theirs.")); return; }
    picture.innerHTML = `<svg class="clew" xmlns="http://www.w3.org/2000/svg" viewBox="0 0 ${graph.width} ${graph.height}" width="${graph.width}" height="${graph.height}">${graph.svg}</svg>`;
  }

  function light(step) {  // what is there of the round's graph, and where its gradients have come to
    const made = new Set(), reached = new Set(), come = new Set();  // come: a leaf's gradient, not yet added to what it has
    for (const past of steps.slice(0, place + 1)) if (past.round === step.round) {
      past.made.forEach((id) => made.add(id));
      past.reached.forEach((id) => reached.add(id));
      past.to.forEach((id) => come.add(id));
    }
    const now = step.kind === "forward" ? [step.node] : step.to;
    let shown = null;
    for (const g of picture.querySelectorAll("g[data-id]")) {
      g.classList.toggle("made", made.has(g.dataset.id));
      g.classList.toggle("reached", reached.has(g.dataset.id));
      g.classList.toggle("now", now.includes(g.dataset.id));
      if (now.includes(g.dataset.id)) shown = g;
    }
    for (const g of picture.querySelectorAll("g[data-to]")) {
      g.classList.toggle("made", made.has(g.dataset.to));
      g.classList.toggle("reached", come.has(g.dataset.from));
      g.classList.toggle("flow", step.kind === "backward" && g.dataset.to === step.node && step.to.includes(g.dataset.from));
    }
    if (shown) {
      const box = shown.getBoundingClientRect(), room = picture.getBoundingClientRect();
      if (box.top < room.top || box.bottom > room.bottom) picture.scrollTop += box.top - room.top - room.height / 2;
      if (box.left < room.left || box.right > room.right) picture.scrollLeft += box.left - room.left - room.width / 2;
    }
  }

  function tell(step) {
    told.textContent = "";
    if (step.skipped) told.append(make("p", `… ${step.skipped} more round${step.skipped > 1 ? "s" : ""} like these …`, "soft"));
    const words = step.kind === "print" ? step.text.map((line) => `prints  ${line}`) : step.text;
    words.forEach((line) => told.append(make("p", line)));
    step.chain.forEach((lines) => told.append(make("p", lines.join("\n"), "rule")));
    const numbers = at("numbers");
    numbers.textContent = "";
    for (const [name, text, kind] of step.values) {
      const shown = make("span", "", step.changed.includes(name) ? "fresh" : "");
      shown.title = kind;
      shown.append(make("b", `${name} `), text);
      numbers.append(shown);
    }
    const printed = at("printed");
    printed.textContent = Array.from(data.output).slice(0, step.printed).join("");
    printed.scrollTop = printed.scrollHeight;
    for (const line of source.querySelectorAll(".now")) line.classList.remove("now");
    const line = source.children[step.line - data.first];
    if (line) { line.classList.add("now"); source.scrollTop = line.offsetTop - source.offsetTop - source.clientHeight / 3; }
  }

  function go(step) {
    place = Math.max(0, Math.min(steps.length - 1, step));
    const now = steps[place];
    where.value = place;
    draw(Math.min(now.round, Math.max(data.rounds, 1)));
    tell(now);
    light(now);
    at("round").textContent = data.rounds > 1 ? `round ${Math.min(now.round, data.rounds)} of ${data.rounds}` : "";
    at("phase").textContent = `step ${place + 1} of ${steps.length}: ${WORDS[now.kind]}`;
    at("back").disabled = at("first").disabled = !place;
    at("next").disabled = at("last").disabled = place === steps.length - 1;
    if (place === steps.length - 1) play(false);
  }

  function play(on) {
    clearInterval(timer);
    timer = on ? setInterval(() => go(place + 1), 900) : null;
    at("play").textContent = on ? "pause" : "play";
    at("play").setAttribute("aria-pressed", String(on));
  }

  at("next").onclick = () => go(place + 1);
  at("back").onclick = () => go(place - 1);
  at("first").onclick = () => go(0);
  at("last").onclick = () => go(steps.length - 1);
  at("play").onclick = () => play(!timer);
  where.max = steps.length - 1;
  where.oninput = () => go(Number(where.value));
  document.onkeydown = (event) => {
    if (event.ctrlKey || event.metaKey || event.altKey) return;
    const act = { ArrowRight: () => go(place + 1), ArrowLeft: () => go(place - 1), Home: () => go(0), End: () => go(steps.length - 1),
                  " ": () => play(!timer) }[event.key];
    if (!act || (event.key === " " && event.target.tagName === "BUTTON")) return;
    event.preventDefault();
    act();
  };
  go(0);
})();
