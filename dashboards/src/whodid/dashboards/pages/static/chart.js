// Draws `.chart[data-chart]` with uPlot from the JSON in it.

const colour = (name) => getComputedStyle(document.documentElement).getPropertyValue(name).trim();

function draw(place) {
  const data = JSON.parse(place.querySelector("script.series").textContent);
  place.querySelector(".uplot")?.remove();
  if (!data.x.length) return;
  const colours = ["--good", "--bad", "--warn"];
  const axis = { stroke: colour("--text"), grid: { stroke: colour("--line"), width: 1 }, ticks: { stroke: colour("--line") } };
  const options = {
    width: place.clientWidth, height: 200, cursor: { y: false }, legend: { live: true },
    scales: { y: { range: (_u, _low, high) => [0, Math.max(1, high * 1.05)] } },
    axes: [{ ...axis, space: 90 }, { ...axis, size: 60 }],
    series: [{}, ...data.series.map((each, at) => ({
      label: each.label, stroke: colour(colours[at]), width: 2, points: { show: data.x.length < 3 },
      dash: at ? [6 - 2 * at, 3] : undefined,
    }))],
  };
  new uPlot(options, [data.x, ...data.series.map((each) => each.values)], place);
}

const drawAll = () => document.querySelectorAll(".chart[data-chart]").forEach(draw);
document.addEventListener("htmx:after:swap", drawAll);
document.body.addEventListener("themed", drawAll);
let waiting;
addEventListener("resize", () => { clearTimeout(waiting); waiting = setTimeout(drawAll, 150); });
drawAll();
