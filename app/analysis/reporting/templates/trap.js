// ---------------------------------------------------------------- both predictors side by side
// A square frame with its diagonal; gives the two scales.
function square(svg, low, high, below, beside) {
  const M = 44, S = 400;
  const across = (v) => M + ((v - low) / (high - low)) * (S - M - 8), up = (v) => S - M - ((v - low) / (high - low)) * (S - M - 8);
  const [ticks, digits] = niceTicks(low, high);
  for (const t of ticks) {
    const zero = Math.abs(t) < 1e-9, kind = zero ? "zero" : "tick";
    node("line", { class: kind, x1: across(t), x2: across(t), y1: 8, y2: S - M }, svg);
    node("line", { class: kind, x1: M, x2: S - 8, y1: up(t), y2: up(t) }, svg);
    node("text", { x: across(t), y: S - M + 16, "text-anchor": "middle" }, svg).textContent = fixed(zero ? 0 : t, digits);
    node("text", { x: M - 6, y: up(t) + 4, "text-anchor": "end" }, svg).textContent = fixed(zero ? 0 : t, digits);
  }
  node("text", { class: "axis", x: (M + S) / 2, y: S - 6, "text-anchor": "middle" }, svg).textContent = below;
  node("text", { class: "axis", transform: `translate(12 ${(S - M) / 2}) rotate(-90)`, "text-anchor": "middle" }, svg).textContent = beside;
  node("line", { class: "diagonal", x1: across(low), y1: up(low), x2: across(high), y2: up(high) }, svg);
  return [across, up];
}
for (const svg of document.querySelectorAll("svg[data-trap]")) {
  const a = C[svg.dataset.trap];
  const both = [...Array(N).keys()].filter((i) => C.z[i] != null && answering(i) && C.x_centred[i] != null);
  const ends = both.flatMap((i) => [C.x[i], C.y[i], C.z[i]]);
  const low = ends.reduce((p, q) => Math.min(p, q), 0) - 0.02, high = ends.reduce((p, q) => Math.max(p, q), 0.1) + 0.02;
  const [across, up] = square(svg, low, high, labels[svg.dataset.trap], labels.y);
  // One path a family: round ends of lines without length are dots, and the page stays light.
  const dots = names.family.map(() => []);
  for (const i of both) dots[C.family[i]].push(`M${across(a[i]).toFixed(1)} ${up(C.y[i]).toFixed(1)}h0`);
  dots.forEach((list, k) => { if (list.length) node("path", { class: `dots s${k % 10}`, d: list.join("") }, svg); });
}

// ---------------------------------------------------------------- tuned model by tuned model
if (byId("each")) {
  const svg = byId("each"), box = svg.closest(".plot").querySelector(".tip");
  const each = JSON.parse(byId("each-data").textContent).sort((p, q) => p.z - q.z || p.x - q.x);
  const low = each.reduce((least, one) => Math.min(least, one.x, one.z), 1) - 0.1;
  const [across, up] = square(svg, low, 1.04, `rho of ${labels.z}`, `rho of ${labels.x}`);
  let current = -1;
  for (const one of each) {
    const k = names.family.indexOf(one.family) % 10;
    node("circle", { class: `one s${k}${one.few ? "" : " k" + k}`, r: 5, cx: across(one.z), cy: up(one.x) }, svg);
  }
  const mark = node("circle", { class: "ring", r: 8, visibility: "hidden" }, svg);
  function leave() {
    current = -1;
    mark.setAttribute("visibility", "hidden");
    box.style.visibility = "hidden";
  }
  function go(i) {
    const one = each[i];
    current = i;
    for (const [key, value] of [["cx", across(one.z)], ["cy", up(one.x)], ["visibility", "visible"]]) mark.setAttribute(key, value);
    box.replaceChildren();
    put(box, "b", one.run);
    put(box, "div", `${one.family}, ${one.tasks} tasks`).className = "soft";
    for (const key of ["x", "z"]) put(box, "div", `${labels[key]}: rho = ${fixed(one[key], 2)}`);
    const spot = new DOMPoint(across(one.z), up(one.x)).matrixTransform(svg.getScreenCTM());
    placeTip(box, spot.x, spot.y, 12);
  }
  svg.addEventListener("pointermove", (event) => {
    const matrix = svg.getScreenCTM();
    if (!matrix) return;
    const spot = new DOMPoint(event.clientX, event.clientY).matrixTransform(matrix.inverse());
    const far = each.map((one) => Math.hypot(across(one.z) - spot.x, up(one.x) - spot.y));
    const best = far.indexOf(Math.min(...far));
    if (far[best] > 16) leave();
    else if (best !== current) go(best);
  });
  svg.addEventListener("pointerleave", leave);
  svg.addEventListener("blur", leave);
  svg.addEventListener("keydown", (event) => {
    const last = each.length - 1;
    const to = { ArrowRight: current + 1, ArrowUp: current + 1, ArrowLeft: current - 1, ArrowDown: current - 1, Home: 0, End: last }[event.key];
    if (event.key === "Escape") return leave();
    if (to === undefined) return;
    event.preventDefault();
    go(Math.max(0, Math.min(last, to)));
  });
}

// ---------------------------------------------------------------- the item explorer
if (byId("explorer")) {
  const chosen = { outcome: "", task: "" }, items = [...document.querySelectorAll("details.item")];
  const filter = () => {
    for (const one of items) one.hidden = Object.keys(chosen).some((key) => chosen[key] && one.dataset[key] !== chosen[key]);
    const left = items.filter((one) => !one.hidden).length;
    byId("explored").textContent = `${left} of ${items.length} items`;
  };
  for (const select of document.querySelectorAll("select[data-explore]")) {
    select.addEventListener("change", () => { chosen[select.dataset.explore] = select.value; filter(); });
  }
  byId("marks").addEventListener("change", (event) => byId("explorer").classList.toggle("plain", !event.target.checked));
  filter();
}
