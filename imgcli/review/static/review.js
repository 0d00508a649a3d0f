// One queue of a review: shows its items, one at a time or as a grid, and sends decisions.
const queue = document.body.dataset.queue;
const $ = (id) => document.getElementById(id);
const state = {items: [], found: 0, at: 0, grid: false, selected: new Set(), why: false, busy: false};

function element(tag, attributes = {}, ...children) {
  const made = document.createElement(tag);
  for (const [name, value] of Object.entries(attributes)) {
    if (name === "class") made.className = value;
    else if (name.startsWith("on")) made.addEventListener(name.slice(2), value);
    else if (value !== null) made.setAttribute(name, value);
  }
  made.append(...children.filter((child) => child !== null));
  return made;
}

const name = (text) => element("bdi", {}, text);  // kept to itself, whatever its direction

function picture(photo, side, alt) {
  const id = state.why && photo.why ? `why-${photo.id}` : photo.id;
  const image = element("img", {src: `/photo/${queue}/${side}/${encodeURIComponent(id)}`, alt});
  if (side === 240) image.loading = "lazy";
  image.addEventListener("error", () => image.replaceWith(
    element("div", {class: "gone", role: "img", "aria-label": alt}, "gone, changed or unreadable")));
  return image;
}

async function ask(path, body) {
  const options = body === undefined ? {} : {
    method: "POST", headers: {"Content-Type": "application/json"}, body: JSON.stringify(body)};
  let answer;
  try {
    answer = await fetch(`/api/${queue}/${path}`, options);
  } catch {
    throw new Error("imgcli review has ended: nothing more is written. Start it again, then reload this page.");
  }
  const isJson = (answer.headers.get("content-type") ?? "").startsWith("application/json");
  const found = isJson ? await answer.json() : {error: await answer.text()};
  if (!answer.ok) throw new Error(found.error);
  return found;
}

function tell(message) {
  $("error").hidden = !message;
  $("error").textContent = message ?? "";
}

function show_state(found) {
  const {decided, left, sentence} = found.progress;
  const share = decided + left ? decided / (decided + left) : 1;
  document.querySelector("#progress .bar div").style.transform = `scaleX(${share})`;
  const narrowed = state.found < left ? `, ${state.found.toLocaleString("en")} of them shown by the filter` : "";
  $("status").textContent = sentence + narrowed;
  document.querySelector("nav a[aria-current] .n").textContent = left.toLocaleString("en");
  options("label", found.labels);
  options("source", found.sources);
  state.further = found.further_classes;
  $("by-label").hidden = found.labels.length < 2;
  $("by-source").hidden = found.sources.length < 2;
  $("by-confidence").hidden = !state.items.some((item) => item.confidence !== null);
}

function options(field, names) {
  const select = $("filters").elements[field];
  const chosen = select.value;
  select.replaceChildren(new Option("all", ""), ...names.map((one) => new Option(one, one)));
  select.value = names.includes(chosen) ? chosen : "";
}

async function load(start = 0) {
  const form = new FormData($("filters"));
  const found = await ask(`items?${new URLSearchParams({...Object.fromEntries(form), start})}`);
  state.items = start ? [...state.items, ...found.items] : found.items;
  state.found = found.found;
  show_state(found);
}

function draw() {
  const none = state.items.length === 0;
  $("empty").hidden = !none;
  $("stage").hidden = none || state.grid;
  $("grid").hidden = none || !state.grid;
  $("grid-toggle").setAttribute("aria-pressed", state.grid);
  if (none) return;
  if (state.grid) draw_grid();
  else draw_one();
}

// --- one at a time ---------------------------------------------------------------------------

function draw_one() {
  state.at = Math.max(0, Math.min(state.at, state.items.length - 1));
  const item = state.items[state.at];
  const photos = element("div", {class: `photos ${item.photos.length === 1 ? "one" : "several"}`},
    ...item.photos.map((photo) => element("figure", {},
      picture(photo, item.photos.length === 1 ? 1280 : 240, `${photo.caption}: ${photo.name}`),
      element("figcaption", {}, name(photo.caption), element("span", {class: "path"}, name(photo.name))))));
  const beside = element("div", {id: "beside"});
  const panel = element("div", {},
    element("h2", {}, item.question),
    element("p", {class: "reason"}, item.reason),
    choices(item), other(item), top(item), beside);
  $("stage").replaceChildren(element("div", {class: "decision"}, photos, panel));
  if (!$("stage").contains(document.activeElement) && document.activeElement === document.body) $("stage").focus({preventScroll: true});
  compare(item, beside);
  const next = state.items[state.at + 1];
  if (next && next.photos.length === 1) new Image().src = `/photo/${queue}/1280/${encodeURIComponent(next.photos[0].id)}`;
}

function choices(item) {
  return element("div", {class: "choices", role: "group", "aria-label": "Choices"},
    ...item.choices.map((choice) => element("button",
      {type: "button", "data-choice": choice.id, class: choice.id === item.suggested ? "suggested" : "",
        onclick: () => decide([item.id], choice.id)},
      choice.key ? element("kbd", {}, choice.key) : element("kbd", {}, "·"),
      element("span", {}, name(choice.text)),
      choice.id === item.suggested ? element("kbd", {title: "suggested"}, "enter") : null)));
}

function other(item) {
  if (!$("classes").options.length && !state.further) return null;
  const input = element("input", {list: "classes", placeholder: "another class", "aria-label": "Another class", id: "other"});
  const take = () => {
    if (state.further || [...$("classes").options].some((one) => one.value === input.value)) decide([item.id], `is:${input.value}`);
    else if (input.value) tell(`'${input.value}' is no class here.`);
  };
  input.addEventListener("change", take);
  return element("div", {class: "other"}, element("kbd", {}, "c"), input);
}

function top(item) {
  if (!item.top.length) return null;
  return element("table", {class: "top"},
    element("caption", {}, "What the model sees, without this photo"),
    element("tbody", {}, ...item.top.map(([label, p]) => element("tr", {},
      element("th", {scope: "row"}, name(label)),
      element("td", {}, element("meter", {value: p, min: 0, max: 1, "aria-hidden": "true"})),
      element("td", {}, `${(100 * p).toFixed(1)} %`)))));
}

async function compare(item, place) {
  try {
    const found = await ask(`items/${encodeURIComponent(item.id)}`);
    place.append(...found.beside.flatMap((strip) => [element("h3", {}, name(strip.title)),
      element("ul", {class: "strip"}, ...strip.photos.map((photo) =>
        element("li", {title: photo.name}, picture(photo, 240, photo.name))))]));
  } catch { /* the photos to compare with are left out */ }
}

// --- grid ------------------------------------------------------------------------------------

function draw_grid() {
  const bulk = element("div", {class: "bulk", role: "group", "aria-label": "Selected items"},
    element("span", {id: "selected", role: "status"}), ...bulk_choices());
  const cells = element("ul", {class: "cells", role: "listbox", "aria-multiselectable": "true", "aria-label": "Items"},
    ...state.items.map((item, i) => element("li", {role: "none"}, cell(item, i))));
  const rest = state.found - state.items.length;
  const more = rest > 0 ? element("button", {type: "button", class: "more", onclick: further}, `Show more (${rest.toLocaleString("en")} left)`) : null;
  $("grid").replaceChildren(bulk, cells, ...(more ? [more] : []));
  show_selected();
}

function cell(item, i) {
  const said = item.suggested ? item.choices.find((one) => one.id === item.suggested)?.text : "";
  return element("button", {type: "button", class: "cell", role: "option", "data-i": i,
      "aria-selected": state.selected.has(item.id), onclick: () => toggle(item.id), onfocus: () => { state.at = i; },
      ondblclick: () => { state.at = i; state.grid = false; draw(); }},
    picture(item.photos[0] ?? {id: "none"}, 240, item.photos[0]?.name ?? item.question),
    element("span", {class: "what"}, name(item.label || item.question), said ? " → " : "", said ? name(said) : ""));
}

function bulk_choices() {
  const common = state.items.map((item) => item.choices).reduce((kept, some) =>
    kept.filter((one) => some.some((other) => other.id === one.id)));
  const buttons = common.filter((one) => !one.id.startsWith("only:")).slice(0, 12).map((choice) =>
    element("button", {type: "button", "data-choice": choice.id, onclick: () => decide([...state.selected], choice.id)},
      element("kbd", {}, choice.key || "·"), " ", name(choice.id === "keep" ? "Keep" : choice.text)));
  const suggestions = state.items.some((item) => item.suggested)
    ? [element("button", {type: "button", onclick: take_suggestions}, element("kbd", {}, "enter"), " Take the suggestions")] : [];
  return [...suggestions, ...buttons];
}

function show_selected() {
  const n = state.selected.size;
  $("selected").textContent = n ? `${n} selected` : "Select photos, then choose for all of them:";
  for (const button of $("grid").querySelectorAll(".cell")) {
    button.setAttribute("aria-selected", state.selected.has(state.items[button.dataset.i].id));
  }
}

function toggle(id) {
  if (!state.selected.delete(id)) state.selected.add(id);
  show_selected();
}

async function take_suggestions() {
  const chosen = state.items.filter((item) => state.selected.has(item.id) && item.suggested);
  const by_choice = Map.groupBy(chosen, (item) => item.suggested);
  for (const [choice, items] of by_choice) await decide(items.map((item) => item.id), choice);
}

async function further() {
  await load(state.items.length);
  draw();
}

// --- decisions -------------------------------------------------------------------------------

async function decide(ids, choice) {
  if (state.busy || ids.length === 0) return;
  state.busy = true;
  tell(null);
  try {
    const found = await ask("decide", {items: ids, choice});
    const refused = new Set(found.refused.map((one) => one.item));
    state.items = state.items.filter((item) => !ids.includes(item.id) || refused.has(item.id));
    state.found -= ids.length - refused.size;
    state.selected.clear();
    show_state(found);
    if (found.refused.length) tell(found.refused[0].error + (found.refused.length > 1 ? ` (and ${found.refused.length - 1} more)` : ""));
    if (state.items.length < 10 && state.found > state.items.length) await load();
    draw();
  } catch (error) {
    tell(error.message);
  } finally {
    state.busy = false;
  }
}

async function undo() {
  if (state.busy) return;
  state.busy = true;
  tell(null);
  try {
    const found = await ask("undo", {});
    if (found.item) {
      state.items.splice(state.grid ? 0 : state.at, 0, found.item);
      state.found += 1;
    } else tell("There is nothing to undo.");
    show_state(found);
    draw();
  } catch (error) {
    tell(error.message);
  } finally {
    state.busy = false;
  }
}

// --- keys ------------------------------------------------------------------------------------

function move(step) {
  if (state.grid) {
    const cells = [...$("grid").querySelectorAll(".cell")];
    const at = cells.indexOf(document.activeElement);
    cells[Math.max(0, Math.min(cells.length - 1, at + step))]?.focus();
  } else {
    state.at += step;
    draw();
  }
}

function chosen_by(key) {
  const item = state.items[state.at];
  if (!item) return null;
  if (key === "Enter") return item.suggested || null;
  const typed = key === " " ? "space" : key;
  return item.choices.find((choice) => choice.key === typed)?.id ?? null;
}

const COMMANDS = {
  u: undo,
  g: () => { state.grid = !state.grid; draw(); if (state.grid) $("grid").querySelector(".cell")?.focus(); else $("stage").focus(); },
  w: () => { state.why = !state.why; draw(); },
  "?": () => $("help").showModal(),
  "/": () => $("filters").elements.text.focus(),
  c: () => $("other")?.focus(),
  ArrowRight: () => move(1),
  ArrowLeft: () => move(-1),
  s: () => { if (state.grid && state.items[state.at]) toggle(state.items[state.at].id); },
  a: () => { if (state.grid) { state.items.forEach((item) => state.selected.add(item.id)); show_selected(); } },
};

document.addEventListener("keydown", (event) => {
  if (event.ctrlKey || event.metaKey || event.altKey || $("help").open) return;
  const typing = event.target.closest("input, select");
  if (typing) {
    if (event.key === "Escape") { typing.blur(); $("stage").focus(); }
    return;
  }
  const pressed = event.target.closest("button, a");
  if (pressed && (event.key === "Enter" || event.key === " ") && !(state.grid && pressed.classList.contains("cell"))) return;
  const command = COMMANDS[event.key];
  const several = state.grid && state.selected.size > 0;
  if (command) {
    event.preventDefault();
    command();
  } else if (several && event.key === "Enter") {
    event.preventDefault();
    take_suggestions();
  } else {
    const choice = chosen_by(event.key);
    if (choice === null) return;
    event.preventDefault();
    if (!event.repeat) decide(several ? [...state.selected] : [state.items[state.at].id], choice);
  }
});

$("grid-toggle").addEventListener("click", COMMANDS.g);
$("help-open").addEventListener("click", COMMANDS["?"]);
$("filters").addEventListener("submit", (event) => event.preventDefault());
$("filters").addEventListener("input", async () => {
  state.at = 0;
  state.selected.clear();
  try {
    await load();
    draw();
  } catch (error) {
    tell(error.message);
  }
});

try {
  await load();
  draw();
} catch (error) {
  tell(error.message);
}
