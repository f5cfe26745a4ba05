// ---------------------------------------------------------------- both predictors side by side
for (const svg of document.querySelectorAll("svg[data-trap]")) {
  const a = C[svg.dataset.trap], M = 44, S = 400;
  const both = [...Array(N).keys()].filter((i) => C.z[i] != null && C.intact[i] === 1);
  const ends = both.flatMap((i) => [C.x[i], C.y[i], C.z[i]]);
  const low = ends.reduce((p, q) => Math.min(p, q), 0) - 0.02, high = ends.reduce((p, q) => Math.max(p, q), 0.1) + 0.02;
  const across = (v) => M + ((v - low) / (high - low)) * (S - M - 8), up = (v) => S - M - ((v - low) / (high - low)) * (S - M - 8);
  const [ticks, digits] = niceTicks(low, high);
  for (const t of ticks) {
    const zero = Math.abs(t) < 1e-9, kind = zero ? "zero" : "tick";
    node("line", { class: kind, x1: across(t), x2: across(t), y1: 8, y2: S - M }, svg);
    node("line", { class: kind, x1: M, x2: S - 8, y1: up(t), y2: up(t) }, svg);
    node("text", { x: across(t), y: S - M + 16, "text-anchor": "middle" }, svg).textContent = fixed(zero ? 0 : t, digits);
    node("text", { x: M - 6, y: up(t) + 4, "text-anchor": "end" }, svg).textContent = fixed(zero ? 0 : t, digits);
  }
  node("text", { class: "axis", x: (M + S) / 2, y: S - 6, "text-anchor": "middle" }, svg).textContent = labels[svg.dataset.trap];
  node("text", { class: "axis", transform: `translate(12 ${(S - M) / 2}) rotate(-90)`, "text-anchor": "middle" }, svg).textContent = labels.y;
  node("line", { class: "diagonal", x1: across(low), y1: up(low), x2: across(high), y2: up(high) }, svg);
  // One path a family: round ends of lines without length are dots, and the page stays light.
  const dots = names.family.map(() => []);
  for (const i of both) dots[C.family[i]].push(`M${across(a[i]).toFixed(1)} ${up(C.y[i]).toFixed(1)}h0`);
  dots.forEach((list, k) => { if (list.length) node("path", { class: `dots s${k % 10}`, d: list.join("") }, svg); });
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
