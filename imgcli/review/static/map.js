// The map of all photos: colours, legend, moving, choosing. Names reach the page as text, never as HTML.
import { ABOVE, FAINT, HIDDEN, Nearby, SHOWN, diameter, drawing, inside } from "./points.js";

const PAGE = 60; // photos that the selection shows at once
const NONE = 0xffff; // the code of what is not known
const REACH = 9; // CSS pixels from a point within which the pointer is at it
const $ = (id) => document.getElementById(id);
const plot = $("plot"), points = $("points"), over = $("over"), tip = $("tip");

function element(tag, properties = {}, ...children) {
  const made = Object.assign(document.createElement(tag), properties);
  made.append(...children);
  return made;
}

async function answer(url, options) {
  const found = await fetch(url, options);
  if (!found.ok) throw new Error(`imgcli answered ${found.status}: ${await found.text()}`);
  return found;
}

async function start() {
  const [about, raw] = await Promise.all([
    answer("/map/about").then((found) => found.json()),
    answer("/map/points").then((found) => found.arrayBuffer()),
  ]);
  const n = about.photos;
  const codes = about.colourings.map((_, c) => new Uint16Array(raw.slice(8 * n + 2 * n * c, 8 * n + 2 * n * (c + 1))));
  $("wait").hidden = true;
  return new PhotoMap(about, new Float32Array(raw.slice(0, 8 * n)), codes);
}

class PhotoMap {
  constructor(about, places, codes) {
    Object.assign(this, { about, places, codes, n: about.photos, colouring: 0, hidden: new Set(), chosen: new Set() });
    this.looks = new Uint8Array(4 * this.n);
    this.nearby = new Nearby(places);
    this.drawing = drawing(points, places, new URLSearchParams(location.search).get("renderer"));
    document.body.dataset.renderer = this.drawing.by;
    this.frame = 0;
    this.fit();
    this.showWhole();
    for (const [c, one] of about.colourings.entries()) $("colouring").append(element("option", { value: c, textContent: one.title }));
    $("colouring").onchange = (event) => this.colour(Number(event.target.value));
    this.colour(0);
    new ResizeObserver(() => { this.fit(); this.redraw(); }).observe(plot);
    matchMedia("(prefers-color-scheme: dark)").onchange = () => this.relook();
    $("show-all").onclick = () => this.show(() => false);
    $("show-none").onclick = () => this.show(() => true);
  }

  // --- the view: the place in the middle, and CSS pixels per unit ---

  fit() {
    const ratio = Math.min(devicePixelRatio || 1, 2);
    for (const canvas of [points, over]) {
      canvas.width = Math.max(1, Math.round(plot.clientWidth * ratio));
      canvas.height = Math.max(1, Math.round(plot.clientHeight * ratio));
    }
    this.whole = 0.47 * Math.min(plot.clientWidth, plot.clientHeight);
  }
  showWhole() {
    this.view = { x: 0, y: 0, scale: this.whole };
    this.redraw();
  }
  move(dx, dy) {
    this.view.x = Math.min(1.2, Math.max(-1.2, this.view.x - dx / this.view.scale));
    this.view.y = Math.min(1.2, Math.max(-1.2, this.view.y + dy / this.view.scale));
    this.redraw();
  }
  // Zooms so that the place under a point of the plot stays there.
  zoom(factor, at = [plot.clientWidth / 2, plot.clientHeight / 2]) {
    const [x, y] = this.place(at);
    this.view.scale = Math.min(400 * this.whole, Math.max(0.5 * this.whole, this.view.scale * factor));
    const [nowX, nowY] = this.place(at);
    this.view.x += x - nowX;
    this.view.y += y - nowY;
    this.redraw();
  }
  place([left, top]) {
    return [this.view.x + (left - plot.clientWidth / 2) / this.view.scale, this.view.y - (top - plot.clientHeight / 2) / this.view.scale];
  }
  pixel(i) {
    return [(this.places[2 * i] - this.view.x) * this.view.scale + plot.clientWidth / 2, (this.view.y - this.places[2 * i + 1]) * this.view.scale + plot.clientHeight / 2];
  }
  redraw() {
    this.frame ||= requestAnimationFrame(() => {
      this.frame = 0;
      this.drawing.draw(this.view, diameter(this.view, this.n, this.whole));
    });
  }

  // --- looks: a colour of eight and a shape of four for each name, the rest of it in the legend ---

  colour(c) {
    this.colouring = c;
    this.hidden.clear();
    this.legend();
    this.relook();
  }
  show(hides) {
    const names = this.about.colourings[this.colouring].names;
    this.hidden = new Set([...names.keys(), NONE].filter(hides));
    for (const button of $("legend").querySelectorAll("button")) button.setAttribute("aria-pressed", !this.hidden.has(Number(button.value)));
    this.relook();
  }
  legend() {
    const names = this.about.colourings[this.colouring].names, counts = new Map();
    for (const code of this.codes[this.colouring]) counts.set(code, (counts.get(code) || 0) + 1);
    $("legend").replaceChildren(...[...names.keys(), NONE].filter((code) => counts.has(code)).map((code) => {
      const swatch = element("span", { className: code === NONE ? "swatch none" : `swatch c${this.hue(code)} s${this.shape(code)}` });
      const button = element("button", { type: "button", value: code }, swatch, element("bdi", { textContent: names[code] ?? "not known" }), element("span", { className: "n", textContent: counts.get(code).toLocaleString("en") }));
      button.setAttribute("aria-pressed", "true");
      button.onclick = () => {
        const hidden = new Set(this.hidden);
        if (!hidden.delete(code)) hidden.add(code);
        this.show((one) => hidden.has(one));
      };
      return element("li", {}, button);
    }));
  }
  isError() {
    return this.about.colourings[this.colouring].key === "error";
  }
  hue(code) {
    return this.isError() ? [5, 3][code] : code % 8;
  }
  shape(code) {
    return this.isError() ? [0, 2][code] : Math.floor(code / 8) % 4;
  }
  relook() {
    const codes = this.codes[this.colouring], some = this.chosen.size > 0, error = this.isError();
    for (let i = 0; i < this.n; i++) {
      const code = codes[i], at = 4 * i;
      this.looks[at] = code === NONE ? 8 : this.hue(code);
      this.looks[at + 1] = code === NONE ? 0 : this.shape(code);
      const above = some ? this.chosen.has(i) : error && code === 1;
      this.looks[at + 2] = this.hidden.has(code) ? HIDDEN : above ? ABOVE : some ? FAINT : SHOWN;
    }
    const style = getComputedStyle(document.documentElement);
    const rgb = (name) => style.getPropertyValue(name).trim().match(/[0-9a-f]{2}/gi).map((part) => parseInt(part, 16));
    this.drawing.look(this.looks, [..."01234567"].map((c) => rgb(`--c${c}`)).concat([rgb("--faint")]));
    this.redraw();
  }
  isShown = (i) => !this.hidden.has(this.codes[this.colouring][i]);

  // --- choosing ---

  choose(ids) {
    this.chosen = new Set(ids);
    $("chosen-title").textContent = ids.length ? `${ids.length.toLocaleString("en")} ${ids.length === 1 ? "photo is" : "photos are"} selected` : "No photo is selected";
    $("chosen-about").hidden = ids.length > 0;
    $("clear").hidden = $("save").hidden = ids.length === 0;
    $("grid").replaceChildren();
    this.ids = ids;
    this.shownOf = 0;
    this.relook();
    this.more();
  }
  chooseInView() {
    const corners = [[0, 0], [plot.clientWidth, 0], [plot.clientWidth, plot.clientHeight], [0, plot.clientHeight]];
    this.choose(inside(this.places, corners.map((one) => this.place(one)), this.isShown));
  }
  async more() {
    const ids = this.ids, next = ids.slice(this.shownOf, this.shownOf + PAGE);
    this.shownOf += next.length;
    $("more").hidden = this.shownOf >= ids.length;
    if (!next.length) return;
    const photos = await (await answer(`/map/photos?ids=${next}`)).json();
    if (this.ids === ids) $("grid").append(...photos.map(tile));
  }
  async save() {
    const found = await answer("/map/list", { method: "POST", body: Uint32Array.from(this.ids) });
    const url = URL.createObjectURL(await found.blob());
    element("a", { href: url, download: "selection.txt" }).click();
    setTimeout(() => URL.revokeObjectURL(url), 1000);
  }
  async hover(i, [left, top] = [0, 0]) {
    if (i === this.under) return;
    this.under = i;
    tip.hidden = i < 0;
    if (i < 0) return;
    const [photo] = await (await answer(`/map/photos?ids=${i}`)).json();
    if (this.under !== i) return;
    tip.querySelector("img").src = `/map/thumbnail/${i}`;
    tip.querySelector(".path").textContent = photo.path;
    tip.querySelector(".values").textContent = photo.caption;
    tip.style.left = `${left > plot.clientWidth / 2 ? left - 190 : left + 14}px`;
    tip.style.top = `${Math.min(top, plot.clientHeight - tip.offsetHeight - 4)}px`;
  }
}

function tile(photo) {
  const image = element("img", { src: `/map/thumbnail/${photo.id}`, alt: photo.path, loading: "lazy" });
  image.onerror = () => image.replaceWith(element("div", { className: "blank", textContent: "cannot be shown" }));
  return element("li", {}, image, element("p", { textContent: photo.caption, dir: "auto" }), element("p", { className: "path", textContent: photo.path }));
}

// --- pointer and keys ---

function listen(map) {
  const down = new Map(); // pointers that are down, and where
  let lasso = null, still = 0;
  const where = (event) => {
    const box = plot.getBoundingClientRect();
    return [event.clientX - box.left - plot.clientLeft, event.clientY - box.top - plot.clientTop];
  };
  const lassoMode = (on) => {
    $("lasso").setAttribute("aria-pressed", on);
    plot.classList.toggle("lasso", on);
  };
  const isLasso = () => $("lasso").getAttribute("aria-pressed") === "true";
  plot.onpointerdown = (event) => {
    if (event.button) return;
    try { plot.setPointerCapture(event.pointerId); } catch { /* a pointer that a script made */ }
    down.set(event.pointerId, where(event));
    if (down.size > 1) lasso = null;
    else if (event.shiftKey || isLasso()) lasso = [where(event)];
    map.hover(-1);
  };
  plot.onpointermove = (event) => {
    const now = where(event), before = down.get(event.pointerId);
    clearTimeout(still);
    if (!before) {
      const at = () => map.hover(map.nearby.nearest(...map.place(now), REACH / map.view.scale, map.isShown), now);
      still = setTimeout(at, 40);
      return;
    }
    down.set(event.pointerId, now);
    if (lasso) outline(lasso.push(now) && lasso);
    else if (down.size === 1) map.move(now[0] - before[0], now[1] - before[1]);
    else pinch(event.pointerId, before, now);
  };
  const pinch = (id, before, now) => {
    const [, other] = [...down].find(([one]) => one !== id), far = (a) => Math.hypot(a[0] - other[0], a[1] - other[1]);
    map.zoom(far(now) / Math.max(far(before), 1), other);
  };
  plot.onpointerup = plot.onpointercancel = (event) => {
    if (!down.delete(event.pointerId) || !lasso) return;
    if (event.type === "pointerup" && lasso.length > 2) map.choose(inside(map.places, lasso.map((one) => map.place(one)), map.isShown));
    outline((lasso = null));
  };
  plot.onpointerleave = () => { clearTimeout(still); map.hover(-1); };
  plot.addEventListener("wheel", (event) => {
    event.preventDefault();
    map.zoom(Math.exp(-event.deltaY * (event.deltaMode ? 0.05 : 0.0016)), where(event));
  }, { passive: false });
  const actions = {
    ArrowLeft: () => map.move(60, 0), ArrowRight: () => map.move(-60, 0), ArrowUp: () => map.move(0, 60), ArrowDown: () => map.move(0, -60),
    "+": () => map.zoom(1.3), "=": () => map.zoom(1.3), "-": () => map.zoom(1 / 1.3), 0: () => map.showWhole(),
    l: () => lassoMode(!isLasso()), Enter: () => map.chooseInView(), Escape: () => { lassoMode(false); map.choose([]); },
  };
  plot.onkeydown = (event) => {
    const action = !event.ctrlKey && !event.metaKey && !event.altKey && actions[event.key];
    if (action) { event.preventDefault(); action(); }
  };
  const pressed = { lasso: actions.l, "in-view": actions.Enter, in: actions["+"], out: actions["-"], whole: actions[0], more: () => map.more(), save: () => map.save(), clear: () => map.choose([]) };
  for (const [id, action] of Object.entries(pressed)) $(id).onclick = action;
}

// Draws the lasso, or takes it away.
function outline(lasso) {
  const context = over.getContext("2d"), ratio = over.width / over.clientWidth;
  context.setTransform(ratio, 0, 0, ratio, 0, 0);
  context.clearRect(0, 0, over.clientWidth, over.clientHeight);
  if (!lasso) return;
  context.beginPath();
  for (const [x, y] of lasso) context.lineTo(x, y);
  context.closePath();
  context.strokeStyle = getComputedStyle(plot).color;
  context.globalAlpha = 0.1;
  context.fillStyle = context.strokeStyle;
  context.fill("evenodd");
  context.globalAlpha = 1;
  context.setLineDash([5, 4]);
  context.stroke();
}

addEventListener("unhandledrejection", () => {
  $("chosen-about").hidden = false;
  $("chosen-about").textContent = "imgcli does not answer. Is `imgcli review` still running in the terminal?";
});
start().then((map) => { listen(map); document.body.dataset.ready = "yes"; }, (error) => { $("wait").textContent = `The map cannot be shown. ${error.message}`; });
