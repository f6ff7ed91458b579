"use strict";
const data = JSON.parse(document.getElementById("data").textContent);
const at = (id) => document.getElementById(id);
const state = { layer: Infinity, head: 0, source: 0 }; // starts at the last layer, whose output the classifier reads

function element(name, attributes = {}, ...children) {
  const node = document.createElement(name);
  for (const [key, value] of Object.entries(attributes)) node.setAttribute(key, value);
  node.append(...children);
  return node;
}
const signed = (value) => (value < 0 ? "\u2212" : "+") + Math.abs(value).toFixed(2);
const percent = (share, digits = 1) => (100 * share).toFixed(digits) + "%";
const quoted = (name) => `\u201c${name}\u201d`;

/* Attention is stored as one byte per pair of words, 255 times the square root of the share, so that small shares differ.
   The colour follows that root and reaches full strength at 40 %. */
const strength = (root) => Math.min(1, root / Math.sqrt(0.4));
function unpack(text) {
  const bytes = Uint8Array.from(atob(text.attention), (character) => character.charCodeAt(0));
  const size = text.units.length;
  return (layer, head, row, column) => bytes[((layer * text.heads + head) * size + row) * size + column] / 255;
}

/* A group is one stop for the Tab key; arrow keys move inside it (a roving tabindex). */
function rove(group, items, columns, onFocus) {
  const steps = { ArrowRight: 1, ArrowLeft: -1, ArrowDown: columns, ArrowUp: -columns };
  items.forEach((item, i) => {
    item.tabIndex = i ? -1 : 0;
    item.addEventListener("focus", () => {
      items.forEach((other) => { other.tabIndex = other === item ? 0 : -1; });
      onFocus(i);
    });
    item.addEventListener("keydown", (event) => {
      const ends = { Home: 0, End: items.length - 1 };
      const next = event.key in steps ? i + steps[event.key] : ends[event.key];
      if (next === undefined || event.ctrlKey || event.altKey || event.metaKey) return;
      event.preventDefault();
      if (items[next]) items[next].focus();
    });
  });
}

/* The text as written, each word a button. */
function writeText(group, text, wanted, decorate, onFocus) {
  const buttons = [];
  let end = 0;
  group.replaceChildren();
  text.units.forEach((unit, i) => {
    if (!wanted(unit)) return;
    const special = unit.start === unit.end;
    const button = element("button", { type: "button" }, unit.name);
    if (special) {
      group.append(...(i ? [" ", button] : [button, " "]));
    } else {
      group.append(text.text.slice(end, unit.start), button);
      end = unit.end;
    }
    decorate(button, unit);
    button.addEventListener("mouseenter", () => onFocus(i));
    button.addEventListener("click", () => button.focus()); // Safari does not focus a button on click
    buttons.push([button, i]);
  });
  rove(group, buttons.map(([button]) => button), 1, (n) => onFocus(buttons[n][1]));
  return buttons.map(([button]) => button);
}

function showWords(text) {
  const most = Math.max(...text.units.map((unit) => Math.abs(unit.value ?? 0)), 1e-9);
  const say = (i) => {
    const { name, value } = text.units[i];
    at("word-readout").textContent = `${quoted(name)} ${signed(value)}: ${value < 0 ? "against" : "for"} ${quoted(text.label)}`;
  };
  writeText(at("words"), text, (unit) => unit.start < unit.end, (button, unit) => {
    button.className = unit.value < 0 ? "against" : "for";
    button.style.setProperty("--strength", Math.abs(unit.value) / most);
    button.setAttribute("aria-label", `${unit.name}: ${signed(unit.value)}`);
  }, say);
  const unread = text.text.slice(text.end);
  if (unread.trim()) at("words").append(element("span", { class: "unread", title: "not read by the model: the text is too long" }, unread));
  at("word-readout").textContent = "Choose a word to see its score.";
  at("legend-against").textContent = `against ${quoted(text.label)} ${signed(-most)}`;
  at("legend-for").textContent = `${signed(most)} for ${quoted(text.label)}`;
  const real = text.units.filter((unit) => unit.start < unit.end).sort((a, b) => b.value - a.value);
  showTop(at("top-for"), `Most for ${quoted(text.label)}`, real.filter((unit) => unit.value > 0).slice(0, 6), most, "for");
  showTop(at("top-against"), `Most against ${quoted(text.label)}`, real.filter((unit) => unit.value < 0).reverse().slice(0, 6), most, "against");
}

function showTop(table, caption, units, most, side) {
  table.replaceChildren(element("caption", {}, caption), ...units.map((unit) => {
    const length = element("div", { class: `length ${side}` });
    length.style.width = `${100 * Math.abs(unit.value) / most}%`;
    return element("tr", {}, element("th", { scope: "row" }, unit.name), element("td", { class: "number" }, signed(unit.value)),
      element("td", { class: "drawn", "aria-hidden": "true" }, length));
  }));
}

function showChecks(text) {
  const sum = text.units.reduce((total, unit) => total + (unit.value ?? 0), 0);
  const figures = {
    "log-odds of the class for this text": signed(text.logOdds),
    "for a text without words (baseline)": signed(text.baselineLogOdds),
    "difference": signed(text.logOdds - text.baselineLogOdds),
    "sum of the word scores": signed(sum),
    "completeness error": percent(text.error, 2),
    "gradient steps": text.steps,
  };
  at("figures").replaceChildren(...Object.entries(figures).flatMap(([name, value]) => [element("dt", {}, name), element("dd", {}, String(value))]));
  at("figures-note").textContent = "Scores are integrated gradients. They should add up to the difference; the completeness error is the part they miss.";
  const { score, picture, description } = text.deletion;
  at("deletion").replaceChildren(element("img", { src: picture, alt: description }));
  const better = score > 0 ? "so they matter more to the model than random words" : "so they matter no more to the model than random words";
  at("deletion-note").textContent = "Words are removed, highest score first. On average this leaves the log-odds "
    + `${Math.abs(score).toFixed(2)} ${score > 0 ? "below" : "above"} those after removing random words, ${better}.`;
}

const attentionColour = [139, 102, 214]; // --attention
function paint(canvas, size, root) {
  canvas.width = canvas.height = size;
  const image = new ImageData(size, size);
  for (let i = 0; i < size * size; i++) image.data.set([...attentionColour, 255 * strength(root(Math.floor(i / size), i % size))], 4 * i);
  canvas.getContext("2d").putImageData(image, 0, 0);
}

function showAttention(text) {
  const root = unpack(text);
  const size = text.units.length;
  const buttons = writeText(at("looks"), text, () => true, () => {}, (i) => look(i));
  const map = at("map");
  const [across, down, surface] = ["across", "down", "surface"].map((name) => map.querySelector("." + name));
  across.replaceChildren(...text.units.map((unit) => element("span", {}, unit.name)));
  down.replaceChildren(...text.units.map((unit) => element("span", {}, unit.name)));

  function look(source, target = null) {
    state.source = source;
    const of = (i) => root(state.layer, state.head, source, i);
    buttons.forEach((button, i) => {
      button.style.setProperty("--strength", strength(of(i)));
      button.setAttribute("aria-pressed", i === source);
      button.setAttribute("aria-label", `${text.units[i].name}: receives ${percent(of(i) ** 2)}`);
    });
    const most = text.units.map((unit, i) => [unit.name, of(i) ** 2, i]).sort((a, b) => b[1] - a[1]).slice(0, 5);
    const shown = target === null ? most : [[text.units[target].name, of(target) ** 2]];
    at("look-readout").textContent = `${quoted(text.units[source].name)} attends to ${shown.map(([name, value]) => `${quoted(name)} ${percent(value)}`).join(", ")}`;
    const marker = surface.querySelector(".marker");
    marker.style.top = `calc(${source} * var(--cell) - 2px)`;
    marker.style.height = "calc(var(--cell) + 4px)";
  }

  function choose(layer, head) {
    Object.assign(state, { layer, head });
    cells.forEach((cell, i) => cell.setAttribute("aria-selected", i === layer * text.heads + head));
    at("head-name").textContent = `Layer ${layer + 1}, head ${head + 1}`;
    at("surface").setAttribute("aria-label", `Attention from each word (rows) to each word (columns), layer ${layer + 1}, head ${head + 1}; the text above gives the numbers word by word`);
    paint(at("surface"), size, (row, column) => root(layer, head, row, column));
    look(state.source);
  }

  const cells = [];
  const heads = at("heads");
  const titles = [element("span", { role: "columnheader" }, element("span", { class: "unseen" }, "layer")), ...Array.from({ length: text.heads }, (_, i) => element("span", { role: "columnheader" }, String(i + 1)))];
  heads.style.setProperty("--heads", text.heads);
  heads.replaceChildren(element("div", { role: "row" }, ...titles));
  for (let layer = 0; layer < text.layers; layer++) {
    const row = element("div", { role: "row" }, element("span", { role: "rowheader" }, String(layer + 1)));
    for (let head = 0; head < text.heads; head++) {
      const canvas = element("canvas", { "aria-hidden": "true" });
      paint(canvas, size, (from, to) => root(layer, head, from, to));
      const cell = element("div", { role: "gridcell", "aria-label": `Layer ${layer + 1}, head ${head + 1}` }, canvas);
      cell.addEventListener("click", () => cell.focus());
      cells.push(cell);
      row.append(cell);
    }
    heads.append(row);
  }
  rove(heads, cells, text.heads, (i) => choose(Math.floor(i / text.heads), i % text.heads));

  const canvas = at("surface");
  canvas.onpointermove = canvas.onpointerdown = (event) => {
    const box = canvas.getBoundingClientRect();
    const cell = (position, length) => Math.min(size - 1, Math.max(0, Math.floor(position / length * size)));
    look(cell(event.clientY - box.top, box.height), cell(event.clientX - box.left, box.width));
  };
  canvas.onpointerleave = () => look(state.source);

  fitMap = () => { // names beside the map only where they are readable
    const room = map.parentElement.clientWidth - 2;
    const named = Math.floor((room - 100) / size);
    map.classList.toggle("narrow", named < NAMED);
    const cell = named < NAMED ? Math.max(room / size, 1) : Math.min(named, 24);
    map.style.setProperty("--cell", cell + "px");
    canvas.style.width = canvas.style.height = cell * size + "px";
  };
  fitMap();
  state.source = 0;
  choose(Math.min(state.layer, text.layers - 1), Math.min(state.head, text.heads - 1));
  cells[0].tabIndex = -1;
  cells[state.layer * text.heads + state.head].tabIndex = 0;
}
const NAMED = 12; // pixels of a cell from which names beside the map can be read
let fitMap = () => {};
window.addEventListener("resize", () => fitMap());

function show(i) {
  const text = data.texts[i];
  at("title").textContent = `Why the model said ${quoted(text.predicted)}` + (text.label === text.predicted ? "" : `, and what speaks for ${quoted(text.label)}`);
  document.title = at("title").textContent;
  at("subtitle").textContent = text.probabilities.map(([name, p]) => `${name}: ${percent(p)}`).join(" \u00b7 ") + (data.model ? ` \u00b7 model: ${data.model}` : "");
  at("decided").textContent = text.decided;
  at("reliable").textContent = text.reliable;
  showWords(text);
  showChecks(text);
  showAttention(text);
}

at("choice").hidden = data.texts.length < 2;
data.texts.forEach((text, i) => {
  const start = text.text.trim().slice(0, 60);
  at("chooser").append(element("option", { value: i }, `${i + 1}. ${start}${text.text.trim().length > 60 ? "\u2026" : ""}`));
});
at("chooser").addEventListener("change", (event) => show(Number(event.target.value)));
show(0);
