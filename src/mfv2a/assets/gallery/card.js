// One clip as people see it. A card is filled when it comes near the window and emptied when it has gone.

const seconds = (value) => (value >= 100 ? `${Math.round(value)} s` : `${Number(value.toFixed(2))} s`);
const clock = (value) => (value < 60 ? `${Number(value.toFixed(1))} s` : `${Math.floor(value / 60)}:${String(Math.floor(value % 60)).padStart(2, "0")}`);
const counted = (number, noun) => `${number} ${noun}${number === 1 ? "" : "s"}`;

function fill(clip) {
  if (clip.filled) return;
  clip.filled = true;
  const parts = [];
  if (clip.error) parts.push(make("p", { class: "reason" }, clip.error));
  if (clip.hint) parts.push(make("p", { class: "hint" }, clip.hint));
  const body = make("div", { class: clip.video ? "body" : "body bare" });
  if (clip.video) body.append(makePlayer(clip), makeSight(clip));
  else body.append(makeWords(clip));
  body.append(makeFacts(clip), makeRemake(clip), makeMore(clip));
  clip.parts = [...parts, body];
  clip.card.append(...clip.parts);
  clip.card.style.minHeight = "";
}

// Takes a card's contents away, but keeps its height, so that nothing jumps.
function empty(clip) {
  if (!clip.filled || isBusy(clip) || clip.card.contains(document.activeElement)) return;
  clip.card.style.minHeight = `${clip.card.offsetHeight}px`;
  release(clip);
  for (const part of clip.parts) part.remove();
  clip.parts = [];
  clip.filled = false;
}

// What kept a card filled is over: it goes if it is out of sight.
function tidy(clip) {
  if (!clip.near) empty(clip);
}

function makeSight(clip) {
  const timeline = make("div", { class: "timeline" });
  if (clip.strip) timeline.append(make("img", { class: "strip", src: clip.strip, alt: `Frames of ${clip.name}`, draggable: "false" }));
  if (clip.spectrogram) {
    const top = `${clip.topHz / 1000} kHz`;
    const picture = make("img", { class: "spectrogram", src: clip.spectrogram, alt: `Spectrogram up to ${top}. ${describeMarks(clip)}`, draggable: "false" });
    const sound = make("div", { class: "sound" }, picture, makeMarks(clip));
    for (const [hertz, height] of edges[String(clip.topHz)] ?? []) {
      if (height >= 0.99) continue;
      const label = make("span", { class: "hertz", "aria-hidden": "true" }, hertz >= 1000 ? `${hertz / 1000} kHz` : `${hertz} Hz`);
      label.style.bottom = `${height * 100}%`;
      sound.append(label);
    }
    timeline.append(sound);
  }
  clip.head = make("div", { class: "head", hidden: true });
  timeline.append(clip.head);
  timeline.addEventListener("click", (event) => {
    const box = timeline.getBoundingClientRect();
    select(clip, { scroll: false, focus: false });
    seek(clip, ((event.clientX - box.left) / box.width) * clip.span);
  });
  const sight = make("div", { class: "sight" });
  if (clip.strip || clip.spectrogram) sight.append(timeline, makeAxis(clip), makeLegend(clip));
  if (clip.problem) sight.append(make("p", { class: "hint" }, `Not all could be shown: ${clip.problem}`));
  sight.append(makeWords(clip));
  return sight;
}

function makeAxis(clip) {
  const axis = make("div", { class: "axis", "aria-hidden": "true" });
  for (let part = 0; part <= 4; part += 1) {
    const label = make("span", {}, clock((clip.span * part) / 4));
    label.style.left = `${part * 25}%`;
    axis.append(label);
  }
  return axis;
}

function makeMarks(clip) {
  const place = (time) => ((time / clip.span) * 1000).toFixed(1);
  const lines = (times, end) => times.filter((time) => time <= clip.span).map((time) => `M${place(time)} 0V${end}`).join("");
  return make(
    "svg",
    { class: "marks", viewBox: "0 0 1000 100", preserveAspectRatio: "none", "aria-hidden": "true", focusable: "false" },
    make("path", { class: "cut", d: lines(clip.cuts, 100) }),
    make("path", { class: "onset", d: lines(clip.onsets, 100) }),
    make("path", { class: "strike", d: lines(clip.strikes, 16) }),
  );
}

function describeMarks(clip) {
  const told = [`${counted(clip.onsets.length, "sound")} ${clip.onsets.length === 1 ? "begins" : "begin"}`];
  told.push(clip.strikes.length ? `${counted(clip.strikes.length, "strike")} seen` : "no strike seen");
  if (clip.cuts.length) told.push(counted(clip.cuts.length, "cut"));
  if (clip.hits !== null) told.push(`${clip.hits} of ${clip.strikes.length} strikes have a sound within 0.1 s`);
  return `${told.join(", ")}.`;
}

function makeLegend(clip) {
  const swatch = (kind, d) => make("svg", { viewBox: "0 0 14 14", "aria-hidden": "true", focusable: "false" }, make("path", { class: kind, d }));
  const legend = make("p", { class: "legend" });
  legend.append(make("span", {}, swatch("strike", "M7 0V6"), clip.strikes.length ? `${counted(clip.strikes.length, "strike")} seen` : "no strike seen"));
  if (clip.spectrogram) {
    legend.append(make("span", {}, swatch("onset", "M7 0V14"), `${counted(clip.onsets.length, "onset")} heard`));
  }
  if (clip.cuts.length) legend.append(make("span", {}, swatch("cut", "M7 0V14"), counted(clip.cuts.length, "cut")));
  if (clip.hits !== null) legend.append(make("span", {}, `${clip.hits} of ${clip.strikes.length} strikes heard within 0.1 s`));
  if (clip.duration !== null && clip.span < clip.duration - 0.5) legend.append(make("span", {}, `the first ${clock(clip.span)} are drawn`));
  return legend;
}

function fact(list, name, value) {
  if (value !== "") list.append(make("div", {}, make("dt", {}, name), make("dd", {}, value)));
}

// What was asked for, seen and heard.
function makeWords(clip) {
  const list = make("dl", { class: "words" });
  const origin = { sidecar: "text beside the clip", filename: "file name", metadata: "tags", option: "" }[clip.promptFrom] ?? clip.promptFrom;
  const none = clip.quiet ? "none, and nothing surely recognised: quiet ambience; a prompt helps" : "none: the sound follows the picture";
  const words = clip.prompt ? make("span", {}, make("bdi", {}, clip.prompt), origin ? ` (${origin})` : "") : none;
  if (clip.video || clip.prompt) fact(list, "Prompt", words);
  if (clip.negative) fact(list, "Not wanted", make("bdi", {}, clip.negative));
  if (clip.video) {
    const doubt = clip.confidence === null ? "" : `confidence ${Math.round(clip.confidence * 100)} %`;
    fact(list, "Seen", [clip.seen.join(", ") || "nothing by name", doubt].filter(Boolean).join("; "));
  }
  if (clip.tags.length) {
    const tags = make("ul", { class: "tags" });
    for (const [name, score] of clip.tags) {
      const share = Math.round((score ?? 0) * 100);
      const tag = make("li", {}, `${name} `, make("small", {}, `${share} %`));
      tag.style.setProperty("--share", `${share}%`);
      tags.append(tag);
    }
    fact(list, "Heard", tags);
  }
  if (clip.stillHeard.length) fact(list, "Unwanted", make("strong", { class: "bad" }, `${clip.stillHeard.join(" and ")} still heard`));
  return list;
}

function makeFacts(clip) {
  const list = make("dl", { class: "facts" });
  fact(list, "Seed", clip.seed === null || clip.seed === undefined ? "" : String(clip.seed));
  const [chosen, drawn] = clip.candidate;
  if (drawn) fact(list, "Candidate", `${chosen ?? "?"} of ${drawn}`);
  fact(list, "Model", clip.model ? make("bdi", {}, clip.model) : "");
  fact(list, "Licence", clip.licence || (clip.model ? "not known" : ""));
  fact(list, "Length", clip.duration === null ? "" : seconds(clip.duration));
  const level = clip.level === null ? "" : `${clip.level.toFixed(1)} dBFS, peak ${(clip.peak ?? 0).toFixed(1)}`;
  fact(list, "Level", clip.quiet && level ? `${level}; quiet ambience` : level);
  const stages = Object.entries(clip.stages).map(([name, value]) => `${name} ${seconds(value)}`);
  if (stages.length) fact(list, "Time", `${seconds(total(clip))} (${stages.join(", ")})`);
  fact(list, "Source", make("bdi", {}, clip.source));
  return list;
}

function makeRemake(clip) {
  const code = make("code");
  const write = () => { // a word stays on its line: a browser would break --out between its dashes
    const words = (clip.command + clip.nextSeed).split(/( )/);
    code.replaceChildren(...words.map((word) => (word === " " ? word : make("span", {}, word))));
  };
  write();
  const copy = make("button", { type: "button", class: "copy" }, "Copy command");
  const next = make("button", { type: "button", class: "next", "aria-label": "Another seed in the command" }, "Next seed");
  copy.addEventListener("click", () => copyCommand(clip));
  next.addEventListener("click", () => {
    clip.nextSeed += 1;
    write();
    say(`Seed ${clip.nextSeed}`);
  });
  const what = clip.video ? `makes ${clip.name} again with another seed` : `tries ${clip.name} again`;
  const text = make("pre", { tabindex: "0", role: "region", "aria-label": `Command that ${what}` }, code);
  const remake = make("div", { class: "remake" }, text, copy, clip.video ? next : null);
  const notes = [];
  if (clip.take > 1) notes.push(`Makes takes 1 to ${clip.take} again.`);
  if (clip.unsaid.length) notes.push(`Not in this command: ${clip.unsaid.join(", ")}.`);
  if (notes.length) remake.append(make("p", {}, notes.join(" ")));
  return remake;
}

function makeMore(clip) {
  const more = make("details", {}, make("summary", {}, "All settings and facts"));
  more.addEventListener("toggle", () => {
    if (more.open && more.children.length === 1) more.append(nested({ ...clip.more.settings, ...clip.more.details, finished: clip.time }));
  });
  return more;
}

// Any value of a report: lists of records become tables, records become terms, the rest is text.
function nested(value) {
  if (Array.isArray(value)) {
    const records = value.length > 0 && value.every((each) => each && typeof each === "object" && !Array.isArray(each));
    if (!records) return document.createTextNode(value.map((each) => (each && typeof each === "object" ? JSON.stringify(each) : String(each))).join(", ") || "none");
    const names = [...new Set(value.flatMap((each) => Object.keys(each)))];
    const table = make("table", {}, make("tr", {}, ...names.map((name) => make("th", { scope: "col" }, name))));
    for (const record of value) table.append(make("tr", {}, ...names.map((name) => make("td", {}, name in record ? nested(record[name]) : ""))));
    return table;
  }
  if (value && typeof value === "object") {
    const list = make("dl");
    for (const [name, each] of Object.entries(value)) list.append(make("div", {}, make("dt", {}, name.replaceAll("_", " ")), make("dd", {}, nested(each))));
    return list;
  }
  return document.createTextNode(value === null ? "-" : String(value));
}
