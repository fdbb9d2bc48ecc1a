// What every page does in the browser: local times, keys, light or dark, live updates.

const zone = Intl.DateTimeFormat().resolvedOptions().timeZone;
const local = new Intl.DateTimeFormat(undefined, {
  year: "numeric", month: "2-digit", day: "2-digit", hour: "2-digit", minute: "2-digit", second: "2-digit",
  fractionalSecondDigits: 3, hourCycle: "h23",
});

function tellTimes(root) {
  for (const each of root.querySelectorAll("time[datetime]:not([data-told])")) {
    const moment = new Date(each.dateTime);
    if (Number.isNaN(moment.valueOf())) continue;
    each.dataset.told = "";
    each.textContent = local.format(moment);
    each.title = `${each.title} (shown in ${zone})`;
  }
}

// --- keys

const rows = () => [...document.querySelectorAll("main tbody tr, main [data-row]")].filter((row) => row.offsetParent);

function move(by) {
  const all = rows();
  if (!all.length) return;
  const at = all.findIndex((row) => row.classList.contains("current"));
  const next = all[Math.min(Math.max(at + by, 0), all.length - 1)];
  all[at]?.classList.remove("current");
  next.classList.add("current");
  const link = next.querySelector("a[href]");
  if (link) link.focus({ preventScroll: true });
  else { next.tabIndex = -1; next.focus({ preventScroll: true }); }
  next.scrollIntoView({ block: "nearest" });
}

const places = { o: "/", s: "/search", f: "/findings" };
let going = false;

function onKey(event) {
  const target = event.target;
  if (event.ctrlKey || event.metaKey || event.altKey || target.matches("input, textarea, select, [contenteditable]")) return;
  if (going) {
    going = false;
    const link = document.querySelector(`.menu a[href^="${places[event.key]}"]`);
    if (link) { event.preventDefault(); link.click(); }
    return;
  }
  const does = {
    "/": () => document.getElementById("find").focus(),
    j: () => move(1),
    k: () => move(-1),
    g: () => { going = true; },
    t: turn,
    "?": () => document.getElementById("keys").showModal(),
  }[event.key];
  if (does) { event.preventDefault(); does(); }
}

function turn() {
  const root = document.documentElement;
  const dark = root.dataset.theme ? root.dataset.theme === "dark" : matchMedia("(prefers-color-scheme: dark)").matches;
  root.dataset.theme = dark ? "light" : "dark";
  try { localStorage.setItem("theme", root.dataset.theme); } catch { /* not kept, and that is all */ }
  document.body.dispatchEvent(new CustomEvent("themed"));
}

// --- live: the service says that it has stored something; panels that want to know listen for `stored`

// An empty store's page turns into the first trace.
async function lookForFirst() {
  const place = document.querySelector("[data-first-trace]");
  if (!place) return;
  const answer = await fetch(place.dataset.firstTrace);
  const first = answer.ok ? (await answer.json()).items[0] : undefined;
  if (first) location.assign(place.dataset.tracePage.replace("TRACE", first.trace_id));
}

function listen() {
  if (!document.querySelector('[hx-trigger^="stored"], [data-first-trace]')) return;
  const source = new EventSource("/events");
  const told = document.getElementById("live");
  source.addEventListener("open", () => { told.textContent = "Live"; lookForFirst(); });
  source.addEventListener("error", () => { told.textContent = "Not live: the service does not answer"; });
  source.addEventListener("stored", () => {
    if (!document.hidden) document.body.dispatchEvent(new CustomEvent("stored"));
    lookForFirst();
  });
  addEventListener("pagehide", () => source.close());
}

document.addEventListener("keydown", onKey);
document.getElementById("theme").addEventListener("click", turn);
document.addEventListener("htmx:after:swap", () => tellTimes(document));
tellTimes(document);
listen();
