import { Socket } from "../tidegate/index.js";

const $ = (id) => document.getElementById(id);
// /chat is the lobby; /chat/blue is the room blue.
const path = location.pathname.replace(/\/chat\/?$/, "/chat/lobby");
$("room").textContent = decodeURIComponent(path.split("/").pop());

// Two people may have one name. A page is one connection after the other, which keep this id.
const id = crypto.getRandomValues(new Uint32Array(2)).reduce((text, n) => text + n.toString(16), "");

let socket = null;
let name = "";
let joined = false;

/// The same colour for all that a connection says.
function hue(text) {
  let sum = 0;
  for (const letter of text) sum = (sum * 31 + letter.codePointAt(0)) % 360;
  return sum;
}

function show(className, who, text, from = "") {
  const log = $("log");
  const atEnd = log.scrollHeight - log.scrollTop - log.clientHeight < 40;
  const item = document.createElement("li");
  item.className = className;
  if (who) {
    const span = document.createElement("span");
    span.className = "who";
    span.textContent = `${who}:`;
    span.style.setProperty("--hue", hue(from));
    item.append(span, " ");
  }
  item.append(text);
  log.append(item);
  if (atEnd) log.scrollTop = log.scrollHeight;
}

function complain(text) {
  $("error").textContent = text;
}

function say(status) {
  $("status").textContent = status;
}

let countdown = null;

/// Says how long it is until the next try, each second anew.
function count(code, until) {
  clearTimeout(countdown);
  const left = Math.max(0, Math.ceil((until - performance.now()) / 1000));
  say(left > 0 ? `not connected (${code}), next try in ${left} s` : "connecting …");
  if (left > 0) countdown = setTimeout(count, 250, code, until);
}

function enter() {
  joined = true;
  clearTimeout(countdown);
  const first = $("say-form").hidden;
  $("join-form").hidden = true;
  $("say-form").hidden = false;
  $("send").disabled = false;
  say("connected");
  // After a pause the reader may be elsewhere in the page.
  if (first) $("line").focus();
}

function leave({ code }) {
  joined = false;
  $("send").disabled = true;
  show("notice", "", `connection lost (${code})`);
}

const handlers = {
  joined(message) {
    if (!joined && message.id === id) enter();
    show("notice", "", `${message.name} joined`);
  },
  left(message) {
    show("notice", "", `${message.name} left`);
  },
  said(message) {
    show(message.id === id ? "mine" : "theirs", message.name, message.text, message.id);
  },
  error(message) {
    complain(message.text);
    if (!joined) $("join").disabled = false;
  },
};

/// With `remember` the server sends what was missed since the last line that the client had.
function join() {
  socket.sendJson({ type: "join", name, id, remember: true });
}

function connect() {
  say("connecting …");
  socket = new Socket(path, { resume: true });
  // A connection that goes on knows the name; a new one does not.
  socket.addEventListener("open", ({ resumed }) => (resumed ? enter() : join()));
  socket.addEventListener("message", ({ data }) => {
    const message = JSON.parse(data);
    handlers[message.type]?.(message);
  });
  // The last lines of the room follow.
  socket.addEventListener("gap", () => {
    $("log").replaceChildren();
    show("notice", "", "earlier lines are gone");
  });
  socket.addEventListener("close", leave);
  socket.addEventListener("reconnecting", ({ code, delay }) => {
    count(code, performance.now() + delay);
  });
  socket.addEventListener("end", ({ code, reason }) => {
    socket = null;
    clearTimeout(countdown);
    say(`the connection was closed (${code})`);
    complain(reason);
    $("join-form").hidden = $("join").disabled = false;
    $("say-form").hidden = true;
  });
}

$("join-form").addEventListener("submit", (event) => {
  event.preventDefault();
  name = $("name").value.trim();
  complain("");
  if (!name) return complain("Please say your name.");
  $("join").disabled = true;
  if (!socket) connect();
  else if (socket.state === "open") join();
});

$("say-form").addEventListener("submit", (event) => {
  event.preventDefault();
  complain("");
  const text = $("line").value;
  if (!text.trim() || !joined) return;
  try {
    socket.sendJson({ type: "say", text });
    $("line").value = "";
  } catch {
    complain("Not sent: the connection is closing.");
  }
});
