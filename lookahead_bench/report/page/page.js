"use strict";
const figures = JSON.parse(document.getElementById("lines").textContent);

function order(a, b) {
  const [x, y] = [a, b].map(text => text.trim() && Number.parseFloat(text.replaceAll(",", "")));
  if (Number.isFinite(x) && Number.isFinite(y)) return x - y;
  return Number.isFinite(y) - Number.isFinite(x) || a.localeCompare(b);
}

for (const table of document.querySelectorAll("table.sortable")) {
  const heads = [...table.tHead.rows[0].cells];
  heads.forEach((head, column) => head.firstChild.addEventListener("click", () => {
    const sign = head.ariaSort === "ascending" ? -1 : 1;
    heads.forEach(one => { one.removeAttribute("aria-sort"); });
    head.ariaSort = sign > 0 ? "ascending" : "descending";
    const text = row => row.cells[column].textContent;
    table.tBodies[0].append(...[...table.tBodies[0].rows].sort((a, b) => sign * order(text(a), text(b))));
  }));
}

// What the plot shows of line i, as `in_view` in figures.py.
function points(line, view, axis, marked) {
  const { mean = [], low = [], high = [], [axis]: x = [] } = line[view] ?? {};
  const every = Math.max(1, Math.floor(mean.length / marked));
  return { x, mean, low, high, size: mean.map((_, i) => (i % every ? 0 : 8)) };
}

function follow(frame, plot, figure) {
  const choice = name => frame.querySelector(`[data-choice=${name}]`)?.value;
  const draw = () => {
    const view = choice("view") ?? figure.views[0], axis = choice("axis") ?? Object.keys(figure.axes)[0];
    for (const renderer of plot.renderers) {
      renderer.data_source.data = points(figure.lines[renderer.tags[0]], view, axis, figure.marked);
    }
    [[plot.x_range, figure.ranges[view][axis]], [plot.y_range, figure.ranges[view].y]].forEach(([range, [start, end]]) => {
      range.setv({ start, end, reset_start: start, reset_end: end });
    });
    plot.below[0].axis_label = figure.axes[axis];
    plot.left[0].axis_label = view;
    for (const tool of plot.toolbar.tools) {
      if (tool.type === "HoverTool") tool.tooltips = [["", "$name"], [figure.axes[axis], "@x{0,0.[0000]}"], [view, "@mean{0,0.[0000]}"]];
    }
  };
  for (const select of frame.querySelectorAll("[data-choice]")) select.addEventListener("change", draw);
  for (const box of frame.querySelectorAll("[data-line]")) {
    box.addEventListener("change", () => {
      for (const renderer of plot.renderers) {
        if (renderer.tags[0] === Number(box.dataset.line)) renderer.visible = box.checked;
      }
    });
  }
  if (matchMedia("(pointer: coarse)").matches) plot.toolbar.active_drag = null; // a finger that drags scrolls the page
}

function start() {
  for (const [name, figure] of Object.entries(figures)) {
    follow(document.getElementById(name), Bokeh.documents[0].get_model_by_name(name), figure);
  }
  document.body.dataset.ready = "true";
}

// Bokeh builds its documents when the page has loaded.
(function wait() {
  if (Bokeh.documents.length || !Object.keys(figures).length) start();
  else setTimeout(wait, 20);
})();
