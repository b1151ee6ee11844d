"use strict";
// Draws the page's plots from the data that lie in it. Every control is a <select>; every plot has a text for
// those who don't see it (aria-label), and a table beside it.

const INK = "#1c2733", GREY = "#8a949e", BLUE = "#0072b2", ORANGE = "#d55e00", GREEN = "#009e73";
const ACTIVITIES = {
  reading: "#0072b2", decoding: "#56b4e9", computing: "#009e73", writing: "#cc79a7", waiting: "#d9d9d9",
  communicating: "#d55e00",
};
const LEVEL_COLOURS = [
  "#0072b2", "#d55e00", "#009e73", "#cc79a7", "#e69f00", "#56b4e9", "#8c564b", "#b8ac00", "#6a3d9a", "#1b1b1b",
  "#66c2a5", "#e31a1c", "#a6cee3", "#b2df8a", "#fb9a99", "#7570b3", "#a6761d", "#4daf4a", "#f781bf", "#c7b299",
];
// No button that would send the data anywhere.
const CONFIG = {displayModeBar: false, responsive: false, plotlyServerURL: ""};

const ABOVE = {orientation: "h", x: 0, y: 1.01, yanchor: "bottom"};

const byId = (id) => document.getElementById(id);
const grouped = (n) => Math.round(n).toLocaleString("en-US");
const short = (text, most = 26) => (text.length > most ? text.slice(0, most - 1) + "…" : text);
// plotly reads a little HTML in texts.
const plain = (text) => text.replace(/&/g, "&amp;").replace(/</g, "&lt;").replace(/>/g, "&gt;");

async function read(id) {
  const bytes = Uint8Array.from(atob(byId(id).textContent), (c) => c.charCodeAt(0));
  const stream = new Blob([bytes]).stream().pipeThrough(new DecompressionStream("gzip"));
  return JSON.parse(await new Response(stream).text());
}

function unpack(packed) {
  const bytes = Uint8Array.from(atob(packed.data), (c) => c.charCodeAt(0)).buffer;
  const Kind = {uint8: Uint8Array, uint16: Uint16Array, uint32: Uint32Array}[packed.type];
  return new Kind(bytes);
}

const fromSteps = (packed) =>
  Array.from(unpack(packed), (code) => (code === 65535 ? null : packed.low + code * packed.step));

/** Counts of a grid, rows of y; null where there is none, so that nothing is drawn. */
function gridCounts(grid) {
  const levels = unpack(grid.levels), [ny, nx] = grid.levels.shape;
  return Array.from({length: ny}, (_, y) => Array.from(levels.subarray(y * nx, (y + 1) * nx), (level) =>
    level === 0 ? null : Math.max(1, Math.round(Math.expm1((level / 255) * Math.log1p(grid.most))))));
}

function layout(x, y, more = {}) {
  const axis = (text) => ({title: {text, standoff: 8}, zeroline: false, gridcolor: "#e6eaee", automargin: true});
  return {
    font: {family: "system-ui, 'Liberation Sans', sans-serif", size: 13, color: INK},
    margin: {l: 64, r: 16, t: 48, b: 56},
    paper_bgcolor: "#fff", plot_bgcolor: "#fff", hovermode: "closest", dragmode: "zoom",
    ...more,
    xaxis: {...axis(x), ...more.xaxis}, yaxis: {...axis(y), ...more.yaxis},
  };
}

function draw(id, traces, look, text) {
  const plot = byId(id);
  plot.setAttribute("aria-label", text);
  return Plotly.react(plot, traces, {width: plot.offsetWidth, height: plot.offsetHeight, ...look}, CONFIG);
}

function fillTable(id, rows) {
  byId(id).tBodies[0].replaceChildren(...rows.map((row) => {
    const line = document.createElement("tr");
    row.forEach((value) => {
      const cell = line.insertCell();
      cell.textContent = value;
      if (/^[−\d]/.test(value)) cell.className = "number";
    });
    return line;
  }));
}

function offer(id, names) {
  byId(id).replaceChildren(...names.map((name, value) => new Option(name, value)));
}

const shown = (number) => (number === null ? "–" : number.toFixed(3).replace("-", "−"));

// Cells and genes -----------------------------------------------------------------------------------

/** An axis of names: all of them, or one in so many that there is room for. */
function manyNames(names) {
  const step = Math.ceil(names.length / 24), named = names.filter((_, i) => i % step === 0);
  return {
    type: "category", showgrid: false, automargin: true, tickangle: names.length > 8 ? -60 : undefined,
    tickvals: named, ticktext: named.map((name) => plain(short(name, 22))),
    ...(step > 1 ? {title: {text: `one in ${step} of ${names.length} is named`, standoff: 8}} : {}),
  };
}

function drawFunnel(funnel) {
  const bars = (key, name, color) => ({type: "bar", name, x: funnel.plate, y: funnel[key], marker: {color},
    hovertemplate: `%{x}<br>${name}: %{y:,}<extra></extra>`});
  const look = (what) => layout("", what, {
    barmode: "group", legend: {...ABOVE}, xaxis: manyNames(funnel.plate),
    yaxis: {rangemode: "tozero", tickformat: ",d"},
  });
  const sum = (key) => grouped(funnel[key].reduce((a, b) => a + b, 0));
  draw("cells-per-plate", [bars("cells_read", "read", "#b9c4ce"), bars("cells_kept", "kept", BLUE)], look("cells"),
    `Bars for each plate: ${sum("cells_read")} cells read and ${sum("cells_kept")} kept in all.`);
  const kept = funnel.genes_kept === null ? [] : [{type: "scatter", mode: "lines", name: "kept in the output",
    x: funnel.plate.length > 1 ? [funnel.plate[0], funnel.plate.at(-1)] : funnel.plate,
    y: funnel.plate.length > 1 ? [funnel.genes_kept, funnel.genes_kept] : [funnel.genes_kept],
    line: {color: ORANGE, dash: "dot", width: 2}, ...(funnel.plate.length > 1 ? {} : {mode: "markers",
      marker: {color: ORANGE, symbol: "diamond", size: 9}}),
    hovertemplate: "kept in the output: %{y:,}<extra></extra>"}];
  draw("genes-per-plate", [bars("genes_with_counts", "with counts", "#b9c4ce"),
    bars("genes_chosen", "highly variable", GREEN), ...kept], look("genes"),
    "Bars for each plate: genes with counts, and genes chosen as highly variable" +
    (funnel.genes_kept === null ? "." : `; ${grouped(funnel.genes_kept)} genes are kept in the output.`));
}

// Highly variable genes -----------------------------------------------------------------------------

function drawGenes(genes) {
  const titles = {dispersions_norm: "normalised dispersion", dispersions: "dispersion"};
  offer("gene-view", genes.views.map((view) => view.name));
  const update = () => {
    const view = genes.views[byId("gene-view").value], measure = byId("gene-measure").value;
    const {y: packed, ...grid} = view[measure];
    const names = Array.from(unpack(view.genes), (gene) => genes.names[gene]);
    const kept = unpack(view.kept), x = fromSteps(view.x), y = fromSteps(packed);
    const points = (name, which, color) => {
      const some = names.map((_, i) => i).filter((i) => Boolean(kept[i]) === which && y[i] !== null);
      return {type: "scatter", mode: "markers", name: `${name} (${grouped(some.length)})`, x: some.map((i) => x[i]),
        y: some.map((i) => y[i]), text: some.map((i) => plain(names[i])), marker: {color, size: 4.5, opacity: 0.75},
        hovertemplate: "%{text}<br>mean %{x:.3f}, " + titles[measure] + " %{y:.3f}<extra></extra>"};
    };
    const background = {type: "heatmap", z: gridCounts(grid).map((row) => row.map((n) => n && Math.log10(1 + n))),
      customdata: gridCounts(grid), x0: grid.x0 + grid.dx / 2, dx: grid.dx, y0: grid.y0 + grid.dy / 2, dy: grid.dy,
      colorscale: [[0, "#c3cad1"], [1, "#3f4a55"]], showscale: false, hoverongaps: false,
      hovertemplate: "%{customdata:,} other genes<extra></extra>"};
    const legend = {type: "scatter", mode: "markers", x: [null], y: [null], name: "other genes",
      marker: {color: GREY, symbol: "square"}};
    draw("gene-plot", [background, legend, points("chosen, not kept", false, BLUE), points("chosen and kept", true, ORANGE)],
      layout(genes.x, titles[measure], {legend: {...ABOVE}}),
      `Mean against ${titles[measure]} of ${grouped(view.n_with_values)} genes, ${view.name}: ` +
      `${grouped(view.n_chosen)} are chosen as highly variable; they lie above the others of their mean.`);
    byId("gene-note").textContent = view.n_with_values === 0 ? `No gene has values in ${view.name}.`
      : `${view.name[0].toUpperCase()}${view.name.slice(1)}: ${grouped(view.n_with_values)} of ${grouped(genes.n_genes)} genes have values, ` +
        `${grouped(view.n_chosen)} are chosen` + (view.n_chosen > names.length
        ? `, of which the ${grouped(names.length)} of the greatest normalised dispersion are drawn.` : ".");
    const norm = fromSteps(view.dispersions_norm.y), raw = fromSteps(view.dispersions.y);
    fillTable("gene-table", names.slice(0, 40).map((name, i) =>
      [name, shown(x[i]), shown(raw[i]), shown(norm[i]), kept[i] ? "yes" : "no"]));
  };
  byId("gene-view").onchange = byId("gene-measure").onchange = update;
  update();
  if (byId("chosen-by")) {
    const counts = genes.chosen_by.slice(1);
    draw("chosen-by", [{type: "bar", x: counts.map((_, i) => i + 1), y: counts, marker: {color: GREEN},
      hovertemplate: "%{y:,} genes chosen by %{x} plates<extra></extra>"}],
      layout("plates that chose the gene", "genes", {xaxis: {dtick: counts.length > 20 ? undefined : 1}}),
      `Genes by the number of plates that chose them: ${counts.map((n, i) => `${grouped(n)} by ${i + 1}`).slice(0, 20).join(", ")}.`);
  }
}

// Variance ------------------------------------------------------------------------------------------

function drawVariance(ratio) {
  const x = ratio.map((_, i) => i + 1);
  let total = 0;
  const cumulative = ratio.map((share) => (total += share));
  draw("variance-plot", [
    {type: "bar", name: "each", x, y: ratio, marker: {color: BLUE}, hovertemplate: "PC%{x}: %{y:.3%}<extra></extra>"},
    {type: "scatter", mode: "lines", name: "up to and with it", x, y: cumulative, yaxis: "y2", line: {color: ORANGE},
      hovertemplate: "PC1 to PC%{x}: %{y:.2%}<extra></extra>"},
  ], layout("principal component", "share of the variance", {
    legend: {...ABOVE}, yaxis: {tickformat: ".2~%", rangemode: "tozero"}, margin: {l: 64, r: 70, t: 48, b: 56},
    yaxis2: {title: {text: "cumulative"}, overlaying: "y", side: "right", tickformat: ".2~%", rangemode: "tozero",
      showgrid: false, zeroline: false},
  }), `Share of the variance of each of ${ratio.length} components: ${(100 * ratio[0]).toFixed(2)}% for the first, ` +
    `${(100 * total).toFixed(2)}% for all together.`);
}

// Cells ---------------------------------------------------------------------------------------------

function drawCells(cells, ratio) {
  const components = cells.components.map(fromSteps);
  const names = components.map((_, c) => `PC${c + 1}` + (ratio[c] === undefined ? "" : ` (${(100 * ratio[c]).toFixed(2)}%)`));
  offer("pc-x", names);
  offer("pc-y", names);
  offer("cell-colour", [...cells.columns.map((column) => column.name), "nothing"]);
  byId("pc-y").value = Math.min(1, names.length - 1);

  /** Counts of all cells if there are some of these two; else of the cells that are drawn. */
  const counts = (x, y) => {
    const grid = cells.grids.find((g) => (g.x === x && g.y === y) || (g.x === y && g.y === x));
    if (grid === undefined) return sampledGrid(components[x], components[y]);
    const z = gridCounts(grid);
    if (grid.x === x) return {...grid, z, of: cells.n_cells};
    return {x0: grid.y0, dx: grid.dy, y0: grid.x0, dy: grid.dx, of: cells.n_cells,
      z: z[0].map((_, column) => z.map((row) => row[column]))};
  };

  const update = () => {
    const x = Number(byId("pc-x").value), y = Number(byId("pc-y").value);
    const grid = counts(x, y);
    const most = Math.max(1, ...grid.z.map((row) => Math.max(...row)));
    const ticks = [1, 10, 100, 1e3, 1e4, 1e5, 1e6, 1e7, 1e8].filter((n) => n <= most);
    const ranges = {xaxis: {range: padded(grid.x0, grid.dx, grid.z[0].length)}, yaxis: {range: padded(grid.y0, grid.dy, grid.z.length)}};
    const look = (more = {}) => layout(names[x], names[y], {...more, ...ranges, margin: {l: 56, r: 8, t: 16, b: 52}});
    const all = grid.of === cells.n_cells;
    draw("density-plot", [{type: "heatmap", z: grid.z.map((row) => row.map((n) => n && Math.log10(n))), customdata: grid.z,
      x0: grid.x0 + grid.dx / 2, dx: grid.dx, y0: grid.y0 + grid.dy / 2, dy: grid.dy, hoverongaps: false, zmin: 0,
      zmax: Math.max(Math.log10(most), 0.3),
      colorscale: [[0, "#d7e6f4"], [0.35, "#6baed6"], [0.7, "#2171b5"], [1, "#08204d"]],
      colorbar: {title: {text: "cells"}, thickness: 12, tickvals: ticks.map(Math.log10), ticktext: ticks.map(grouped)},
      hovertemplate: "≈ %{customdata:,} cells<extra></extra>"}], look(),
      `Density of ${grouped(grid.of)} cells on ${names[x]} and ${names[y]}.`);
    byId("density-note").textContent = all ? `Density of all ${grouped(cells.n_cells)} cells.`
      : `Density of ${grouped(grid.of)} cells drawn at random: all cells were counted for the first ten components only.`;

    const column = cells.columns[byId("cell-colour").value];
    draw("colour-plot", coloured(column, components[x], components[y]),
      look({legend: {itemsizing: "constant", font: {size: 11}, y: 1, yanchor: "top"}}),
      `${grouped(cells.n_sampled)} cells on ${names[x]} and ${names[y]}` + (column ? `, coloured by ${column.name}.` : "."));
    byId("cells-caption").textContent = (column ? `${column.name}: cells` : "Cells") + " that are drawn, and where their middle lies";
    fillTable("cells-table", middles(column, components[x], components[y]));
  };
  for (const id of ["pc-x", "pc-y", "cell-colour"]) byId(id).onchange = update;
  update();
}

function padded(low, step, n) {
  const room = 0.03 * step * n;
  return [low - room, low + step * n + room];
}

function sampledGrid(x, y) {
  const n = Math.max(16, Math.min(128, Math.floor(Math.sqrt(x.length / 4))));
  const edges = (values) => {
    const known = values.filter((value) => value !== null);
    const low = known.reduce((a, b) => Math.min(a, b), Infinity), high = known.reduce((a, b) => Math.max(a, b), -Infinity);
    return known.length === 0 ? [0, 1] : [low, (high - low) / n || 1];
  };
  const [x0, dx] = edges(x), [y0, dy] = edges(y);
  const z = Array.from({length: n}, () => Array(n).fill(null));
  x.forEach((value, i) => {
    if (value === null || y[i] === null) return;
    const row = z[Math.min(n - 1, Math.floor((y[i] - y0) / dy))], place = Math.min(n - 1, Math.floor((value - x0) / dx));
    row[place] += 1;
  });
  return {x0, dx, y0, dy, z, of: x.length};
}

/** Names of the groups of a column, and of each cell its group. */
function groupsOf(column, n) {
  if (column === undefined || column.numbers !== undefined) return {names: ["all cells"], of: new Uint8Array(n)};
  return {names: [...column.levels, "other levels", "missing"], of: unpack(column.codes)};
}

function coloured(column, x, y) {
  const dots = (more) => ({type: "scatter", mode: "markers", ...more, marker: {size: 3.2, opacity: 0.7, ...more.marker}});
  if (column?.numbers !== undefined) {
    const numbers = fromSteps(column.numbers);
    const known = numbers.map((_, i) => i).filter((i) => numbers[i] !== null);
    return [dots({x, y, hoverinfo: "skip", marker: {color: "#d9dde1"}, showlegend: false}), dots({
      x: known.map((i) => x[i]), y: known.map((i) => y[i]), customdata: known.map((i) => numbers[i]), showlegend: false,
      hovertemplate: `${plain(column.name)} %{customdata:.4~g}<extra></extra>`,
      marker: {color: known.map((i) => numbers[i]), colorscale: "Viridis", colorbar: {thickness: 12, title: {text: plain(short(column.name, 14))}}},
    })];
  }
  const {names, of} = groupsOf(column, x.length);
  const traces = names.map((name, group) => {
    const some = x.map((_, i) => i).filter((i) => of[i] === group);
    const rest = group >= names.length - 2 && names.length > 1;
    return dots({name: plain(short(name)), x: some.map((i) => x[i]), y: some.map((i) => y[i]),
      hovertemplate: `${plain(name)}<extra></extra>`, showlegend: names.length > 1,
      marker: {color: rest ? "#c9ced3" : LEVEL_COLOURS[group % LEVEL_COLOURS.length]}});
  });
  return traces.filter((trace) => trace.x.length > 0);
}

function middles(column, x, y) {
  const {names, of} = groupsOf(column, x.length);
  const sums = names.map(() => [0, 0, 0]);
  x.forEach((value, i) => {
    const sum = sums[of[i]];
    sum[0] += 1;
    sum[1] += value;
    sum[2] += y[i];
  });
  return names.map((name, group) => [name, ...sums[group]]).filter((row) => row[1] > 0)
    .map(([name, n, sumX, sumY]) => [name, grouped(n), shown(sumX / n), shown(sumY / n)]);
}

// Time ----------------------------------------------------------------------------------------------

function drawTimeline(timeline) {
  const passes = [...new Set(timeline.pass)];
  offer("time-pass", ["all, one after the other", ...passes]);
  const update = () => {
    const chosen = Number(byId("time-pass").value);
    const traces = [];
    passes.forEach((pass, number) => {
      if (chosen !== 0 && chosen !== number + 1) return;
      const rows = timeline.pass.map((_, i) => i).filter((i) => timeline.pass[i] === pass);
      for (const [activity, color] of Object.entries(ACTIVITIES)) {
        const summed = activity === "communicating" ? "" :
          "<br>%{customdata[0]:.3~g} s summed over threads";
        traces.push({type: "bar", orientation: "h", name: activity, legendgroup: activity,
          showlegend: traces.length < Object.keys(ACTIVITIES).length,
          x: rows.map((i) => timeline.shares[activity][i] * timeline.seconds[i]), y: rows.map((i) => `rank ${timeline.rank[i]}`),
          marker: {color, line: {color: "#fff", width: 0.5}},
          customdata: rows.map((i) => [timeline[activity][i], timeline.seconds[i], timeline.shares[activity][i]]),
          hovertemplate: `%{y}, ${plain(pass)}<br>${activity}: %{customdata[2]:.0%} of %{customdata[1]:.3~g} s` +
            `${summed}<extra></extra>`});
      }
    });
    const ranks = [...new Set(timeline.rank)];
    draw("time-plot", traces, layout("seconds", "", {barmode: "stack", legend: {...ABOVE, traceorder: "normal"},
      yaxis: {autorange: "reversed", type: "category", ...(ranks.length > 40 ? {nticks: 20} : {})}}),
      `Time of ${ranks.length} ranks in ${chosen === 0 ? passes.join(", ") : passes[chosen - 1]}, each split into ` +
      `${Object.keys(ACTIVITIES).join(", ")}.`);
  };
  byId("time-pass").onchange = update;
  update();
}

function drawBars(id, names, values, color, what, hover) {
  draw(id, [{type: "bar", x: names, y: values, marker: {color}, hovertemplate: `%{x}<br>${hover}<extra></extra>`}],
    layout("", what, {xaxis: manyNames(names), yaxis: {rangemode: "tozero"}}),
    `${what}: ${names.slice(0, 30).map((name, i) => `${name} ${values[i] >= 100 ? grouped(values[i]) : values[i].toPrecision(3)}`).join(", ")}.`);
}

// Everything ----------------------------------------------------------------------------------------

(async () => {
  try {
    const data = await read("data");
    if (data.funnel) drawFunnel(data.funnel);
    if (data.genes) drawGenes(data.genes);
    if (data.variance) drawVariance(data.variance);
    if (data.cells) drawCells(data.cells, data.variance ?? []);
    if (data.timeline) drawTimeline(data.timeline);
    if (data.rates) drawBars("rate-plot", data.rates.pass, data.rates.cells_per_second, BLUE, "cells per second", "%{y:,.0f} cells/s");
    if (data.memory) drawBars("memory-plot", data.memory.rank, data.memory.gigabytes, GREEN, "peak memory, GB", "%{y:.3~g} GB");
    document.documentElement.dataset.drawn = "yes";
  } catch (error) {
    byId("trouble").textContent = `The plots could not be drawn: ${error.message}`;
    byId("trouble").hidden = false;
    throw error;
  }
})();
