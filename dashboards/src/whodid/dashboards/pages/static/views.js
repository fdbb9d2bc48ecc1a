// Searches that the reader keeps by a name: in this browser alone, as addresses without a host.

const KEY = "views";
const MAX_VIEWS = 50;
const place = document.querySelector("[data-views]");
const list = place?.querySelector("ul");
const told = place?.querySelector("[role=status]");

function kept() {
  try {
    const found = JSON.parse(localStorage.getItem(KEY) ?? "[]");
    return Array.isArray(found) ? found.filter((each) => typeof each?.name === "string" && each.path?.startsWith?.("/search")) : [];
  } catch { return []; }
}

function keep(views) {
  try { localStorage.setItem(KEY, JSON.stringify(views.slice(0, MAX_VIEWS))); return true; } catch { return false; }
}

// Where a listing goes on is no part of a search.
function here() {
  const pairs = [...new URLSearchParams(location.search)].filter(([name]) => !name.endsWith(".cursor"));
  const query = new URLSearchParams(pairs).toString();
  return query ? `/search?${query}` : "/search";
}

function show() {
  const views = kept();
  place.querySelector(".views-title").hidden = !views.length;
  list.replaceChildren(...views.map((view) => {
    const item = document.createElement("li");
    const link = document.createElement("a");
    link.className = "chip";
    link.href = view.path;
    link.textContent = view.name;
    if (view.path === here()) link.setAttribute("aria-current", "true");
    const away = document.createElement("button");
    away.type = "button";
    away.textContent = "×";
    away.setAttribute("aria-label", `Forget ${view.name}`);
    away.addEventListener("click", () => {
      keep(kept().filter((each) => each.name !== view.name));
      show();
      told.textContent = `${view.name} is forgotten`;
      place.querySelector("input").focus();
    });
    item.append(link, away);
    return item;
  }));
}

if (place) {
  place.hidden = false;
  place.querySelector("form").addEventListener("submit", (event) => {
    event.preventDefault();
    const name = new FormData(event.target).get("name").trim();
    if (!name) return;
    const others = kept().filter((each) => each.name !== name);
    const is = keep([{ name, path: here() }, ...others]);
    told.textContent = is ? `${name} is kept in this browser` : "This browser keeps nothing";
    event.target.reset();
    show();
  });
  place.querySelector("[data-copy]").addEventListener("click", async () => {
    const url = new URL(here(), location.origin).href;
    try { await navigator.clipboard.writeText(url); told.textContent = "The link is copied"; } catch { told.textContent = url; }
  });
  show();
}
