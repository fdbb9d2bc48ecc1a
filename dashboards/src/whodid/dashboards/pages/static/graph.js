// Draws `.graph[data-graph]` with Cytoscape from the JSON in it: nodes {id, kind, label, note, url, evidence, start,
// count} and edges {source, target, label, count, denied, evidence, broken}. All but ids and ends may be left out.
// The page has the same as a table: this is a picture of it, and can be walked with the keyboard.

const MAX_LABEL = 30;
const FONT = "13px system-ui, 'Segoe UI', Roboto, sans-serif";
const PADDING = 26;
const NARROW_PX = 640;
const MAX_HEIGHT_PX = 560;
const DASHES = { self_asserted: "dashed", missing: "dotted" };

const colour = (name) => getComputedStyle(document.documentElement).getPropertyValue(name).trim();
const ruler = document.createElement("canvas").getContext("2d");

// What a span said may hold controls that turn the writing round: they are made visible, as everywhere else.
const plain = (text) => String(text ?? "").replace(/[\p{Cc}\p{Cf}\p{Zl}\p{Zp}]/gu, (char) =>
  `\\u${char.codePointAt(0).toString(16).padStart(4, "0")}`);
const short = (text, most = MAX_LABEL) => (text.length > most ? `${text.slice(0, most - 1)}…` : text);

const labelled = (text) => text.split("\n").map((line) => short(plain(line), 34)).join("\n");

function node(given) {
  const lines = [plain(given.kind), short(plain(given.label) || "nobody is named")];
  if (given.note) lines.push(short(plain(given.note), 40));
  ruler.font = FONT;
  const width = Math.max(70, ...lines.map((line) => ruler.measureText(line).width)) + PADDING;
  return { data: {
    id: given.id, kind: given.kind, url: given.url || "", evidence: given.evidence || "", text: lines.join("\n"),
    start: given.start ? 1 : 0, width, height: 14 + 17 * lines.length,
    told: [plain(given.kind), plain(given.label) || "nobody is named", plain(given.note)].filter(Boolean).join(", "),
  } };
}

function edge(given, at) {
  const counted = [
    given.count ? `${given.count.toLocaleString()}×` : "", given.denied ? `${given.denied.toLocaleString()} held back` : "",
  ].filter(Boolean).join(", ");
  return { data: {
    id: `edge-${at}`, source: given.source, target: given.target, broken: given.broken ? 1 : 0,
    evidence: given.evidence || "", text: given.label ? labelled(given.label) : counted,
    width: Math.min(6, 1.8 + Math.log10(1 + (given.count ?? 0))), denied: given.denied && !given.count ? 1 : 0,
  } };
}

function looks() {
  const [text, soft, card, line, link] = ["--text", "--soft", "--card", "--line", "--link"].map(colour);
  const kinds = { principal: "--good", initiator: "--good", agent: "--link", tool: "--accent", credential: "--warn" };
  return [
    { selector: "node", style: {
      shape: "round-rectangle", width: "data(width)", height: "data(height)", label: "data(text)",
      "text-wrap": "wrap", "text-valign": "center", "text-halign": "center", "line-height": 1.25,
      "font-size": 13, "font-family": "system-ui, Segoe UI, Roboto, sans-serif", color: text,
      "background-color": card, "border-width": 1.5, "border-color": soft,
    } },
    ...Object.entries(kinds).map(([kind, name]) => ({
      selector: `node[kind = "${kind}"]`, style: { "border-color": colour(name), "border-width": 2 },
    })),
    { selector: 'node[kind = "agent"]', style: { "background-color": colour("--info-back") } },
    { selector: 'node[kind = "principal"], node[kind = "initiator"]', style: { "background-color": colour("--good-back") } },
    { selector: 'node[kind = "credential"]', style: { "background-color": colour("--warn-back") } },
    { selector: 'node[evidence = "missing"]', style: {
      "border-style": "dashed", "border-color": colour("--bad"), "background-color": colour("--bad-back"),
    } },
    { selector: "node[start = 1]", style: { "border-width": 4 } },
    { selector: "node.at", style: { "border-color": link, "border-width": 4, "overlay-color": link, "overlay-opacity": 0.12 } },
    { selector: "edge", style: {
      "curve-style": "bezier", "line-color": soft, width: "data(width)", "target-arrow-shape": "triangle",
      "target-arrow-color": soft, "arrow-scale": 1.1, label: "data(text)", "font-size": 11, color: text,
      "text-wrap": "wrap", "text-max-width": 150, "text-background-color": card, "text-background-opacity": 1,
      "text-background-padding": 2, "font-family": "system-ui, Segoe UI, Roboto, sans-serif",
    } },
    ...Object.entries(DASHES).map(([level, style]) => ({
      selector: `edge[evidence = "${level}"]`, style: { "line-style": style },
    })),
    { selector: 'edge[broken = 1], edge[denied = 1], edge[evidence = "missing"]', style: {
      "line-color": colour("--bad"), "target-arrow-color": colour("--bad"),
    } },
    { selector: "edge[broken = 1]", style: { "line-style": "dashed", "line-dash-pattern": [4, 9], "target-arrow-shape": "vee" } },
    { selector: "edge[denied = 1]", style: { "target-arrow-shape": "tee" } },
    { selector: "core", style: { "active-bg-opacity": 0, "outside-texture-bg-color": line } },
  ];
}

function lay(cy, place) {
  const narrow = place.clientWidth < NARROW_PX;
  // What stands on the lines has to fit between the nodes.
  ruler.font = FONT;
  const lines = cy.edges().map((each) => each.data("text").split("\n"));
  const longest = Math.max(0, ...lines.flat().map((line) => Math.min(150, ruler.measureText(line).width)));
  const most = Math.max(1, ...lines.map((each) => each.length));
  cy.layout({
    name: "dagre", rankDir: narrow ? "TB" : "LR", nodeSep: narrow ? 16 : 22, edgeSep: 14, fit: false, animate: false,
    rankSep: narrow ? 34 + 14 * most : 50 + longest,
  }).run();
  const box = cy.elements().boundingBox();
  const zoom = Math.min(1, (place.clientWidth - 24) / box.w);
  place.style.height = `${Math.min(MAX_HEIGHT_PX, Math.max(110, box.h * zoom + 24))}px`;
  cy.resize();
  fit(cy);
}

function fit(cy) {
  cy.fit(undefined, 12);
  if (cy.zoom() > 1) { cy.zoom(1); cy.center(); }
}

function zoom(cy, by) {
  const level = Math.min(3, Math.max(0.1, cy.zoom() * by));
  cy.zoom({ level, renderedPosition: { x: cy.width() / 2, y: cy.height() / 2 } });
}

// The nearest node in a direction; the one on the left at the beginning.
function towards(cy, from, [x, y]) {
  if (!from) return cy.nodes().min((each) => each.position("x") + each.position("y") / 1000).ele;
  const here = from.position();
  const away = (each) => {
    const [dx, dy] = [each.position("x") - here.x, each.position("y") - here.y];
    const along = dx * x + dy * y;
    return along > 1 ? along + 3 * Math.abs(dx * y + dy * x) : Infinity;
  };
  const nearest = cy.nodes().min(away);
  return nearest.value < Infinity ? nearest.ele : from;
}

function keys(cy, place, tell) {
  const ways = { ArrowRight: [1, 0], ArrowLeft: [-1, 0], ArrowDown: [0, 1], ArrowUp: [0, -1] };
  place.addEventListener("keydown", (event) => {
    if (event.ctrlKey || event.metaKey || event.altKey) return;
    const at = cy.nodes(".at").first();
    if (ways[event.key]) show(cy, towards(cy, at.length ? at : null, ways[event.key]), tell);
    else if (event.key === "Enter" && at.length && at.data("url")) location.assign(at.data("url"));
    else if (event.key === "+" || event.key === "=") zoom(cy, 1.25);
    else if (event.key === "-") zoom(cy, 0.8);
    else if (event.key === "0") fit(cy);
    else return;
    event.preventDefault();
  });
}

function show(cy, node_, tell) {
  cy.nodes(".at").removeClass("at");
  node_.addClass("at");
  const box = node_.renderedBoundingBox();
  if (box.x1 < 0 || box.y1 < 0 || box.x2 > cy.width() || box.y2 > cy.height()) cy.center(node_);
  tell(node_.data("told") + (node_.data("url") ? "; Enter opens it" : ""));
}

function draw(graph) {
  if (graph.drawn) return;
  const data = JSON.parse(graph.querySelector("script.graph-data").textContent);
  if (!data.nodes.length) return;
  graph.classList.add("drawn");
  const place = graph.querySelector(".graph-canvas");
  const told = graph.querySelector(".graph-told");
  const tell = (text) => { told.textContent = text; };
  const cy = cytoscape({
    container: place, elements: { nodes: data.nodes.map(node), edges: data.edges.map(edge) }, style: looks(),
    userZoomingEnabled: false, boxSelectionEnabled: false, autoungrabify: true, autounselectify: true,
    // A finger on it scrolls the page.
    userPanningEnabled: matchMedia("(pointer: fine)").matches,
  });
  graph.drawn = cy;
  lay(cy, place);
  cy.on("tap", "node", (event) => { if (event.target.data("url")) location.assign(event.target.data("url")); });
  cy.on("mouseover", "node", (event) => {
    place.classList.toggle("leads", Boolean(event.target.data("url")));
    tell(event.target.data("told"));
  });
  cy.on("mouseout", "node", () => place.classList.remove("leads"));
  keys(cy, place, tell);
  const does = { in: () => zoom(cy, 1.25), out: () => zoom(cy, 0.8), fit: () => fit(cy) };
  graph.querySelectorAll("button[data-does]").forEach((button) =>
    button.addEventListener("click", () => does[button.dataset.does]()));
}

const graphs = () => document.querySelectorAll(".graph[data-graph]");
const drawAll = () => graphs().forEach(draw);
const restyle = () => graphs().forEach((graph) => graph.drawn?.style(looks()));
document.addEventListener("htmx:after:swap", drawAll);
document.body.addEventListener("themed", restyle);
matchMedia("(prefers-color-scheme: dark)").addEventListener("change", restyle);
let waiting;
addEventListener("resize", () => {
  clearTimeout(waiting);
  waiting = setTimeout(() => graphs().forEach((graph) => {
    if (graph.drawn) lay(graph.drawn, graph.querySelector(".graph-canvas"));
  }), 150);
});
drawAll();
