// ---------------------------------------------------------------- base models x tasks, both sides of every pair
{
  const heat = byId("heat"), box = heat.closest(".plot").querySelector(".tip");
  const M = data.missing, view = { rows: "base", down: "mean", across: "mean" };
  const WIDE = 22, HALF = 10, TALL = 2 * HALF + 3;
  const mean = (values) => (values.length ? values.reduce((p, q) => p + q, 0) / values.length : null);
  let cells = [], at = [-1, -1], left = 0, top = 0;

  // One cell: means of the pairs there are, and why others are not.
  function gather() {
    const found = new Map();
    const cell = (row, task) => {
      if (!found.has(row)) found.set(row, new Map());
      const line = found.get(row);
      if (!line.has(task)) line.set(task, { x: [], y: [], reasons: [] });
      return line.get(task);
    };
    for (let i = 0; i < N; i++) {
      const one = cell(names[view.rows][C[view.rows][i]], names.task[C.task[i]]);
      one.x.push(C.x[i]);
      one.y.push(C.y[i]);
      one.floor = (one.floor || 0) | C.floor[i];
    }
    const lost = M.columns;
    for (let i = 0; i < lost.task.length; i++) {
      const one = cell(M.names[view.rows][lost[view.rows][i]], M.names.task[lost.task[i]]);
      one.reasons.push(M.names.reason[lost.reason[i]]);
    }
    return found;
  }

  function ordered(found) {
    const all = [...found.values()], rows = [...found.keys()];
    const tasks = [...new Set(all.flatMap((line) => [...line.keys()]))];
    const cluster = new Map(C.task.map((t, i) => [names.task[t], names.cluster[C.cluster[i]]]));
    const strength = (part) => mean(part.flatMap((c) => [...c.x, ...c.y])) ?? -9;
    const ofRow = new Map(rows.map((row) => [row, strength([...found.get(row).values()])]));
    const ofTask = new Map(tasks.map((task) => [task, strength(all.map((line) => line.get(task)).filter(Boolean))]));
    const named = (p, q) => p.localeCompare(q, "en", { numeric: true });
    rows.sort((p, q) => (view.down === "mean" ? ofRow.get(q) - ofRow.get(p) : 0) || named(p, q));
    tasks.sort((p, q) => {
      if (view.across === "mean") return ofTask.get(q) - ofTask.get(p) || named(p, q);
      return (view.across === "cluster" ? named(cluster.get(p) || "", cluster.get(q) || "") : 0) || named(p, q);
    });
    return [rows, tasks];
  }

  // A side is void where no pair has it and it is said to be why.
  const isVoid = (one, side) => !one || (!one[side].length && (one.reasons.some((why) => new RegExp(`\\b${side}\\b`).test(why)) || !one.reasons.length));
  function half(one, side, x, y, parent) {
    const value = one && mean(one[side]);
    const kind = value != null ? "h" + Math.round(20 * Math.max(0, Math.min(1, value))) : isVoid(one, side) ? "void" : "alone";
    node("rect", { class: kind, x, y, width: WIDE - 2, height: HALF }, parent);
    if (one && value != null && one.reasons.length) node("path", { class: "some", d: `M${x + WIDE - 2} ${y}v5l-5-5z` }, parent);
  }

  function drawHeat() {
    const found = gather(), [rows, tasks] = ordered(found);
    const longest = (list) => Math.max(4, ...list.map((name) => Math.min(name.length, 26)));
    left = 8 + 6.3 * longest(rows);
    top = 14 + 5.2 * longest(tasks);
    const width = left + (tasks.length + 1) * WIDE + 10 + 3.5 * longest(tasks), height = top + rows.length * TALL + 6;
    heat.replaceChildren();
    heat.setAttribute("viewBox", `0 0 ${width} ${height}`);
    heat.style.width = `clamp(${width}px, 100%, ${Math.round(1.35 * width)}px)`;
    const hatch = node("pattern", { id: "hatch", width: 5, height: 5, patternUnits: "userSpaceOnUse", patternTransform: "rotate(45)" }, node("defs", {}, heat));
    node("rect", { class: "gap", width: 5, height: 5 }, hatch);
    node("line", { class: "stripe", x1: 0, x2: 0, y1: 0, y2: 5 }, hatch);
    const short = (name) => (name.length > 26 ? name.slice(0, 25) + "…" : name);
    [...tasks, "mean"].forEach((task, j) => {
      const x = left + j * WIDE + (j === tasks.length ? 10 : 0) + WIDE / 2 + 2;
      node("text", { transform: `translate(${x} ${top - 6}) rotate(-58)`, class: j === tasks.length ? "axis" : "" }, heat).textContent = short(task);
    });
    cells = rows.map((row, i) => {
      node("text", { x: left - 6, y: top + i * TALL + HALF + 4, "text-anchor": "end" }, heat).textContent = short(row);
      const line = tasks.map((task) => found.get(row).get(task));
      line.forEach((one, j) => ["x", "y"].forEach((side, k) => half(one, side, left + j * WIDE, top + i * TALL + k * HALF, heat)));
      const whole = { x: line.flatMap((one) => one?.x ?? []), y: line.flatMap((one) => one?.y ?? []), reasons: line.flatMap((one) => one?.reasons ?? []) };
      ["x", "y"].forEach((side, k) => half(whole, side, left + tasks.length * WIDE + 10, top + i * TALL + k * HALF, heat));
      return [...line.map((one, j) => ({ row, task: tasks[j], one })), { row, task: "mean over tasks", one: whole }];
    });
    node("rect", { class: "chosen", width: WIDE, height: 2 * HALF + 2, visibility: "hidden" }, heat);
  }

  function leave() {
    at = [-1, -1];
    box.style.visibility = "hidden";
    heat.querySelector(".chosen")?.setAttribute("visibility", "hidden");
  }
  function go(i, j) {
    const cell = cells[i]?.[j];
    if (!cell) return leave();
    at = [i, j];
    const chosen = heat.querySelector(".chosen"), x = left + j * WIDE - 1 + (j === cells[i].length - 1 ? 10 : 0), y = top + i * TALL - 1;
    chosen.setAttribute("x", x);
    chosen.setAttribute("y", y);
    chosen.setAttribute("visibility", "visible");
    box.replaceChildren();
    put(box, "b", cell.row);
    put(box, "div", cell.task).className = "soft";
    const table = put(box, "table", ""), { one } = cell;
    for (const side of ["x", "y"]) {
      const row = put(table, "tr", "");
      put(row, "td", labels[side]);
      const value = one && mean(one[side]);
      put(row, "td", value != null ? fixed(value, 2) : isVoid(one, side) ? "missing" : "has no partner");
    }
    const counted = new Map();
    for (const why of one ? one.reasons : ["not in the study"]) counted.set(why, (counted.get(why) || 0) + 1);
    for (const [why, count] of counted) put(box, "div", count > 1 ? `${count} pairs: ${why}` : why).className = "flag";
    if (one && one.x.length > 1) put(box, "div", `mean of ${one.x.length} pairs`).className = "soft";
    const place = new DOMPoint(x + WIDE, y + HALF).matrixTransform(heat.getScreenCTM());
    placeTip(box, place.x, place.y, 8);
  }
  const column = (x) => (x >= left + (cells[0].length - 1) * WIDE + 10 ? cells[0].length - 1 : Math.floor((x - left) / WIDE));
  heat.addEventListener("pointermove", (event) => {
    const matrix = heat.getScreenCTM();
    if (!matrix || !cells.length) return;
    const spot = new DOMPoint(event.clientX, event.clientY).matrixTransform(matrix.inverse());
    const i = Math.floor((spot.y - top) / TALL), j = column(spot.x);
    if (i !== at[0] || j !== at[1]) go(i, j);
  });
  heat.addEventListener("pointerleave", leave);
  heat.addEventListener("blur", leave);
  heat.addEventListener("keydown", (event) => {
    const step = { ArrowRight: [0, 1], ArrowLeft: [0, -1], ArrowDown: [1, 0], ArrowUp: [-1, 0], Home: [-1e6, -1e6], End: [1e6, 1e6] }[event.key];
    if (event.key === "Escape") return leave();
    if (!step || !cells.length) return;
    event.preventDefault();
    const inside = (v, most) => Math.max(0, Math.min(most, v));
    if (at[0] < 0) go(0, 0);
    else go(inside(at[0] + step[0], cells.length - 1), inside(at[1] + step[1], cells[0].length - 1));
    heat.querySelector(".chosen").scrollIntoView({ block: "nearest", inline: "nearest" });
    go(...at); // the tip goes with the cell
  });
  for (const select of document.querySelectorAll("select[data-grid]")) {
    select.addEventListener("change", () => {
      view[select.dataset.grid] = select.value;
      leave();
      drawHeat();
    });
  }
  drawHeat();
}
