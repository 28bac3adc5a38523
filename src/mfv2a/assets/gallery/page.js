// Keys, the clip that is chosen, and which cards are filled.

function select(clip, { scroll = true, focus = true } = {}) {
  const before = current === clip ? null : current;
  before?.card.classList.remove("current");
  before?.card.removeAttribute("aria-current");
  current = clip;
  clip.card.classList.add("current");
  clip.card.setAttribute("aria-current", "true");
  if (scroll || focus) fill(clip);
  if (focus && !clip.card.contains(document.activeElement)) clip.card.focus({ preventScroll: true });
  if (scroll) {
    const box = clip.card.getBoundingClientRect();
    const top = at("find").closest(".tools").getBoundingClientRect().bottom;
    if (box.top < Math.max(0, top) || box.bottom > window.innerHeight) clip.card.scrollIntoView({ block: "start" });
  }
  if (before) tidy(before); // after the focus has moved: a card that holds it is kept
}

function step(by) {
  if (!shown.length) return;
  const place = current ? shown.indexOf(current) : -1;
  const next = place < 0 ? (by > 0 ? 0 : shown.length - 1) : Math.max(0, Math.min(shown.length - 1, place + by));
  select(shown[next]);
}

const ACTIONS = {
  j: () => step(1),
  k: () => step(-1),
  x: () => current && compare(current),
  c: () => current && copyCommand(current),
  " ": () => current ? toggle(current) : step(1),
  ArrowLeft: () => current && nudge(current, -1),
  ArrowRight: () => current && nudge(current, 1),
  "/": () => { at("find").focus(); at("find").select(); },
  "?": () => at("help").showModal(),
};

function nudge(clip, by) {
  const video = clip.filled ? screenOf(clip) : null;
  if (video) seek(clip, video.currentTime + by);
}

// A key belongs to what has the focus first: fields, buttons and players have their own.
function onKey(event) {
  if (event.ctrlKey || event.metaKey || event.altKey || at("help").open) return;
  const target = event.target;
  if (event.key === "Escape" && target === at("find")) {
    event.preventDefault(); // some browsers would empty the field and say nothing of it
    (current?.card.hidden === false ? current.card : at("clips")).focus();
    return;
  }
  if (!at("shortcuts").checked || target.closest("input, select, textarea")) return;
  const own = target.closest("button, a, summary, video, pre");
  if (own && [" ", "ArrowLeft", "ArrowRight"].includes(event.key)) return;
  const action = ACTIONS[event.key.length === 1 ? event.key.toLowerCase() : event.key];
  if (action) {
    event.preventDefault();
    action();
  }
}

function setUpPage() {
  const near = new IntersectionObserver((entries) => {
    for (const entry of entries) {
      const clip = clips[Number(entry.target.id.slice("clip-".length))];
      clip.near = entry.isIntersecting;
      if (clip.near) fill(clip);
      else empty(clip);
    }
  }, { rootMargin: "900px 0px" });
  for (const clip of clips) {
    near.observe(clip.card);
    clip.card.addEventListener("focusin", () => { if (current !== clip) select(clip, { scroll: false, focus: false }); });
    clip.card.addEventListener("focusout", () => requestAnimationFrame(() => tidy(clip)));
  }
  document.addEventListener("keydown", onKey);
  at("keys").addEventListener("click", () => at("help").showModal());
}

setUpList();
setUpPage();
