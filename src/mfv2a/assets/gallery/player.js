// Playing: one clip at a time, the dubbed file or the original at the same moment.

let current = null;
let playing = null;
const isFile = location.protocol === "file:";

const screenOf = (clip) => (clip.isOriginal ? clip.original_ : clip.dubbed);
const isBusy = (clip) => clip === playing || clip === current;
const said = at("said");

function say(text) {
  said.textContent = "";
  requestAnimationFrame(() => { said.textContent = text; });
}

function makePlayer(clip) {
  clip.isOriginal = false;
  clip.dubbed = makeScreen(clip, clip.video, `${clip.name}, dubbed`);
  clip.original_ = null;
  clip.which = make("span", { class: "which", "aria-hidden": "true" }, "dubbed");
  clip.box = make("div", { class: "screen" }, clip.dubbed, clip.which);
  const there = clip.original.length > 0;
  clip.swap = make("button", { type: "button", class: "swap", "aria-pressed": "false", disabled: !there }, "Original");
  clip.swap.addEventListener("click", () => { select(clip, { scroll: false, focus: false }); compare(clip); });
  const open = make("a", { href: clip.video, target: "_blank", rel: "noopener noreferrer" }, "Open file");
  const buttons = make("div", { class: "buttons" }, clip.swap, open);
  if (clip.wav) buttons.append(make("a", { href: clip.wav, target: "_blank", rel: "noopener noreferrer" }, "Sound alone"));
  if (!there) buttons.append(make("p", {}, clip.remote ? "The original lies at its address." : "The original is not there any more."));
  return make("div", { class: "player" }, clip.box, buttons);
}

function makeScreen(clip, address, label) {
  const video = make("video", { controls: true, playsinline: true, preload: "metadata", src: address, "aria-label": label });
  video.addEventListener("play", () => started(clip, video));
  video.addEventListener("pause", () => { if (playing === clip && video === screenOf(clip)) { playing = null; tidy(clip); } });
  video.addEventListener("ended", () => ended(clip));
  video.addEventListener("timeupdate", () => moveHead(clip));
  video.addEventListener("seeked", () => moveHead(clip));
  video.addEventListener("error", () => failed(clip, video));
  return video;
}

// An original that moved along with the folder is found by its relative address, else by its whole one, which no server hands out.
function failed(clip, video) {
  if (video === clip.original_ && video.dataset.tried !== "all" && clip.original.length > 1 && isFile) {
    video.dataset.tried = "all";
    const time = clip.wanted ?? 0;
    video.src = clip.original[1];
    video.addEventListener("loadedmetadata", () => { video.currentTime = time; }, { once: true });
    return;
  }
  if (clip.box.querySelector(".mute-notice")) return;
  const what = video === clip.original_ ? "The original" : "This file";
  const outside = video === clip.original_ && !isFile ? "it lies outside the folder that is served, " : "";
  const why = `${outside}the file is gone, or this browser lacks its codec`;
  clip.box.append(make("p", { class: "mute-notice" }, `${what} cannot be played here: ${why}.`));
}

function started(clip, video) {
  if (playing && playing !== clip) screenOf(playing)?.pause();
  playing = clip;
  select(clip, { scroll: false, focus: false });
  const step = () => {
    moveHead(clip);
    if (!video.paused && !video.ended) requestAnimationFrame(step);
  };
  requestAnimationFrame(step);
}

// A clip that no longer fits what is searched for is heard no longer.
function hush() {
  if (playing?.card.hidden) screenOf(playing)?.pause();
}

function ended(clip) {
  if (playing === clip) playing = null;
  if (!at("onward").checked) return;
  const next = shown.slice(shown.indexOf(clip) + 1).find((each) => each.video);
  if (next && shown.includes(clip)) {
    select(next);
    play(next);
  }
}

function moveHead(clip) {
  const video = screenOf(clip);
  if (!clip.head || !video) return;
  const share = video.currentTime / clip.span;
  clip.head.hidden = !(share >= 0 && share <= 1);
  clip.head.style.left = `${Math.min(1, share) * 100}%`;
}

function play(clip) {
  fill(clip);
  screenOf(clip)?.play().catch(() => {});
}

function toggle(clip) {
  if (!clip.video) return;
  fill(clip);
  const video = screenOf(clip);
  if (video.paused) play(clip);
  else video.pause();
}

function seek(clip, time) {
  const video = clip.filled ? screenOf(clip) : null;
  if (video) video.currentTime = Math.max(0, Math.min(time, Number.isFinite(video.duration) ? video.duration : time));
}

// Goes on with the other file at the same moment.
function compare(clip) {
  if (!clip.video || !clip.original.length) return;
  fill(clip);
  const before = screenOf(clip);
  const wasPlaying = !before.paused;
  const time = before.currentTime;
  clip.wanted = time;
  clip.isOriginal = !clip.isOriginal;
  before.pause();
  clip.original_ ??= makeScreen(clip, clip.original[0], `${clip.name}, original`);
  const after = screenOf(clip);
  for (const way of ["volume", "muted", "playbackRate"]) after[way] = before[way];
  const move = () => { after.currentTime = Math.min(time, after.duration || time); };
  if (after.readyState > 0) move();
  else after.addEventListener("loadedmetadata", move, { once: true });
  clip.box.querySelector(".mute-notice")?.remove();
  before.replaceWith(after);
  if (after.error) failed(clip, after);
  if (wasPlaying) after.play().catch(() => {});
  const word = clip.isOriginal ? "original" : "dubbed";
  clip.which.textContent = word;
  clip.swap.setAttribute("aria-pressed", String(clip.isOriginal));
  say(clip.isOriginal ? "Original" : "Dubbed");
}

// Lets go of the files: a browser holds only so many at a time.
function release(clip) {
  for (const video of [clip.dubbed, clip.original_]) {
    if (!video) continue;
    video.pause();
    video.removeAttribute("src");
    video.load();
  }
  clip.dubbed = clip.original_ = clip.head = null;
}

async function copyCommand(clip) {
  const text = clip.command + clip.nextSeed;
  let done = false;
  try {
    await navigator.clipboard.writeText(text);
    done = true;
  } catch {
    const field = make("textarea", { class: "hidden", "aria-hidden": "true" });
    const before = document.activeElement;
    field.value = text;
    document.body.append(field);
    field.select();
    done = document.execCommand("copy");
    field.remove();
    before?.focus({ preventScroll: true });
  }
  say(done ? "Command copied" : "The command could not be copied: select it and copy it by hand");
  const button = clip.card.querySelector(".copy");
  if (button && done) {
    button.textContent = "Copied";
    setTimeout(() => { button.textContent = "Copy command"; }, 1500);
  }
}
