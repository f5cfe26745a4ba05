// ---------------------------------------------------------------- before and after tuning
{
  const svg = byId("slopes"), box = svg.closest(".plot").querySelector(".tip");
  const task = byId("slopes-task"), from = byId("slopes-from");
  const X0 = 70, X1 = 450, Y0 = 16, Y1 = 474;
  let lines = [], place = (v) => v, current = -1;
  names.task.forEach((name, k) => { put(task, "option", name).value = k; });

  function gather() {
    const side = from ? from.value : "x", groups = new Map();
    for (let i = 0; i < N; i++) {
      if ((task.value !== "" && C.task[i] !== Number(task.value)) || C[side][i] == null || !answering(i)) continue;
      if (!groups.has(C.unit[i])) groups.set(C.unit[i], { unit: C.unit[i], family: C.family[i], n: 0, a: 0, b: 0 });
      const one = groups.get(C.unit[i]);
      one.n++;
      one.a += C[side][i];
      one.b += C.y[i];
    }
    return [...groups.values()].map((one) => ({ ...one, a: one.a / one.n, b: one.b / one.n })).sort((p, q) => q.b - p.b || p.unit - q.unit);
  }

  function drawSlopes() {
    lines = gather();
    svg.replaceChildren();
    const ends = lines.flatMap((one) => [one.a, one.b]);
    const low = Math.min(1, ...ends), high = Math.max(low + 0.1, ...ends), pad = 0.03 * (high - low);
    place = (v) => Y1 - ((v - low + pad) / (high - low + 2 * pad)) * (Y1 - Y0);
    const [ticks, digits] = niceTicks(low, high);
    for (const t of ticks) {
      node("line", { class: Math.abs(t) < 1e-9 ? "zero" : "tick", x1: X0, x2: X1, y1: place(t), y2: place(t) }, svg);
      node("text", { x: X0 - 8, y: place(t) + 4, "text-anchor": "end" }, svg).textContent = fixed(Math.abs(t) < 1e-9 ? 0 : t, digits);
    }
    for (const x of [X0, X1]) node("line", { class: "zero", x1: x, x2: x, y1: Y0, y2: Y1 }, svg);
    const side = from ? from.value : "x";
    node("text", { class: "axis", x: X0, y: Y1 + 24, "text-anchor": "middle" }, svg).textContent = labels[side];
    node("text", { class: "axis", x: X1, y: Y1 + 24, "text-anchor": "middle" }, svg).textContent = labels.y;
    lines.forEach((one) => node("line", { class: `slope s${one.family % 10}`, x1: X0, x2: X1, y1: place(one.a), y2: place(one.b) }, svg));
    const middle = (list, key) => list.reduce((sum, one) => sum + one[key], 0) / list.length;
    const families = [...new Set(lines.map((one) => one.family))].map((family) => {
      const mine = lines.filter((one) => one.family === family);
      return { family, a: middle(mine, "a"), b: middle(mine, "b") };
    }).sort((p, q) => q.b - p.b);
    const body = byId("slopes-families").tBodies[0];
    body.replaceChildren();
    let next = -Infinity;
    for (const one of families) {
      node("line", { class: `slope thick s${one.family % 10}`, x1: X0, x2: X1, y1: place(one.a), y2: place(one.b) }, svg);
      next = Math.max(place(one.b), next + 15);
      node("path", { class: `leader s${one.family % 10}`, d: `M${X1 + 2} ${place(one.b)}L${X1 + 14} ${next}` }, svg);
      const row = put(body, "tr", "");
      put(row, "th", names.family[one.family]).scope = "row";
      for (const text of [fixed(one.a, 2), fixed(one.b, 2), (one.b > one.a ? "+" : "") + fixed(one.b - one.a, 2)]) put(row, "td", text).className = "r";
      node("text", { class: `word k${one.family % 10}`, x: X1 + 18, y: next + 4 }, svg).textContent = names.family[one.family];
    }
    node("line", { class: "slope over", visibility: "hidden" }, svg);
    const up = lines.filter((one) => one.b > one.a).length;
    const order = lines.map((_, i) => i), found = pearson(order, lines.map((one) => one.a), lines.map((one) => one.b));
    byId("slopes-said").textContent = `${lines.length} tuned models${LACKING ? " of base models that lack no task" : ""}, ${up} above their base model. ` +
      `Pearson r over them = ${found ? fixed(found.r, 2) : "not estimable"}, descriptive.`;
  }

  function leave() {
    current = -1;
    box.style.visibility = "hidden";
    svg.querySelector(".over")?.setAttribute("visibility", "hidden");
  }
  function go(i, share) {
    const one = lines[i], over = svg.querySelector(".over");
    current = i;
    for (const [key, value] of [["x1", X0], ["x2", X1], ["y1", place(one.a)], ["y2", place(one.b)], ["visibility", "visible"]]) over.setAttribute(key, value);
    box.replaceChildren();
    put(box, "b", names.unit[one.unit]);
    put(box, "div", `${names.family[one.family]}, ${one.n} task${one.n === 1 ? "" : "s"}`).className = "soft";
    put(box, "div", `${fixed(one.a, 2)} → ${fixed(one.b, 2)}`);
    const spot = new DOMPoint(X0 + share * (X1 - X0), place(one.a + share * (one.b - one.a))).matrixTransform(svg.getScreenCTM());
    placeTip(box, spot.x, spot.y, 14);
  }
  svg.addEventListener("pointermove", (event) => {
    const matrix = svg.getScreenCTM();
    if (!matrix) return;
    const spot = new DOMPoint(event.clientX, event.clientY).matrixTransform(matrix.inverse());
    const share = (spot.x - X0) / (X1 - X0);
    let best = -1, near = 14;
    if (share > -0.05 && share < 1.05) {
      lines.forEach((one, i) => {
        const d = Math.abs(place(one.a + share * (one.b - one.a)) - spot.y);
        if (d < near) { near = d; best = i; }
      });
    }
    if (best < 0) leave();
    else go(best, Math.max(0, Math.min(1, share)));
  });
  svg.addEventListener("pointerleave", leave);
  svg.addEventListener("blur", leave);
  svg.addEventListener("keydown", (event) => {
    const last = lines.length - 1;
    const to = { ArrowDown: current + 1, ArrowUp: current - 1, Home: 0, End: last }[event.key];
    if (event.key === "Escape") return leave();
    if (to === undefined || last < 0) return;
    event.preventDefault();
    go(Math.max(0, Math.min(last, to)), 1);
  });
  for (const select of [task, from]) select?.addEventListener("change", () => { leave(); drawSlopes(); });
  drawSlopes();
}
