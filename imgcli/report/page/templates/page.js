"use strict";
(() => {
  const parsed = (id) => JSON.parse(document.getElementById(id).textContent);
  const matrix = document.getElementById("matrix");
  if (!matrix) return;
  const data = parsed("data");
  const thumbs = parsed("thumbs");
  const dialog = document.getElementById("photos");
  const buttons = new Map();
  const isolated = (name) => `\u2068${name}\u2069`;

  function sentence(cell) {
    const n = data.n[cell].toLocaleString("en");
    const photos = data.n[cell] === 1 ? "photo" : "photos";
    const label = isolated(data.classes[data.true[cell]]);
    const predicted = isolated(data.classes[data.predicted[cell]]);
    return data.true[cell] === data.predicted[cell]
      ? `${n} ${photos} of ${label}, correctly predicted`
      : `${n} ${photos} labelled ${label}, predicted as ${predicted}`;
  }

  function element(tag, className, text) {
    const made = document.createElement(tag);
    made.className = className;
    made.textContent = text;
    return made;
  }

  function item(photo) {
    const li = document.createElement("li");
    if (thumbs[photo]) {
      const img = document.createElement("img");
      img.src = `data:image/webp;base64,${thumbs[photo]}`;
      img.alt = `Photo ${data.paths[photo]}`;
      li.append(img);
    } else {
      li.append(element("span", "blank", "no picture"));
    }
    li.append(element("p", "probability", data.probability[photo]));
    const path = element("p", "path", "");
    const name = element("bdi", "", "");
    data.paths[photo].split("/").forEach((part, i) => {
      if (i) name.append("/", document.createElement("wbr"));
      name.append(part);
    });
    path.append(name);
    li.append(path);
    return li;
  }

  function open(cell) {
    const photos = Array.from({ length: data.shown[cell] }, (_, i) => data.first[cell] + i);
    const seen = photos.filter((photo) => thumbs[photo]).length;
    const order = data.true[cell] === data.predicted[cell] ? "lowest" : "highest";
    document.getElementById("photos-title").textContent = sentence(cell);
    document.getElementById("photos-note").textContent =
      `Probability of the predicted class, ${order} first.` +
      (photos.length < data.n[cell]
        ? ` The first ${photos.length.toLocaleString("en")} of ${data.n[cell].toLocaleString("en")}.`
        : "") +
      (seen < photos.length ? ` ${photos.length - seen} without a picture: by name.` : "");
    dialog.querySelector("ul").replaceChildren(...photos.map(item));
    dialog.showModal();
    dialog.scrollTop = 0;
  }

  // One cell takes part in the order of the tabulator key; arrows go to the next that is filled.
  function step(from, down, right) {
    let row = data.true[from] + down;
    let column = data.predicted[from] + right;
    const k = data.classes.length;
    for (; row >= 0 && column >= 0 && row < k && column < k; row += down, column += right) {
      if (buttons.has(row * k + column)) return buttons.get(row * k + column);
    }
    return null;
  }
  const arrows = { ArrowUp: [-1, 0], ArrowDown: [1, 0], ArrowLeft: [0, -1], ArrowRight: [0, 1] };

  for (const button of matrix.querySelectorAll("button")) {
    const cell = Number(button.dataset.cell);
    buttons.set(data.true[cell] * data.classes.length + data.predicted[cell], button);
    button.setAttribute("aria-label", sentence(cell));
    button.title = sentence(cell);
    button.tabIndex = cell ? -1 : 0;
  }
  matrix.addEventListener("click", (event) => {
    const button = event.target.closest("button");
    if (button) open(Number(button.dataset.cell));
  });
  matrix.addEventListener("keydown", (event) => {
    const next = arrows[event.key] && step(Number(event.target.dataset.cell), ...arrows[event.key]);
    if (!arrows[event.key] || event.target.tagName !== "BUTTON") return;
    event.preventDefault();
    if (!next) return;
    event.target.tabIndex = -1;
    next.tabIndex = 0;
    next.focus();
  });
  dialog.addEventListener("click", (event) => {
    if (event.target === dialog) dialog.close();
  });
})();
addEventListener("beforeprint", () => {
  for (const details of document.querySelectorAll("details")) details.open = true;
});
