const data = JSON.parse(document.getElementById("data").textContent);
const { names, columns: C } = data;
const N = C.task.length;
const SVG = "http://www.w3.org/2000/svg";
const EXPOSURE = ["held out from tuning", "tuned on", "exposure unknown", "absent from pretraining"];
const labels = JSON.parse(document.getElementById("labels").textContent);
const MINUS = "\u2212";
const byId = (id) => document.getElementById(id);
const node = (name, attributes, parent) => {
  const made = document.createElementNS(SVG, name);
  for (const key in attributes) made.setAttribute(key, attributes[key]);
  if (parent) parent.append(made);
  return made;
};
const put = (parent, name, text) => {
  const made = document.createElement(name);
  made.textContent = text;
  parent.append(made);
  return made;
};
const fixed = (value, digits) => (value == null ? "–" : value.toFixed(digits).replace("-", MINUS));
const percent = (value) => (value == null ? "–" : fixed(100 * value, 1));

const state = { view: "corrected", predictor: "x", colour: "family", show: "all", focus: "", hidden: new Set() };
const suffix = { raw: "_raw", corrected: "", centred: "_centred" };
const xs = () => C[state.predictor + suffix[state.view]];
const ys = () => C["y" + suffix[state.view]];

// Classes of points: what the colours mean.
const classes = {
  family: () => [names.family, C.family],
  exposure: () => [EXPOSURE, C.exposure],
  recipe: () => [names.recipe || [], C.recipe],
  cluster: () => [names.cluster, C.cluster],
};
const colourOf = (i) => "k" + ((classes[state.colour]()[1][i] ?? 9) % 10);
const inShow = (i) => {
  if (state.show === "all") return true;
  if (state.show === "intact") return C.intact[i] === 1;
  if (state.show.startsWith("away")) return !((C.floor[i] | C.ceiling[i]) & (state.predictor === "x" ? 3 : 6));
  return EXPOSURE[C.exposure[i]] === state.show;
};
const inFocus = (i) => {
  if (!state.focus) return true;
  const at = state.focus.indexOf("=");
  const key = state.focus.slice(0, at);
  return C[key][i] === Number(state.focus.slice(at + 1));
};
// Pairs of the base models that the answer rests on.
const LACKING = C.intact.includes(0) && C.intact.includes(1);
const answering = (i) => !LACKING || C.intact[i] === 1;
const visible = (i) => inShow(i) && !state.hidden.has(classes[state.colour]()[1][i]);

const pearson = (points, a, b) => {
  let n = 0, sa = 0, sb = 0;
  for (const i of points) if (a[i] != null && b[i] != null) { n++; sa += a[i]; sb += b[i]; }
  if (n < 3) return null;
  let aa = 0, bb = 0, ab = 0;
  for (const i of points) if (a[i] != null && b[i] != null) {
    const p = a[i] - sa / n, q = b[i] - sb / n;
    aa += p * p; bb += q * q; ab += p * q;
  }
  if (aa / n < 1e-12 || bb / n < 1e-12) return null;
  return { n, r: ab / Math.sqrt(aa * bb), slope: ab / aa, mx: sa / n, my: sb / n };
};

const niceTicks = (low, high) => {
  const span = high - low;
  const step = [0.05, 0.1, 0.2, 0.25, 0.5, 1, 2].find((s) => span / s <= 6.5) || 5;
  const ticks = [];
  for (let k = Math.ceil(low / step - 1e-9); k * step <= high + 1e-9; k++) ticks.push(k * step);
  return [ticks, step < 0.1 || step === 0.25 ? 2 : 1];
};

// ---------------------------------------------------------------- the large scatter plot
const scatter = byId("scatter");
const L = 62, R = 14, T = 10, B = 52;
let W = 800, H = 560;
// Narrow windows get a narrower drawing, not smaller letters.
function fit() {
  const wide = Math.round(Math.max(320, Math.min(800, scatter.parentElement.clientWidth)));
  if (wide === W) return false;
  W = wide;
  H = Math.round(wide < 640 ? wide : wide * 0.7);
  scatter.setAttribute("viewBox", `0 0 ${W} ${H}`);
  return true;
}
const layer = { grid: node("g", {}, scatter), points: node("g", {}, scatter), over: node("g", {}, scatter) };
document.body.classList.toggle("few", N < 400);
const circles = [];
for (let i = 0; i < N; i++) circles.push(node("circle", { r: N > 1200 ? 3.2 : 4, cx: 0, cy: 0 }, layer.points));
const ring = node("circle", { r: 7, class: "ring", visibility: "hidden" }, scatter);
let placeX = (v) => v, placeY = (v) => v, drawn = [], order = [], current = -1;

function range(a, b) {
  if (state.view === "raw") return [-0.02, 1.02];
  let low = Infinity, high = -Infinity;
  for (let i = 0; i < N; i++) for (const v of [a[i], b[i]]) if (v != null) { low = Math.min(low, v); high = Math.max(high, v); }
  if (!(low < high)) return [-0.1, 1];
  if (state.view === "centred") { high = Math.max(high, -low); low = -high; }
  const pad = 0.02 * (high - low);
  return [low - pad, high + pad];
}

function drawScatter() {
  const a = xs(), b = ys();
  const [low, high] = range(a, b);
  placeX = (v) => L + ((v - low) / (high - low)) * (W - L - R);
  placeY = (v) => H - B - ((v - low) / (high - low)) * (H - T - B);
  layer.grid.replaceChildren();
  layer.over.replaceChildren();
  const [ticks, digits] = niceTicks(low, high);
  const word = (t) => (state.view === "raw" ? fixed(100 * t, 0) + " %" : fixed(Math.abs(t) < 1e-9 ? 0 : t, digits));
  for (const t of ticks) {
    const zero = state.view !== "raw" && Math.abs(t) < 1e-9 ? "zero" : "tick";
    node("line", { class: zero, x1: placeX(t), x2: placeX(t), y1: T, y2: H - B }, layer.grid);
    node("line", { class: zero, x1: L, x2: W - R, y1: placeY(t), y2: placeY(t) }, layer.grid);
    node("text", { x: placeX(t), y: H - B + 18, "text-anchor": "middle" }, layer.grid).textContent = word(t);
    node("text", { x: L - 8, y: placeY(t) + 4, "text-anchor": "end" }, layer.grid).textContent = word(t);
  }
  const kind = { raw: "score", corrected: "score, 0 = chance", centred: "rest after task and model means" }[state.view];
  node("text", { class: "axis", x: (L + W - R) / 2, y: H - 12, "text-anchor": "middle" }, layer.grid).textContent =
    labels[state.predictor] + " (" + kind + ")";
  node("text", { class: "axis", transform: `translate(16 ${(T + H - B) / 2}) rotate(-90)`, "text-anchor": "middle" }, layer.grid)
    .textContent = labels.y + " (" + kind + ")";
  node("line", { class: "diagonal", x1: placeX(low), y1: placeY(low), x2: placeX(high), y2: placeY(high) }, layer.grid);

  drawn = [];
  for (let i = 0; i < N; i++) {
    const there = a[i] != null && b[i] != null && visible(i);
    const circle = circles[i];
    circle.style.display = there ? "" : "none";
    if (!there) continue;
    drawn.push(i);
    circle.setAttribute("cx", placeX(a[i]).toFixed(1));
    circle.setAttribute("cy", placeY(b[i]).toFixed(1));
    circle.setAttribute("class", "p " + colourOf(i) + (!state.focus ? "" : inFocus(i) ? " on" : " off"));
  }
  order = drawn.filter(inFocus).sort((i, j) => a[i] - a[j] || b[i] - b[j] || i - j);
  const found = pearson(order, a, b);
  if (found) {
    // The line is cut where it leaves the frame.
    const at = (v) => found.my + found.slope * (v - found.mx);
    const seen = order.map((i) => a[i]);
    let from = seen[0], to = seen[seen.length - 1];
    if (found.slope) {
      const ends = [(low - found.my) / found.slope + found.mx, (high - found.my) / found.slope + found.mx].sort((p, q) => p - q);
      from = Math.max(from, ends[0]);
      to = Math.min(to, ends[1]);
    }
    node("line", { class: "fit", x1: placeX(from), y1: placeY(at(from)), x2: placeX(to), y2: placeY(at(to)) }, layer.over);
  }
  byId("shown").textContent =
    `${order.length.toLocaleString("en")} pairs shown, Pearson r = ${found ? fixed(found.r, 2) : "not estimable"}. ` +
    aside() + "Dashed: equal scores. Line: least squares.";
  unpoint();
  drawLegend();
}

// What the estimates do without: pairs of base models that lack tasks, and of tasks or models without variance.
function aside() {
  let left = 0;
  for (let i = 0; i < N; i++) if (visible(i) && inFocus(i) && C.x_centred[i] == null) left++;
  if (!left) return "";
  const said = left.toLocaleString("en") + (state.view === "centred" ? " more have" : " of them have");
  return said + ` no part in the estimates${state.view === "centred" ? ", and no place here" : ""}. `;
}

function drawLegend() {
  const [known, column] = classes[state.colour]();
  const list = byId("legend");
  const counts = new Map();
  for (let i = 0; i < N; i++) if (inShow(i)) counts.set(column[i], (counts.get(column[i]) || 0) + 1);
  list.replaceChildren();
  for (const k of [...counts.keys()].sort((p, q) => p - q)) {
    const button = put(put(list, "li", ""), "button", "");
    button.type = "button";
    button.setAttribute("aria-pressed", String(!state.hidden.has(k)));
    const dot = node("svg", { viewBox: "0 0 10 10", "aria-hidden": "true" }, button);
    node("circle", { cx: 5, cy: 5, r: 5, class: "k" + ((k ?? 9) % 10) }, dot);
    button.append(k == null ? "none" : known[k]);
    button.addEventListener("click", () => {
      if (!state.hidden.delete(k)) state.hidden.add(k);
      drawScatter();
      byId("legend").querySelectorAll("button")[[...counts.keys()].sort((p, q) => p - q).indexOf(k)].focus();
    });
  }
}

// ---------------------------------------------------------------- what a point says
// A tip stands beside a point of the window, inside the plot that holds it.
function placeTip(box, x, y, gap) {
  const frame = box.parentElement.getBoundingClientRect();
  box.style.visibility = "visible";
  const left = x - frame.left, top = y - frame.top, wide = box.offsetWidth, tall = box.offsetHeight;
  const beside = left + gap + wide > frame.width ? left - wide - gap : left + gap;
  box.style.left = Math.max(0, Math.min(beside, frame.width - wide)) + "px";
  box.style.top = Math.max(0, Math.min(top - tall / 2, frame.height - tall)) + "px";
}
const tip = byId("tip");
const AT_END = [["floor", "not told from chance"], ["ceiling", "not told from the best"]];
function describe(i) {
  tip.replaceChildren();
  put(tip, "b", names.task[C.task[i]]);
  put(tip, "div", `${names.cluster[C.cluster[i]]}, ${EXPOSURE[C.exposure[i]]}`).className = "soft";
  put(tip, "div", names.unit[C.unit[i]]);
  const table = put(tip, "table", "");
  for (const key of ["x", "z", "y"]) {
    if (C[key + "_raw"][i] == null) continue;
    const row = put(table, "tr", "");
    put(row, "td", labels[key]);
    put(row, "td", `${percent(C[key + "_raw"][i])}${C[key + "_stderr"][i] == null ? "" : ` ± ${percent(C[key + "_stderr"][i])}`} %`);
    const bit = { x: 1, y: 2, z: 4 }[key];
    for (const [end, words] of AT_END) if (C[end][i] & bit) put(row, "td", words).className = "flag";
  }
  put(tip, "div", `${names.metric[C.metric[i]]}, ${C.n[i].toLocaleString("en")} items, chance ${percent(C.chance[i])} %`).className = "soft";
}
function pointAt(i) {
  current = i;
  const x = placeX(xs()[i]), y = placeY(ys()[i]);
  ring.setAttribute("cx", x);
  ring.setAttribute("cy", y);
  ring.setAttribute("visibility", "visible");
  describe(i);
  const at = new DOMPoint(x, y).matrixTransform(scatter.getScreenCTM());
  placeTip(tip, at.x, at.y, 14);
}
function unpoint() {
  current = -1;
  ring.setAttribute("visibility", "hidden");
  tip.style.visibility = "hidden";
}
scatter.addEventListener("pointermove", (event) => {
  const matrix = scatter.getScreenCTM();
  if (!matrix) return;
  const at = new DOMPoint(event.clientX, event.clientY).matrixTransform(matrix.inverse());
  const a = xs(), b = ys();
  let best = -1, near = 18 * 18;
  for (const i of order) {
    const dx = placeX(a[i]) - at.x, dy = placeY(b[i]) - at.y, d = dx * dx + dy * dy;
    if (d < near) { near = d; best = i; }
  }
  if (best < 0) unpoint();
  else if (best !== current) pointAt(best);
});
scatter.addEventListener("pointerleave", unpoint);
scatter.addEventListener("blur", unpoint);
scatter.addEventListener("keydown", (event) => {
  const step = { ArrowRight: 1, ArrowUp: 1, ArrowLeft: -1, ArrowDown: -1, PageUp: 50, PageDown: -50 }[event.key];
  let at = order.indexOf(current);
  if (event.key === "Escape") return unpoint();
  if (event.key === "Home") at = 0;
  else if (event.key === "End") at = order.length - 1;
  else if (step) at = at < 0 ? 0 : Math.min(order.length - 1, Math.max(0, at + step));
  else return;
  event.preventDefault();
  if (order.length) pointAt(order[at]);
});

// ---------------------------------------------------------------- controls
for (const input of document.querySelectorAll("input[data-state]")) {
  input.addEventListener("change", () => {
    state[input.dataset.state] = input.value;
    drawScatter();
  });
}
for (const select of document.querySelectorAll("select[data-state]")) {
  state[select.dataset.state] = select.value;
  select.addEventListener("change", () => {
    state[select.dataset.state] = select.value;
    if (select.dataset.state === "focus" && !C.task.some((_, i) => inFocus(i) && visible(i))) {
      // What is asked for is hidden: show all pairs again.
      state.hidden.clear();
      state.show = document.querySelector("select[data-state=show]").value = "all";
    }
    if (select.dataset.state === "colour") state.hidden.clear();
    drawScatter();
    if (select.dataset.state === "colour") drawTiles();
  });
}
const focus = byId("focus");
for (const [key, title] of [["task", "Task"], ["base", "Base model"], ["recipe", "Recipe"], ["cluster", "Cluster of tasks"]]) {
  if (!names[key] || !names[key].length) continue;
  const group = document.createElement("optgroup");
  group.label = title;
  names[key].forEach((name, k) => { put(group, "option", name).value = key + "=" + k; });
  focus.append(group);
}

// ---------------------------------------------------------------- a small plot for each task
function drawTiles() {
  const S = 150, M = 24;
  const place = (v) => M + v * (S - M - 4), lift = (v) => S - M - v * (S - M - 4);
  const rows = names.task.map(() => []);
  for (let i = 0; i < N; i++) rows[C.task[i]].push(i);
  for (const figure of document.querySelectorAll("figure[data-task]")) {
    const points = rows[names.task.indexOf(figure.dataset.task)];
    const svg = figure.querySelector("svg");
    if (!points) continue;
    svg.replaceChildren();
    const chance = C.chance[points[0]];
    node("rect", { class: "frame", x: M, y: 4, width: S - M - 4, height: S - M - 4 }, svg);
    node("line", { class: "diagonal", x1: place(0), y1: lift(0), x2: place(1), y2: lift(1) }, svg);
    if (chance > 0) {
      node("line", { class: "chance", x1: place(chance), x2: place(chance), y1: lift(0), y2: lift(1) }, svg);
      node("line", { class: "chance", x1: place(0), x2: place(1), y1: lift(chance), y2: lift(chance) }, svg);
    }
    for (const i of points) {
      node("circle", { class: "p " + colourOf(i), r: 2.6, cx: place(C.x_raw[i]).toFixed(1), cy: lift(C.y_raw[i]).toFixed(1) }, svg);
    }
    for (const t of [0, 0.5, 1]) {
      node("text", { x: place(t), y: S - 8, "text-anchor": t === 1 ? "end" : "middle" }, svg).textContent = 100 * t;
      if (t) node("text", { x: M - 4, y: lift(t) + (t === 1 ? 9 : 4), "text-anchor": "end" }, svg).textContent = 100 * t;
    }
  }
}

// ---------------------------------------------------------------- tables, copying, printing
for (const table of document.querySelectorAll("table.sortable")) {
  table.querySelectorAll("thead th").forEach((head, at) => {
    if (!head.hasAttribute("data-sort")) return;
    const button = document.createElement("button");
    button.type = "button";
    button.append(...head.childNodes);
    head.append(button);
    button.addEventListener("click", () => {
      const down = head.getAttribute("aria-sort") !== "descending";
      for (const other of table.querySelectorAll("th[aria-sort]")) other.removeAttribute("aria-sort");
      head.setAttribute("aria-sort", down ? "descending" : "ascending");
      const value = (row) => row.children[at].dataset.v ?? row.children[at].textContent;
      const rows = [...table.tBodies[0].rows];
      rows.sort((p, q) => {
        const a = value(p), b = value(q), numeric = a !== "" && b !== "" && !isNaN(a) && !isNaN(b);
        const compared = numeric ? a - b : String(a).localeCompare(String(b), "en", { numeric: true });
        return down ? -compared : compared;
      });
      table.tBodies[0].append(...rows);
    });
  });
}
const copy = byId("copy");
if (copy) {
  copy.addEventListener("click", async () => {
    const text = byId("command");
    try {
      await navigator.clipboard.writeText(text.textContent);
      copy.textContent = "Copied";
    } catch {
      // Without permission for the clipboard the text is at least selected.
      getSelection().selectAllChildren(text);
      copy.textContent = "Selected";
    }
  });
}
addEventListener("beforeprint", () => document.querySelectorAll("details[data-print]").forEach((d) => { d.open = true; }));

fit();
drawScatter();
drawTiles();
new ResizeObserver(() => { if (fit()) drawScatter(); }).observe(scatter.parentElement);
