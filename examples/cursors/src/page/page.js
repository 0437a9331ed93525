import { Socket } from "/cursors/tidegate/index.js";

/** Positions that this window sends in a second, at most. */
const POSITIONS_PER_SECOND = 30;
/** Points that it collects before they are sent. */
const STROKE_POINTS_MAX = 64;

const $ = (id) => document.getElementById(id);
const board = location.pathname.split("/")[2] || "first";
const dark = matchMedia("(prefers-color-scheme: dark)");

/** The same in each window of this browser, so that they are one person. */
const key = (localStorage.cursorsKey ||= crypto.randomUUID?.() ?? String(Math.random()).slice(2));

let name = localStorage.cursorsName ?? "";
const socket = new Socket(`/cursors/${board}`);
const people = socket.presence();

$("board-name").textContent = board;
$("name").value = name;

function join() {
  if (name && socket.state === "open") socket.sendJson({ type: "join", key, name });
}

$("join-form").addEventListener("submit", (event) => {
  event.preventDefault();
  name = $("name").value.trim();
  localStorage.cursorsName = name;
  join();
});

socket.addEventListener("open", () => {
  $("status").textContent = "connected";
  join();
});
socket.addEventListener("reconnecting", ({ code }) => {
  $("status").textContent = `connection lost (${code})`;
});
socket.addEventListener("end", ({ code }) => {
  $("status").textContent = `over (${code})`;
});
socket.addEventListener("message", ({ data }) => {
  const told = JSON.parse(data);
  if (told.type === "error") $("error").textContent = told.text;
  if (told.key === undefined || told.key === key) return;
  if (told.type === "at") point(told.key, told.at);
  if (told.type === "draw") draw(told.stroke, hue(told.key));
});

// Who is there.

people.addEventListener("change", ({ left }) => {
  $("error").textContent = "";
  const listed = [...people.members].sort(([, a], [, b]) => a.name.localeCompare(b.name));
  const item = ([id, facts]) => {
    const item = document.createElement("li");
    item.textContent = id === key ? `${facts.name} (you)` : facts.name;
    item.classList.toggle("self", id === key);
    item.style.setProperty("--hue", facts.hue);
    return item;
  };
  $("people").replaceChildren(...listed.map(item));
  $("people").dataset.changes = Number($("people").dataset.changes ?? 0) + 1;
  const others = people.count - people.members.size;
  $("nobody").hidden = people.count > 0 && people.listed;
  $("nobody").textContent = others > 0 ? `${others} people are here.` : "Nobody is here yet.";
  $("join-form").hidden = people.members.has(key);
  for (const id of left) pointer(id)?.remove();
});

function hue(id) {
  return people.members.get(id)?.hue ?? 0;
}

// Where they are.

const pointer = (id) =>
  [...$("pointers").children].find((element) => element.dataset.key === id);

function point(id, [x, y]) {
  const facts = people.members.get(id);
  if (!facts) return;
  let element = pointer(id);
  if (!element) {
    element = document.createElement("span");
    element.className = "pointer";
    element.dataset.key = id;
    $("pointers").append(element);
  }
  element.textContent = facts.name;
  element.style.setProperty("--hue", facts.hue);
  element.style.left = `${x / 10}%`;
  element.style.top = `${y / 10}%`;
}

// What they draw.

const canvas = $("drawing");
const pen = canvas.getContext("2d");
/** What was drawn since the page was opened, for when the board gets another size. */
const strokes = [];

function fit() {
  const { width, height } = canvas.getBoundingClientRect();
  canvas.width = width * devicePixelRatio;
  canvas.height = height * devicePixelRatio;
  for (const [stroke, of] of strokes) paint(stroke, of);
}

function paint(stroke, of) {
  pen.strokeStyle = dark.matches ? `hsl(${of} 65% 68%)` : `hsl(${of} 70% 38%)`;
  pen.lineWidth = 3 * devicePixelRatio;
  pen.lineJoin = pen.lineCap = "round";
  pen.beginPath();
  for (const [x, y] of stroke) pen.lineTo((x / 1000) * canvas.width, (y / 1000) * canvas.height);
  pen.stroke();
}

function draw(stroke, of) {
  strokes.push([stroke, of]);
  if (strokes.length > 5000) strokes.shift();
  paint(stroke, of);
}

new ResizeObserver(fit).observe(canvas);
dark.addEventListener("change", fit);

// What this window tells: its position, and what it draws, both at the same pace.

let at = null;
let stroke = [];
let timer = null;

function tell() {
  timer = null;
  if (!people.members.has(key) || socket.state !== "open") {
    stroke = stroke.slice(-1);
    return;
  }
  if (stroke.length > 1) {
    socket.sendJson({ type: "draw", stroke });
    stroke = stroke.slice(-1);
  }
  if (at) socket.sendJson({ type: "at", at });
  at = null;
}

function moved(event) {
  const { left, top, width, height } = $("board").getBoundingClientRect();
  const part = (value, size) => Math.round(Math.min(Math.max(value / size, 0), 1) * 1000);
  at = [part(event.clientX - left, width), part(event.clientY - top, height)];
  if (stroke.length > 0 && stroke.length < STROKE_POINTS_MAX) {
    stroke.push(at);
    draw(stroke.slice(-2), hue(key));
  }
  timer ??= setTimeout(tell, 1000 / POSITIONS_PER_SECOND);
}

$("board").addEventListener("pointermove", moved);
$("board").addEventListener("pointerdown", (event) => {
  event.preventDefault();
  // Nobody would see what somebody draws who is not here.
  if (!people.members.has(key)) return;
  $("board").setPointerCapture?.(event.pointerId);
  moved(event);
  stroke = [at];
});
for (const type of ["pointerup", "pointercancel"]) {
  $("board").addEventListener(type, () => {
    tell();
    stroke = [];
  });
}
