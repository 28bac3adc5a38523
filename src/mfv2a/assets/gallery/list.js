// The clips, in which order and which of them: nothing here knows how one is drawn.

const { clips, edges } = JSON.parse(document.getElementById("data").textContent);
const at = (id) => document.getElementById(id);
const STATES = [
  ["failed", "failed"],
  ["missing", "missing"],
  ["uncertain", "uncertain"],
  ["ok", "dubbed"],
  ["left", "left alone"],
];
const NAMES = Object.fromEntries(STATES);

// A text as it is searched: however its accents are stored, in small letters.
const plain = (text) => text.normalize("NFKC").toLowerCase();

// Makes an element; texts and attributes are set as such, so nothing of a report is ever read as markup.
function make(tag, attributes = {}, ...children) {
  const space = ["svg", "path"].includes(tag) ? "http://www.w3.org/2000/svg" : "http://www.w3.org/1999/xhtml";
  const element = document.createElementNS(space, tag);
  for (const [name, value] of Object.entries(attributes)) {
    if (value === true) element.setAttribute(name, "");
    else if (value !== false && value !== null && value !== undefined) element.setAttribute(name, value);
  }
  element.append(...children.filter((child) => child !== null));
  return element;
}

const total = (clip) => Object.values(clip.stages).reduce((sum, each) => sum + each, 0);
const missed = (clip) => (clip.hits === null ? -1 : 1 - clip.hits / clip.strikes.length);
const least = (value) => (value === null ? Infinity : value);
const collator = new Intl.Collator(undefined, { numeric: true });
const byName = (a, b) => collator.compare(a.name, b.name) || a.take - b.take;
const rank = (clip) => STATES.findIndex(([state]) => state === clip.state);
const SORTS = [
  ["failures", "failures first", (a, b) => rank(a) - rank(b) || a.index - b.index],
  ["name", "name", byName],
  ["newest", "newest first", (a, b) => b.time.localeCompare(a.time) || a.index - b.index],
  ["confidence", "least sure first", (a, b) => least(a.confidence) - least(b.confidence) || byName(a, b)],
  ["hits", "most strikes missed first", (a, b) => missed(b) - missed(a) || byName(a, b)],
  ["longest", "longest first", (a, b) => (b.duration ?? -1) - (a.duration ?? -1) || byName(a, b)],
  ["softest", "softest first", (a, b) => least(a.level) - least(b.level) || byName(a, b)],
  ["slowest", "slowest first", (a, b) => total(b) - total(a) || byName(a, b)],
];

clips.forEach((clip, index) => {
  clip.index = index;
  clip.words = plain([
    clip.name, clip.source, clip.prompt, clip.negative, clip.error, clip.hint, clip.model, ...clip.seen,
    ...clip.tags.map(([name]) => name),
  ].join("\n"));
  const badge = make("span", { class: `badge ${clip.state}` }, NAMES[clip.state]);
  const take = clip.take > 1 ? make("span", { class: "badge" }, `take ${clip.take}`) : null;
  const title = make("h2", { id: `name-${index}` }, make("bdi", {}, clip.name), take, badge);
  clip.card = make(
    "li",
    { class: `card ${clip.state}`, id: `clip-${index}`, "data-state": clip.state, tabindex: "-1", "aria-labelledby": `name-${index}` },
    title,
  );
});

let shown = [];
let order = [];
let sorted = "";
const chosen = new Set();

// Shows the clips that fit, in the chosen order; tells how many they are.
function arrange() {
  const wanted = plain(at("find").value).split(/\s+/).filter(Boolean);
  const fits = (clip) =>
    (!chosen.size || chosen.has(clip.state)) && wanted.every((word) => clip.words.includes(word));
  if (sorted !== at("sort").value) { // cards are moved for a new order only: a video that is moved stops
    sorted = at("sort").value;
    order = [...clips].sort(SORTS.find(([name]) => name === sorted)[2]);
    at("clips").append(...order.map((clip) => clip.card));
  }
  for (const clip of order) clip.card.hidden = !fits(clip);
  shown = order.filter((clip) => !clip.card.hidden);
  hush();
  at("none").hidden = shown.length > 0 || clips.length === 0;
  const all = clips.length === 1 ? "1 clip" : `${clips.length.toLocaleString("en")} clips`;
  at("count").textContent = shown.length === clips.length ? all : `${shown.length.toLocaleString("en")} of ${all}`;
}

function setUpList() {
  for (const [name, label] of SORTS) at("sort").append(make("option", { value: name }, label));
  for (const [state, label] of STATES) {
    const count = clips.filter((clip) => clip.state === state).length;
    if (!count) continue;
    const button = make("button", { type: "button", "aria-pressed": "false", "data-state": state }, `${label} ${count}`);
    button.addEventListener("click", () => {
      if (!chosen.delete(state)) chosen.add(state);
      button.setAttribute("aria-pressed", String(chosen.has(state)));
      arrange();
    });
    at("states").append(button);
  }
  at("sort").addEventListener("change", arrange);
  at("find").addEventListener("input", () => requestAnimationFrame(arrange));
  at("clear").addEventListener("click", () => {
    chosen.clear();
    for (const button of at("states").querySelectorAll("button")) button.setAttribute("aria-pressed", "false");
    at("find").value = "";
    arrange();
    at("find").focus();
  });
  arrange();
}
