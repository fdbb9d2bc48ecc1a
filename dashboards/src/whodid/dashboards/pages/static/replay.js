// Steps through the list of a session: by buttons, by keys, or playing by itself at a chosen speed.

const LONGEST_MS = 1000;
const SHORTEST_MS = 120;
const WORDS = { action: "acted", held: "held back", approval: "approvals", failed: "failed" };

class Player {
  constructor(place) {
    this.place = place;
    this.axis = place.querySelector("svg.axis");
    this.steps = [...document.querySelectorAll(".steps li.step")];
    this.marks = [...this.axis.querySelectorAll("rect.step")];
    this.at = -1;
    this.timer = 0;
    this.speed = place.querySelector("[data-speed]");
    this.cuts = place.querySelector("[data-cuts]");
    place.querySelector(".controls").hidden = false;
    const does = {
      first: () => this.go(0), last: () => this.go(this.steps.length - 1), next: () => this.by(1), back: () => this.by(-1),
      play: () => this.turn(),
    };
    for (const button of place.querySelectorAll("[data-does]")) {
      button.addEventListener("click", () => {
        if (button.dataset.does !== "play") this.stop();
        does[button.dataset.does]();
      });
    }
    this.axis.addEventListener("click", (event) => {
      const mark = event.target.closest("[data-step]");
      if (mark) { this.stop(); this.go(Number(mark.dataset.step)); }
    });
    const wanted = location.hash.startsWith("#s-") ? this.steps.findIndex((step) => `#${step.id}` === location.hash) : -1;
    if (wanted >= 0) this.go(wanted);
  }

  by(count) { this.go(Math.min(Math.max(this.at + count, 0), this.steps.length - 1)); }

  go(at, { isPlaying = false } = {}) {
    this.steps[this.at]?.classList.remove("current");
    this.marks[this.at]?.classList.remove("here");
    this.at = at;
    this.steps.forEach((step, number) => step.classList.toggle("past", number <= at));
    const step = this.steps[at];
    step.classList.add("current");
    this.marks[at].classList.add("here");
    this.axis.classList.add("begun");
    const head = this.axis.querySelector(".head");
    for (const end of ["x1", "x2"]) head.setAttribute(end, `${step.dataset.x}%`);
    step.scrollIntoView({ block: "nearest" });
    history.replaceState(null, "", `#${step.id}`);
    this.tell(step, isPlaying);
  }

  // While it plays, a screen reader would be told of a step before it is done with the last one.
  tell(step, isPlaying) {
    const place = this.place.querySelector(".so-far");
    place.setAttribute("aria-live", isPlaying ? "off" : "polite");
    const counts = {};
    for (const each of this.steps.slice(0, this.at + 1)) {
      const kind = each.dataset.counts;
      if (kind) counts[kind] = (counts[kind] ?? 0) + 1;
    }
    const soFar = Object.entries(WORDS).filter(([kind]) => counts[kind]).map(([kind, word]) => `${counts[kind]} ${word}`);
    const name = step.querySelector(".told a").textContent;
    place.textContent = `Step ${this.at + 1} of ${this.steps.length}: ${name}. So far: ${soFar.join(", ") || "nothing done"}.`;
  }

  turn() {
    if (this.timer) this.stop();
    else this.play();
  }

  play() {
    if (this.at >= this.steps.length - 1) this.at = -1;
    this.say(true);
    this.goOn();
  }

  goOn() {
    this.by(1);
    if (this.at >= this.steps.length - 1) { this.stop(); return; }
    this.go(this.at, { isPlaying: true });
    const after = (at) => Number(this.steps[at].dataset.after);
    const wait = (after(this.at + 1) - after(this.at)) / Number(this.speed.value);
    const longest = this.cuts.checked ? LONGEST_MS : Infinity;
    this.timer = setTimeout(() => this.goOn(), Math.min(Math.max(wait, SHORTEST_MS), longest, 2 ** 31 - 1));
  }

  stop() {
    clearTimeout(this.timer);
    this.timer = 0;
    this.say(false);
  }

  say(isPlaying) {
    const button = this.place.querySelector('[data-does="play"]');
    button.setAttribute("aria-pressed", String(isPlaying));
    button.textContent = isPlaying ? "Pause" : "Play";
  }

  faster(by) {
    this.speed.selectedIndex = Math.min(Math.max(this.speed.selectedIndex + by, 0), this.speed.options.length - 1);
  }
}

const place = document.querySelector("[data-player]");
if (place) {
  const player = new Player(place);
  document.addEventListener("keydown", (event) => {
    if (event.ctrlKey || event.metaKey || event.altKey || event.target.matches("input, textarea, select")) return;
    const does = {
      ArrowRight: () => { player.stop(); player.by(1); },
      ArrowLeft: () => { player.stop(); player.by(-1); },
      p: () => player.turn(),
      "[": () => player.faster(-1),
      "]": () => player.faster(1),
    }[event.key];
    if (does) { event.preventDefault(); does(); }
  });
}
