// Folds the rows of `table[data-waterfall]`: by a button in the row, or by the arrow keys. Without scripts all are open.
// What is folded stays so when the panel is asked again because new spans came.

const folded = new Set();
let current = "";

const rowsOf = (table) => [...table.tBodies[0].rows].filter((row) => row.dataset.span);
const depth = (row) => Number(row.dataset.depth);

function setUp() {
  for (const table of document.querySelectorAll("table[data-waterfall]:not([data-ready])")) {
    table.dataset.ready = "";
    for (const row of rowsOf(table)) if ("parent" in row.dataset) addButton(row);
    show(table);
    const row = current && document.getElementById(`s-${current}`);
    if (row && document.activeElement === document.body) {
      row.classList.add("current");
      row.querySelector("a").focus({ preventScroll: true });
    }
  }
  for (const keys of document.querySelectorAll(".choice .keys")) keys.hidden = false;
}

function addButton(row) {
  const button = document.createElement("button");
  button.type = "button";
  button.tabIndex = -1; // the arrow keys do it in the row; a stop for each would be a thousand
  button.addEventListener("click", () => fold(row, !folded.has(row.dataset.span)));
  row.querySelector(".twig").append(button);
  tell(row);
}

function tell(row) {
  const isFolded = folded.has(row.dataset.span);
  const button = row.querySelector(".twig button");
  button.textContent = isFolded ? "▸" : "▾";
  button.setAttribute("aria-expanded", String(!isFolded));
  button.setAttribute("aria-label", `what is below ${row.querySelector("a").textContent.slice(0, 80)}`);
}

function fold(row, isFolded) {
  if (isFolded) folded.add(row.dataset.span); else folded.delete(row.dataset.span);
  tell(row);
  show(row.closest("table"));
}

function show(table) {
  let hiddenBelow = Infinity;
  let head = null;
  let count = 0;
  table.querySelectorAll(".folded-count").forEach((each) => each.remove());
  const told = () => {
    if (!head || !count) return;
    const text = document.createElement("span");
    text.className = "folded-count";
    text.textContent = ` ${count} folded`;
    head.querySelector(".tree").append(text);
  };
  for (const row of rowsOf(table)) {
    if (depth(row) <= hiddenBelow) {
      told();
      const isFolded = folded.has(row.dataset.span) && "parent" in row.dataset;
      [hiddenBelow, head, count] = [isFolded ? depth(row) : Infinity, isFolded ? row : null, 0];
      row.hidden = false;
    } else {
      row.hidden = true;
      count += 1;
    }
  }
  told();
}

const isTyping = (target) => target.matches("input, textarea, select, [role=application]");

function above(row) {
  let each = row.previousElementSibling;
  while (each && !(each.dataset.span && depth(each) < depth(row))) each = each.previousElementSibling;
  return each;
}

function focus(row) {
  document.querySelectorAll("tr.current").forEach((each) => each.classList.remove("current"));
  row.classList.add("current");
  row.querySelector("a").focus({ preventScroll: true });
  row.scrollIntoView({ block: "nearest" });
}

document.addEventListener("keydown", (event) => {
  if (event.ctrlKey || event.metaKey || event.altKey || isTyping(event.target)) return;
  const row = event.target.closest("table[data-waterfall] tr[data-span]");
  if (!row || (event.key !== "ArrowLeft" && event.key !== "ArrowRight")) return;
  event.preventDefault();
  const isOpen = "parent" in row.dataset && !folded.has(row.dataset.span);
  if (event.key === "ArrowRight" && "parent" in row.dataset) {
    if (isOpen) { if (row.nextElementSibling) focus(row.nextElementSibling); } else fold(row, false);
  } else if (event.key === "ArrowLeft") {
    if (isOpen) fold(row, true); else if (above(row)) focus(above(row));
  }
});
document.addEventListener("focusin", (event) => {
  current = event.target.closest("tr[data-span]")?.dataset.span ?? "";
});
document.addEventListener("htmx:after:swap", setUp);
setUp();
